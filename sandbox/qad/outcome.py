"""What a business rule answers: a stored record with warnings, or problems that name a field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.qad.metadata import Field
from sandbox.qad.records import Row, Stamp
from sandbox.qad.values import Record, blank

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant


@dataclass(frozen=True)
class Problem:
    """One refusal, on the field it concerns."""

    field_name: str
    message: str
    value: Any = ""

    def wire(self) -> Record:
        """As an entry of submitResult.errors."""
        shown = "" if self.value is None else str(self.value)
        return {"fieldName": self.field_name, "message": self.message, "fieldValue": shown, "code": "", "severity": 1}


@dataclass
class Outcome:
    """The result of a write: rows that were stored, or problems."""

    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class Context:
    """Who writes, and in which workspace."""

    tenant: QadTenant
    domain: str
    entity: str
    user: str

    def stamp(self) -> Stamp:
        """The change stamp of this moment."""
        return Stamp(self.user, self.tenant.local_now())


def refused(*problems: Problem) -> Outcome:
    """An outcome that stored nothing."""
    return Outcome(problems=list(problems))


def mandatory(item: Field, value: Any = "", prefix: str = "") -> Problem:
    """QAD's words for a missing value, and also for a code that resolves to nothing."""
    return Problem(f"{prefix}{item.name}", f"Field is mandatory. ({item.code})", value)


def missing(fields: tuple[Field, ...], record: Record, prefix: str = "") -> list[Problem]:
    """A problem for every required member that is blank."""
    return [mandatory(item, "", prefix) for item in fields if item.required and record[item.name] == blank(item)]


def too_long(fields: tuple[Field, ...], record: Record, prefix: str = "") -> list[Problem]:
    """A problem for every text that exceeds its length, rows of child tables included."""
    problems = []
    for item in fields:
        value = record[item.name]
        if item.kind == "table":
            for index, row in enumerate(value):
                problems += too_long(item.children, row, f"{prefix}{item.name}[{index}].")
        elif item.kind == "character" and len(value) > item.length:
            text = f"Value exceeds the maximum length of {item.length}"
            problems.append(Problem(f"{prefix}{item.name}", text, value))
    return problems


def overlay(fields: tuple[Field, ...], old: Record, sent: Record) -> Record:
    """Whole-object replacement: what was not sent becomes blank, keys and QAD's own members stay."""
    return {
        item.name: old[item.name] if item.server or item.key else sent.get(item.name, blank(item)) for item in fields
    }


def fresh(fields: tuple[Field, ...], sent: Record) -> Record:
    """A new record: what was sent, everything else blank, QAD's own members still to be filled."""
    return {item.name: blank(item) if item.server else sent.get(item.name, blank(item)) for item in fields}
