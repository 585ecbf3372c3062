"""Everything that differs between pairs plugs in here: sources, checks, mappings and targets, joined by routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import TypeAdapter

from ml_connector.domain.keys import digest
from ml_connector.domain.outcomes import Decision
from ml_connector.domain.records import Unreadable
from ml_connector.domain.writes import Finding, Operation, Order, Sent

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class Batch(NamedTuple, Generic[R]):
    """Records as a source reads them, the cursor that follows them, and the stream's mark once they are processed.

    A mark is an order-preserving text (an ISO date or instant); empty where the stream has none (yet).
    """

    records: Sequence[R]
    unreadable: Sequence[Unreadable]
    cursor: str
    mark: str = ""


class Source(Protocol[R_co]):
    """One stream of a system; paging, cursors, lookback and clock quirks are its secret."""

    @property
    def stream(self) -> str:
        """The stream's name, e.g. `coupa.invoices`."""
        ...

    def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[Any]]:
        """Records from a cursor on (None: from the start); `since` is the stream's mark, None before the first run."""
        ...

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, R_co | Unreadable]:
        """The records with these keys as they are now; one that is not found is left out."""
        ...


class Check(Protocol[R_contra]):
    """A precondition of a write: it loads what it needs once per page, then decides without further calls."""

    async def load(self, records: Sequence[R_contra]) -> Any:
        """Fetch the context of a page (orders, receipts, reservations) in batches."""
        ...

    def decide(self, records: Sequence[R_contra], context: Any) -> list[Decision]:
        """One decision per record, in source order; a record sees what the ones before it would use up."""
        ...


class Target(Protocol):
    """One document type of a system, called by the write protocol alone."""

    @property
    def name(self) -> str:
        """E.g. `qad.supplier_invoice`."""
        ...

    @property
    def settle(self) -> timedelta:
        """How long an effect may take to show: only after it does an absent answer count."""
        ...

    @property
    def per_second(self) -> float:
        """The rate budget; a chunk holds at most what it can send in half a lease."""
        ...

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """What the system shows of each write, by external id; reads only."""
        ...

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Write each order once; an order that is missing from the answer counts as doubt."""
        ...


@runtime_checkable
class Acknowledging(Protocol):
    """A source whose records wait in a box of ours until a page with them is done."""

    async def acknowledge(self, cursor: str | None) -> None:
        """What was read up to this cursor (None: all that was read) has its outcome."""
        ...


@runtime_checkable
class Nameable(Protocol):
    """A target whose objects a person can name by the id that the system shows."""

    async def problem(self, target_id: str, payload: Mapping[str, Any]) -> str:
        """What is wrong with such an id for this payload; empty when the object behind it is the payload's."""
        ...


@dataclass(frozen=True, slots=True)
class Facts(Generic[R]):
    """What a mapping may look at: the record, the check's decision, our names for it and today's date."""

    record: R
    decision: Decision | None
    external_id: str
    token: str
    target_id: str
    today: date


@dataclass(frozen=True, slots=True)
class Turn:
    """Who goes before whom: one document of a lane at a time, and none before those that touch what it waits for.

    Two documents with the same `paper` are most likely one that was entered twice.
    """

    lane: str = ""
    paper: str = ""
    touches: frozenset[str] = frozenset()
    waits_for: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Effect(Generic[R]):
    """One step of a route: which document goes to which target, about the object there or the record it came from.

    The first effect makes the document: created once, or (`upsert`, and `act` on a route that updates) brought in
    line again whenever its payload changes. `clock_fields` stay outside the fingerprint, and a person decides when the
    target shows another `identity` than we gave it. Finding it as intended
    `proves` that our own write took effect, except for a value of the object that others may have set just so.
    `shared` are members that travel both ways, each with the name under which both directions know it.
    """

    name: str
    target: Target
    document: Callable[[Facts[R]], Mapping[str, Any]]
    operation: Operation = "act"
    about: Literal["target", "source"] = "target"
    clock_fields: frozenset[str] = frozenset()
    identity: frozenset[str] = frozenset()
    proves: bool = True
    shared: Mapping[str, str] = field(default_factory=dict)
    turn: Callable[[Mapping[str, Any]], Turn] = lambda _payload: Turn()


@dataclass(frozen=True, slots=True)
class Route(Generic[R]):
    """The streams of one source, its check, one mapping and one target, with the effects that follow.

    The first of `sources` answers for single records; `scope` tells marks apart whose meaning depends on settings.
    `reads` names the source fields that check and mapping read, `eligible` the source filter, `void` whether a record
    outside of it takes its posted document back (new settings alone do not), `undone` the effects
    that the source record itself shows as not done (an exported flag that a person reset). `reversed_by` tells by key
    which document undid a posted one. `editable` are the fields that a replay may overlay.
    """

    name: str
    record_type: str
    target_type: str
    records: TypeAdapter[R]
    reads: frozenset[str]
    sources: tuple[Source[R], ...]
    check: Check[R]
    effects: tuple[Effect[R], ...]
    key: Callable[[R], str]
    label: Callable[[R], str]
    eligible: Callable[[R], Decision | None] = lambda _record: None
    void: Callable[[R], bool] = lambda _record: True
    undone: Callable[[R], frozenset[str]] = lambda _record: frozenset()
    on_change: Literal["reject", "update"] = "reject"
    hold_limit: timedelta | None = None
    reversed_by: Callable[[Sequence[str]], Awaitable[Mapping[str, str]]] | None = None
    editable: frozenset[str] = frozenset()
    scope: str = ""

    @property
    def source(self) -> Source[R]:
        """The stream that is asked for single records."""
        return self.sources[0]

    def mark_of(self, stream: str) -> str:
        """Under which name the mark of a stream is kept; 64 characters hold it whatever the scope is called."""
        return f"{stream}:{digest([self.name, self.scope])[:12]}" if self.scope else f"{stream}:{self.name}"
