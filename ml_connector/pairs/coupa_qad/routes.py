"""The routes of this pair: one source, its check, one mapping, one target and the effects that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from ml_connector.domain.records import SupplierInvoice
from ml_connector.pairs.coupa_qad.checks import InvoiceCheck, ReadUses, eligible
from ml_connector.pairs.coupa_qad.mapping import CLOCK_FIELDS, READS, supplier_invoice, turn
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.sync.seams import Effect, Facts, Route
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.ports import (
    ApprovedInvoices,
    ExportedFlag,
    InvoiceCustomFields,
    InvoiceHistory,
    order_states,
)
from ml_connector.systems.qad.ports import QadPort
from ml_connector.systems.qad.targets import SupplierInvoices

RECORD_TYPE = "invoice"
_INVOICES = TypeAdapter(SupplierInvoice)


def invoices(
    coupa: CoupaClient,
    qad: QadPort,
    settings: CoupaQadSettings,
    *,
    read_uses: ReadUses,
    token_of: Callable[[str], str],
) -> Route[SupplierInvoice]:
    """Approved Coupa invoices to QAD: create, mark exported, write the voucher back, report in Coupa's history."""
    orders = partial(order_states, coupa)
    return Route(
        name="invoices",
        record_type=RECORD_TYPE,
        target_type="supplier_invoice",
        records=_INVOICES,
        reads=READS,
        # Voids are read too: one of a posted invoice must come to a person, the others are skipped.
        source=ApprovedInvoices(coupa, statuses=("approved", "voided"), filters=_filters(settings)),
        check=InvoiceCheck(qad, settings, read_uses=read_uses, read_source_orders=orders, token_of=token_of),
        effects=(
            Effect(
                name="create",
                target=SupplierInvoices(qad, settings.qad),
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
        undone=lambda invoice: frozenset() if invoice.exported else frozenset({"exported"}),
        hold_limit=timedelta(days=settings.invoices.hold_limit_days),
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
