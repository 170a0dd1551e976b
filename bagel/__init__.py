"""bagel-serve: what every service of a BAGEL deployment shares. Importing this package loads no torch."""

__version__ = "0.1.0"
