"""Which attributes each Coupa resource has and of what kind; drives defaults, filters, scales and the fields argument.

A model is written as `name:kind` words. Kinds: int, text, bool, time, json, custom, dec1/dec2/dec4 (a decimal that
travels as text with at least so many places), another model's name, or [model] for a list.
"""

from __future__ import annotations

from dataclasses import dataclass

_STAMPS = "id:int created-at:time updated-at:time"
_SEGMENTS = " ".join(f"segment-{number}:text" for number in range(1, 21))
_ADDRESS = (
    "id:int name:text location-code:text street1:text street2:text street3:text street4:text city:text state:text "
    "postal-code:text attention:text active:bool vat-number:text local-tax-number:text country:country"
)
_NOTICE = (
    f"{_STAMPS} contact-alert-type:text creation-method:text document-id:int document-revision:int "
    "document-status:text document-type:text external-id:text integration:integration-ref integration-filename:text "
    "integration-run:integration-run-ref integration-run-id:int resolved:bool responses:[integration-response] "
    "status:text"
)
_TRANSACTION = (
    f"{_STAMPS} account:account-ref account-allocations:[allocation] barcode:text comments:text currency:currency-ref "
    "exported:bool item:item last-exported-at:time match-reference:text notes:text order-line:order-line-ref "
    "original-transaction-id:int price:dec2 quantity:dec1 received-weight:dec1 rfid-tag:text status:text "
    "to-warehouse:named to-warehouse-location:warehouse-location total:dec2 transaction-date:time type:text uom:uom "
    "voided-value:dec2 current-integration-history-records:[integration-history-record] custom-fields:custom"
)

