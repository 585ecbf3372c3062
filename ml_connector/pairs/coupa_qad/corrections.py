"""Voids of posted invoices where the tenant lets us correct them: an Invoice Correction that mirrors the voucher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ml_connector.domain.outcomes import READY, Allotment, Claim, Decision, Verdict, held, rejected, skipped
from ml_connector.domain.reasons import reason
from ml_connector.domain.records import SupplierInvoice
from ml_connector.domain.text import shortened
from ml_connector.pairs.coupa_qad.ours import OurVouchers, PostedDocument
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.seams import Facts, Turn
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.ports import InvoiceSeen, QadPort

READS = frozenset({"status"})
CLOCK_FIELDS = frozenset({"posting_date"})
# What is given back needs no receipt behind it.
_ALL = Decimal("1E15")


@dataclass(frozen=True, slots=True)
class _Context:
    rows: Mapping[str, LedgerRow]
    posted: Mapping[str, PostedDocument]
    shown: Mapping[str, InvoiceSeen | None]


class CorrectionCheck:
    """A void is corrected when its voucher is ours, known as it was sent, and QAD shows nothing of it as paid."""

    def __init__(self, qad: QadPort, vouchers: OurVouchers, settings: CoupaQadSettings) -> None:
        self._qad = qad
        self._vouchers = vouchers
        self._domain = settings.qad.domain
        self._workers = settings.qad.limits.concurrency

    async def load(self, records: Sequence[SupplierInvoice]) -> _Context:
        """The ledger's rows and payloads of these invoices, and their vouchers as they are now."""
        keys = [one.key for one in records if one.status == "voided"]
        rows = await self._vouchers.rows(keys)
        posted = await self._vouchers.posted(rows)
        vouchers = [one.voucher for one in posted.values()]
        shown = await side_by_side(self._qad.get_invoice, vouchers, self._workers)
        return _Context(rows, posted, dict(zip(posted, shown, strict=True)))

    def decide(self, records: Sequence[SupplierInvoice], context: _Context) -> list[Decision]:
        """One decision per void."""
        return [self._decide(one, context) for one in records]

    def _decide(self, invoice: SupplierInvoice, context: _Context) -> Decision:
        if invoice.status != "voided":
            return skipped(reason("filter_status", status=invoice.status))
        row, posted = context.rows.get(invoice.key), context.posted.get(invoice.key)
        if row is not None and row.in_doubt:
            return held(reason("voucher_unconfirmed"))
        if posted is None:
            return skipped(reason("not_posted_by_us"))
        shown = context.shown[invoice.key]
        if not posted.payload or shown is None:
            return rejected(reason("reverse", target=posted.voucher))
        if not shown.untouched:
            return rejected(reason("settled_before_void", target=posted.voucher))
        return Decision(
            Verdict.READY,
            claims=tuple(self._claim(place, quantity) for place, (quantity, _) in posted.held.items()),
            allotments=tuple(_returned(posted)),
            extra={"voucher": posted.voucher, "document": posted.payload},
        )

    def _claim(self, place: tuple[str, int], quantity: Decimal) -> Claim:
        """Give back what the voucher holds; a corrected credit note takes it again."""
        return Claim(self._domain, *place, -quantity, limit=_ALL, undoes=True)


def _returned(posted: PostedDocument) -> list[Allotment]:
    nothing = Decimal(0)
    return [
        Allotment(0, *place, receiver, abs(Decimal(quantity)), nothing, finished=False)
        for place, (_, receivers) in posted.held.items()
        for receiver, quantity in receivers.items()
    ]


def turn(payload: Mapping[str, Any]) -> Turn:
    """Corrections of one (supplier, reference) go one after another."""
    return Turn(f"{payload['supplier']}|{payload['reference']}|{payload['type']}")


def correction(facts: Facts[SupplierInvoice], settings: CoupaQadSettings) -> Mapping[str, Any]:
    """The voucher's own document once more, as its correction."""
    extra = (facts.decision or READY).extra or {}
    document = extra["document"]
    kind = "credit_note_correction" if document["type"] == "credit_note" else "invoice_correction"
    return {
        **document,
        "type": kind,
        "token": facts.token,
        "matches": [{**match, "finished": False} for match in document["matches"]],
        "posting_date": facts.today.isoformat(),
        "description": shortened(f"Reverses {extra['voucher']}", settings.invoices.description_length),
    }
