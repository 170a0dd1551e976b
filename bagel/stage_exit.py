"""Exit statuses that a supervisor understands."""

EXIT_CONFIG = 78  # sysexits.h: a person must change something; starting again does not help
