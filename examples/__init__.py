"""Clients to start from. They use the standard library alone."""
