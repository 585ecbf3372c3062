"""The one outcome that every record read gets, and the decision of a check that leads to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ml_connector.domain.reasons import Reason


class Outcome(StrEnum):
    """How a record left a run; the counts of a run add up to what was read."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    HELD = "held"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """What a check says about one record."""

    READY = "ready"
    HELD = "held"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Claim:
    """A quantity of a PO line that a document will use up in the target (credit notes negative).

    `limit` is what the check saw as usable by us in total on that line; Intend compares it again under a lock.
    One that `undoes` gives back exactly what a document of ours holds, and is always granted.
    """

    domain: str
    po_number: str
    po_line: int
    quantity: Decimal
    limit: Decimal
    undoes: bool = False


@dataclass(frozen=True, slots=True)
class Allotment:
    """Which receivers a billed line is matched with; `receiver` empty means an amount on `account`."""

    line: int
    po_number: str
    po_line: int
    receiver: str
    quantity: Decimal
    unit_price: Decimal
    finished: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A check's verdict on one record with everything the mapping needs from it."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    claims: tuple[Claim, ...] = ()
    allotments: tuple[Allotment, ...] = ()
    extra: Mapping[str, Any] | None = None
    detail: str = ""

    @property
    def ready(self) -> bool:
        """Whether the record may be written."""
        return self.verdict is Verdict.READY


READY = Decision(Verdict.READY)


def held(*reasons: Reason) -> Decision:
    """A named precondition is missing; looked at again in the next run."""
    return Decision(Verdict.HELD, reasons)


def rejected(*reasons: Reason) -> Decision:
    """A person has to act."""
    return Decision(Verdict.REJECTED, reasons)


def skipped(why: Reason) -> Decision:
    """Outside the configured filter, by the rule named."""
    return Decision(Verdict.SKIPPED, (why,))


def worst(decisions: Iterable[Decision]) -> Decision:
    """The gravest of several decisions, with the reasons of all of that gravity; READY merges claims and allotments."""
    by_verdict: dict[Verdict, list[Decision]] = {}
    for decision in decisions:
        by_verdict.setdefault(decision.verdict, []).append(decision)
    for verdict in (Verdict.SKIPPED, Verdict.REJECTED, Verdict.HELD):
        if found := by_verdict.get(verdict):
            return Decision(verdict, tuple(why for one in found for why in one.reasons))
    ready = by_verdict.get(Verdict.READY, [])
    extra = {name: value for one in ready if one.extra for name, value in one.extra.items()}
    return Decision(
        Verdict.READY,
        claims=tuple(claim for one in ready for claim in one.claims),
        allotments=tuple(part for one in ready for part in one.allotments),
        extra=extra or None,
    )
