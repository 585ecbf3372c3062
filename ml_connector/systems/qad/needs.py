"""Which members of which record types the ports rely on: what a tenant must have before it can be connected."""

from __future__ import annotations

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


def needs_of(tenant: QadTenant) -> tuple[Need, ...]:
    """What the ports need of this tenant."""
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
