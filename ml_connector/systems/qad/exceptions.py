"""Streams of supplier invoices that may need a person: what changed, and what has grown too old without a change.

Most invoices are nobody's worry: they are judged by their list row alone and leave no trace (README, "exceptions").
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from ml_connector.domain.exceptions import InvoiceMatch, PostedInvoice
from ml_connector.domain.keys import digest
from ml_connector.domain.records import Unreadable
from ml_connector.errors import ContractError
from ml_connector.sync.seams import Batch
from ml_connector.systems.qad.browse import Filter
from ml_connector.systems.qad.changes import ChangeReader, Span, Stamp
from ml_connector.systems.qad.dated import read_days
from ml_connector.systems.qad.decisions import cost_code_of, slots_of
from ml_connector.systems.qad.documents import DocumentError, invoice_key, key_parts
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.models import GlanceRow, WholeRow, read_matches, read_row
from ml_connector.systems.qad.ports import QadRest
from ml_connector.systems.qad.reader import Reader, Row
from ml_connector.systems.qad.sources import Entry

Worth = Callable[[PostedInvoice], bool]
# Which of these keys have an issue already.
Known = Callable[[Collection[str]], Awaitable[Collection[str]]]
# How the list showed these invoices when they were last read whole, and a way to keep that.
Seen = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
Remember = Callable[[Mapping[str, str]], Awaitable[None]]
_INVOICE = "supplierInvoice"
_KEY = ("entity", "year", "daybook", "voucher")
# Without one of these a row does not say whether the invoice is worth reading.
_TELLING = (
    "hold_amount",
    "payment_locked",
    "status",
    "open",
    "receiver_matching",
    "matching_status",
    "initial",
    "posting_date",
)
# Each invoice of a batch is read by itself: a run that ends early should not have read too many in vain.
_BATCH = 100
# Said of a look that was read twice.
_ENOUGH = "twice"


class _Invoices(Reader):
    """Invoices in the order of a day that their list shows; one read of the list serves all pages of a run."""

    stream: str

    def __init__(
        self,
        port: QadRest,
        *,
        begin: date,
        worth: Worth,
        known: Known,
        cost_slot: str = "",
        seen: Seen | None = None,
        remember: Remember | None = None,
    ) -> None:
        super().__init__(port.client)
        self._port = port
        self._seen = seen
        self._remember = remember
        self._looks: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._begin = begin
        self._worth = worth
        self._known = known
        self._cost_slot = cost_slot
        self._where = (Filter("entity", "eq", self.tenant.entity),)
        self._read: tuple[str | None, list[Entry], str] | None = None
        self._names: dict[str, str] = {}

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[PostedInvoice]]:
        """The invoices that stand behind the cursor, read whole; a read with no cursor asks QAD afresh."""
        if not start or self._read is None or self._read[0] != since:
            rows, mark = await self._rows(since)
            entries = await self._wanted(rows)
            self._read = (since, entries if since is None else await self._unseen(entries), mark)
        _, entries, mark = self._read
        rest = [one for one in entries if not start or one.position > start]
        for begin in range(0, len(rest), _BATCH):
            part = rest[begin : begin + _BATCH]
            found = await self._finished(part)
            # Of the last day shown some may still wait; it is read again in any case.
            reached = mark if begin + _BATCH >= len(rest) else max(since or "", min(mark, part[-1].day))
            good = [one for one in found if isinstance(one, PostedInvoice)]
            bad = [one for one in found if isinstance(one, Unreadable)]
            self._told |= {one.key: self._looks[one.key] for one in part if one.key in self._looks}
            yield Batch(good, bad, part[-1].position, reached)
        if not rest and mark != (since or ""):
            yield Batch((), (), start or "", mark)

    async def acknowledge(self, cursor: str | None) -> None:
        """What was read has its outcome: the list need not show it a third time as it was."""
        if self._remember is not None and self._told:
            await self._remember(self._told)
        self._told = {}

    async def _unseen(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries that the list shows otherwise than when they were last read, or as they were read once only.

        QAD counts changes by the second, so what changed right after it was read looks the same: it is read twice.
        """
        before = await self._seen([one.key for one in entries]) if self._seen else {}
        fresh = []
        for one in entries:
            look, _, times = before.get(one.key, "").partition(" ")
            again = look == self._looks.get(one.key)
            if again and times == _ENOUGH:
                continue
            if again:
                self._looks[one.key] = f"{look} {_ENOUGH}"
            fresh.append(one)
        return fresh

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, PostedInvoice | Unreadable]:
        """The invoices with these keys as they are now; one that is not found is left out."""
        distinct = list(dict.fromkeys(keys))
        found = await self._named([one for one in await side_by_side(self._whole, distinct, self.workers) if one])
        return {one.key: one for one in found}

    @abstractmethod
    async def _rows(self, since: str | None) -> tuple[Iterable[Row], str]:
        """The rows to look at and the mark that follows them."""

    @abstractmethod
    def _place(self, row: Row, key: str) -> tuple[str, str]:
        """Where a row stands: a text that sorts, and its day."""

    async def _wanted(self, rows: Iterable[Row]) -> list[Entry]:
        """The rows that are worth it or have an issue (their entry's record is True), and those that do not say."""
        entries: dict[str, Entry] = {}
        others: dict[str, Entry] = {}
        for row in rows:
            shown, telling = self._glance(row)
            entry = Entry(*self._place(row, shown.key), shown.key, True)
            self._looks[shown.key] = digest({name: str(value) for name, value in row.items()})
            if isinstance(shown, Unreadable):
                entries[shown.key] = entry._replace(record=shown)
            elif telling and self._worth(shown):
                entries[shown.key] = entry
            else:
                others[shown.key] = entry._replace(record=telling)
        known = set(await self._known(list(others))) if others else set()
        for key, entry in others.items():
            if key in known:
                entries[key] = entry._replace(record=True)
            elif not entry.record:
                entries[key] = entry
        return sorted(entries.values(), key=lambda one: one.position)

    def _glance(self, row: Row) -> tuple[PostedInvoice | Unreadable, bool]:
        """An invoice as far as its row goes, and whether that is far enough to judge it."""
        resource = self.client.resource(_INVOICE)
        try:
            shown = read_row(GlanceRow, resource, row, f"list {_INVOICE}")
        except ContractError as error:
            parts = [str(row.get(name) or "") for name in _KEY]
            return Unreadable("/".join(parts) if all(parts) else f"row/{digest(dict(row))}", error.message), True
        return _told(shown), all(name in row for name in _TELLING if resource.has(name))

    async def _finished(self, entries: Sequence[Entry]) -> list[PostedInvoice | Unreadable]:
        """The entries of one batch read whole, without those that turn out to be nobody's worry."""
        readable = [one for one in entries if not isinstance(one.record, Unreadable)]
        answers = await side_by_side(self._whole, [one.key for one in readable], self.workers)
        found: list[PostedInvoice | Unreadable] = [one.record for one in entries if isinstance(one.record, Unreadable)]
        for entry, one in zip(readable, answers, strict=True):
            if one is None:
                found.append(Unreadable(entry.key, "the invoice is listed, but cannot be read by its key"))
            elif isinstance(one, Unreadable) or entry.record or self._worth(one):
                found.append(one)
        return await self._named(found)

    async def _whole(self, key: str) -> PostedInvoice | Unreadable | None:
        try:
            record = await self.client.get(_INVOICE, key_parts(key))
        except DocumentError:
            return None
        if record is None:
            return None
        resource, operation = self.client.resource(_INVOICE), f"get {_INVOICE}"
        values = resource.logical(record)
        try:
            head = read_row(WholeRow, resource, values, operation)
            matches = read_matches(resource, record, operation)
        except ContractError as error:
            return Unreadable(key, error.message)
        linked = [str(one.get("number") or "") for one in values.get("purchase_orders", ())]
        return replace(
            _told(head),
            key=key,
            orders=tuple(dict.fromkeys(filter(None, [*linked, *(one.po for one in matches)]))),
            cost_code=cost_code_of(record, self._cost_slot, values.get("lines", ())),
            matches=tuple(
                InvoiceMatch(
                    one.po, one.line, one.receiver, one.quantity, one.unit_price, one.rate_variance + one.usage_variance
                )
                for one in matches
            ),
            slots=slots_of(record, leave_out=resource.fields["token"]),
        )

    async def _named(self, found: list[PostedInvoice | Unreadable]) -> list[PostedInvoice | Unreadable]:
        """The same with the suppliers' names where the tenant's invoices do not show them."""
        bare = [one for one in found if isinstance(one, PostedInvoice) and not one.supplier_name]
        if asked := {one.supplier_number for one in bare} - self._names.keys():
            suppliers = await self._port.suppliers(asked)
            self._names |= {number: suppliers[number].name if number in suppliers else "" for number in asked}
        named = {one.key: replace(one, supplier_name=self._names[one.supplier_number]) for one in bare}
        return [named.get(one.key, one) for one in found]


