"""What a system's webhook tells us: a hint which record to read again, never data to act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery, as far as it is believed.

    `object_id` is empty where it is about no record of ours, `site` where the sender does not name its host,
    `delivery` where it has no id of its own. `webhooks` are the sender's ids of the registrations that matched.
    """

    topic: str
    object_id: str = ""
    site: str = ""
    webhooks: tuple[str, ...] = ()
    delivery: str = ""
    sent_at: datetime | None = None


def header(headers: Mapping[str, str], name: str) -> str:
    """A header's value whatever the spelling of its name; empty when it is not there."""
    wanted = name.lower()
    if (exact := headers.get(wanted)) is not None:
        return exact.strip()
    return next((value.strip() for key, value in headers.items() if key.lower() == wanted), "")
