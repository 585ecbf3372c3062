"""Members of the financial resources and their child tables; line format as in catalogue.py."""

from __future__ import annotations

SUPPLIER_INVOICE = """
entityCode c20 k1 r
postingYear i k2
daybookCode c8 k3 r
voucher i k4
postingPeriod i s b
registrationNumber i s b
supplierCode c8 r b
sharedSetCode c20 s
supplierName c36 s b
invoiceReference c40 r b
invoiceType c24 r b
invoiceDate t r b
postingDate t b
dueDate t b
discountDueDate t
taxPointDate t
currencyCode c3 r b
exchangeRate d b
originalAmountTC d r b
originalAmountLC d s b
balanceTC d s b
holdAmountTC d b
taxAmountTC d b
invoiceStatusCode c20 r b
allocationStatus c24 s b
isInitialStatus l s b
isReceiverMatching l s b
isInvoiceApproved l s b
isLockPayment l b
isOpen l s b
isSelected l s b
isTaxable l b
isSubmittedForApproval l s b
receiverMatchingStatus c20 s b
creditTermsCode c8 r b
description c40 b
comment c2000
supplierInvoicePOs x
receiverMatchingLines x
supplierInvoiceLines x
"""

SUPPLIER_PAYMENT = """
entityCode c20 k1
paymentYear i k2
paymentNumber i k3
paymentInstrument c20 b
paymentStatus c20 b
paymentReference c40 b
supplierCode c8 b
bankAccountCode c20 b
creationDate t b
valueDate t b
currencyCode c3 b
paymentAmountTC d b
supplierPaymentAllocations x
"""

GL_ACCOUNT = """
sharedSetCode c20 k1
accountCode c8 k2
description c24 b
accountType c20 b
isActive l b
isSubAccountRequired l b
isCostCenterRequired l b
isProjectRequired l b
"""

COST_CENTER = """
sharedSetCode c20 k1
costCenterCode c8 k2
description c24 b
isActive l b
"""

PROJECT = """
sharedSetCode c20 k1
projectCode c8 k2
description c24 b
isActive l b
"""

TABLES = {
    "supplierInvoicePOs": "poDomainCode c8 r\npurchaseOrderNumber c8 r",
    "receiverMatchingLines": """
purchaseOrderNumber c8 r
purchaseOrderLine i
receiverNumber c8 r
matchQuantity d
matchUnitPrice d
varianceRateTC d s
varianceUsageTC d s
isFinished l
""",
    "supplierInvoiceLines": """
line i
glAccountCode c8 r
subAccountCode c8
costCenterCode c8
projectCode c8
amountTC d
description c40
taxAmountTC d
taxCode c8
taxPointDate t
""",
    "supplierPaymentAllocations": """
invoicePostingYear i
invoiceDaybookCode c8
invoiceVoucher i
invoiceReference c40
allocatedAmountTC d
discountAmountTC d
""",
}
