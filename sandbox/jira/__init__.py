"""A strict, stateful stand-in Jira Cloud site, written from the documented contract alone."""
