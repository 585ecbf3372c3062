"""What all credentials blocks share."""

from __future__ import annotations

from ml_connector.http.tokens import MemoryTokenStore


def open_vault() -> MemoryTokenStore:
    """A token store for one client outside a run; runs use the installation's vault, shared by all processes."""
    return MemoryTokenStore()
