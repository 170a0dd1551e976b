"""Exit statuses that a supervisor understands."""

EXIT_HANGING = 1  # asked to stop, while its device was at a piece of work that does not end
EXIT_CONFIG = 78  # sysexits.h: a person must change something; starting again does not help
