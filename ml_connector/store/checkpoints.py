"""Signed checkpoints of the audit trail, kept in a folder outside the store.

Each names the head of every chain and the checkpoint before it: a shortened trail or a missing checkpoint shows.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select

from ml_connector.clock import Clock
from ml_connector.errors import TransientError
from ml_connector.store.audit import ADMIN_CHAIN, Audit, AuditEvent
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import audit_head

WRITTEN = "checkpoint_written"
_PATTERN = "checkpoint-*.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The chain heads (last event's number and signature) at one instant."""

    number: int
    at: datetime
    heads: dict[str, tuple[int, str]]
    previous: str
    mac: str


async def write_checkpoint(db: Database, keys: Keys, folder: Path, clock: Clock) -> Path:
    """Write the next checkpoint file, then note in the trail that it exists; TransientError when two write at once."""
    older, _problems = await asyncio.to_thread(read_checkpoints, keys, folder)
    async with db.read() as tx:
        rows = (await tx.execute(select(audit_head).order_by(audit_head.c.chain))).all()
    number, previous = (older[-1].number + 1, older[-1].mac) if older else (1, "")
    content: dict[str, Any] = {
        "number": number,
        "at": clock.now().astimezone(UTC).isoformat(),
        "heads": {row.chain: [row.seq, row.mac] for row in rows},
        "previous": previous,
    }
    content["mac"] = _sign(keys, content)
    path = folder / f"checkpoint-{number:06}.json"
    await asyncio.to_thread(_publish, path, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    async with db.write() as tx:
        noted = AuditEvent(WRITTEN, data={"number": number})
        await Audit(db, keys, clock).append(tx, ADMIN_CHAIN, [noted])
    return path


def read_checkpoints(keys: Keys, folder: Path) -> tuple[list[Checkpoint], list[str]]:
    """All checkpoints that are genuine, oldest first, and what is wrong with the others."""
    found: list[Checkpoint] = []
    problems: list[str] = []
    for path in sorted(folder.glob(_PATTERN)):
        checkpoint = _read(keys, path)
        if checkpoint is None:
            problems.append(f"checkpoint {path.name}: was changed, its signature does not fit")
            continue
        expected = (found[-1].number + 1, found[-1].mac) if found else (1, "")
        if (checkpoint.number, checkpoint.previous) != expected:
            problems.append(f"checkpoint {path.name}: the checkpoint before it is missing or was replaced")
        found.append(checkpoint)
    return found, problems


def _read(keys: Keys, path: Path) -> Checkpoint | None:
    try:
        content = orjson.loads(path.read_bytes())
        mac = content.pop("mac")
        if not secrets.compare_digest(mac, _sign(keys, content)):
            return None
        heads = {chain: (seq, head) for chain, (seq, head) in content["heads"].items()}
        at = datetime.fromisoformat(content["at"])
        return Checkpoint(content["number"], at, heads, content["previous"], mac)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _sign(keys: Keys, content: dict[str, Any]) -> str:
    return keys.audit_mac(b"checkpoint" + orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def _publish(path: Path, content: bytes) -> None:
    """Make the whole file appear at once, or fail when its number is taken."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        raise TransientError(f"checkpoint {path.name} was written by somebody else meanwhile") from None
    finally:
        draft.unlink(missing_ok=True)
