"""What the connector remembers: ledger, holds, reservations, marks, leases, tokens, snapshots and the audit trail."""
