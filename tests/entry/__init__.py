"""Entry points of the two stages for tests: the product's processes with given noise, and eyes on the DiT."""
