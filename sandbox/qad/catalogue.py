"""The raw catalogue behind metadata.py: members of every resource, their types and lengths, and the browses.

Line format: name type[length] flags. Types: c text, i integer, d decimal, l logical, t date, x table.
Flags: kN key position, r required, s filled by QAD, b shown by the component browse.
"""

from __future__ import annotations

from sandbox.qad.catalogue_financials import COST_CENTER, GL_ACCOUNT, PROJECT, SUPPLIER_INVOICE, SUPPLIER_PAYMENT

_SUPPLIER = """
sharedSetCode c20 k1 r
supplierCode c8 k2 r
supplierID i s
sharedSetID i s
businessRelationCode c20 r b
businessRelationName c36 s b
isBusinessRelationActive l s
addressName c36 b
addressSearchName c20 b
addressTypeCode c20
street1 c36
street2 c36
city c20 b
zipCode c10
stateCode c4
countryCode c3 b
isActive l b
supplierTypeCode c8
purchaseTypeCode c20
currencyCode c3 r b
languageCode c2
creditTermsCode c8 r b
invoiceStatusCode c20 r b
invoiceControlGLProfileCode c20 r
creditNoteControlGLProfileCode c20 r
prePaymentControlGLProfileCode c20 r
purchaseAccountGLProfileCode c20 r
taxZone c16
taxClass c3
isTaxableSupplier l
isIndividualPayments l
paymentGroupCode c20
EMail c255
telephone c20
webSite c255
commentNote c2000
"""

_BUSINESS_RELATION = """
businessRelationCode c20 k1 r
businessRelationName c36 r b
addressSearchName c20 b
addressTypeCode c20
street1 c36
street2 c36
city c20 b
zipCode c10
stateCode c4
countryCode c3 b
isActive l b
EMail c255
telephone c20
"""

_PURCHASE_ORDER = """
domainCode c8 k1 r
purchaseOrderNumber c8 k2 r
supplierCode c8 r b
currencyCode c3 r b
exchangeRate d
exchangeRate2 d
exchangeRateType c20
creditTermsCode c8 r b
daybookSetCode c8 r b
shipToSite c8 r b
billToCode c8 r b
taxEnvironment c16
languageCode c2
contact c24
remarks c40 b
orderDate t b
dueDate t b
pricingDate t
lastPriceDate t
startEffective t
endEffective t
orderRevisionDate t
taxDateSummary t
orderStatus c1 b
isConfirmed l b
isFixedPrice l
isPrintPurchaseOrder l
isTaxable l
isDisplayTaxAmounts l
isUsingConsignmentInventory l
isIntrastatUsed l
maximumAgingDays i
transmitFlag c1
ERSOption c1
ERSPriceListOption c1
"""

_PURCHASE_ORDER_LINE = """
domainCode c8 k1 r
purchaseOrderNumber c8 k2 r
purchaseOrderLine i k3
siteCode c8 r
itemCode c18 r
itemDescription c24
itemType c1
unitOfMeasure c2
quantityOrdered d r
quantityReceived d s
purchaseCost d
dueDate t
lineStatus c1
purchaseAccountCode c8
subAccountCode c8
costCenterCode c8
projectCode c8
"""

_RECEIPT = """
domainCode c8 k1
receiverNumber c8 k2
purchaseOrderNumber c8 k3
purchaseOrderLine i k4
supplierCode c8 s
itemCode c18 s
unitOfMeasure c2 s
receiptDate t s
quantityReceived d s
packingSlipNumber c12 s
purchaseCost d s
siteCode c8 s
"""

_ITEM = """
domainCode c8 k1
itemCode c18 k2
description1 c24 b
description2 c24 b
unitOfMeasure c2 b
itemStatus c8 b
isActive l b
"""

