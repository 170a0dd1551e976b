"""Stubs generated from `protos/bagel/v1` by `make protos`; never edited."""
