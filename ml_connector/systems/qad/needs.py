"""Which members of which record types the ports rely on: what a tenant must have before it can be connected."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ml_connector.systems.qad.config import QadTenant


@dataclass(frozen=True, slots=True)
class Need:
    """Our names of the members of one record type, by what is done with them."""

    resource: str
    filters: tuple[str, ...]  # must be fields of the list, because they are asked by
    rows: tuple[str, ...] = ()  # must be fields of the list
    reads: tuple[str, ...] = ()  # fields of the list or members of the entity
    writes: tuple[str, ...] = ()  # must be members of the entity
    entity: bool = True


# What decides whether a posted invoice is an exception; a tenant may say that it has no such member.
_EXCEPTION = (
    "supplier",
    "reference",
    "currency",
    "amount",
    "hold_amount",
    "payment_locked",
    "status",
    "initial",
    "receiver_matching",
    "matching_status",
)


def needs_of(tenant: QadTenant, streams: Collection[str] = ()) -> tuple[Need, ...]:
    """What the ports need of this tenant, and the sources of those record types that are read as streams."""
    return (*_ports(tenant), *(_stream(tenant, name) for name in streams))


def _stream(tenant: QadTenant, name: str) -> Need:
    changed = ("last_modified",) if tenant.resources[name].has("last_modified") else ()
    if name == "supplierPayment":
        rows = ("year", "number")
        reads = ("status", "supplier", "currency", "value_date", "invoice_year", "invoice_daybook", "invoice_voucher")
        return Need(name, ("entity", *changed), rows, (*reads, "allocated", "discount"))
    if name == "supplierInvoice":
        shown = [one for one in _EXCEPTION if tenant.resources[name].has(one)]
        open_ones = ("open",) if tenant.resources[name].has("open") else ()
        return Need(
            name, ("entity", "posting_date", *open_ones, *changed), ("year", "daybook", "voucher"), tuple(shown)
        )
    if name == "purchaseOrderLine":
        return Need(name, ("po_number", "due_on"), ("line", "quantity", "received", "status"), entity=False)
    code = "number" if name == "supplier" else "code"
    by_set = ("shared_set",) if tenant.shared_set(name) else ()
    return Need(name, (code, *by_set, *changed), reads=("active",))


def _ports(tenant: QadTenant) -> tuple[Need, ...]:
    by_set = ("shared_set",) if tenant.shared_sets.supplier else ()
    return (
        Need("supplier", filters=("number", *by_set), reads=("active",)),
        Need("purchaseOrder", filters=("domain", "number"), reads=("supplier", "currency", "status")),
        Need("purchaseOrderLine", filters=("po_number",), rows=("line", "quantity", "price"), entity=False),
        Need("receipt", filters=("po_number",), rows=("receiver", "line", "quantity", "received_on"), entity=False),
        Need(
            "supplierInvoice",
            filters=("entity", "supplier", "reference", "last_modified", "token"),
            rows=("year", "daybook", "voucher"),
            reads=("type", "amount"),
            writes=(
                "entity",
                "year",
                "daybook",
                "voucher",
                "supplier",
                "reference",
                "type",
                "invoice_date",
                "posting_date",
                "currency",
                "amount",
                "status",
                "description",
                "token",
            ),
        ),
    )
