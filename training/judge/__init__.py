"""Whether what a model made or said is right."""