# name -> (path segment and collection, entity URI, scope, options, members)
RESOURCES = {
    "supplier": ("supplierV2s", "urn:be:com.qad.base.supplier.ISupplierV2", "shared", "custom", _SUPPLIER),
    "businessRelation": (
        "businessRelationV2s",
        "urn:be:com.qad.base.address.IBusinessRelationV2",
        "shared",
        "",
        _BUSINESS_RELATION,
    ),
    "purchaseOrder": (
        "purchaseOrderHeaders",
        "urn:be:com.qad.purchasing.purchaseorders.IPurchaseOrderHeader",
        "domain",
        "custom",
        _PURCHASE_ORDER,
    ),
    "purchaseOrderLine": (
        "purchaseOrderLines",
        "urn:be:com.qad.purchasing.purchaseorders.IPurchaseOrderLine",
        "domain",
        "custom noview",
        _PURCHASE_ORDER_LINE,
    ),
    "receipt": (
        "purchaseOrderReceipts",
        "urn:be:com.qad.purchasing.receipts.IPurchaseOrderReceipt",
        "domain",
        "custom",
        _RECEIPT,
    ),
    "supplierInvoice": (
        "supplierInvoices",
        "urn:be:com.qad.financials.purchaseledger.supplierinvoice.ISupplierInvoice",
        "entity",
        "custom",
        SUPPLIER_INVOICE,
    ),
    "supplierPayment": (
        "supplierPayments",
        "urn:be:com.qad.financials.purchaseledger.supplierpayment.ISupplierPayment",
        "entity",
        "",
        SUPPLIER_PAYMENT,
    ),
    "glAccount": ("glAccounts", "urn:be:com.qad.base.coa.IGLAccount", "shared", "", GL_ACCOUNT),
    "costCenter": ("costCenters", "urn:be:com.qad.base.coa.ICostCenter", "shared", "", COST_CENTER),
    "project": ("projects", "urn:be:com.qad.base.coa.IProject", "shared", "", PROJECT),
    "item": ("items", "urn:be:com.qad.base.item.IItem", "domain", "", _ITEM),
}

_ERP = "urn:browse:bebrowse:com.qad.erp"
COMPONENT_BROWSES = {
    f"{_ERP}.base.supplierV2s": ("supplierV2", "supplier"),
    f"{_ERP}.base.businessRelationV2s": ("businessRelationV2", "businessRelation"),
    f"{_ERP}.purchasing.purchaseOrders": ("purchaseOrderHeader", "purchaseOrder"),
    f"{_ERP}.financials.supplierInvoices": ("supplierInvoice", "supplierInvoice"),
    f"{_ERP}.base.glAccounts": ("glAccount", "glAccount"),
    f"{_ERP}.base.costCenters": ("costCenter", "costCenter"),
    f"{_ERP}.base.projects": ("project", "project"),
    f"{_ERP}.base.items": ("item", "item"),
}

# Classic browses name table columns; none of these shows a last-modified stamp.
CLASSIC_BROWSES = {
    "urn:browse:mfg:po804": (
        "purchaseOrderLine",
        "pod_det.pod_nbr=purchaseOrderNumber pod_det.pod_line=purchaseOrderLine pod_det.pod_part=itemCode "
        "pod_det.pod_desc=itemDescription pod_det.pod_qty_ord=quantityOrdered pod_det.pod_qty_rcvd=quantityReceived "
        "pod_det.pod_pur_cost=purchaseCost pod_det.pod_site=siteCode pod_det.pod_due_date=dueDate "
        "pod_det.pod_status=lineStatus pod_det.pod_um=unitOfMeasure pod_det.pod_acct=purchaseAccountCode "
        "pod_det.pod_sub=subAccountCode pod_det.pod_cc=costCenterCode pod_det.pod_project=projectCode",
    ),
    "urn:browse:mfg:po501": (
        "receipt",
        "prh_hist.prh_receiver=receiverNumber prh_hist.prh_nbr=purchaseOrderNumber prh_hist.prh_line=purchaseOrderLine "
        "prh_hist.prh_vend=supplierCode prh_hist.prh_part=itemCode prh_hist.prh_um=unitOfMeasure "
        "prh_hist.prh_rcp_date=receiptDate prh_hist.prh_rcvd=quantityReceived prh_hist.prh_ps_nbr=packingSlipNumber "
        "prh_hist.prh_pur_cost=purchaseCost prh_hist.prh_site=siteCode",
    ),
    "urn:browse:mfg:gp309": (
        "glAccount",
        "ac_mstr.ac_code=accountCode ac_mstr.ac_desc=description ac_mstr.ac_type=accountType "
        "ac_mstr.ac_active=isActive",
    ),
    "urn:browse:mfg:pp100": (
        "item",
        "pt_mstr.pt_part=itemCode pt_mstr.pt_desc1=description1 pt_mstr.pt_desc2=description2 "
        "pt_mstr.pt_um=unitOfMeasure pt_mstr.pt_status=itemStatus",
    ),
}
