"""Deploy files: from YAML, flags and what they build on to one checked deployment."""
