"""Finds the record that an admin verb speaks of: by its key, or by something a test knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.kit.app import Document, UnknownRecord
from sandbox.qad.records import Row

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

_INVOICE_KEY = ("entityCode", "postingYear", "daybookCode", "voucher", "token", "invoiceReference", "supplierCode")


def invoice(tenant: QadTenant, body: Document) -> Row:
    """The one invoice that agrees with the key members, token or reference given; raises UnknownRecord."""
    body = body.get("invoice", body)
    wanted = {name: body[name] for name in _INVOICE_KEY if name in body}
    if "token" in wanted:
        wanted["customShort0"] = wanted.pop("token")
    rows = tenant.table("supplierInvoice").rows.values()
    found = [row for row in rows if all(row.record[name] == value for name, value in wanted.items())] if wanted else []
    if len(found) != 1:
        raise UnknownRecord(f"{len(found)} invoices agree with {wanted}")
    return found[0]


def order(tenant: QadTenant, body: Document) -> Row:
    """The purchase order of this number, in the tenant's first domain unless another is given; raises UnknownRecord."""
    row = tenant.find("purchaseOrder", _domain(tenant, body), body.get("purchaseOrderNumber"))
    if row is None:
        raise UnknownRecord(f"no purchase order {body.get('purchaseOrderNumber')}")
    return row


def order_line(tenant: QadTenant, body: Document) -> Row:
    """One line of an order, the first unless purchaseOrderLine says otherwise; raises UnknownRecord."""
    number, line = body.get("purchaseOrderNumber"), body.get("purchaseOrderLine", 1)
    row = tenant.find("purchaseOrderLine", _domain(tenant, body), number, line)
    if row is None:
        raise UnknownRecord(f"no line {line} on purchase order {number}")
    return row


def _domain(tenant: QadTenant, body: Document) -> str:
    return str(body.get("domainCode") or tenant.system_context().domain)
