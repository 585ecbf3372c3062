"""The offline verifier: proves that no audit event was changed, removed, inserted, reordered or cut off at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.errors import ConnectorError
from ml_connector.store.audit import ADMIN_CHAIN, about, sign
from ml_connector.store.audit_history import EMPTIED
from ml_connector.store.checkpoints import WRITTEN, Checkpoint, read_checkpoints
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import audit, audit_head

_BATCH = 2000


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The verdict: events per chain, and one line for each thing that is wrong."""

    chains: dict[str, int]
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether the trail is whole."""
        return not self.problems


@dataclass(slots=True)
class _Chain:
    """How far one chain has been read."""

    seq: int = 0
    mac: str = ""
    events: int = 0


@dataclass(slots=True)
class _Findings:
    """What the reading of all chains has brought up."""

    # The events that checkpoints name, and the signatures found there.
    named: set[tuple[str, int]]
    chains: dict[str, _Chain] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    macs: dict[tuple[str, int], str] = field(default_factory=dict)
    checkpoints_written: int = 0
    emptied_before: datetime | None = None
    # The latest event whose detail is gone, per chain.
    emptied: dict[str, tuple[datetime, int]] = field(default_factory=dict)


async def verify(db: Database, keys: Keys, checkpoints_folder: Path) -> VerifyReport:
    """Recompute the whole trail and compare it with its heads and with the signed checkpoints."""
    checkpoints, wrong_files = await asyncio.to_thread(read_checkpoints, keys, checkpoints_folder)
    findings = _Findings(named={(chain, seq) for one in checkpoints for chain, (seq, _mac) in one.heads.items()})
    async with db.read() as tx:
        if not db.is_sqlite:
            # One snapshot for all batches: runs go on writing while the verifier reads.
            await tx.execution_options(isolation_level="REPEATABLE READ")
        heads = {row.chain: (row.seq, row.mac) for row in (await tx.execute(select(audit_head))).all()}
        try:
            async for row in _rows(tx):
                _check_row(keys, row, findings)
        except (ValueError, TypeError):
            findings.problems.append("a column of some event was overwritten with what it cannot hold; reading stopped")
    _check_heads(heads, findings)
    _check_emptied(findings)
    for one in checkpoints:
        _check_checkpoint(one, findings)
    # Read once more: a checkpoint may have been written since the first look.
    checkpoints, _ = await asyncio.to_thread(read_checkpoints, keys, checkpoints_folder)
    newest = max((one.number for one in checkpoints), default=0)
    if findings.checkpoints_written > newest:
        findings.problems.append(f"checkpoint {findings.checkpoints_written} was written and is not in the folder")
    counts = {name: chain.events for name, chain in sorted(findings.chains.items())}
    return VerifyReport(counts, wrong_files + findings.problems)


async def _rows(tx: AsyncConnection) -> AsyncIterator[Row[Any]]:
    place = tuple_(audit.c.chain, audit.c.seq)
    query = select(audit).order_by(audit.c.chain, audit.c.seq).limit(_BATCH)
    batch = (await tx.execute(query)).all()
    while batch:
        for row in batch:
            yield row
        last = batch[-1]
        batch = (await tx.execute(query.where(place > tuple_(last.chain, last.seq)))).all()


def _check_row(keys: Keys, row: Row[Any], findings: _Findings) -> None:
    chain = findings.chains.setdefault(row.chain, _Chain())
    where = f"{row.chain}: event {row.seq}"
    if row.seq != chain.seq + 1:
        missing = f"{chain.seq + 1} to {row.seq - 1}" if row.seq - chain.seq > 2 else f"{chain.seq + 1}"
        findings.problems.append(f"{row.chain}: missing before event {row.seq}: {missing}")
    elif row.previous != chain.mac:
        findings.problems.append(f"{where} does not follow the event before it")
    if row.mac != sign(keys, row):
        findings.problems.append(f"{where} was changed or inserted: its signature does not fit")
    elif row.chain == ADMIN_CHAIN:
        _note_admin(row, findings)
    if row.blob is not None:
        if wrong := _wrong_detail(keys, row):
            findings.problems.append(f"{where}: {wrong}")
    elif row.digest:
        findings.emptied[row.chain] = max(findings.emptied.get(row.chain, (row.at, row.seq)), (row.at, row.seq))
    if (row.chain, row.seq) in findings.named:
        findings.macs[row.chain, row.seq] = row.mac
    chain.seq, chain.mac = row.seq, row.mac
    chain.events += 1


def _note_admin(row: Row[Any], findings: _Findings) -> None:
    if row.kind == WRITTEN:
        findings.checkpoints_written = max(findings.checkpoints_written, row.data["number"])
    elif row.kind == EMPTIED:
        before = datetime.fromisoformat(row.data["before"])
        findings.emptied_before = max(findings.emptied_before or before, before)


def _wrong_detail(keys: Keys, row: Row[Any]) -> str:
    try:
        plaintext = keys.open(row.blob, about=about(row.chain, row.seq))
    except ConnectorError as error:
        return f"its detail does not open ({error.message})"
    return "" if keys.audit_digest(plaintext) == row.digest else "its detail was replaced"


def _check_heads(heads: dict[str, tuple[int, str]], findings: _Findings) -> None:
    for name in sorted(heads.keys() | findings.chains.keys()):
        chain = findings.chains.get(name, _Chain())
        seq, mac = heads.get(name, (0, ""))
        if chain.seq < seq:
            findings.problems.append(f"{name}: events {chain.seq + 1} to {seq} are missing at the end")
        elif (chain.seq, chain.mac) != (seq, mac):
            findings.problems.append(f"{name}: ends at event {chain.seq}, its head names event {seq}")


def _check_checkpoint(checkpoint: Checkpoint, findings: _Findings) -> None:
    for chain, (seq, mac) in checkpoint.heads.items():
        if seq and findings.macs.get((chain, seq)) != mac:
            number = checkpoint.number
            findings.problems.append(f"{chain}: event {seq} is gone or is not the one that checkpoint {number} names")


def _check_emptied(findings: _Findings) -> None:
    """Details may only be missing as far back as retention was told to empty them."""
    for name, (at, seq) in sorted(findings.emptied.items()):
        if findings.emptied_before is None or at >= findings.emptied_before:
            findings.problems.append(f"{name}: the detail of event {seq} was removed, not by retention")
