"""The stream of purchase orders with lines that are due and not fully received, and of those that were late before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from ml_connector.domain.exceptions import OpenOrder, OrderLineDue
from ml_connector.domain.keys import digest
from ml_connector.domain.records import Unreadable
from ml_connector.errors import ContractError
from ml_connector.sync.seams import Batch
from ml_connector.systems.qad.browse import Filter
from ml_connector.systems.qad.changes import Span
from ml_connector.systems.qad.dated import read_days
from ml_connector.systems.qad.decisions import cost_code_of, key_of_order, slots_of
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.models import DueLineRow, OrderRow, read_row
from ml_connector.systems.qad.ports import QadRest
from ml_connector.systems.qad.purchasing import Purchasing
from ml_connector.systems.qad.reader import Row

# The keys of the orders whose lateness people were told of and that has not cleared since.
KnownOpen = Callable[[], Awaitable[Collection[str]]]
_ORDER, _LINE = "purchaseOrder", "purchaseOrderLine"
_HEAD = ("supplier", "currency", "status")
_BATCH = 100


class LateOrders(Purchasing):
    """Source: orders with an open line that fell due before `today`, at most `window_days` ago.

    An order of `known_open` is told whatever it shows, so that what is late no longer is seen. There is no mark: time
    alone makes an order late, so every run looks at the whole window.
    """

    stream = "qad.late_orders"

    def __init__(
        self, port: QadRest, *, today: date, window_days: int, known_open: KnownOpen, cost_slot: str = ""
    ) -> None:
        super().__init__(port.client)
        self._today = today
        self._window = timedelta(days=window_days)
        self._known_open = known_open
        self._cost_slot = cost_slot
        if cost_slot:
            self.client.map_member(_ORDER, cost_slot)
        self._wanted: dict[str, Unreadable | None] | None = None
        self._known: frozenset[str] = frozenset()
        self._names: dict[str, str] = {}

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[OpenOrder]]:
        """The orders behind the cursor in the order of their keys; a read with no cursor asks QAD afresh."""
        if not start or self._wanted is None:
            self._wanted = await self._look()
        rest = sorted(key for key in self._wanted if not start or key > start)
        for begin in range(0, len(rest), _BATCH):
            part = rest[begin : begin + _BATCH]
            bad = [one for key in part if (one := self._wanted[key])]
            found = await self._orders([key for key in part if self._wanted[key] is None])
            good = [one for one in found.values() if isinstance(one, OpenOrder) and self._counts(one)]
            bad += [one for one in found.values() if isinstance(one, Unreadable)]
            yield Batch(good, bad, part[-1])

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, OpenOrder | Unreadable]:
        """The orders with these keys as they are now; one that is not found is left out."""
        return await self._orders(list(dict.fromkeys(keys)))

    async def _look(self) -> dict[str, Unreadable | None]:
        """The keys of the orders to read, with what is wrong where a row does not even show its order."""
        span = Span(self._today - self._window, self._today - timedelta(days=1))
        rows, _ = await read_days(self.client, _LINE, "due_on", span)
        self._known = frozenset(await self._known_open())
        wanted: dict[str, Unreadable | None] = dict.fromkeys(self._known)
        for row in rows:
            number = str(row.get("po_number") or "").strip()
            if not number:
                key, wire = f"row/{digest(dict(row))}", self.client.resource(_LINE).row_name("po_number")
                wanted[key] = Unreadable(key, f"{wire}: is missing")
            elif self._may_be_late(row):
                wanted[f"{self.tenant.domain}/{number}"] = None
        return wanted

    def _may_be_late(self, row: Row) -> bool:
        try:
            return self._late(self._due_line(row))
        except ContractError:
            return True

    def _counts(self, order: OpenOrder) -> bool:
        return order.key in self._known or (order.status == "open" and any(map(self._late, order.lines)))

    def _late(self, line: OrderLineDue) -> bool:
        due = line.due_on is not None and line.due_on < self._today
        return due and line.status == "open" and line.ordered > line.received

    async def _orders(self, keys: Sequence[str]) -> dict[str, OpenOrder | Unreadable]:
        """These orders with their lines and suppliers' names, many in few questions."""
        parts = {key: key_of_order(key) for key in keys}
        numbers = {key: one["number"] for key, one in parts.items() if one["domain"] == self.tenant.domain}
        heads = await self.look_up(_ORDER, "number", numbers.values(), [Filter("domain", "eq", self.tenant.domain)])
        there = {key: number for key, number in numbers.items() if heads[number]}
        lines = await self.look_up(_LINE, "po_number", there.values(), [])
        found: dict[str, OpenOrder | Unreadable] = {}
        for key, number in there.items():
            try:
                found[key] = await self._order(key, heads[number][0], lines[number])
            except ContractError as error:
                found[key] = Unreadable(key, error.message)
        return await self._with_names(found)

    async def _order(self, key: str, row: Row, lines: Sequence[Row]) -> OpenOrder:
        slots = (self._cost_slot,) if self._cost_slot else ()
        keyed = {"domain": self.tenant.domain, **row}
        values = await self.completed(_ORDER, keyed, (*_HEAD, *slots))
        head = read_row(OrderRow, self.client.resource(_ORDER), values, f"list {_ORDER}")
        due = sorted((self._due_line(one) for one in lines), key=lambda one: one.number)
        if not due:
            # An order has lines; one that shows none is not to be taken for one without late lines.
            raise ContractError("its lines are not listed", system=SYSTEM, operation=f"list {_LINE}")
        return OpenOrder(
            key=key,
            number=head.number,
            supplier_number=head.supplier,
            supplier_name="",
            currency=head.currency,
            status=self._order_status(head.status),
            lines=tuple(due),
            cost_code=cost_code_of(values, self._cost_slot, [{"cost_center": one.cost_code} for one in due]),
            slots=slots_of({name: values.get(name) for name in slots}),
        )

    def _due_line(self, row: Row) -> OrderLineDue:
        one = read_row(DueLineRow, self.client.resource(_LINE), row, f"list {_LINE}")
        return OrderLineDue(
            number=one.line,
            item=one.item,
            description=one.description,
            ordered=one.quantity,
            received=one.received,
            price=one.price,
            unit=one.unit,
            due_on=one.due_on,
            status=self._order_status(one.status),
            cost_code=one.cost_center,
        )

    async def _with_names(self, found: dict[str, OpenOrder | Unreadable]) -> dict[str, OpenOrder | Unreadable]:
        orders = {key: one for key, one in found.items() if isinstance(one, OpenOrder)}
        asked = {one.supplier_number for one in orders.values()} - self._names.keys()
        if asked:
            suppliers = await self.suppliers(asked)
            self._names |= {number: suppliers[number].name if number in suppliers else "" for number in asked}
        named = {key: replace(one, supplier_name=self._names[one.supplier_number]) for key, one in orders.items()}
        return found | named
