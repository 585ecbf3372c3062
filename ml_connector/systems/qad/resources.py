"""Where each record type lives in a QAD tenant: its list, its entity, its key and the names of its members.

Nothing here is promised by QAD for every tenant (README, "names"), so every entry can be overridden per tenant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_FROZEN = ConfigDict(frozen=True, extra="forbid")
_BROWSE = "urn:browse:bebrowse:com.qad.erp"
_ENTITY = "urn:be:com.qad"


class Child(BaseModel):
    """A list of rows inside a record."""

    model_config = _FROZEN

    collection: str = Field(description="Member of the record that holds the rows.")
    fields: dict[str, str] = Field(default_factory=dict, description="Our names to the members of a row.")


class Resource(BaseModel):
    """One record type; `fields` translates our names into the tenant's."""

    model_config = _FROZEN

    browse: str = Field(description="Address of the browse that lists the records.")
    prefix: str = Field(description="What stands before the dot in the browse's field names.")
    path: str = Field(description="Last part of the entity's path.")
    collection: str = Field(description="Member of request and answer that holds the records.")
    view_uri: str = Field(default="", description="Address of the entity's view; empty when the entity is not used.")
    key: tuple[str, ...] = Field(description="Our names of the key members, in QAD's order.")
    identity: Literal["key", "row"] = Field(
        default="key", description="What makes two rows of one read the same record: the key or the whole row."
    )
    fields: dict[str, str] = Field(
        description="Our names to the tenant's; one with a dot is used as it stands, an empty one means none."
    )
    children: dict[str, Child] = Field(default_factory=dict, description="Lists of rows inside a record.")

    def row_name(self, name: str) -> str:
        """The field of a browse row, e.g. `supplierInvoice.voucher`."""
        wire = self.fields[name]
        return wire if "." in wire or not self.prefix else f"{self.prefix}.{wire}"

    def has(self, name: str) -> bool:
        """Whether the tenant has a member for it; an empty name in the settings says that it has none."""
        return bool(self.fields.get(name))

    def with_member(self, wire: str) -> Resource:
        """The same with one more member, asked for under the tenant's own name."""
        return self.model_copy(update={"fields": {**self.fields, wire: wire}})

    def logical(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A full record under our names, rows inside included; members that it does not show are left out."""
        found = renamed(record, self.fields)
        for name, child in self.children.items():
            rows = record.get(child.collection)
            if isinstance(rows, list):
                found[name] = [renamed(row, child.fields) for row in rows if isinstance(row, Mapping)]
        return found


def renamed(record: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """The members of a record under our names."""
    return {name: record[wire] for name, wire in fields.items() if wire in record}


def with_defaults(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The default map with a tenant's entries laid over it, member by member; an unknown record type is refused."""
    if unknown := sorted(set(overrides) - set(DEFAULTS)):
        raise ValueError(f"unknown resource {unknown[0]}; known are {', '.join(DEFAULTS)}")
    return {name: _laid_over(default, overrides.get(name, {})) for name, default in DEFAULTS.items()}


def _laid_over(default: Mapping[str, Any], override: Any) -> dict[str, Any]:
    given = override.model_dump(exclude_unset=True) if isinstance(override, BaseModel) else override
    merged = dict(default)
    for name, value in given.items():
        inside = merged.get(name)
        deeper = isinstance(inside, Mapping) and isinstance(value, Mapping)
        merged[name] = _laid_over(inside or {}, value) if deeper else value
    return merged


_MODIFIED = {"last_modified": "lastModifiedDate", "last_modified_time": "lastModifiedTime"}
_INVOICE_FIELDS = {
    "entity": "entityCode",
    "year": "postingYear",
    "daybook": "daybookCode",
    "voucher": "voucher",
    "registration": "registrationNumber",
    "supplier": "supplierCode",
    "supplier_name": "supplierName",
    "reference": "invoiceReference",
    "type": "invoiceType",
    "invoice_date": "invoiceDate",
    "posting_date": "postingDate",
    "due_date": "dueDate",
    "currency": "currencyCode",
    "amount": "originalAmountTC",
    "balance": "balanceTC",
    "hold_amount": "holdAmountTC",
    "status": "invoiceStatusCode",
    "matching_status": "receiverMatchingStatus",
    "receiver_matching": "isReceiverMatching",
    "initial": "isInitialStatus",
    "payment_locked": "isLockPayment",
    "submitted": "isSubmittedForApproval",
    "selected": "isSelected",
    "taxable": "isTaxable",
    "open": "isOpen",
    "credit_terms": "creditTermsCode",
    "description": "description",
    "token": "customShort0",
    **_MODIFIED,
}
_INVOICE_CHILDREN = {
    "purchase_orders": {
        "collection": "supplierInvoicePOs",
        "fields": {"domain": "poDomainCode", "number": "purchaseOrderNumber"},
    },
    "matches": {
        "collection": "receiverMatchingLines",
        "fields": {
            "po": "purchaseOrderNumber",
            "line": "purchaseOrderLine",
            "receiver": "receiverNumber",
            "quantity": "matchQuantity",
            "unit_price": "matchUnitPrice",
            "rate_variance": "varianceRateTC",
            "usage_variance": "varianceUsageTC",
            "finished": "isFinished",
        },
    },
    "lines": {
        "collection": "supplierInvoiceLines",
        "fields": {
            "line": "line",
            "account": "glAccountCode",
            "sub_account": "subAccountCode",
            "cost_center": "costCenterCode",
            "project": "projectCode",
            "amount": "amountTC",
            "description": "description",
        },
    },
}

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "supplier": {
        "browse": f"{_BROWSE}.base.supplierV2s",
        "prefix": "supplierV2",
        "path": "supplierV2s",
        "collection": "supplierV2s",
        "view_uri": f"{_ENTITY}.base.supplier.ISupplierV2",
        "key": ("shared_set", "number"),
        "fields": {
            "shared_set": "sharedSetCode",
            "number": "supplierCode",
            "name": "addressName",
            "business_name": "businessRelationName",
            "active": "isActive",
            "currency": "currencyCode",
            "credit_terms": "creditTermsCode",
            "business_relation": "businessRelationCode",
            "invoice_status": "invoiceStatusCode",
            "gl_invoice": "invoiceControlGLProfileCode",
            "gl_credit_note": "creditNoteControlGLProfileCode",
            "gl_prepayment": "prePaymentControlGLProfileCode",
            "gl_purchase": "purchaseAccountGLProfileCode",
            **_MODIFIED,
        },
    },
    "businessRelation": {
        "browse": f"{_BROWSE}.base.businessRelationV2s",
        "prefix": "businessRelationV2",
        "path": "businessRelationV2s",
        "collection": "businessRelationV2s",
        "view_uri": f"{_ENTITY}.base.address.IBusinessRelationV2",
        "key": ("code",),
        "fields": {"code": "businessRelationCode", "name": "businessRelationName", **_MODIFIED},
    },
    "purchaseOrder": {
        "browse": f"{_BROWSE}.purchasing.purchaseOrders",
        "prefix": "purchaseOrderHeader",
        "path": "purchaseOrderHeaders",
        "collection": "purchaseOrderHeaders",
        "view_uri": f"{_ENTITY}.purchasing.purchaseorders.IPurchaseOrderHeader",
        "key": ("domain", "number"),
        "fields": {
            "domain": "domainCode",
            "number": "purchaseOrderNumber",
            "supplier": "supplierCode",
            "currency": "currencyCode",
            "status": "orderStatus",
            **_MODIFIED,
        },
    },
    "purchaseOrderLine": {
        "browse": "urn:browse:mfg:po804",
        "prefix": "pod_det",
        "path": "purchaseOrderLinesGrid",
        "collection": "purchaseOrderLines",
        "key": ("po_number", "line"),
        "fields": {
            "po_number": "pod_nbr",
            "line": "pod_line",
            "item": "pod_part",
            "description": "pod_desc",
            "quantity": "pod_qty_ord",
            "received": "pod_qty_rcvd",
            "price": "pod_pur_cost",
            "unit": "pod_um",
            "due_on": "pod_due_date",
            "status": "pod_status",
            "cost_center": "pod_cc",
        },
    },
    "receipt": {
        "browse": "urn:browse:mfg:po501",
        "prefix": "prh_hist",
        "path": "purchaseOrderReceipts",
        "collection": "purchaseOrderReceipts",
        "view_uri": f"{_ENTITY}.purchasing.receipts.IPurchaseOrderReceipt",
        "key": ("receiver", "po_number", "line"),
        # A correction may bear the receiver number of what it corrects: both rows have to count.
        "identity": "row",
        "fields": {
            "receiver": "prh_receiver",
            "po_number": "prh_nbr",
            "line": "prh_line",
            "supplier": "prh_vend",
            "item": "prh_part",
            "unit": "prh_um",
            "received_on": "prh_rcp_date",
            "quantity": "prh_rcvd",
            "packing_slip": "prh_ps_nbr",
        },
    },
    "supplierInvoice": {
        "browse": f"{_BROWSE}.financials.supplierInvoices",
        "prefix": "supplierInvoice",
        "path": "supplierInvoices",
        "collection": "supplierInvoices",
        "view_uri": f"{_ENTITY}.financials.purchaseledger.supplierinvoice.ISupplierInvoice",
        "key": ("entity", "year", "daybook", "voucher"),
        "fields": _INVOICE_FIELDS,
        "children": _INVOICE_CHILDREN,
    },
    "supplierPayment": {
        "browse": f"{_BROWSE}.financials.supplierPayments",
        "prefix": "supplierPayment",
        "path": "supplierPayments",
        "collection": "supplierPayments",
        "view_uri": f"{_ENTITY}.financials.purchaseledger.supplierpayment.ISupplierPayment",
        "key": ("entity", "year", "number"),
        # One row per allocation, so several rows share a payment's key.
        "identity": "row",
        "fields": {
            "entity": "entityCode",
            "year": "paymentYear",
            "number": "paymentNumber",
            "instrument": "paymentInstrument",
            "status": "paymentStatus",
            "supplier": "supplierCode",
            "currency": "currencyCode",
            "value_date": "valueDate",
            "invoice_year": "invoicePostingYear",
            "invoice_daybook": "invoiceDaybookCode",
            "invoice_voucher": "invoiceVoucher",
            "reference": "invoiceReference",
            "allocated": "allocatedAmountTC",
            "discount": "discountAmountTC",
            **_MODIFIED,
        },
        "children": {
            "allocations": {
                "collection": "supplierPaymentAllocations",
                "fields": {
                    "invoice_year": "invoicePostingYear",
                    "invoice_daybook": "invoiceDaybookCode",
                    "invoice_voucher": "invoiceVoucher",
                    "reference": "invoiceReference",
                    "allocated": "allocatedAmountTC",
                    "discount": "discountAmountTC",
                },
            },
        },
    },
    "glAccount": {
        "browse": f"{_BROWSE}.base.glAccounts",
        "prefix": "glAccount",
        "path": "glAccounts",
        "collection": "glAccounts",
        "view_uri": f"{_ENTITY}.base.coa.IGLAccount",
        "key": ("shared_set", "code"),
        "fields": {
            "shared_set": "sharedSetCode",
            "code": "accountCode",
            "description": "description",
            "type": "accountType",
            "active": "isActive",
            "needs_sub_account": "isSubAccountRequired",
            "needs_cost_center": "isCostCenterRequired",
            "needs_project": "isProjectRequired",
            **_MODIFIED,
        },
    },
    "costCenter": {
        "browse": f"{_BROWSE}.base.costCenters",
        "prefix": "costCenter",
        "path": "costCenters",
        "collection": "costCenters",
        "view_uri": f"{_ENTITY}.base.coa.ICostCenter",
        "key": ("shared_set", "code"),
        "fields": {
            "shared_set": "sharedSetCode",
            "code": "costCenterCode",
            "description": "description",
            "active": "isActive",
            **_MODIFIED,
        },
    },
    "project": {
        "browse": f"{_BROWSE}.base.projects",
        "prefix": "project",
        "path": "projects",
        "collection": "projects",
        "view_uri": f"{_ENTITY}.base.coa.IProject",
        "key": ("shared_set", "code"),
        "fields": {
            "shared_set": "sharedSetCode",
            "code": "projectCode",
            "description": "description",
            "active": "isActive",
            **_MODIFIED,
        },
    },
    "item": {
        "browse": f"{_BROWSE}.base.items",
        "prefix": "item",
        "path": "items",
        "collection": "items",
        "view_uri": f"{_ENTITY}.base.item.IItem",
        "key": ("domain", "code"),
        "fields": {
            "domain": "domainCode",
            "code": "itemCode",
            "description": "description1",
            "unit": "unitOfMeasure",
            "active": "isActive",
        },
    },
}
