"""Transport for every system: pooling, time limits, retries, rate budgets, redaction and exact JSON.

It knows no system: what a status or an error body means is decided by the system's own `errors.py`.
"""
