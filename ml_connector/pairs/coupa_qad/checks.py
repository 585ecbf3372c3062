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
from ml_connector.pairs.coupa_qad.accounts import bookings, missing, without_po
from ml_connector.pairs.coupa_qad.orders import Links, Resolve, linked, po_numbers, renamed, same_number
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.store.reservations import LineUse
from ml_connector.systems.qad.ports import QadPort

ReadOrders = Callable[[Iterable[str]], Awaitable[Mapping[str, str]]]
ReadTokens = Callable[[frozenset[str]], Awaitable[frozenset[str]]]
ReadUses = Callable[[Iterable[str]], Awaitable[Mapping[LineKey, LineUse]]]


def eligible(invoice: SupplierInvoice, settings: CoupaQadSettings) -> Decision | None:
    """The source filter of the connection: None, or why an invoice is outside it."""
    if invoice.status != "approved":
        return skipped(reason("filter_status", status=invoice.status))
    if invoice.payment_channel not in settings.invoices.payment_channels:
        return skipped(reason("filter_payment_channel", channel=invoice.payment_channel))
    chart = settings.invoices.chart_of_accounts
    if chart and invoice.chart != chart:
        # The list asks for the chart, but a record that was held under other settings is read by its key.
        return skipped(reason("filter_chart_of_accounts"))
    return None


@dataclass(frozen=True, slots=True)
class _Context:
    suppliers: Mapping[str, Supplier]
    match: MatchContext
    source_orders: Mapping[str, str]
    links: Links


