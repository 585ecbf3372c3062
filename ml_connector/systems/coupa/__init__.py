"""Coupa, the buying side: approved invoices come from here, proof of posting and payment goes back (README.md)."""
