"""When an approved Coupa invoice may be posted: its document is sound, its supplier active, its receipts cover it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from ml_connector.domain.documents import DocumentRules, flaws, is_credit
from ml_connector.domain.matching import LineKey, MatchContext, Reserved, match_invoice
from ml_connector.domain.outcomes import Decision, Verdict, held, rejected, skipped, worst
from ml_connector.domain.reasons import Reason, reason
from ml_connector.domain.records import GoodsReceipt, ReceiptMatch, Supplier, SupplierInvoice
from ml_connector.pairs.coupa_qad.mapping import without_po
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.store.reservations import LineUse
from ml_connector.systems.qad.ports import QadPort

ReadOrders = Callable[[Iterable[str]], Awaitable[Mapping[str, str]]]
ReadUses = Callable[[Iterable[str]], Awaitable[Mapping[LineKey, LineUse]]]


def eligible(invoice: SupplierInvoice, settings: CoupaQadSettings) -> Decision | None:
    """The source filter of the connection: None, or why an invoice is outside it."""
    if invoice.status != "approved":
        return skipped(reason("filter_status", status=invoice.status))
    if invoice.payment_channel not in settings.invoices.payment_channels:
        return skipped(reason("filter_payment_channel", channel=invoice.payment_channel))
    return None


@dataclass(frozen=True, slots=True)
class _Context:
    suppliers: Mapping[str, Supplier]
    match: MatchContext
    source_orders: Mapping[str, str]


class InvoiceCheck:
    """The three-way match of Coupa invoices against QAD's orders and receipts."""

    def __init__(
        self,
        qad: QadPort,
        settings: CoupaQadSettings,
        *,
        read_uses: ReadUses,
        read_source_orders: ReadOrders,
        token_of: Callable[[str], str],
    ) -> None:
        self._qad = qad
        self._token_of = token_of
        self._read_source_orders = read_source_orders
        self._read_uses = read_uses
        self._settings = settings

    async def load(self, records: Sequence[SupplierInvoice]) -> _Context:
        """Suppliers, orders, receipts, our reservations and the matches of documents that are not ours."""
        sound = [one for one in records if not self._flaws(one)]
        numbers = sorted({line.po_number for one in sound for line in one.lines if line.po_number})
        suppliers = await self._qad.suppliers(sorted({one.supplier_number for one in sound}))
        orders = await self._qad.purchase_orders(numbers)
        receipts = await self._qad.goods_receipts(sorted(orders))
        uses = await self._read_uses(numbers)
        foreign: dict[LineKey, tuple[ReceiptMatch, ...]] = {}
        for supplier, since in self._since(sound, {po: [r.received_on for r in rows] for po, rows in receipts.items()}):
            # A voucher of a record that is looked at now is no rival of it, even if the ledger has lost sight of it.
            ours = frozenset(token for use in uses.values() for token in use.tokens)
            ours |= {self._token_of(one.key) for one in sound}
            for match in await self._qad.receipt_matches(supplier, since, ours):
                key = (match.po_number, match.po_line)
                foreign[key] = (*foreign.get(key, ()), match)
        reserved = {key: Reserved(use.total, use.posted, use.receivers) for key, use in uses.items()}
        by_line: dict[LineKey, tuple[GoodsReceipt, ...]] = {}
        for receipt in (one for rows in receipts.values() for one in rows):
            key = (receipt.po_number, receipt.po_line)
            by_line[key] = (*by_line.get(key, ()), receipt)
        context = MatchContext(self._settings.qad.domain, orders, by_line, reserved, foreign)
        return _Context(suppliers, context, await self._read_source_orders(set(numbers) - set(orders)))

    def _since(
        self, invoices: Sequence[SupplierInvoice], received: Mapping[str, Sequence[date]]
    ) -> Iterable[tuple[str, date]]:
        """Per supplier the day of the oldest receipt in question: an older document cannot have used it."""
        oldest: dict[str, date] = {}
        for invoice in invoices:
            days = [day for line in invoice.lines for day in received.get(line.po_number or "", ())]
            if days:
                first = min(days)
                oldest[invoice.supplier_number] = min(first, oldest.get(invoice.supplier_number, first))
        return sorted(oldest.items())

    def decide(self, records: Sequence[SupplierInvoice], context: _Context) -> list[Decision]:
        """Decide in source order; what one invoice would use is gone for the next."""
        decisions = []
        reserved = dict(context.match.reserved)
        for invoice in records:
            match = replace(context.match, reserved=reserved)
            decision = self._decide(invoice, replace(context, match=match))
            if decision.ready:
                _take(reserved, decision)
            decisions.append(decision)
        return decisions

    def _decide(self, invoice: SupplierInvoice, context: _Context) -> Decision:
        if found := self._flaws(invoice):
            return rejected(*found)
        supplier = context.suppliers.get(invoice.supplier_number)
        if supplier is None:
            return held(reason("supplier_missing", supplier=invoice.supplier_number))
        if not supplier.active:
            return held(reason("supplier_inactive", supplier=invoice.supplier_number))
        decision = _explained(match_invoice(invoice, context.match), context.source_orders)
        terms = Decision(Verdict.READY, extra={"credit_terms": supplier.credit_terms})
        return worst([terms, decision, *self._unbooked(invoice, decision)])

    def _flaws(self, invoice: SupplierInvoice) -> list[Reason]:
        rules = self._settings.invoices
        found = flaws(invoice, DocumentRules(number_length=rules.reference_length))
        found += [reason("line_without_po", line=line.number) for line in without_po(invoice)]
        numbers = sorted({line.po_number for line in invoice.lines if line.po_number})
        found += [
            reason("po_number_too_long", po=number, limit=rules.po_number_length)
            for number in numbers
            if len(number) > rules.po_number_length
        ]
        if self._settings.qad.invoice.mode == "matched_invoice":
            found += [
                reason("account_missing", kind=kind) for kind in _kinds(invoice) if rules.accounts.coding(kind) is None
            ]
        return found

    def _unbooked(self, invoice: SupplierInvoice, decision: Decision) -> list[Decision]:
        """A credit without a return receiver needs an account."""
        matched = self._settings.qad.invoice.mode == "matched_invoice"
        loose = any(not part.receiver for part in decision.allotments)
        if matched and loose and is_credit(invoice) and self._settings.invoices.accounts.credit is None:
            return [rejected(reason("account_missing", kind="credit"))]
        return []


