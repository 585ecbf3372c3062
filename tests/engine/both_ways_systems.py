"""Two systems in memory: documents that people and the connector change, comments, and what becomes of writes.

Both answer a write that they know by its key without doing it again, as real systems do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson

from ml_connector.domain.keys import canonical
from ml_connector.domain.writes import Absent, Done, Doubt, Finding, Found, Gone, Order, Sent
from ml_connector.sync.seams import Batch
from tests.engine.faults import Killed

SETTLE = timedelta(seconds=600)
# By document the comments on it: the key of each, what it started from and what it said.
Told = dict[str, list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Document:
    """A document of either system; `mark` is the token it was created with."""

    key: str
    code: str = ""
    amount: Decimal = Decimal(0)
    mark: str = ""


@dataclass(slots=True)
class System:
    """The documents of one system, who set each code last, and every write that the connector did there."""

    documents: dict[str, Document] = field(default_factory=dict)
    chosen: dict[str, bool] = field(default_factory=dict)
    writes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    vain: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def person(self, key: str, **members: Any) -> None:
        """Somebody changes a document."""
        self.documents[key] = replace(self.documents[key], **members)
        self.chosen[key] = self.chosen.get(key, False) or "code" in members

    def write(self, key: str, idempotency_key: str, members: Mapping[str, Any]) -> None:
        """The connector changes a document; a write that changes nothing is noted as one too many."""
        if idempotency_key in self.keys:
            return
        self.keys.add(idempotency_key)
        changed = replace(self.documents[key], **members)
        if any(getattr(changed, name) == getattr(self.documents[key], name) for name in members):
            self.vain.append(f"{key}: {dict(members)}")
        self.documents[key] = changed
        self.chosen[key] = self.chosen.get(key, False) and "code" not in members
        self.writes.append((key, members))

    def written(self, key: str, member: str) -> list[Any]:
        """The values that the connector wrote into one member of a document, in order."""
        return [members[member] for name, members in self.writes if name == key and member in members]


class Stream:
    """Source: all documents of a system in one page."""

    def __init__(self, system: System, name: str) -> None:
        self._system = system
        self.stream = name

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[Document]]:
        """Every document, each time."""
        yield Batch(list(self._system.documents.values()), [], "")

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, Document]:
        """The documents with these keys."""
        return {key: self._system.documents[key] for key in keys if key in self._system.documents}


@dataclass(slots=True)
class Trouble:
    """What becomes of a run's writes: `lost` loses every answer, `killed` ends the process in the middle of sending.

    A document whose key ends in "-" is then not written, any other is. Striking counts for one effect alone.
    """

    kind: str = ""
    effect: str = ""

    def strikes(self, order: Order) -> bool:
        """Whether this write is struck."""
        return bool(self.kind) and order.effect == self.effect

    def end(self, sent: Mapping[str, Sent]) -> Mapping[str, Sent]:
        """The answers that still arrive."""
        if self.kind == "killed" and any(isinstance(one, Doubt) for one in sent.values()):
            raise Killed
        return sent


class Documents:
    """Target: documents of a system; `members` are written and compared, new ones are known by our token."""

    settle = SETTLE
    per_second = 100.0

    def __init__(self, system: System, members: Sequence[str], trouble: Trouble) -> None:
        self.name = "documents"
        self._system = system
        self._members = members
        self._trouble = trouble

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """What each document shows."""
        return {order.external_id: self._find(order) for order in orders}

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Create or change one after another."""
        return self._trouble.end({order.external_id: self._send(order) for order in orders})

    def _place(self, order: Order) -> str:
        return str(order.payload.get("key") or order.target_id)

    def _find(self, order: Order) -> Finding:
        key = self._place(order)
        if not key:
            key = next((one.key for one in self._system.documents.values() if one.mark == order.token), "")
            if not key:
                return Absent()
        shown = self._system.documents.get(key)
        if shown is None:
            return Gone(key)
        wanted = self._wanted(order)
        differs = tuple(name for name in self._members if getattr(shown, name) != wanted[name])
        return Found(key, differs, {"shown": {"code": shown.code}})

    def _send(self, order: Order) -> Sent:
        key = self._place(order) or f"B{order.external_id.split(':', 2)[2]}"
        struck = self._trouble.strikes(order)
        if struck and key.endswith("-"):
            return Doubt("no answer")
        wanted = self._wanted(order)
        if key not in self._system.documents:
            self._system.documents[key] = Document(key, mark=order.token)
            self._system.keys.add(order.key)
            self._system.documents[key] = replace(self._system.documents[key], **wanted)
            self._system.writes.append((key, wanted))
        else:
            members = {name: wanted[name] for name in self._members if not order.changed or name in order.changed}
            self._system.write(key, order.key, members)
        return Doubt("no answer") if struck else Done(key)

    def _wanted(self, order: Order) -> dict[str, Any]:
        found = {name: order.payload[name] for name in self._members}
        return found | ({"amount": Decimal(found["amount"])} if "amount" in found else {})


class Comments:
    """Target: comments that say what is different from what the last one said."""

    name = "comments"
    settle = SETTLE
    per_second = 100.0

    def __init__(self, told: Told, trouble: Trouble) -> None:
        self._told = told
        self._trouble = trouble

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """A comment is known by the key it was written with."""
        return {
            order.external_id: Found(order.target_id) if order.key in self._keys(order) else Absent()
            for order in orders
        }

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Add a comment each."""
        return self._trouble.end({order.external_id: self._send(order) for order in orders})

    def _keys(self, order: Order) -> list[str]:
        return [key for key, _, _ in self._told.get(order.target_id, ())]

    def _send(self, order: Order) -> Sent:
        struck = self._trouble.strikes(order)
        if not (struck and order.target_id.endswith("-")):
            told = (order.key, dict(order.before), orjson.loads(canonical(order.payload)))
            self._told.setdefault(order.target_id, []).append(told)
        return Doubt("no answer") if struck else Done(order.target_id)
