"""Strict, stateful stand-in tenants of business systems, for demos and tests; they know nothing of the connector."""
