"""Deliveries from systems: verified, kept in a durable inbox, answered at once; the runs do the work."""
