"""What the commands that ask a running server are made of."""
