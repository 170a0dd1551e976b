"""Measurements; run by hand, their output goes to docs/evidence."""
