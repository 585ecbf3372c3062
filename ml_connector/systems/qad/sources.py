"""The streams that are read from QAD: payments, suppliers, and the codes that documents are coded with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Generic, NamedTuple, TypeVar

from ml_connector.domain.keys import digest
from ml_connector.domain.records import PaymentAllocation, ReferenceCode, Supplier, Unreadable
from ml_connector.errors import ConfigurationError, ContractError
from ml_connector.sync.seams import Batch
from ml_connector.systems.qad.browse import Filter
from ml_connector.systems.qad.changes import ChangeReader, Changes, Stamp
from ml_connector.systems.qad.client import QadClient
from ml_connector.systems.qad.config import SHARED_SET_OF
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.masters import Code
from ml_connector.systems.qad.models import CodeRow, SupplierRow, read_row
from ml_connector.systems.qad.payments import (
    NEEDED,
    Allocation,
    allocations,
    document_in,
    gives,
    key_of,
    payment_in,
    payment_of,
    taken_off,
    whole_payment,
)
from ml_connector.systems.qad.reader import Reader, Row

R = TypeVar("R")
# The allocations that are known of these payments: their keys and the paid documents' references.
Known = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
_Payment = tuple[str, ...]


class Entry(NamedTuple):
    """One record of a read and where it stands in it."""

    position: str
    day: str
    key: str
    record: Any


class _Stream(Reader, Generic[R]):
    """Records in the order of their changes; one read serves all pages of a run."""

    stream: str

    def __init__(self, client: QadClient, name: str, begin: date, where: Sequence[Filter] = ()) -> None:
        super().__init__(client)
        self._name = name
        self._where = tuple(where)
        self._changes = ChangeReader(client, name, where, begin)
        self._read: tuple[str | None, list[Entry], str] | None = None

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[R]]:
        """Records changed since the mark that stand behind the cursor; a read with no cursor asks QAD afresh."""
        if not start or self._read is None or self._read[0] != since:
            changes = await self._changes.read(since)
            entries = sorted(await self._entries(changes), key=lambda one: one.position)
            self._read = (since, entries, changes.mark)
        _, entries, mark = self._read
        rest = [one for one in entries if not start or one.position > start]
        size = self.tenant.limits.page_size
        for begin in range(0, len(rest), size):
            part = await self._finished(rest[begin : begin + size])
            # Of the last day shown some records may still wait, and the next read goes back a day for them.
            reached = mark if begin + size >= len(rest) else max(since or "", min(mark, part[-1].day))
            good = [one.record for one in part if not isinstance(one.record, Unreadable)]
            bad = [one.record for one in part if isinstance(one.record, Unreadable)]
            yield Batch(good, bad, part[-1].position, reached)
        if not rest and mark != (since or ""):
            yield Batch((), (), start or "", mark)

    @abstractmethod
    async def _entries(self, changes: Changes) -> list[Entry]:
        """The records of a read, or what they are made of."""

    async def _finished(self, entries: list[Entry]) -> list[Entry]:
        """The entries of one batch with their records."""
        return entries


class _Masters(_Stream[R]):
    """Masters of a shared set, each known by one code."""

    _code: str
    _needed: tuple[str, ...]

    def __init__(self, client: QadClient, name: str, *, begin: date) -> None:
        shared_set = client.tenant.shared_set(name)
        super().__init__(client, name, begin, [Filter("shared_set", "eq", shared_set)] if shared_set else [])

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, R | Unreadable]:
        """The records with these codes as they are now; one that is not found is left out."""
        found = await self.look_up(self._name, self._code, keys, self._where)
        wanted = set(keys)
        listed = [one for one in self._listed(row for rows in found.values() for row in rows) if one.key in wanted]
        return {one.key: one.record for one in await self._finished(listed)}

    async def _entries(self, changes: Changes) -> list[Entry]:
        return self._listed(changes.rows)

    async def _finished(self, entries: list[Entry]) -> list[Entry]:
        # Rows that say too little are completed batch by batch: thousands of them before the first one is used
        # would cost a run that stops early.
        return await side_by_side(self._complete, entries, self.workers)

    def _listed(self, rows: Iterable[Row]) -> list[Entry]:
        entries = [_entry(row, row, str(row.get(self._code) or "") or f"row/{digest(dict(row))}") for row in rows]
        if len({one.key for one in entries}) < len(entries):
            text = f"several {self._name} records have the same code: set shared_sets.{SHARED_SET_OF[self._name]}"
            raise ConfigurationError(text, system=SYSTEM, operation=f"list {self._name}")
        return entries

    async def _complete(self, one: Entry) -> Entry:
        if not one.record.get(self._code):
            text = f"{self.client.resource(self._name).row_name(self._code)}: is missing"
            return one._replace(record=Unreadable(one.key, text))
        keyed = {"shared_set": self.tenant.shared_set(self._name), **one.record}
        values = await self.completed(self._name, keyed, self._needed)
        try:
            return one._replace(record=self._record(values))
        except ContractError as error:
            return one._replace(record=Unreadable(one.key, error.message))

    @abstractmethod
    def _record(self, values: Row) -> R:
        """A row in our words; ContractError names what cannot be read."""


class SupplierChanges(_Masters[Supplier]):
    """Source: suppliers of the shared set, by number."""

    stream = "qad.suppliers"
    _code = "number"
    _needed = ("active", "name", "currency", "credit_terms")

    def __init__(self, client: QadClient, *, begin: date) -> None:
        super().__init__(client, "supplier", begin=begin)

    def _record(self, values: Row) -> Supplier:
        one = read_row(SupplierRow, self.client.resource(self._name), values, "list supplier")
        return Supplier(one.number, one.name or one.business_name, one.active, one.currency, one.credit_terms)


_STREAMS: Mapping[Code, str] = {
    "costCenter": "qad.cost_centers",
    "project": "qad.projects",
    "glAccount": "qad.gl_accounts",
}


class ReferenceCodes(_Masters[ReferenceCode]):
    """Source: cost centers, projects or accounts of their shared set, by code."""

    _code = "code"
    _needed = ("active", "description")

    def __init__(self, client: QadClient, resource: Code, *, begin: date) -> None:
        self.stream = _STREAMS[resource]
        super().__init__(client, resource, begin=begin)

    def _record(self, values: Row) -> ReferenceCode:
        one = read_row(CodeRow, self.client.resource(self._name), values, f"list {self._name}")
        return ReferenceCode(one.code, one.description, one.active)


async def _nothing(_payments: Sequence[str]) -> Mapping[str, str]:
    return {}


class Payments(_Stream[PaymentAllocation]):
    """Source: what supplier payments of the entity give to invoices, one record per payment and invoice.

    What a payment gave to an invoice and gives no more is told as nothing, of the allocations that `known` names.
    """

    stream = "qad.payments"

    def __init__(self, client: QadClient, *, begin: date, known: Known = _nothing) -> None:
        super().__init__(client, "supplierPayment", begin, [Filter("entity", "eq", client.tenant.entity)])
        self._known = known

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, PaymentAllocation | Unreadable]:
        """The allocations with these keys as they are now; those of a payment that is not found are left out."""
        asked: dict[_Payment, dict[str, str]] = {}
        for key in keys:
            if payment := payment_in(key):
                asked.setdefault(payment, {})[key] = ""
        before = await self._before(asked)
        found: dict[str, Allocation] = {}
        for payment, rows in zip(asked, await side_by_side(self._whole, list(asked), self.workers), strict=True):
            if rows is not None:
                found |= self._given(rows, asked[payment] | before.get(payment, {}))
        return {key: found[key] for key in dict.fromkeys(keys) if key in found}

    async def _entries(self, changes: Changes) -> list[Entry]:
        by_payment: dict[_Payment, list[Row]] = {}
        lost: list[Row] = []
        for row in changes.rows:
            payment = payment_of(row)
            (lost if payment is None else by_payment.setdefault(payment, [])).append(row)
        before = await self._before(by_payment)
        repeated = {payment_of(row) for row in changes.repeated}
        asked = [
            payment
            for payment, rows in by_payment.items()
            # What the list does not show may stand on a page that moved, so the payment itself is asked.
            if payment in repeated or not _clear(rows) or set(before.get(payment, ())) - {key_of(row) for row in rows}
        ]
        answers = dict(zip(asked, await side_by_side(self._whole, asked, self.workers), strict=True))
        entries = [_entry(row, Unreadable(key_of(row), "the row does not show its payment")) for row in lost]
        for payment, rows in by_payment.items():
            latest = max(rows, key=lambda row: (Stamp.of(row).day, Stamp.of(row).time))
            found = self._of_payment(rows, answers.get(payment, rows), before.get(payment, {}))
            entries += [_entry(latest, one) for one in found]
        return entries

    async def _before(self, payments: Iterable[_Payment]) -> dict[_Payment, dict[str, str]]:
        """What is known of these payments, each with its allocations."""
        found: dict[_Payment, dict[str, str]] = {}
        for key, reference in (await self._known(["/".join(one) for one in payments])).items():
            if payment := payment_in(key):
                found.setdefault(payment, {})[key] = reference
        return found

    def _of_payment(
        self, listed: Sequence[Row], rows: Sequence[Row] | None, before: Mapping[str, str]
    ) -> Iterable[Allocation]:
        if rows is not None:
            return self._given(rows, before).values()
        text = "the payment is listed, but cannot be read by its key"
        return [Unreadable(key, text) for key in sorted({*before, *map(key_of, filter(gives, listed))})]

    def _given(self, rows: Sequence[Row], before: Mapping[str, str]) -> dict[str, Allocation]:
        """What the rows of a payment give, and what came of the allocations that were known of it."""
        resource = self.client.resource(self._name)
        found = allocations(resource, rows, self.tenant.status)
        blind = any(isinstance(one, Unreadable) and not document_in(one.key) for one in found.values())
        for key, reference in before.items():
            if key in found or not document_in(key):
                continue
            # A row that does not show its invoice may be the very one that is looked for.
            text = "the payment has a row that does not show its invoice"
            found[key] = Unreadable(key, text) if blind else taken_off(resource, rows[0], key, reference)
        return found

    async def _whole(self, payment: _Payment) -> list[Row] | None:
        resource = self.client.resource(self._name)
        record = await self.client.get(self._name, dict(zip(resource.key, payment, strict=True)))
        return None if record is None else whole_payment(resource, record)


def _clear(rows: Sequence[Row]) -> bool:
    """Whether the rows are whole, of one moment, and one per invoice.

    While a list is read, a payment may come before and after an edit, and looks like two that have to be summed.
    """
    whole = all(name in row for row in rows for name in NEEDED)
    moments = {(Stamp.of(row), str(row.get("status"))) for row in rows}
    return whole and len(moments) == 1 and len({key_of(row) for row in rows}) == len(rows)


def _entry(row: Row, record: Any, key: str = "") -> Entry:
    key = key or record.key
    stamp = Stamp.of(row)
    return Entry(stamp.position(key), stamp.day, key, record)
