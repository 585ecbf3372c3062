"""The top layer: the command line, and everything that starts, registers and schedules the rest."""
