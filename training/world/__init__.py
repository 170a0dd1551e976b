"""A small world that a program draws, with exact knowledge of what it drew."""