def _explained(decision: Decision, source_orders: Mapping[str, str]) -> Decision:
    """Say how the source shows an order that the target does not have: it tells whom to ask."""
    reasons = tuple(
        reason("po_missing_here_only", po=one.params["po"], status=source_orders[one.params["po"]])
        if one.code == "po_missing" and one.params["po"] in source_orders
        else one
        for one in decision.reasons
    )
    return replace(decision, reasons=reasons)


def _kinds(invoice: SupplierInvoice) -> list[str]:
    kinds = {charge.kind for charge in invoice.charges if charge.amount}
    return sorted(kinds | ({"tax"} if invoice.tax else set()))


def _take(reserved: dict[LineKey, Reserved], decision: Decision) -> None:
    for claim in decision.claims:
        key = (claim.po_number, claim.po_line)
        before = reserved.get(key, Reserved())
        receivers = dict(before.receivers)
        sign = -1 if claim.quantity < 0 else 1
        for part in decision.allotments:
            if (part.po_number, part.po_line) == key and part.receiver:
                receivers[part.receiver] = receivers.get(part.receiver, Decimal(0)) + sign * part.quantity
        # A credit may follow an invoice of its own page: it is sent after it, and Intend insists that it was posted.
        reserved[key] = Reserved(before.total + claim.quantity, before.posted + claim.quantity, receivers)