class InvoiceCheck:
    """The three-way match of Coupa invoices against QAD's orders and receipts."""

    def __init__(
        self,
        qad: QadPort,
        settings: CoupaQadSettings,
        *,
        read_uses: ReadUses,
        read_tokens: ReadTokens,
        read_source_orders: ReadOrders,
        token_of: Callable[[str], str],
        resolve: Resolve = same_number,
    ) -> None:
        self._qad = qad
        self._token_of = token_of
        self._read_source_orders = read_source_orders
        self._read_uses = read_uses
        self._read_tokens = read_tokens
        self._resolve = resolve
        self._settings = settings

    async def load(self, records: Sequence[SupplierInvoice]) -> _Context:
        """Suppliers, orders, receipts, our reservations and the matches of documents that are not ours."""
        links = await self._resolve(po_numbers(records))
        sound = [linked(one, links) for one in records if not self._flaws(one, links)]
        numbers = po_numbers(sound)
        suppliers = await self._qad.suppliers(sorted({one.supplier_number for one in sound}))
        orders = await self._qad.purchase_orders(numbers)
        receipts = await self._qad.goods_receipts(sorted(orders))
        uses = await self._read_uses(numbers)
        reserved = {key: Reserved(use.total, use.posted, use.receivers) for key, use in uses.items()}
        by_line: dict[LineKey, tuple[GoodsReceipt, ...]] = {}
        for receipt in (one for rows in receipts.values() for one in rows):
            key = (receipt.po_number, receipt.po_line)
            by_line[key] = (*by_line.get(key, ()), receipt)
        match = MatchContext(self._settings.qad.domain, orders, by_line, reserved, {})
        missed = set(numbers) - set(orders)
        absent = {number for number, there in links.items() if missed.intersection(there)}
        context = _Context(suppliers, match, await self._read_source_orders(absent), links)
        # What others used only lowers what is there, so it matters for those alone that would go through.
        passing = [
            linked(one, links) for one, found in zip(records, self.decide(records, context), strict=True) if found.ready
        ]
        return replace(context, match=replace(match, foreign=await self._foreign(passing, receipts)))

    async def _foreign(
        self, invoices: Sequence[SupplierInvoice], receipts: Mapping[str, Sequence[GoodsReceipt]]
    ) -> Mapping[LineKey, tuple[ReceiptMatch, ...]]:
        """What documents that are not ours use of the receipts in question."""
        # A voucher of a record that is looked at now is no rival of it, even if the ledger has lost sight of it.
        looked_at = frozenset(self._token_of(one.key) for one in invoices)

        async def ours(tokens: frozenset[str]) -> frozenset[str]:
            return (tokens & looked_at) | await self._read_tokens(tokens)

        found: dict[LineKey, tuple[ReceiptMatch, ...]] = {}
        received = {po: [receipt.received_on for receipt in rows] for po, rows in receipts.items()}
        for supplier, since in self._since(invoices, received):
            for match in await self._qad.receipt_matches(supplier, since, ours):
                key = (match.po_number, match.po_line)
                found[key] = (*found.get(key, ()), match)
        return found

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
        links = context.links
        if found := self._flaws(invoice, links):
            return rejected(*found)
        supplier = context.suppliers.get(invoice.supplier_number)
        if supplier is None:
            return held(reason("supplier_missing", supplier=invoice.supplier_number))
        if not supplier.active:
            return held(reason("supplier_inactive", supplier=invoice.supplier_number))
        names = renamed(invoice, links)
        decision = _explained(match_invoice(linked(invoice, links), context.match), names, context.source_orders)
        extra = {"credit_terms": supplier.credit_terms} | ({"orders": names} if names else {})
        terms = Decision(Verdict.READY, extra=extra)
        return worst([terms, decision, *self._waiting(invoice, links), *self._unbooked(invoice, decision)])

    def _flaws(self, invoice: SupplierInvoice, links: Links) -> list[Reason]:
        rules = self._settings.invoices
        found = flaws(invoice, DocumentRules(number_length=rules.reference_length))
        countable = not {one.code for one in found} & {"number_out_of_range", "currency_unknown"}
        if rules.non_po == "reject":
            found += [reason("line_without_po", line=line.number) for line in without_po(invoice)]
        for number in po_numbers([invoice]):
            there = links.get(number, ())
            if len(there) > 1:
                found.append(reason("po_ambiguous", po=number, found=", ".join(there)))
            elif there and len(there[0]) > rules.po_number_length:
                found.append(reason("po_number_too_long", po=_both(there[0], number), limit=rules.po_number_length))
        if countable and self._settings.qad.invoice.mode == "matched_invoice":
            found += [reason("account_missing", kind=kind) for kind in missing(bookings(invoice, rules))]
        return found

    def _waiting(self, invoice: SupplierInvoice, links: Links) -> list[Decision]:
        """Lines whose order somebody still has to name, in Coupa or by a link between the two numbers."""
        waits = [reason("po_not_linked", po=number) for number in po_numbers([invoice]) if not links.get(number)]
        if self._settings.invoices.non_po == "hold":
            waits += [reason("line_waits_for_po", line=line.number) for line in without_po(invoice)]
        return [held(*waits)] if waits else []

    def _unbooked(self, invoice: SupplierInvoice, decision: Decision) -> list[Decision]:
        """A credit without a return receiver needs an account."""
        matched = self._settings.qad.invoice.mode == "matched_invoice"
        loose = any(not part.receiver for part in decision.allotments)
        if matched and loose and is_credit(invoice) and self._settings.invoices.accounts.credit is None:
            return [rejected(reason("account_missing", kind="credit"))]
        return []


def _explained(decision: Decision, names: Mapping[str, str], source_orders: Mapping[str, str]) -> Decision:
    """Name both numbers of an order, and say how the source shows one that the target does not have: whom to ask."""
    theirs: dict[str, list[str]] = {}
    for number, there in names.items():
        theirs.setdefault(there, []).append(number)

    def told(one: Reason) -> Reason:
        if "po" not in one.params:
            return one
        number = one.params["po"]
        ours = theirs.get(number, [number])
        status = next((source_orders[name] for name in ours if name in source_orders), None)
        both = {**one.params, "po": _both(number, *ours)}
        if one.code == "po_missing" and status is not None:
            return reason("po_missing_here_only", **both, status=status)
        return reason(one.code, **both)

    return replace(decision, reasons=tuple(told(one) for one in decision.reasons))


def _both(number: str, *others: str) -> str:
    """QAD's number of an order, and Coupa's where that is another one."""
    names = [name for name in others if name != number]
    return f"{number} (in Coupa {', '.join(names)})" if names else number


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
