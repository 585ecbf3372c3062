"""Masters that are created once and updated later: suppliers and lookup values (README: Suppliers, Lookup values).

Both are known by a natural key. A hit by name only is somebody else's object, which a person has to decide about.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic

from ml_connector.domain.writes import Absent, Done, Finding, Foreign, Found, Gone, Order, Refused, Sent, Several
from ml_connector.errors import RecordRejectedError
from ml_connector.systems.coupa.calls import Model
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.models import LookupValue, Supplier
from ml_connector.systems.coupa.targets import SETTLE, answered
from ml_connector.systems.sending import send_each

Payload = Mapping[str, Any]


class _Masters(ABC, Generic[Model]):
    """What both targets share: ask by id or by natural key, write, and believe only what the answer shows."""

    settle = SETTLE
    resource: str
    model: type[Model]

    def __init__(self, client: CoupaClient) -> None:
        self._client = client
        self.concurrency = client.tenant.concurrency
        self.per_second = client.tenant.per_second

    async def find(self, orders: Sequence[Order]) -> dict[str, Finding]:
        """Read those with an id by it, all others by natural key and, without a hit, by name."""
        known = [order for order in orders if order.target_id]
        findings = await self._find_known(known)
        others = [order for order in orders if not order.target_id]
        rows = await self._keyed([order.payload for order in others])
        unseen = [order.payload for order in others if not self._hits(order.payload, rows)]
        namesakes = await self._named(unseen)
        for order in others:
            findings[order.external_id] = self._finding(order.payload, rows, namesakes)
        return findings

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Create those without an id, change the others, one request each."""
        return await send_each(orders, partial(answered, self._send), self.concurrency)

    async def problem(self, target_id: str, payload: Payload) -> str:
        """What is wrong with an id that a person gives: no such object, or one of another number."""
        ids = [int(target_id)] if target_id.isdecimal() else []
        for row in await self._client.masters(self.model, self.resource, ids):
            return "" if self._same(payload, row) else "that object has another number"
        return f"Coupa has no such object among its {self.resource}"

    async def _find_known(self, orders: Sequence[Order]) -> dict[str, Finding]:
        ids = [int(order.target_id) for order in orders]
        rows = {self._id(row): row for row in await self._client.masters(self.model, self.resource, ids)}
        findings: dict[str, Finding] = {}
        for order in orders:
            row = rows.get(order.target_id)
            differs = self._differing(order.payload, row, self._members(order.payload)) if row else ()
            findings[order.external_id] = Found(order.target_id, differs) if row else Gone(order.target_id)
        return findings

    def _finding(self, payload: Payload, rows: Iterable[Model], namesakes: Iterable[Model]) -> Finding:
        hits = {self._id(row): row for row in self._hits(payload, rows)}
        if len(hits) > 1:
            return Several(tuple(hits))
        for found, row in hits.items():
            return Found(found, self._differing(payload, row, self._adopted(payload)))
        near = (row for row in (*rows, *namesakes) if self._near(payload, row))
        return next((Foreign(self._id(row)) for row in near), Absent())

    def _hits(self, payload: Payload, rows: Iterable[Model]) -> list[Model]:
        return [row for row in rows if self._same(payload, row)]

    async def _send(self, order: Order) -> Sent:
        payload = order.payload
        names = self._members(payload)
        if order.target_id:
            names = tuple(name for name in names if not order.changed or name in order.changed)
        body = self._body(payload, names)
        if not order.target_id:
            body = _hyphened(payload.get("defaults") or {}) | self._place(payload) | body
        try:
            row = await self._client.write_master(
                self.model,
                self.resource,
                body,
                object_id=order.target_id,
                external_id=order.external_id,
                key=order.key,
            )
        except RecordRejectedError as error:
            if error.code != "duplicate" or order.target_id:
                raise
            # Somebody created it, or took its name, after we looked: the next look tells which.
            return Refused("already_exists", error.detail, waits=True)
        if ignored := self._differing(payload, row, names):
            return Refused("member_ignored", f"{self._id(row)} does not show as sent: {', '.join(ignored)}")
        return Done(self._id(row))

    def _differing(self, payload: Payload, row: Model, names: Iterable[str]) -> tuple[str, ...]:
        shown = self._shown(row)
        return tuple(name for name in names if _bare(shown[name]) != _bare(payload[name]))

    def _members(self, payload: Payload) -> tuple[str, ...]:
        """The members of the payload that the object is to show."""
        return tuple(name for name in self._writable if payload.get(name) is not None)

    def _adopted(self, payload: Payload) -> tuple[str, ...]:
        """The members in which an object that was there before us is brought in line."""
        return self._members(payload)

    def _place(self, payload: Payload) -> dict[str, Any]:
        """What only a new object is told beside its members."""
        return {}

    @property
    @abstractmethod
    def _writable(self) -> tuple[str, ...]:
        """The payload's members that are written and compared."""

    @abstractmethod
    def _id(self, row: Model) -> str:
        """The id as text."""

    @abstractmethod
    def _shown(self, row: Model) -> Mapping[str, Any]:
        """The object as a payload would say it."""

    @abstractmethod
    def _body(self, payload: Payload, names: Iterable[str]) -> dict[str, Any]:
        """These members in Coupa's words."""

    @abstractmethod
    def _same(self, payload: Payload, row: Model) -> bool:
        """Whether the natural key is the payload's."""

    @abstractmethod
    def _near(self, payload: Payload, row: Model) -> bool:
        """Whether Coupa would take the object for the payload's, which compares without case."""

    @abstractmethod
    async def _keyed(self, payloads: Sequence[Payload]) -> list[Model]:
        """The objects with these natural keys."""

    @abstractmethod
    async def _named(self, payloads: Sequence[Payload]) -> list[Model]:
        """The objects with these names."""


