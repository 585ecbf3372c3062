"""What was paid in the ERP, written back to Coupa's invoices: payment entries that can only be appended, and the flag.

README: Payments. The entries that begin with a token are ours for one payment of one invoice; their sum is what counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from zoneinfo import ZoneInfo

from ml_connector.domain import money
from ml_connector.domain.records import Unreadable
from ml_connector.domain.writes import (
    Absent,
    Done,
    Doubt,
    Finding,
    Found,
    NotSent,
    Order,
    Refused,
    Sent,
    Stopped,
)
from ml_connector.errors import ConnectorError, TransientError
from ml_connector.systems.coupa import models as wire
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.models import Unparsed
from ml_connector.systems.coupa.targets import SETTLE, answered
from ml_connector.systems.sending import send_each

ZERO = Decimal(0)
NOTES_LENGTH = 255
DISCOUNT = ", discount"


@dataclass(frozen=True, slots=True)
class PaymentEntry:
    """One payment entry as Coupa shows it; `shown_at` is its date with time and zone as written."""

    amount: Decimal
    notes: str
    paid_on: date | None
    shown_at: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceToPay:
    """An invoice as a payment sees it: `total` with taxes and `entries` in `currency`, signed as Coupa shows them."""

    key: str
    number: str
    status: str
    payment_channel: str
    currency: str
    digits: int
    total: Decimal
    paid: bool
    paid_in_full_on: date | None
    entries: tuple[PaymentEntry, ...]

    def net(self, token: str) -> Decimal:
        """The sum of the entries of one payment of ours."""
        if not token:
            raise ValueError("every entry begins with an empty token")
        return sum((entry.amount for entry in self.entries if entry.notes.startswith(token)), ZERO)

    @property
    def settled(self) -> bool:
        """Whether all entries together, whoever wrote them, reach the total; Coupa does not compute this itself."""
        step = Decimal(1).scaleb(-self.digits)
        entered = sum((entry.amount for entry in self.entries), ZERO)
        paid, total = (amount.quantize(step, rounding=ROUND_HALF_UP) for amount in (entered, self.total))
        return paid >= total if total > 0 else paid <= total if total < 0 else paid == 0

    @property
    def last_entry(self) -> PaymentEntry | None:
        """The entry with the latest date, the newest of them when there are several."""
        dated = [(entry.paid_on, number) for number, entry in enumerate(self.entries) if entry.paid_on]
        return self.entries[max(dated)[1]] if dated else None

    @property
    def flag_is_right(self) -> bool:
        """Whether the paid flag and its date say what total and entries say."""
        if self.paid is not self.settled:
            return False
        last = self.last_entry
        return not self.paid or last is None or self.paid_in_full_on == last.paid_on


async def invoices_to_pay(client: CoupaClient, ids: Iterable[str]) -> dict[str, InvoiceToPay | Unreadable]:
    """The invoices with these ids whatever their state, in lots of 50; one that Coupa does not show is left out."""
    rows = await client.paid_invoices(int(key) for key in ids if key.isdecimal())
    return {str(row.id): _to_pay(row) for row in rows}


def _to_pay(row: wire.PaidInvoice | Unparsed) -> InvoiceToPay | Unreadable:
    if isinstance(row, Unparsed):
        return Unreadable(str(row.id), row.path)
    total = row.total_with_taxes if row.total_with_taxes is not None else row.gross_total
    if total is None:
        return Unreadable(str(row.id), "total-with-taxes: missing")
    currency = row.currency or wire.CurrencyRef()
    digits = currency.decimals if currency.decimals is not None else money.exponent(currency.code)
    return InvoiceToPay(
        key=str(row.id),
        number=row.invoice_number.strip(),
        status=row.status,
        payment_channel=row.payment_channel,
        currency=currency.code,
        digits=2 if digits is None else digits,
        total=total,
        paid=row.paid,
        paid_in_full_on=_day(row.payment_date),
        entries=tuple(
            PaymentEntry(entry.amount_paid, entry.notes, _day(entry.payment_date), entry.payment_date)
            for entry in row.payments
        ),
    )


def _day(shown: str) -> date | None:
    return date.fromisoformat(shown[:10]) if shown else None


Seen = dict[str, InvoiceToPay | Unreadable]


class _Payments(ABC):
    """What both targets share: every order is about `payload["invoice"]`, and everything is decided on a fresh read."""

    settle = SETTLE

    def __init__(self, client: CoupaClient) -> None:
        self._client = client
        self.concurrency = client.tenant.concurrency
        self.per_second = client.tenant.per_second

    async def find(self, orders: Sequence[Order]) -> dict[str, Finding]:
        """Read the invoices and compare."""
        seen = await self._read(orders)
        findings: dict[str, Finding] = {}
        for order in orders:
            invoice = seen.get(order.payload["invoice"])
            there = isinstance(invoice, InvoiceToPay) and self._as_intended(invoice, order.payload)
            findings[order.external_id] = Found(_id(order)) if there else Absent()
        return findings

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Read the invoices first, then write what is missing; orders about one invoice go one after another."""
        try:
            seen = await self._read(orders)
        except TransientError as error:
            return {order.external_id: NotSent(str(error)) for order in orders}
        except ConnectorError as error:
            raise Stopped({}, error) from error
        in_lanes = [replace(order, lane=f"coupa.invoice:{order.payload['invoice']}") for order in orders]
        return await send_each(in_lanes, partial(answered, partial(self._send, seen)), self.concurrency)

    async def _read(self, orders: Sequence[Order]) -> Seen:
        return await invoices_to_pay(self._client, {order.payload["invoice"] for order in orders})

    async def _send(self, seen: Seen, order: Order) -> Sent:
        invoice = seen.get(order.payload["invoice"])
        if invoice is None:
            return Refused("not_found", "Coupa shows no invoice with this id")
        if isinstance(invoice, Unreadable):
            return Refused("unreadable_invoice", invoice.path)
        return await self._write(seen, invoice, order)

    @abstractmethod
    def _as_intended(self, invoice: InvoiceToPay, payload: Mapping[str, str]) -> bool:
        """Whether the invoice shows the effect."""

    @abstractmethod
    async def _write(self, seen: Seen, invoice: InvoiceToPay, order: Order) -> Sent:
        """Bring the invoice in line, and keep in `seen` what Coupa shows afterwards."""


