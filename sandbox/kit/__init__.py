"""What every stand-in tenant shares: a clock, faults by rule, a request journal, the admin API and the server."""
