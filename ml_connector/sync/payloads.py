"""Payloads as they were intended, sealed in the effect they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from ml_connector.domain.keys import canonical
from ml_connector.store.crypto import Keys
from ml_connector.store.ledger import EffectRow, LedgerRow


def seal(keys: Keys, row: LedgerRow, effect: EffectRow, payload: Mapping[str, Any]) -> bytes:
    """A payload bound to its row and effect."""
    schema = f"{row.route}.{effect.name}"
    return keys.seal(canonical(payload), about=f"{row.id}/{effect.name}", schema=schema, version=1)


def synced_payload(keys: Keys, row: LedgerRow, effect: EffectRow) -> dict[str, Any]:
    """The payload that the target was last seen with; empty when it never was."""
    return stored_payload(keys, row, replace(effect, blob=effect.synced))


def stored_payload(keys: Keys, row: LedgerRow, effect: EffectRow) -> dict[str, Any]:
    """The payload of an effect exactly as it was intended; empty when nothing was ever intended."""
    if effect.blob is None:
        return {}
    payload: dict[str, Any] = orjson.loads(keys.open(effect.blob, about=f"{row.id}/{effect.name}"))
    return payload
