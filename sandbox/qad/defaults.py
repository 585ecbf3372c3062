"""The fixed defaults of partial seed records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.kit.app import BadRequest
from sandbox.qad import matching
from sandbox.qad.outcome import Context
from sandbox.qad.values import Record

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

_DAY = date(2026, 2, 1)


def period(item: Any) -> tuple[int, int]:
    """Year and period of "2026/01" or {"year": 2026, "period": 1}; raises BadRequest."""
    try:
        if isinstance(item, dict):
            return int(item["year"]), int(item["period"])
        year, _, month = str(item).partition("/")
        return int(year), int(month)
    except (KeyError, ValueError) as error:
        raise BadRequest(f"not a period: {item!r}") from error


def _code(item: Record, name: str) -> str:
    code = item.get(name, item.get("code"))
    if not isinstance(code, str) or not code:
        raise BadRequest(f"a record without {name}")
    return code


def _daybook(item: Record) -> Record:
    return {"type": "Supplier Invoices", "description": ""} | item | {"code": _code(item, "daybookCode")}


def _terms(item: Record) -> Record:
    code = _code(item, "creditTermsCode")
    digits = code.removeprefix("N")
    return {"days": int(digits) if digits.isdigit() else 30, "description": ""} | item | {"code": code}


def _status(item: Record) -> Record:
    standard = {
        "lockPayment": False,
        "invoiceApproved": False,
        "allocationStatus": "No Allocation",
        "initialStatus": False,
        "receiverMatching": True,
        "statusAfterMatch": None,
    }
    return standard | item | {"code": _code(item, "invoiceStatusCode")}


MASTERS: dict[str, Callable[[Record], Record]] = {
    "daybooks": _daybook,
    "creditTerms": _terms,
    "invoiceStatusCodes": _status,
}


def _domain(tenant: QadTenant) -> str:
    return tenant.system_context().domain


def _account(tenant: QadTenant, given: Record) -> Record:
    code = _code(given, "accountCode")
    shared = tenant.options.shared_set_account
    return {
        "sharedSetCode": shared,
        "accountCode": code,
        "description": f"Account {code}",
        "accountType": "GL",
        "isActive": True,
    }


def _cost_center(tenant: QadTenant, given: Record) -> Record:
    code = _code(given, "costCenterCode")
    shared = tenant.options.shared_set_cost_center
    return {"sharedSetCode": shared, "costCenterCode": code, "description": f"Cost centre {code}", "isActive": True}


def _project(tenant: QadTenant, given: Record) -> Record:
    code = _code(given, "projectCode")
    shared = tenant.options.shared_set_project
    return {"sharedSetCode": shared, "projectCode": code, "description": f"Project {code}", "isActive": True}


def _item(tenant: QadTenant, given: Record) -> Record:
    code = _code(given, "itemCode")
    return {
        "domainCode": _domain(tenant),
        "itemCode": code,
        "description1": f"Item {code}",
        "unitOfMeasure": "EA",
        "itemStatus": "AC",
        "isActive": True,
    }


def relation(tenant: QadTenant, given: Record) -> Record:
    """Defaults of a business relation."""
    code = _code(given, "businessRelationCode")
    return {
        "businessRelationCode": code,
        "businessRelationName": f"Supplier {code}",
        "addressTypeCode": "HEADOFFICE",
        "isActive": True,
    }


PLAIN: dict[str, Callable[[QadTenant, Record], Record]] = {
    "glAccount": _account,
    "costCenter": _cost_center,
    "project": _project,
    "item": _item,
    "businessRelation": relation,
}


def _next_supplier(tenant: QadTenant) -> str:
    while True:
        code = f"SUP{tenant.next_number('supplier', 1):05d}"
        if tenant.find("supplier", tenant.options.shared_set_supplier, code) is None:
            return code


def _next_order(tenant: QadTenant) -> str:
    while True:
        number = f"PO{tenant.next_number('purchaseOrder', 100001):06d}"
        if tenant.find("purchaseOrder", _domain(tenant), number) is None:
            return number


def supplier(tenant: QadTenant, given: Record) -> Record:
    """Defaults of a supplier; without a code the next SUPnnnnn."""
    code = given.get("supplierCode") or _next_supplier(tenant)
    options = tenant.options
    return {
        "sharedSetCode": options.shared_set_supplier,
        "sharedSetID": 1,
        "supplierCode": code,
        "supplierID": tenant.next_number("supplierID", 1),
        "businessRelationCode": code,
        "addressName": f"Supplier {code}",
        "addressSearchName": code,
        "addressTypeCode": "HEADOFFICE",
        "countryCode": "USA",
        "isActive": True,
        "currencyCode": "USD",
        "languageCode": "us",
        "creditTermsCode": "N30",
        "invoiceStatusCode": "AP-INITIAL",
        "invoiceControlGLProfileCode": "AP-CTRL",
        "creditNoteControlGLProfileCode": "AP-CN",
        "prePaymentControlGLProfileCode": "AP-PRE",
        "purchaseAccountGLProfileCode": "AP-PUR",
        "isTaxableSupplier": True,
    }


def order(tenant: QadTenant, given: Record) -> Record:
    """Defaults of a purchase order header; without a number the next POnnnnnn."""
    number = given.get("purchaseOrderNumber") or _next_order(tenant)
    return {
        "domainCode": _domain(tenant),
        "purchaseOrderNumber": number,
        "supplierCode": "SUP00001",
        "currencyCode": "USD",
        "exchangeRate": Decimal(1),
        "exchangeRate2": Decimal(1),
        "exchangeRateType": "ACCOUNTING",
        "creditTermsCode": "N30",
        "daybookSetCode": "PO-SET",
        "shipToSite": tenant.options.sites[0],
        "billToCode": tenant.options.sites[0],
        "languageCode": "us",
        "orderDate": _DAY,
        "dueDate": _DAY + timedelta(days=28),
        "orderStatus": "O",
        "isConfirmed": True,
    }


def line(tenant: QadTenant, given: Record) -> Record:
    """Defaults of an order line; without a number the next of its order."""
    domain = given.get("domainCode") or _domain(tenant)
    number = _code(given, "purchaseOrderNumber")
    header = tenant.find("purchaseOrder", domain, number)
    return {
        "domainCode": domain,
        "purchaseOrderNumber": number,
        "purchaseOrderLine": tenant.numbers.get(("line", domain, number), 0) + 1,
        "siteCode": tenant.options.sites[0],
        "itemCode": "ITEM0001",
        "itemDescription": "Item ITEM0001",
        "unitOfMeasure": "EA",
        "quantityOrdered": Decimal(10),
        "purchaseCost": Decimal(10),
        "dueDate": header.record["dueDate"] if header else None,
        "lineStatus": "O",
        "purchaseAccountCode": "6100",
        "costCenterCode": "CC10",
    }


def receipt(tenant: QadTenant, given: Record) -> Record:
    """Defaults of a receipt: its order line, all of the ordered quantity, the next receiver number."""
    domain = given.get("domainCode") or _domain(tenant)
    place = (domain, _code(given, "purchaseOrderNumber"), given.get("purchaseOrderLine", 1))
    found = tenant.find("purchaseOrderLine", *place)
    source = found.record if found else {}
    header = tenant.find("purchaseOrder", *place[:2])
    number = given.get("receiverNumber") or f"RC{tenant.next_number('receiver', 4001):06d}"
    standard = {
        "domainCode": domain,
        "receiverNumber": number,
        "purchaseOrderNumber": place[1],
        "purchaseOrderLine": place[2],
        "receiptDate": tenant.today(),
        "packingSlipNumber": f"PS-{number}",
        "supplierCode": header.record["supplierCode"] if header else "",
        "quantityReceived": source.get("quantityOrdered", Decimal(0)),
    }
    copied = ("itemCode", "unitOfMeasure", "purchaseCost", "siteCode")
    return standard | {name: source[name] for name in copied if source}


def invoice(tenant: QadTenant, given: Record) -> Record:
    """Defaults of a supplier invoice, as if QAD had posted it already."""
    context: Context = tenant.system_context(given.get("entityCode", ""))
    amount = given.get("originalAmountTC", Decimal(100))
    posted = given.get("postingDate") or _DAY + timedelta(days=9)
    matched = bool(given.get(matching.LINES))
    return {
        "entityCode": context.entity,
        "daybookCode": "APCR" if given.get("invoiceType") == "Credit Note" else "APINV",
        "supplierCode": "SUP00001",
        "sharedSetCode": tenant.options.shared_set_supplier,
        "supplierName": f"Supplier {given.get('supplierCode', 'SUP00001')}",
        "invoiceReference": f"INV-{tenant.next_number('reference', 20001)}",
        "invoiceType": "Invoice",
        "invoiceDate": given.get("invoiceDate") or posted - timedelta(days=1),
        "postingDate": posted,
        "taxPointDate": posted,
        "dueDate": posted + timedelta(days=30),
        "currencyCode": "USD",
        "exchangeRate": Decimal(1),
        "originalAmountTC": amount,
        "originalAmountLC": amount,
        "balanceTC": amount,
        "isOpen": True,
        "invoiceStatusCode": "AP-RMALLOC" if matched else "AP-NOALLOC",
        "receiverMatchingStatus": "FINISHED" if matched else "INITIAL",
        "creditTermsCode": "N30",
    }


def payment(tenant: QadTenant, given: Record) -> Record:
    """Defaults of a supplier payment."""
    day = given.get("creationDate") or _DAY + timedelta(days=20)
    return {
        "entityCode": tenant.system_context().entity,
        "paymentYear": day.year,
        "paymentInstrument": "Electronic Transfer",
        "paymentStatus": "Paid",
        "supplierCode": "SUP00001",
        "bankAccountCode": "BANK01",
        "creationDate": day,
        "valueDate": day,
        "currencyCode": "USD",
    }