_MODELS: dict[str, str] = {
    # Parts that only appear inside other records.
    "country": "id:int code:text name:text",
    "named": "id:int name:text",
    "warehouse-location": "id:int label:text aisle:text bin:text level:text warehouse-name:text",
    "uom": "id:int code:text name:text",
    "item": "id:int item-number:text name:text description:text",
    "commodity": "id:int name:text active:bool",
    "tax-code": "id:int code:text description:text percentage:dec2",
    "user": "id:int login:text email:text fullname:text",
    "phone": "id:int country-code:text area-code:text number:text extension:text",
    "contact": "id:int email:text name-given:text name-family:text name-fullname:text phone-work:phone "
    "phone-mobile:phone",
    "address": _ADDRESS,
    "remit-to-address": _ADDRESS.replace("location-code:text", "remit-to-code:text").replace("attention:text ", "")
    + " external-src-name:text external-src-ref:text",
    "shipping-term": "id:int code:text description:text",
    "tag": "id:int name:text description:text",
    "reason": "id:int code:text description:text",
    "tax-line": f"{_STAMPS} amount:dec2 base:dec2 basis:dec2 code:text description:text kind-of-factor:text "
    "nature-of-tax:text rate:dec1 tax-code:tax-code taxable-amount:dec2 type:text withholding-amount:dec2",
    "allocation": f"{_STAMPS} account:account-ref amount:dec2 pct:dec1",
    "invoice-allocation": f"{_STAMPS} account:account-ref amount:dec2 pct:dec1 billing-note:text",
    "payment": f"{_STAMPS} amount-paid:dec2 category:text check-number:text notes:text payable-id:int "
    "payable-type:text payment-date:time",
    "charge": f"{_STAMPS} account:account-ref account-allocations:[invoice-allocation] accounting-total:dec2 "
    "billing-note:text currency:currency-ref description:text distributed:bool line-num:int pct:dec1 "
    "tax-lines:[tax-line] total:dec2 type:text",
    "integration-response": f"{_STAMPS} response-code:text response-message:text",
    # References: the attributes by which one record shows another.
    "account-type-ref": "id:int name:text active:bool",
    "account-ref": f"id:int code:text name:text active:bool account-type:account-type-ref {_SEGMENTS}",
    "currency-ref": "id:int code:text decimals:int",
    "payment-term-ref": "id:int code:text description:text days-for-net-payment:int days-for-discount-payment:int "
    "discount-rate:dec1 type:text",
    "supplier-ref": "id:int name:text display-name:text number:text",
    "lookup-ref": "id:int name:text active:bool",
    "lookup-value-ref": "id:int name:text external-ref-num:text external-ref-code:text",
    "order-line-ref": "id:int line-num:text order-header-id:int order-header-number:text status:text",
    "invoice-line-ref": "id:int invoice-header-id:int line-num:int",
    "integration-ref": "id:int code:text name:text business-object:text direction:text",
    "integration-run-ref": "id:int status:text",
    # Resources.
    "invoice-line": f"{_STAMPS} account:account-ref account-allocations:[invoice-allocation] accounting-total:dec2 "
    "accounting-total-currency:currency-ref billing-note:text category:text commodity:commodity currency:currency-ref "
    "delivery-note-number:text description:text discount-amount:dec2 handling-distribution-total:dec2 item:item "
    "line-num:int match-reference:text misc-distribution-total:dec2 order-header-num:text order-line-id:int "
    "order-line-num:text order-line-source-part-num:text po-number:text price:dec2 quantity:dec1 "
    "shipping-distribution-total:dec2 source-part-num:text status:text supp-aux-part-num:text tags:[tag] "
    "tax-amount:dec2 tax-code:tax-code tax-description:text tax-distribution-total:dec2 tax-lines:[tax-line] "
    "tax-location:text tax-rate:dec1 tax-supply-date:time total:dec2 type:text uom:uom "
    "withholding-tax-lines:[tax-line] custom-fields:custom",
    "invoice": f"{_STAMPS} account-type:account-type-ref amount-due:dec2 amount-due-less-discount:dec2 "
    "amount-of-advance-payment:dec2 attachments:json bill-to-address:address buyer-representative-name:text "
    "canceled:bool channel:text comments:text compliant:bool credit-reason:text currency:currency-ref "
    "current-integration-history-records:[integration-history-record] created-by:user date-received:time "
    "delivery-date:time delivery-number:text discount-amount:dec2 discount-due-date:time discount-percent:dec1 "
    "dispute-method:text dispute-reasons:[reason] document-type:text early-payment-provisions:text exchange-rate:dec4 "
    "exported:bool folio-number:text form-of-payment:text gross-total:dec2 gross-total-less-discount:dec2 "
    "handling-amount:dec4 image-scan:text image-scan-url:text internal-note:text invoice-charges:[charge] "
    "invoice-date:time invoice-lines:[invoice-line] invoice-number:text invoice-reference-number:text "
    "is-credit-note:bool last-exported-at:time line-count:text line-level-taxation:bool lock-version-key:int "
    "misc-amount:dec4 net-due-date:time net-total-less-discount:dec2 original-invoice-date:time "
    "original-invoice-number:text paid:bool payment-channel:text payment-date:time payment-method:text "
    "payment-notes:text payment-order-number:text payment-order-reference:text payment-term:payment-term-ref "
    "payments:[payment] remit-to-address:remit-to-address requested-by:user requester-email:text requester-name:text "
    "series:text ship-to-address:address shipping-amount:dec4 shipping-term:shipping-term status:text "
    "supplier:supplier-ref supplier-created:text supplier-note:text supplier-total:dec2 tags:[tag] tax-amount:dec2 "
    "tax-amount-engine:dec2 tax-code:tax-code tax-due-to-supplier:dec2 tax-lines:[tax-line] tax-rate:dec1 "
    "total-taxes-less-discount:dec2 total-with-taxes:dec2 updated-by:user withholding-tax-lines:[tax-line] "
    "custom-fields:custom",
    "order-line": f"{_STAMPS} account:account-ref account-allocations:[allocation] account-type:account-type-ref "
    "accounting-total:dec2 commodity:commodity currency:currency-ref description:text invoice-stop:bool invoiced:dec1 "
    "item:item line-num:text match-type:text need-by-date:time order-header-id:int order-header-number:text price:dec2 "
    "quantity:dec1 receipt-required:bool received:dec1 reporting-total:dec2 service-type:text source-part-num:text "
    "status:text sub-line-num:int supp-aux-part-num:text supplier:supplier-ref supplier-order-number:text total:dec2 "
    "total-invoiced:dec2 type:text uom:uom version:int custom-fields:custom",
    "purchase-order": f"{_STAMPS} acknowledged-at:time acknowledged-flag:bool change-type:text classification:text "
    "created-by:user currency:currency-ref current-integration-history-records:[integration-history-record] "
    "exported:bool internal-revision:int invoice-stop:bool last-exported-at:time order-lines:[order-line] "
    "payment-method:text payment-term:payment-term-ref po-number:text requester:user ship-to-address:address "
    "ship-to-attention:text ship-to-user:user shipping-term:shipping-term status:text supplier:supplier-ref "
    "transmission-status:text type:text updated-by:user version:int custom-fields:custom",
    "supplier": f"{_STAMPS} account-number:text business-groups:json buyer-hold:bool commodity:commodity "
    "contacts:[contact] corporate-url:text default-locale:text display-name:text duns:text "
    "invoice-matching-level:text name:text number:text on-hold:bool one-time-supplier:bool parent:supplier-ref "
    "payment-method:text payment-term:payment-term-ref po-change-method:text po-email:text po-method:text "
    "primary-address:address primary-contact:contact remit-to-addresses:[remit-to-address] "
    "shipping-term:shipping-term status:text supplier-addresses:[address] tax-code:tax-code tax-id:text "
    "type:text website:text custom-fields:custom",
    "lookup": f"{_STAMPS} active:bool description:text fixed-depth:bool name:text values-count:int "
    + " ".join(f"level-{number}-name:text" for number in range(1, 11)),
    "lookup-value": f"{_STAMPS} active:bool children-count:int depth:int description:text external-ref-code:text "
    "external-ref-num:text is-default:bool lookup:lookup-ref lookup-id:int name:text parent:lookup-value-ref "
    "parent-id:int account-type:account-type-ref custom-fields:custom",
    "account": f"{_STAMPS} account-type:account-type-ref account-type-id:int active:bool code:text name:text "
    f"{_SEGMENTS}",
    "account-type": f"{_STAMPS} active:bool currency:currency-ref dynamic-flag:bool legal-entity-name:text name:text",
    "payment-term": f"{_STAMPS} active:bool code:text days-for-discount-payment:int days-for-net-payment:int "
    "description:text discount-cutoff-day:int discount-due-day:int discount-due-month:int discount-rate:dec1 "
    "net-cutoff-day:int net-due-day:int net-due-month:int type:text",
    "currency": "id:int code:text decimals:int enabled:bool name:text symbol:text",
    "exchange-rate": f"{_STAMPS} from-currency:currency-ref rate:dec4 rate-date:time to-currency:currency-ref",
    "integration": f"{_STAMPS} business-object:text code:text direction:text end-system:text end-system-type:text "
    "integration-type:text name:text standard:bool",
    "integration-contact": f"{_STAMPS} contact-alert-type:text contactable-id:int contactable-type:text "
    "integration:integration-ref",
    "integration-run": f"{_STAMPS} end-time:time integration:integration-ref records-processed:int start-time:time "
    "status:text total-records:int",
    "integration-history-record": _NOTICE,
    "integration-error": _NOTICE,
    "receiving-transaction": _TRANSACTION,
    "matching-allocation": f"{_STAMPS} amount:dec2 inventory-transaction-id:int invoice-line:invoice-line-ref "
    "invoice-line-id:int order-line-id:int quantity:dec1 status:text",
}