class Suppliers(_Masters[Supplier]):
    """Target: suppliers, known by number. Coupa wants number and name unique and compares them without case.

    Payload: `number`, `name`, `status` (active or inactive), `payment_term` (a code; None or missing: left alone),
    `defaults` (further members in Coupa's words, for a new supplier only).
    """

    name = "coupa.supplier"
    resource = "suppliers"
    model = Supplier
    _writable = ("number", "name", "status", "payment_term")

    async def _send(self, order: Order) -> Sent:
        if (status := order.payload["status"]) not in ("active", "inactive"):
            return Refused("invalid_value", f"status {status}")
        return await super()._send(order)

    def _members(self, payload: Payload) -> tuple[str, ...]:
        return tuple(name for name in self._writable if payload.get(name))

    def _adopted(self, payload: Payload) -> tuple[str, ...]:
        # Who was blocked in Coupa, or is not through its approval yet, is not made active by being known elsewhere.
        return tuple(name for name in self._members(payload) if name != "status" or payload["status"] != "active")

    def _id(self, row: Supplier) -> str:
        return str(row.id)

    def _shown(self, row: Supplier) -> Mapping[str, Any]:
        term = row.payment_term.code if row.payment_term else ""
        return {"number": row.number, "name": row.name, "status": row.status, "payment_term": term}

    def _body(self, payload: Payload, names: Iterable[str]) -> dict[str, Any]:
        body = {name: payload[name] for name in names}
        if "payment_term" in body:
            body["payment-term"] = {"code": body.pop("payment_term")}
        return body

    def _same(self, payload: Payload, row: Supplier) -> bool:
        return row.number == str(payload["number"])

    def _near(self, payload: Payload, row: Supplier) -> bool:
        return _alike(row.name, payload["name"]) or _alike(row.number, payload["number"])

    async def _keyed(self, payloads: Sequence[Payload]) -> list[Supplier]:
        return await self._client.suppliers(payload["number"] for payload in payloads)

    async def _named(self, payloads: Sequence[Payload]) -> list[Supplier]:
        return await self._client.suppliers_named(_spellings(payload["name"] for payload in payloads))


class LookupValues(_Masters[LookupValue]):
    """Target: lookup values, known by lookup, ref num and parent; name and ref num are unique among their siblings.

    Payload: `lookup` (its name), `code` (the ref num), `name`, `description`, `active`, `parent` (the ref code of the
    value above, empty for none).
    """

    name = "coupa.lookup_value"
    resource = "lookup_values"
    model = LookupValue
    _writable = ("code", "name", "description", "active", "parent")

    def _id(self, row: LookupValue) -> str:
        return str(row.id)

    def _shown(self, row: LookupValue) -> Mapping[str, Any]:
        return {
            "code": row.external_ref_num,
            "name": row.name,
            "description": row.description,
            "active": row.active,
            "parent": parent_of(row),
        }

    def _place(self, payload: Payload) -> dict[str, Any]:
        return {"lookup": {"name": payload["lookup"]}}

    def _body(self, payload: Payload, names: Iterable[str]) -> dict[str, Any]:
        body = {name: payload[name] for name in names}
        if "code" in body:
            body["external-ref-num"] = body.pop("code")
        if "parent" in body:
            parent = body.pop("parent")
            body |= {"parent": {"external-ref-code": parent}} if parent else {}
        return body

    def _same(self, payload: Payload, row: LookupValue) -> bool:
        return row.external_ref_num == payload["code"] and parent_of(row) == (payload.get("parent") or "")

    def _near(self, payload: Payload, row: LookupValue) -> bool:
        alike = _alike(row.name, payload["name"]) or _alike(row.external_ref_num, payload["code"])
        return alike and parent_of(row) == (payload.get("parent") or "")

    async def _keyed(self, payloads: Sequence[Payload]) -> list[LookupValue]:
        found: list[LookupValue] = []
        for lookup, group in _by_lookup(payloads).items():
            found += await self._client.lookup_values(lookup, (payload["code"] for payload in group))
        return found

    async def _named(self, payloads: Sequence[Payload]) -> list[LookupValue]:
        found: list[LookupValue] = []
        for lookup, group in _by_lookup(payloads).items():
            found += await self._client.lookup_values_named(lookup, _spellings(one["name"] for one in group))
        return found


def _by_lookup(payloads: Sequence[Payload]) -> dict[str, list[Payload]]:
    groups: dict[str, list[Payload]] = {}
    for payload in payloads:
        groups.setdefault(payload["lookup"], []).append(payload)
    return groups


def parent_of(row: LookupValue) -> str:
    """External reference code of the value that a value hangs under, empty for none."""
    return row.parent.external_ref_code if row.parent else ""


def _bare(value: Any) -> Any:
    # Coupa cuts blanks around texts.
    return value.strip() if isinstance(value, str) else value


def _alike(one: str, other: str) -> bool:
    return bool(one) and one.strip().casefold() == other.strip().casefold()


def _spellings(names: Iterable[str]) -> set[str]:
    """The names in the usual ways to write them: whether a filter looks at case is not documented."""
    bare = {name.strip() for name in names}
    return {spelt for name in bare for spelt in (name, name.upper(), name.lower(), name.title())}


def _hyphened(members: Payload) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in members.items()}
