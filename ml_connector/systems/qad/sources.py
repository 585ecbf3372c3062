"""The streams that are read from QAD: payments, suppliers, and the codes that documents are coded with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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
    key_of,
    payment_in,
    payment_of,
    whole_payment,
)
from ml_connector.systems.qad.reader import Reader, Row

R = TypeVar("R")


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
            part = rest[begin : begin + size]
            # Of the last day shown some records may still wait, and the next read goes back a day for them.
            reached = mark if begin + size >= len(rest) else max(since or "", min(mark, part[-1].day))
            good = [one.record for one in part if not isinstance(one.record, Unreadable)]
            bad = [one.record for one in part if isinstance(one.record, Unreadable)]
            yield Batch(good, bad, part[-1].position, reached)
        if not rest and mark != (since or ""):
            yield Batch((), (), start or "", mark)

    @abstractmethod
    async def _entries(self, changes: Changes) -> list[Entry]:
        """The records of a read."""


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
        shown = {one.key: one.record for one in await self._masters(row for rows in found.values() for row in rows)}
        wanted = set(keys)
        return {key: record for key, record in shown.items() if key in wanted}

    async def _entries(self, changes: Changes) -> list[Entry]:
        return await self._masters(changes.rows)

    async def _masters(self, rows: Iterable[Row]) -> list[Entry]:
        entries = await side_by_side(self._entry, list(rows), self.workers)
        if len({one.key for one in entries}) < len(entries):
            text = f"several {self._name} records have the same code: set shared_sets.{SHARED_SET_OF[self._name]}"
            raise ConfigurationError(text, system=SYSTEM, operation=f"list {self._name}")
        return entries

    async def _entry(self, row: Row) -> Entry:
        key, resource = str(row.get(self._code) or ""), self.client.resource(self._name)
        if not key:
            return _entry(row, Unreadable(f"row/{digest(dict(row))}", f"{resource.row_name(self._code)}: is missing"))
        keyed = {"shared_set": self.tenant.shared_set(self._name), **row}
        values = await self.completed(self._name, keyed, self._needed)
        try:
            return _entry(row, self._record(values), key)
        except ContractError as error:
            return _entry(row, Unreadable(key, error.message))

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


class Payments(_Stream[PaymentAllocation]):
    """Source: what supplier payments of the entity give to invoices, one record per payment and invoice."""

    stream = "qad.payments"

    def __init__(self, client: QadClient, *, begin: date) -> None:
        super().__init__(client, "supplierPayment", begin, [Filter("entity", "eq", client.tenant.entity)])

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, PaymentAllocation | Unreadable]:
        """The allocations with these keys as they are now; one that is not found is left out."""
        payments = list(dict.fromkeys(payment for key in keys if (payment := payment_in(key))))
        found: dict[str, Allocation] = {}
        for rows in await side_by_side(self._whole, payments, self.workers):
            found |= self._allocations(rows or ())
        return {key: found[key] for key in dict.fromkeys(keys) if key in found}

    async def _entries(self, changes: Changes) -> list[Entry]:
        by_payment: dict[tuple[str, ...] | None, list[Row]] = {}
        for row in changes.rows:
            by_payment.setdefault(payment_of(row), []).append(row)
        lost = by_payment.pop(None, [])
        unsure = {payment_of(row) for row in changes.repeated}
        unsure |= {payment for payment, rows in by_payment.items() if not _clear(rows)}
        asked = [payment for payment in by_payment if payment in unsure and payment is not None]
        answers = dict(zip(asked, await side_by_side(self._whole, asked, self.workers), strict=True))
        entries = [_entry(row, Unreadable(key_of(row), "the row does not show its payment")) for row in lost]
        for payment, rows in by_payment.items():
            entries += self._of_payment(rows, answers[payment]) if payment in answers else self._of_payment(rows, rows)
        return entries

    def _of_payment(self, listed: Sequence[Row], rows: Sequence[Row] | None) -> list[Entry]:
        latest = max(listed, key=lambda row: (Stamp.of(row).day, Stamp.of(row).time))
        if rows is None:
            text = "the payment is listed, but cannot be read by its key"
            return [_entry(latest, Unreadable(key, text)) for key in sorted({key_of(row) for row in listed})]
        return [_entry(latest, one) for one in self._allocations(rows).values()]

    def _allocations(self, rows: Iterable[Row]) -> dict[str, Allocation]:
        return allocations(self.client.resource(self._name), rows, self.tenant.status)

    async def _whole(self, payment: tuple[str, ...]) -> list[Row] | None:
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
