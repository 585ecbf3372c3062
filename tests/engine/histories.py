"""What a history is made of: papers, steps, and what goes wrong or happens meanwhile in a run.

A history is a list of small steps that make sense in any order: one that is impossible when its turn comes simply does
not happen. So any part of a history is a history too, and a failing one can be made shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ml_connector.pairs import registry

DIRECTIONS = tuple(name for name in ("coupa_to_qad", "qad_to_coupa") if name in registry.DIRECTIONS)
BOTH_WAYS = len(DIRECTIONS) > 1
PRICE, ORDERED = 12, 100
LINES = (("PO200001", 1), ("PO200001", 2), ("PO200002", 1))
Line = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Paper:
    """An invoice as it comes in; negative pieces make it a credit note. `key` is its id in Coupa."""

    key: int
    number: str
    lines: tuple[tuple[Line, int], ...]
    tax: int = 0
    status: str = "approved"

    def __str__(self) -> str:
        what = " and ".join(f"{pieces} of {po}/{line}" for (po, line), pieces in self.lines)
        return f"{self.number} (id {self.key}) over {what}{f', tax {self.tax}' if self.tax else ''}, {self.status}"


@dataclass(frozen=True, slots=True)
class Strike:
    """What goes wrong in a run, at which call, writing call, post of a document or commit; `down` lasts to its end."""

    kind: str
    at: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.at} {self.number}"


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What others do while a chosen call of a run is under way: before it arrives, or before its answer does."""

    at: str
    number: int
    after: bool
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{when} {self.at} {self.number} arrives: [{'; '.join(map(str, self.steps))}]"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens; which members count depends on the verb."""

    verb: str
    key: int = 0
    number: int = 0
    line: Line | None = None
    text: str = ""
    strikes: tuple[Strike, ...] = ()
    meanwhile: tuple[Meanwhile, ...] = ()

    def __str__(self) -> str:
        said = [self.verb]
        said += [f"id {self.key}"] if self.key else []
        said += [f"{self.line[0]}/{self.line[1]}"] if self.line else []
        said += [str(self.number)] if self.number else []
        said += [self.text] if self.text else []
        return " ".join(said + [f"<{one}>" for one in (*self.strikes, *self.meanwhile)])


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happens, from the orders to the last step before all is mended."""

    seed: int
    papers: tuple[Paper, ...]
    steps: tuple[Step, ...]
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    new_settings_at_the_end: bool = False

    def __str__(self) -> str:
        about = [f"history {self.seed}", *(f"  paper: {one}" for one in self.papers)]
        about += [f"  options: {self.options}", f"  settings: {self.settings}"]
        about += [f"  {place:2}. {step}" for place, step in enumerate(self.steps, start=1)]
        return "\n".join([*about, f"  new settings at the end: {self.new_settings_at_the_end}"])

    def without(self, place: int) -> History:
        """The same history with one step left out."""
        return replace(self, steps=self.steps[:place] + self.steps[place + 1 :])
