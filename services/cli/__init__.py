"""The command `bagel`."""
