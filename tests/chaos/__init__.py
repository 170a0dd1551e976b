"""Rounds of real kills: `make chaos`."""