# How one record shows another: model of the reference -> collection, model, and the keys that identify it.
REFERENCES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "supplier-ref": ("suppliers", "supplier", ("id", "number", "name")),
    "currency-ref": ("currencies", "currency", ("id", "code")),
    "payment-term-ref": ("payment_terms", "payment-term", ("id", "code")),
    "account-type-ref": ("account_types", "account-type", ("id", "name")),
    "account-ref": ("accounts", "account", ("id", "code")),
    "lookup-ref": ("lookups", "lookup", ("id", "name")),
    "lookup-value-ref": ("lookup_values", "lookup-value", ("id", "external-ref-code")),
    "order-line-ref": ("purchase_order_lines", "order-line", ("id",)),
    "integration-ref": ("integrations", "integration", ("id", "code", "name")),
    "integration-run-ref": ("integration_runs", "integration-run", ("id",)),
}

# The collections of the API and the model of their records, masters before what refers to them.
COLLECTIONS: dict[str, str] = {
    "currencies": "currency",
    "payment_terms": "payment-term",
    "account_types": "account-type",
    "accounts": "account",
    "exchange_rates": "exchange-rate",
    "lookups": "lookup",
    "lookup_values": "lookup-value",
    "suppliers": "supplier",
    "integrations": "integration",
    "integration_contacts": "integration-contact",
    "integration_runs": "integration-run",
    "purchase_orders": "purchase-order",
    "purchase_order_lines": "order-line",
    "receiving_transactions": "receiving-transaction",
    "invoices": "invoice",
    "matching_allocations": "matching-allocation",
    "integration_history_records": "integration-history-record",
    "integration_errors": "integration-error",
}


@dataclass(frozen=True)
class Attribute:
    """One attribute: its kind, or the model it holds (once or as a list)."""

    kind: str
    model: str | None = None
    many: bool = False

    @property
    def places(self) -> int | None:
        """Least number of decimal places when the attribute is a decimal."""
        return int(self.kind[3:]) if self.kind.startswith("dec") else None


Model = dict[str, Attribute]


def _attribute(kind: str) -> Attribute:
    if kind.startswith("["):
        return Attribute("list", kind[1:-1], many=True)
    return Attribute("object", kind) if kind in _MODELS else Attribute(kind)


MODELS: dict[str, Model] = {
    model: {name: _attribute(kind) for name, kind in (word.split(":") for word in text.split())}
    for model, text in _MODELS.items()
}
