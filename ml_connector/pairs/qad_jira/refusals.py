"""What QAD refused of people's decisions, told to them as a comment on the issue; the ledger itself is the source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ml_connector.domain.keys import ExternalId
from ml_connector.domain.outcomes import READY, Decision, Outcome, held
from ml_connector.domain.reasons import reason
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.payloads import synced_payload
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Batch, Facts

READS = frozenset({"refused", "taken", "why", "answer", "decision"})
RECORD_TYPE = "refusal"
DECISIONS, REFUSALS = "decisions", "refusals"
# Why a decision stands still in a way that only people can mend.
_TOLD = frozenset({"target_refused", "conflict", "target_deleted", "told_since_decided"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A decision that QAD did not take, or has taken after all; `answer` is QAD's own text."""

    key: str
    issue_key: str
    refused: bool
    taken: bool
    why: str
    answer: str
    decision: str


class Refusals:
    """Source: decisions of this connection that stand refused, and those that were told as refused before."""

    stream = "ledger.refusals"

    def __init__(self, run: SyncRun) -> None:
        self._run = run

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[Refusal]]:
        """Everything in one batch: few decisions are refused at any time."""
        run, waiting = self._run, (Outcome.REJECTED, Outcome.HELD)
        stands = await ledger.listing(
            run.store.db, outcomes=waiting, connection=run.connection, route=(run.direction, DECISIONS)
        )
        told = await ledger.listing(
            run.store.db, outcomes=list(Outcome), connection=run.connection, route=(run.direction, REFUSALS)
        )
        found = await self.by_key(sorted({_key(row) for row in stands if _told(row)} | {_key(row) for row in told}))
        # While nobody knows, or while a decision is being made anew, what was told last stands.
        found = {key: one for key, one in found.items() if one.refused or one.taken}
        yield Batch(list(found.values()), (), "end")

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, Refusal]:
        """How the decisions of these issues stand now."""
        rows = await self._run.rows(self._run.routes[DECISIONS], keys)
        return {key: await self._refusal(key, row) for key, row in rows.items()}

    async def _refusal(self, key: str, row: LedgerRow) -> Refusal:
        snapshot, detail = await ledger.sealed(self._run.store.db, row.id)
        record = orjson.loads(self._open(row, snapshot))["record"] if snapshot else {}
        refused = _told(row)
        return Refusal(
            key=key,
            issue_key=row.label,
            refused=refused,
            taken=row.complete and not refused and bool(self._told_qad(row).get("decided")),
            why="; ".join(one.text for one in row.reasons) if refused else "",
            answer=self._open(row, detail).decode() if refused and detail else "",
            decision=_summary(record or {}),
        )

    def _told_qad(self, row: LedgerRow) -> Mapping[str, Any]:
        return synced_payload(self._run.store.keys, row, row.effects[0])

    def _open(self, row: LedgerRow, blob: bytes) -> bytes:
        return self._run.store.keys.open(blob, about=row.id)


class Known:
    """Check: told is what is known; a decision on its way, or taken back, is looked at again."""

    async def load(self, records: Sequence[Refusal]) -> None:
        """Nothing is needed."""

    def decide(self, records: Sequence[Refusal], context: None) -> list[Decision]:
        """One decision per refusal."""
        return [READY if one.refused or one.taken else held(reason("decision_on_its_way")) for one in records]


def comment(facts: Facts[Refusal]) -> Mapping[str, Any]:
    """The comment's facts; the next one is written when they change."""
    one = facts.record
    head = "QAD did not take this decision." if one.refused else "QAD has taken the decision now."
    lines = [["Decision", one.decision], ["Why", one.why or "taken"], ["QAD says", one.answer]]
    return {"issue": one.key, "head": head, "lines": lines}


def _told(row: LedgerRow) -> bool:
    waiting = row.outcome in (Outcome.REJECTED, Outcome.HELD)
    return waiting and any(one.code in _TOLD for one in row.reasons)


def _key(row: LedgerRow) -> str:
    return ExternalId.parse(row.external_id).key


def _summary(record: Mapping[str, Any]) -> str:
    parts = dict.fromkeys((record.get("status"), record.get("resolution")))
    return ", ".join(str(part) for part in parts if part)

