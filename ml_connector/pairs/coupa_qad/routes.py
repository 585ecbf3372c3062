"""The routes from Coupa to QAD: corrections of voided invoices, then approved invoices with the marks that follow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from ml_connector.domain.records import Supplier, SupplierInvoice
from ml_connector.pairs.coupa_qad import corrections as corrections_of
from ml_connector.pairs.coupa_qad import masters
from ml_connector.pairs.coupa_qad.checks import InvoiceCheck, ReadTokens, ReadUses, eligible
from ml_connector.pairs.coupa_qad.mapping import CLOCK_FIELDS, READS, supplier_invoice, turn
from ml_connector.pairs.coupa_qad.orders import resolver
from ml_connector.pairs.coupa_qad.ours import INVOICE, VOID, OurVouchers
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.sync.inbox import InboxSource
from ml_connector.sync.seams import Effect, Facts, Route
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.ports import (
    ApprovedInvoices,
    ExportedFlag,
    InvoiceCustomFields,
    InvoiceHistory,
    VoidedInvoices,
    order_fields,
    order_states,
)
from ml_connector.systems.coupa.supplier_changes import SupplierChanges
from ml_connector.systems.qad.ports import QadRest
from ml_connector.systems.qad.supplier_target import Suppliers
from ml_connector.systems.qad.targets import SupplierInvoices

# What a person may put right for a replay: what identifies, never what is paid.
EDITABLE = frozenset({"number", "supplier_number", "invoice_date", "lines.*.po_number", "lines.*.po_line"})
_INVOICES = TypeAdapter(SupplierInvoice)
_SUPPLIERS = TypeAdapter(Supplier)
# Characters of a supplier's code in QAD (systems/qad/README, "sizes").
_SUPPLIER_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Ends:
    """What the routes of a run work with: both systems, the settings, and what the ledger knows.

    `voids_since` is the instant from which a connection that never looked for voids begins; `box` holds the deliveries
    that asked for this run, if any did.
    """

    coupa: CoupaClient
    qad: QadRest
    settings: CoupaQadSettings
    vouchers: OurVouchers
    read_uses: ReadUses
    read_tokens: ReadTokens
    token_of: Callable[[str, str], str]
    voids_since: datetime
    today: date
    box: tuple[InboxSource[Any], ...]


def to_qad(ends: Ends) -> dict[str, Route[Any]]:
    """All routes in business order."""
    routes: list[Route[Any]] = []
    if ends.settings.suppliers.direction == "coupa_to_qad":
        routes.append(suppliers(ends))
    if ends.settings.invoices.on_void == "correct":
        routes.append(corrections(ends))
    return {route.name: route for route in (*routes, invoices(ends))}


def suppliers(ends: Ends) -> Route[Supplier]:
    """Coupa's suppliers to QAD: matched by number, created only with the tenant's own defaults."""
    rules = ends.settings.suppliers

    async def known(numbers: Collection[str]) -> Collection[str]:
        return set(await ends.qad.suppliers(numbers))

    return Route(
        name="suppliers",
        record_type="supplier",
        target_type="supplier",
        records=_SUPPLIERS,
        reads=masters.SUPPLIER_READS,
        sources=(SupplierChanges(ends.coupa),),
        check=masters.SupplierCheck(known, number_length=_SUPPLIER_LENGTH),
        effects=(
            Effect(
                name="upsert",
                target=Suppliers(ends.qad, ends.settings.qad),
                document=lambda facts: masters.qad_supplier(facts, rules),
                operation="upsert",
                turn=masters.supplier_turn,
            ),
        ),
        key=lambda one: one.key,
        label=lambda one: one.number or one.name or one.key,
        on_change="update",
    )


def invoices(ends: Ends) -> Route[SupplierInvoice]:
    """Approved Coupa invoices to QAD: create, mark exported, write the voucher back, report in Coupa's history."""
    coupa, settings = ends.coupa, ends.settings
    rules = settings.invoices

    return Route(
        name="invoices",
        record_type=INVOICE,
        target_type="supplier_invoice",
        records=_INVOICES,
        reads=READS,
        # Voids are a stream of their own, whatever their exported flag says: nobody marks them, so it never ends.
        sources=(
            *ends.box,
            ApprovedInvoices(coupa, filters=_filters(settings)),
            _voids(ends),
        ),
        check=_check(ends),
        effects=(
            Effect(
                name="create",
                target=SupplierInvoices(ends.qad, settings.posting),
                document=partial(_create, settings),
                operation="create",
                clock_fields=CLOCK_FIELDS,
                turn=turn,
            ),
            Effect(name="exported", target=ExportedFlag(coupa), document=_exported, about="source"),
            *_write_back(coupa, settings),
            *_history(coupa, settings),
        ),
        key=lambda invoice: invoice.key,
        label=lambda invoice: invoice.number or invoice.key,
        eligible=partial(_eligible, settings),
        void=lambda invoice: invoice.status != "approved",
        undone=lambda invoice: frozenset() if invoice.exported else frozenset({"exported"}),
        hold_limit=timedelta(days=rules.hold_limit_days),
        reversed_by=ends.vouchers.corrected if rules.on_void == "correct" else None,
        editable=EDITABLE,
    )


