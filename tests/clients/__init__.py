"""Clients that people have, each in an environment of its own, against one running server: `make clients`."""
