"""What the write protocol hands to a target and what it gets back: all that the two know of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Operation = Literal["create", "upsert", "act", "tell"]
# What these left behind last time is known when they are done again.
REMEMBERED: frozenset[Operation] = frozenset({"upsert", "tell"})


@dataclass(frozen=True, slots=True)
class Order:
    """One write (or one question about it). `payload` is frozen: a re-send and a question use it as it was intended.

    `thorough` asks a target to look by token as well as by natural key (no history, or a doubt).
    `target_id` is the object that an upsert or action is about, empty while it is not known; `changed` names the
    members of the payload that differ from what the object shows (empty: all of them are written).
    Orders with the same non-empty `lane` go one after another. `before` is the payload that an upsert or a tell was
    last done with, empty the first time.
    """

    external_id: str
    token: str
    key: str
    effect: str
    operation: Operation
    payload: Mapping[str, Any]
    target_id: str = ""
    thorough: bool = True
    lane: str = ""
    changed: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """The target shows the write as done. `differs` names fields that are not as intended.

    `data["shown"]` holds what it shows of fields that travel both ways, `data["notes"]` what is worth noting of it.
    """

    target_id: str
    differs: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Absent:
    """The target shows nothing of it (yet)."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object with the same natural key that is not ours: a possible duplicate for a person."""

    target_id: str


@dataclass(frozen=True, slots=True)
class Several:
    """More than one object carries our token: nobody guesses which."""

    target_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """The object that was written before is not there any more, although the login works."""

    target_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What was found belongs to another record of ours; told by the ledger, never by a target."""

    target_id: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Fields that were changed on both sides since they last agreed; told by the ledger.

    Without fields nobody can tell yet: the record waits.
    """

    target_id: str
    fields: tuple[str, ...]


Finding = Found | Absent | Foreign | Several | Gone | Taken | Conflict


@dataclass(frozen=True, slots=True)
class Done:
    """The target confirmed the write. `notes` are warnings or states worth showing (e.g. QAD's hold amount).

    `reverse` says that the answer shows a record which is no longer eligible: a person has to undo the document.
    `changed` says that the source record may have been edited since it was read, so it is read again.
    """

    target_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reverse: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The target definitely did not write. `code` is safe to show, `detail` is its own text, stored encrypted.

    `waits` says that time or another document can mend it, so the record is held rather than rejected.
    """

    code: str
    detail: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """The write may have taken effect."""

    why: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Provably nothing happened; the next run may simply send it."""

    why: str


class Stopped(Exception):
    """Sending ended early because of `cause`; `sent` are the answers until then, what is missing was never written."""

    def __init__(self, sent: Mapping[str, Done | Refused | Doubt | NotSent], cause: Exception) -> None:
        super().__init__(str(cause))
        self.sent = sent
        self.cause = cause


Sent = Done | Refused | Doubt | NotSent
