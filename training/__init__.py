"""How the bundled toy model came to be: a small drawn world, its language, and the trainer."""
