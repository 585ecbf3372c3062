"""Names that identify one record for ever: external id, token, versions, fingerprints and idempotency keys.

Every hash is taken over canonical JSON: sorted keys, exact decimals as text, never floats.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson

from ml_connector.domain.money import plain

TENANT_CODE_LENGTH = 4
TOKEN_LENGTH = 20


@dataclass(frozen=True, slots=True)
class ExternalId:
    """Our reference for one source record: the source tenant's code, the record type and its key there."""

    tenant: str
    type: str
    key: str

    def __str__(self) -> str:
        return f"{self.tenant}:{self.type}:{self.key}"

    @classmethod
    def parse(cls, text: str) -> ExternalId:
        """Read `tenant:type:key` back; the key itself may contain colons."""
        tenant, record_type, key = text.split(":", 2)
        return cls(tenant, record_type, key)


def token(external_id: ExternalId, tenant_code: str) -> str:
    """The 20-character mark an object carries in the target: the target tenant's code and 16 base32 of a hash."""
    if len(tenant_code) != TENANT_CODE_LENGTH:
        raise ValueError(f"a tenant code has {TENANT_CODE_LENGTH} characters, not {len(tenant_code)}")
    digest = hashlib.sha256(str(external_id).encode()).digest()
    return tenant_code + base64.b32encode(digest[:10]).decode()


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON-like value that hashes are taken over."""
    return orjson.dumps(_exact(value), option=orjson.OPT_SORT_KEYS)


def _exact(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool | Enum) and abs(value) >= 1 << 63:
        return str(value)
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError("only finite numbers have an exact value")
        return plain(value)
    if isinstance(value, float):
        raise TypeError("a float has no exact value; amounts and quantities are Decimal")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("member names are text")
        return {str(name): _exact(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _exact(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no canonical form")


def digest(value: Any) -> str:
    """40 hex characters over the canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()[:40]


def source_version(record: Any, reads: frozenset[str]) -> str:
    """Hash of the fields that checks and mapping read; everything else may change without a new version."""
    return digest({name: getattr(record, name) for name in reads})


def fingerprint(payload: Any, *, leave_out: frozenset[str] = frozenset()) -> str:
    """Hash of a mapped document without its clock-derived members."""
    return digest({name: value for name, value in payload.items() if name not in leave_out})


def idempotency_key(external_id: ExternalId, revision: int, effect: str) -> str:
    """The key of one logical write: equal for every re-send of a revision, different for every other."""
    text = f"{external_id}|{revision}|{effect}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
