"""QAD's payments on their way to the Coupa invoices that they pay: which are ours, when they count, what is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ml_connector.domain.money import plain
from ml_connector.domain.outcomes import READY, Decision, Verdict, held, rejected, skipped
from ml_connector.domain.reasons import reason
from ml_connector.domain.records import PaymentAllocation, Unreadable
from ml_connector.domain.text import shortened
from ml_connector.pairs.coupa_qad.ours import OurVouchers
from ml_connector.sync.seams import Batch, Facts, Source, Turn
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.payments import InvoiceToPay, invoices_to_pay
from ml_connector.systems.qad.payments import document_in

READS = frozenset({"document", "state", "amount", "discount", "currency"})
CLOCK_FIELDS = frozenset({"paid_on"})
# Coupa pays the invoices of its other channels itself and must not be told that somebody else did.
_ERP_CHANNELS = ("", "ERP")
_NOTES_LENGTH = 200


class PaymentsOfOurs:
    """Source: the payments of vouchers that this connection posted; other people's are none of our business."""

    def __init__(self, inner: Source[PaymentAllocation], vouchers: OurVouchers) -> None:
        self._inner = inner
        self._vouchers = vouchers

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._inner.stream

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[PaymentAllocation]]:
        """Batches with what pays a voucher of ours, or one that may turn out to be.

        What is not ours leaves no trace, so a mark holds only for those whose vouchers are ours now: the heir of
        another connection begins anew.
        """
        whose = await self._vouchers.whose()
        day, _, before = (since or "").partition(" ")
        async for batch in self._inner.pages(start, day if before == whose else None):
            # In this order: a posting that is confirmed meanwhile is among both, never among none.
            doubtful = await self._vouchers.unconfirmed()
            paid = {one.document for one in batch.records} | {document_in(one.key) for one in batch.unreadable}
            ours = await self._vouchers.invoices(paid - {""})
            yield Batch(
                [one for one in batch.records if one.document in ours or one.reference in doubtful],
                [one for one in batch.unreadable if _may_be_ours(one, ours, doubtful)],
                batch.cursor,
                f"{batch.mark} {whose}" if batch.mark else "",
            )

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, PaymentAllocation | Unreadable]:
        """The allocations with these keys as they are now."""
        return await self._inner.by_key(keys)


def _may_be_ours(one: Unreadable, ours: Collection[str], doubtful: Collection[str]) -> bool:
    """Its document is ours or not known; while a posting is unconfirmed, every document may be its voucher."""
    document = document_in(one.key)
    return not document or document in ours or bool(doubtful)


@dataclass(frozen=True, slots=True)
class _Context:
    invoice_of: Mapping[str, str]
    invoices: Mapping[str, InvoiceToPay | Unreadable]
    doubtful: frozenset[str]


class PaymentCheck:
    """When a payment is reported: its voucher is ours, and its invoice still stands and is paid by the ERP."""

    def __init__(self, coupa: CoupaClient, vouchers: OurVouchers, token_of: Callable[[str], str]) -> None:
        self._coupa = coupa
        self._vouchers = vouchers
        self._token_of = token_of

    async def load(self, records: Sequence[PaymentAllocation]) -> _Context:
        """Whose vouchers these are, and how Coupa shows the invoices behind them."""
        doubtful = await self._vouchers.unconfirmed()
        invoice_of = await self._vouchers.invoices(one.document for one in records)
        invoices = await invoices_to_pay(self._coupa, set(invoice_of.values()))
        return _Context(invoice_of, invoices, doubtful)

    def decide(self, records: Sequence[PaymentAllocation], context: _Context) -> list[Decision]:
        """One decision per allocation; they do not use each other up."""
        return [self._decide(one, context) for one in records]

    def _decide(self, one: PaymentAllocation, context: _Context) -> Decision:
        key = context.invoice_of.get(one.document)
        if key is None:
            if one.reference in context.doubtful:
                return held(reason("voucher_unconfirmed"))
            return skipped(reason("not_posted_by_us"))
        invoice = context.invoices.get(key)
        if invoice is None:
            return held(reason("invoice_not_found", invoice=key))
        if isinstance(invoice, Unreadable):
            return rejected(reason("invoice_unreadable", invoice=key, path=invoice.path))
        if invoice.payment_channel not in _ERP_CHANNELS:
            return skipped(reason("filter_payment_channel", channel=invoice.payment_channel))
        reported = any(entry.notes.startswith(self._token_of(one.key)) for entry in invoice.entries)
        if one.state != "paid" and not reported:
            return skipped(reason("filter_payment_state", state=one.state))
        if one.currency != invoice.currency:
            return rejected(reason("payment_currency", found=one.currency, currency=invoice.currency))
        if one.state == "paid" and invoice.status == "voided":
            return rejected(reason("paid_but_voided", voucher=one.document, invoice=key, status=invoice.status))
        return Decision(Verdict.READY, extra={"invoice": key, "credit": invoice.total < 0})


def turn(payload: Mapping[str, Any]) -> Turn:
    """What pays one invoice goes one after another, so that `paid` is computed from all of it."""
    return Turn(str(payload["invoice"]))


def payment(facts: Facts[PaymentAllocation]) -> Mapping[str, Any]:
    """What our entries on the invoice shall come to: the amount paid, or nothing when the payment was taken back."""
    one, extra = facts.record, (facts.decision or READY).extra or {}
    paid = one.state == "paid"
    day = one.paid_on or facts.today
    return {
        **_about(facts),
        "discount": plain(_signed(one.discount, extra) if paid else Decimal(0)),
        "paid_on": day.isoformat(),
        "notes": shortened(" ".join(filter(None, (one.instrument, one.payment))), _NOTES_LENGTH),
    }


def paid(facts: Facts[PaymentAllocation]) -> Mapping[str, Any]:
    """The invoice's `paid` flag follows all of its entries; it is set anew whenever ours change."""
    return _about(facts)


def _about(facts: Facts[PaymentAllocation]) -> dict[str, Any]:
    one, extra = facts.record, (facts.decision or READY).extra or {}
    amount = _signed(one.amount, extra) if one.state == "paid" else Decimal(0)
    return {"invoice": extra["invoice"], "token": facts.token, "amount": plain(amount)}


def _signed(amount: Decimal, extra: Mapping[str, Any]) -> Decimal:
    """Coupa writes what settles a credit note negative; however QAD signs it, it settles that document."""
    return -abs(amount) if extra.get("credit") else amount
