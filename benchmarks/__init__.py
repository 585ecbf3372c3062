"""Speed as a ratio: the engine beside a bare loop that makes the same calls against the same stand-in tenants."""