class InvoiceChanges(_Invoices):
    """Source: invoices of the entity that changed and are worth it or have an issue."""

    stream = "qad.invoices"

    def __init__(self, port: QadRest, *, begin: date, **common: Any) -> None:
        super().__init__(port, begin=begin, **common)
        self._changes = ChangeReader(port.client, _INVOICE, self._where, begin)

    async def _rows(self, since: str | None) -> tuple[Iterable[Row], str]:
        changes = await self._changes.read(since)
        return changes.rows, changes.mark

    def _place(self, row: Row, key: str) -> tuple[str, str]:
        stamp = Stamp.of(row)
        return stamp.position(key), stamp.day


class AgingInvoices(_Invoices):
    """Source: open invoices that have reached an age in days since the last look, which changes nothing in QAD.

    The mark is the last posting date that was looked at.
    """

    stream = "qad.aging_invoices"

    def __init__(self, port: QadRest, *, days: int, today: date, **common: Any) -> None:
        super().__init__(port, **common)
        self._reached = today - timedelta(days=days)

    async def _rows(self, since: str | None) -> tuple[Iterable[Row], str]:
        first = date.fromisoformat(since[:10]) if since else self._begin
        if since and first >= self._reached:
            return (), since
        if first > self._reached:
            return (), self._reached.isoformat()
        still_open = [Filter("open", "eq", True)] if self.client.resource(_INVOICE).has("open") else []
        span = Span(first, self._reached)
        rows, complete = await read_days(self.client, _INVOICE, "posting_date", span, [*self._where, *still_open])
        return rows, self._reached.isoformat() if complete else since or ""

    def _place(self, row: Row, key: str) -> tuple[str, str]:
        day = str(row.get("posting_date") or "")[:10]
        return f"{day}|{key}", day


def _told(row: GlanceRow) -> PostedInvoice:
    """The head of an invoice in our words; what a list does not show of it is empty."""
    still_owed = row.balance is None or row.balance != 0
    return PostedInvoice(
        key=invoice_key(row.entity, row.year, row.daybook, row.voucher),
        reference=row.reference,
        type=row.type,
        supplier_number=row.supplier,
        supplier_name=row.supplier_name,
        currency=row.currency,
        amount=row.amount,
        balance=row.amount if row.balance is None else row.balance,
        hold_amount=row.hold_amount,
        payment_locked=row.payment_locked,
        status=row.status,
        open=still_owed if row.open is None else row.open,
        receiver_matching=row.receiver_matching,
        matching_status=row.matching_status,
        initial=row.initial,
        invoice_date=row.invoice_date,
        posted_on=row.posting_date,
        due_on=row.due_date,
        orders=(),
        cost_code="",
        matches=(),
        submitted=row.submitted,
        selected=row.selected,
    )
