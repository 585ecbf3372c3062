"""A strict, stateful stand-in Coupa tenant, written from the documented contract alone."""