def corrections(ends: Ends) -> Route[SupplierInvoice]:
    """Voids of posted invoices to QAD: an Invoice Correction that takes the voucher back."""
    settings = ends.settings
    return Route(
        name="corrections",
        record_type=VOID,
        target_type="supplier_invoice",
        records=_INVOICES,
        reads=corrections_of.READS,
        sources=(_voids(ends),),
        check=corrections_of.CorrectionCheck(ends.qad, ends.vouchers, settings),
        effects=(
            Effect(
                name="create",
                target=SupplierInvoices(ends.qad, settings.posting),
                document=lambda facts: corrections_of.correction(facts, settings),
                operation="create",
                clock_fields=corrections_of.CLOCK_FIELDS,
                turn=corrections_of.turn,
            ),
        ),
        key=lambda invoice: invoice.key,
        label=lambda invoice: f"{invoice.number or invoice.key} correction",
        hold_limit=timedelta(days=settings.invoices.hold_limit_days),
    )


def _voids(ends: Ends) -> VoidedInvoices:
    return VoidedInvoices(ends.coupa, first=ends.voids_since, filters=_filters(ends.settings))


def _check(ends: Ends) -> InvoiceCheck:
    coupa, rules = ends.coupa, ends.settings.invoices
    return InvoiceCheck(
        ends.qad,
        ends.settings,
        read_uses=ends.read_uses,
        read_tokens=ends.read_tokens,
        read_source_orders=partial(order_states, coupa),
        token_of=partial(ends.token_of, INVOICE),
        resolve=resolver(rules.po_rule, by_field=partial(order_fields, coupa), by_slot=ends.qad.orders_by_slot),
    )


def _filters(settings: CoupaQadSettings) -> tuple[tuple[str, str], ...]:
    chart = settings.invoices.chart_of_accounts
    return (("account_type[name]", chart),) if chart else ()


def _eligible(settings: CoupaQadSettings, invoice: SupplierInvoice) -> Any:
    return eligible(invoice, settings)


def _create(settings: CoupaQadSettings, facts: Facts[SupplierInvoice]) -> Mapping[str, Any]:
    return supplier_invoice(facts, settings)


def _exported(facts: Facts[SupplierInvoice]) -> Mapping[str, Any]:
    # The answer is compared with what we read: a void between our read and this call would leave every query.
    seen = facts.record.updated_at
    return {
        "exported": True,
        "expected_status": facts.record.status,
        "expected_updated_at": seen.isoformat() if seen else "",
    }


def _write_back(coupa: CoupaClient, settings: CoupaQadSettings) -> tuple[Effect[SupplierInvoice], ...]:
    tenant = settings.coupa
    if not tenant.custom_fields:
        return ()

    def document(facts: Facts[SupplierInvoice]) -> Mapping[str, Any]:
        values = {tenant.invoice_number_field: facts.target_id, tenant.status_field: "Posted in QAD"}
        return {"fields": {name: value for name, value in values.items() if name}}

    return (Effect(name="custom_field", target=InvoiceCustomFields(coupa), document=document, about="source"),)


def _history(coupa: CoupaClient, settings: CoupaQadSettings) -> tuple[Effect[SupplierInvoice], ...]:
    tenant = settings.coupa
    if tenant.monitoring not in ("history", "full"):
        return ()

    def document(facts: Facts[SupplierInvoice]) -> Mapping[str, Any]:
        return {
            "status": "Success",
            "document_type": "InvoiceHeader",
            "document_status": facts.record.status,
            "integration_code": tenant.integration_code,
            "code": "POSTED",
            "message": f"Posted in QAD as {facts.target_id}",
            "alert": False,
        }

    return (Effect(name="history", target=InvoiceHistory(coupa), document=document, about="source"),)
