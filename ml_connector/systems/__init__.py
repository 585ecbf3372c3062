"""One folder per business system, each with the same files."""
