"""QAD's exceptions as this pair sees them: what is wrong with an invoice or an order today, and since when it shows.

What time alone changes (a line becomes late, an invoice stays unmatched) is part of the record, so that it makes a new
version of it without anybody touching QAD.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from ml_connector.domain.exceptions import OpenOrder, OrderLineDue, PostedInvoice
from ml_connector.domain.records import Unreadable
from ml_connector.pairs.qad_jira.settings import ExceptionRules
from ml_connector.sync.seams import Acknowledging, Batch, Source

R = TypeVar("R")
Subject = Literal["invoice", "order"]


@dataclass(frozen=True, slots=True)
class ExceptionLine:
    """One line of what is wrong: a matched receipt with its variance, or an ordered item that is late."""

    po_number: str
    line: int
    what: str
    quantity: Decimal
    received: Decimal
    price: Decimal
    due_on: date | None
    variance: Decimal


@dataclass(frozen=True, slots=True)
class QadException:
    """An invoice or order of QAD with what is wrong with it today; `kind` is empty when nothing is (any more).

    Amounts are in `currency`; `number` is the supplier's invoice number or the order's, `key` QAD's own key.
    """

    key: str
    subject: Subject
    kind: str
    number: str
    supplier_number: str
    supplier_name: str
    currency: str
    amount: Decimal
    hold: Decimal
    locked: bool
    variance: Decimal
    status: str
    matching_status: str
    cost_code: str
    orders: tuple[str, ...]
    due_on: date | None
    lines: tuple[ExceptionLine, ...]


READS = frozenset(QadException.__dataclass_fields__) - {"key", "subject", "supplier_name"}
# What was received on the orders of an invoice, at the orders' prices.
ReadReceived = Callable[[PostedInvoice], Awaitable[Decimal | None]]


class Rules:
    """What counts as an exception on a given day."""

    def __init__(self, rules: ExceptionRules, today: date) -> None:
        self._rules = rules
        self.today = today

    @property
    def unmatched_since(self) -> date:
        """The last posting date at which an unmatched invoice is too old."""
        return self.today - timedelta(days=self._rules.unmatched_after_days)

    def worth_reading(self, one: PostedInvoice) -> bool:
        """Whether an invoice, as far as a list shows it, may be an exception."""
        return one.open and (self._held(one) or self._unmatched(one))

    def invoice_kind(self, one: PostedInvoice) -> str:
        """What is wrong with an invoice; a failed match outranks a hold."""
        if not one.open:
            return ""
        held, kinds = self._held(one), self._rules.kinds
        # Finished and free of any hold means that somebody has accepted the variance.
        through = one.matching_status.upper() == "FINISHED" and not held and not one.initial
        if "match" in kinds and one.receiver_matching and not through and (self._varies(one) or self._aged(one)):
            return "match"
        return "hold" if "hold" in kinds and held else ""

    def late_lines(self, one: OpenOrder) -> tuple[OrderLineDue, ...]:
        """The open lines that are due and not fully received."""
        if "late" not in self._rules.kinds or one.status != "open":
            return ()
        due = self.today - timedelta(days=self._rules.late_after_days)
        return tuple(
            line
            for line in one.lines
            if line.status == "open" and line.due_on is not None and line.due_on < due and line.ordered > line.received
        )

    def _held(self, one: PostedInvoice) -> bool:
        return one.hold_amount > 0 or one.payment_locked or one.status in self._rules.hold_status_codes

    def _unmatched(self, one: PostedInvoice) -> bool:
        return one.receiver_matching and (one.initial or one.matching_status.upper() != "FINISHED")

    def _varies(self, one: PostedInvoice) -> bool:
        share = abs(one.amount) * self._rules.variance_percent / 100
        limit = max(self._rules.variance_tolerance, share)
        variances = [match.variance for match in one.matches]
        return any(abs(variance) > limit for variance in (*variances, sum(variances, Decimal(0))))

    def _aged(self, one: PostedInvoice) -> bool:
        since = one.posted_on or one.invoice_date
        return self._unmatched(one) and since is not None and since <= self.unmatched_since


class ExceptionsOf(Generic[R]):
    """Source: the records of a QAD stream as exceptions."""

    def __init__(self, inner: Source[R], judge: Callable[[R], Awaitable[QadException]]) -> None:
        self._inner = inner
        self._judge = judge

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._inner.stream

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[QadException]]:
        """The stream's batches, each record judged by today's rules."""
        async for batch in self._inner.pages(start, since):
            yield batch._replace(records=[await self._judge(one) for one in batch.records])

    async def acknowledge(self, cursor: str | None) -> None:
        """What was read has its outcome; a stream that remembers what it showed is told so."""
        if isinstance(self._inner, Acknowledging):
            await self._inner.acknowledge(cursor)

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, QadException | Unreadable]:
        """The records with these keys as they are now."""
        found = await self._inner.by_key(keys)
        return {key: one if isinstance(one, Unreadable) else await self._judge(one) for key, one in found.items()}


def of_invoice(rules: Rules, received: ReadReceived) -> Callable[[PostedInvoice], Awaitable[QadException]]:
    """Judges supplier invoices; where QAD has matched nothing yet the variance is what was not received."""

    async def judge(one: PostedInvoice) -> QadException:
        found = _of_invoice(one, rules.invoice_kind(one))
        if found.kind != "match" or one.matches:
            return found
        value = await received(one)
        return found if value is None else replace(found, variance=one.amount - value)

    return judge


def of_order(rules: Rules) -> Callable[[OpenOrder], Awaitable[QadException]]:
    """Judges purchase orders by their late lines."""

    async def judge(one: OpenOrder) -> QadException:
        return _of_order(one, rules.late_lines(one))

    return judge


def _of_invoice(one: PostedInvoice, kind: str) -> QadException:
    lines = tuple(
        ExceptionLine(
            match.po_number,
            match.po_line,
            match.receiver,
            match.quantity,
            match.quantity,
            match.unit_price,
            None,
            match.variance,
        )
        for match in one.matches
    )
    return QadException(
        key=one.key,
        subject="invoice",
        kind=kind,
        number=one.reference,
        supplier_number=one.supplier_number,
        supplier_name=one.supplier_name,
        currency=one.currency,
        amount=one.amount,
        hold=one.hold_amount,
        locked=one.payment_locked,
        variance=sum((match.variance for match in one.matches), Decimal(0)),
        status=one.status,
        matching_status=one.matching_status,
        cost_code=one.cost_code,
        orders=one.orders,
        due_on=one.due_on,
        lines=lines,
    )


def _of_order(one: OpenOrder, late: tuple[OrderLineDue, ...]) -> QadException:
    missing = sum(((line.ordered - line.received) * line.price for line in late), Decimal(0))
    lines = tuple(
        ExceptionLine(
            one.number,
            line.number,
            line.description or line.item,
            line.ordered,
            line.received,
            line.price,
            line.due_on,
            Decimal(0),
        )
        for line in late
    )
    return QadException(
        key=one.key,
        subject="order",
        kind="late" if late else "",
        number=one.number,
        supplier_number=one.supplier_number,
        supplier_name=one.supplier_name,
        currency=one.currency,
        amount=missing,
        hold=Decimal(0),
        locked=False,
        variance=Decimal(0),
        status=one.status,
        matching_status="",
        cost_code=one.cost_code,
        orders=(one.number,),
        due_on=min((line.due_on for line in late if line.due_on is not None), default=None),
        lines=lines,
    )
