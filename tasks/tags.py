"""What our deployments carry as tags: whose they are, which connection's logins they use, and why they stand still."""

from __future__ import annotations

from collections.abc import Sequence

from ml_connector.installation import Installation

TAG = "ml-connector"
NEEDS_AUTH = "needs-auth"
REFUSED = f"{NEEDS_AUTH}:"
STOPPED = "stopped-schedule:"


def owner_tag(installation: Installation) -> str:
    """What the deployments of this installation carry, on a server that several may share."""
    return f"installation:{installation.store.keys.login_fingerprint('deployments')[:12]}"


def connection_tag(connection: str) -> str:
    """What every deployment carries that uses the logins of a connection."""
    return f"connection:{connection}"


def notes_of_logins(tags: Sequence[str]) -> list[str]:
    """The tags that tell of a refused login, which bringing a deployment up to date must not lose."""
    return sorted(tag for tag in tags if tag == NEEDS_AUTH or tag.startswith((REFUSED, STOPPED)))


def refused_blocks(tags: Sequence[str]) -> list[str]:
    """The blocks for whose login a deployment stands still."""
    return sorted(tag.removeprefix(REFUSED) for tag in tags if tag.startswith(REFUSED))