class InvoicePayments(_Payments):
    """Target: what one payment of the ERP gives to one invoice, as payment entries.

    Payload: `invoice`, `token`, `amount` (what all entries of the token are to add up to), `discount` (the part of the
    amount that is discount), `paid_on`, `notes`. Entries cannot be changed or deleted, so only the difference to the
    entries already there is appended: negative after a void, nothing when the sum is right.
    """

    name = "coupa.invoice_payments"

    def _as_intended(self, invoice: InvoiceToPay, payload: Mapping[str, str]) -> bool:
        return invoice.net(payload["token"]) == Decimal(payload["amount"])

    async def _write(self, seen: Seen, invoice: InvoiceToPay, order: Order) -> Sent:
        token, desired = order.payload["token"], Decimal(order.payload["amount"])
        amounts = _missing(invoice.net(token), desired, Decimal(order.payload["discount"] or 0))
        if not amounts:
            return Done(_id(order))
        entries = [self._entry(amount, note, order.payload) for amount, note in amounts]
        row = await self._client.append_payments(
            int(invoice.key), entries, external_id=order.external_id, key=order.key
        )
        shown = seen[invoice.key] = _to_pay(row)
        if isinstance(shown, Unreadable):
            return Doubt(f"the answer cannot be read: {shown.path}")
        if (net := shown.net(token)) != desired:
            return Doubt(f"the answer shows {net} of {desired} paid with this token")
        return Done(_id(order), notes=_shifted(shown, order.payload))

    def _entry(self, amount: Decimal, suffix: str, payload: Mapping[str, str]) -> dict[str, str]:
        notes = f"{payload['token']} {payload['notes']}".strip()[: NOTES_LENGTH - len(suffix)] + suffix
        entry = {"amount-paid": _amount_text(amount), "notes": notes}
        if payload["paid_on"]:
            day = datetime.fromisoformat(payload["paid_on"])
            midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self._client.tenant.time_zone))
            entry["payment-date"] = midnight.isoformat(timespec="seconds")
        return entry


def _missing(net: Decimal, desired: Decimal, discount: Decimal) -> list[tuple[Decimal, str]]:
    """The amounts to append, each with what ends its notes; the discount stands apart on a first payment only."""
    parts = [(desired - net, "")] if net else [(desired - discount, ""), (discount, DISCOUNT)]
    return [(amount, suffix) for amount, suffix in parts if amount] if net != desired else []


def _amount_text(amount: Decimal) -> str:
    """At least the two digits that Coupa asks for, more only where they say something."""
    exponent = amount.normalize().as_tuple().exponent
    return f"{amount:.{max(2, -exponent if isinstance(exponent, int) else 2)}f}"


def _shifted(invoice: InvoiceToPay, payload: Mapping[str, str]) -> tuple[str, ...]:
    """A remark when Coupa shows our newest entry under another day: then the tenant's time zone setting is wrong."""
    ours = [entry.paid_on for entry in invoice.entries if entry.notes.startswith(payload["token"])]
    shown = ours[-1].isoformat() if ours and ours[-1] else ""
    return (f"payment_date_shown:{shown}",) if payload["paid_on"] and shown != payload["paid_on"] else ()


class PaidFlag(_Payments):
    """Target: the paid flag of an invoice and its date, which Coupa does not derive from the entries.

    Payload: `invoice`, `token`, `amount`. Flag and date follow from the invoice's own total and entries, whoever wrote
    them; the date is the latest entry's, sent exactly as Coupa shows it, so that no time zone can move it.
    """

    name = "coupa.paid_flag"

    def _as_intended(self, invoice: InvoiceToPay, payload: Mapping[str, str]) -> bool:
        # A flag that suits entries which are still to be changed would be wrong in a moment.
        return invoice.net(payload["token"]) == Decimal(payload["amount"]) and invoice.flag_is_right

    async def _write(self, seen: Seen, invoice: InvoiceToPay, order: Order) -> Sent:
        if invoice.flag_is_right:
            return Done(_id(order))
        paid, last = invoice.settled, invoice.last_entry
        row = await self._client.set_paid(
            int(invoice.key),
            paid,
            last.shown_at if paid and last else None,
            external_id=order.external_id,
            key=order.key,
        )
        shown = seen[invoice.key] = _to_pay(row)
        if isinstance(shown, Unreadable):
            return Doubt(f"the answer cannot be read: {shown.path}")
        if shown.flag_is_right:
            return Done(_id(order))
        if shown.entries != invoice.entries:
            return Doubt("somebody added a payment entry meanwhile")
        if shown.paid is not paid:
            return Refused("paid_ignored", f"the answer still shows paid={str(shown.paid).lower()}")
        return Refused("payment_date_ignored", f"the answer shows {shown.paid_in_full_on} as payment date")


def _id(order: Order) -> str:
    return f"{order.payload['invoice']}#{order.payload['token']}"
