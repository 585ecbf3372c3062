"""The routes from QAD to Coupa in business order: suppliers, reference codes, then the payments of our vouchers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from ml_connector.domain.keys import digest
from ml_connector.domain.records import PaymentAllocation, ReferenceCode, Supplier
from ml_connector.pairs.coupa_qad import masters, payments
from ml_connector.pairs.coupa_qad.routes import Ends
from ml_connector.pairs.coupa_qad.settings import ReferenceData
from ml_connector.sync.seams import Effect, Route
from ml_connector.systems.coupa.payments import InvoicePayments, PaidFlag
from ml_connector.systems.coupa.upserts import LookupValues, Suppliers, parent_of
from ml_connector.systems.qad.masters import Code
from ml_connector.systems.qad.sources import Payments, ReferenceCodes, SupplierChanges

_RESOURCES: Mapping[str, Code] = {"cost_centers": "costCenter", "projects": "project", "gl_accounts": "glAccount"}
_TYPES = {"cost_centers": "cost_center", "projects": "project", "gl_accounts": "gl_account"}
# Masters are aligned from the first one on.
_BEGINNING = date(1990, 1, 1)
_PAYMENTS = TypeAdapter(PaymentAllocation)
_SUPPLIERS = TypeAdapter(Supplier)
_CODES = TypeAdapter(ReferenceCode)


def to_coupa(ends: Ends) -> dict[str, Route[Any]]:
    """All routes that the settings ask for."""
    settings = ends.settings
    routes: list[Route[Any]] = []
    if settings.suppliers.direction == "qad_to_coupa":
        routes.append(suppliers(ends))
    routes += [codes(ends, one) for one in settings.reference_data]
    if settings.payments.enabled:
        routes.append(paid_invoices(ends))
    return {route.name: route for route in routes}


def suppliers(ends: Ends) -> Route[Supplier]:
    """QAD's suppliers to Coupa: matched by number, never doubled by name."""
    rules = ends.settings.suppliers

    async def known(numbers: Collection[str]) -> Collection[str]:
        return {one.number for one in await ends.coupa.suppliers(numbers)}

    return Route(
        name="suppliers",
        record_type="supplier",
        target_type="supplier",
        records=_SUPPLIERS,
        reads=masters.SUPPLIER_READS,
        sources=(SupplierChanges(ends.qad.client, begin=_BEGINNING),),
        check=masters.SupplierCheck(known),
        effects=(
            Effect(
                name="upsert",
                target=Suppliers(ends.coupa),
                document=lambda facts: masters.coupa_supplier(facts, rules),
                operation="upsert",
                identity=frozenset({"number"}),
                turn=masters.supplier_turn,
            ),
        ),
        key=lambda one: one.number,
        label=lambda one: one.number,
        on_change="update",
    )


def codes(ends: Ends, rules: ReferenceData) -> Route[ReferenceCode]:
    """One kind of QAD's codes to the values of a Coupa lookup, by external reference number."""

    async def known(wanted: Collection[str]) -> Collection[str]:
        values = await ends.coupa.lookup_values(rules.lookup, wanted)
        return {one.external_ref_num for one in values if parent_of(one) == rules.parent}

    # Another lookup is another home: its values are other objects, and those in the old one are left as they are.
    home = digest([rules.lookup, rules.parent])[:6]
    return Route(
        name=f"{rules.source}-{home}",
        record_type=f"{_TYPES[rules.source]}-{home}",
        target_type="lookup_value",
        records=_CODES,
        reads=masters.CODE_READS,
        sources=(ReferenceCodes(ends.qad.client, _RESOURCES[rules.source], begin=_BEGINNING),),
        check=masters.CodeCheck(rules, known),
        effects=(
            Effect(
                name="upsert",
                target=LookupValues(ends.coupa),
                document=lambda facts: masters.lookup_value(facts, rules),
                operation="upsert",
                identity=frozenset({"code"}),
                turn=masters.value_turn,
            ),
        ),
        key=lambda one: one.code,
        label=lambda one: one.code,
        on_change="update",
    )


def paid_invoices(ends: Ends) -> Route[PaymentAllocation]:
    """What QAD paid of our vouchers to the Coupa invoices behind them, and whether those are paid in full."""
    first = ends.today - timedelta(days=ends.settings.payments.first_load_days)
    token_of = partial(ends.token_of, "payment")
    return Route(
        name="payments",
        record_type="payment",
        target_type="invoice_payment",
        records=_PAYMENTS,
        reads=payments.READS,
        sources=(
            payments.PaymentsOfOurs(Payments(ends.qad.client, begin=first, known=ends.vouchers.told), ends.vouchers),
        ),
        check=payments.PaymentCheck(ends.coupa, ends.vouchers, token_of),
        effects=(
            Effect(
                name="payment",
                target=InvoicePayments(ends.coupa),
                document=payments.payment,
                clock_fields=payments.CLOCK_FIELDS,
                turn=payments.turn,
            ),
            Effect(name="paid", target=PaidFlag(ends.coupa), document=payments.paid, proves=False),
        ),
        key=lambda one: one.key,
        label=lambda one: f"{one.reference} {one.payment}",
        on_change="update",
        hold_limit=timedelta(days=ends.settings.invoices.hold_limit_days),
    )
