"""Plain documents for the flow tests: invoices that each bill one purchase order line, all of it received."""

from __future__ import annotations

from tests.engine.world import Json

SUPPLIER = "SUP00001"
QUANTITY = 10
PRICE = 5
FIRST_KEY = 6001


def plain_invoices(count: int) -> dict[str, Json]:
    """Seeds of both tenants for approved invoices INV-2001, INV-2002 ... over PO200001, PO200002 ..."""
    numbers = range(1, count + 1)
    return {
        "coupa": {"invoices": [*map(_invoice, numbers)]},
        "qad": {"purchaseOrders": [*map(_order, numbers)], "receipts": [*map(_receipt, numbers)]},
    }


def invoice_line(n: int, quantity: int) -> Json:
    """The one line of the nth invoice."""
    return {
        "line-num": 1,
        "type": "InvoiceQuantityLine",
        "description": f"Goods of PO20000{n}",
        "po-number": f"PO20000{n}",
        "order-line-num": "1",
        "quantity": str(quantity),
        "price": f"{PRICE}.00",
        "total": f"{quantity * PRICE}.00",
        "currency": {"code": "USD"},
    }


def _invoice(n: int) -> Json:
    return {
        "id": FIRST_KEY + n - 1,
        "invoice-number": f"INV-200{n}",
        "invoice-date": "2026-02-09T00:00:00-08:00",
        "document-type": "Invoice",
        "status": "approved",
        "exported": False,
        "currency": {"code": "USD"},
        "supplier": {"number": SUPPLIER},
        "total-with-taxes": f"{QUANTITY * PRICE}.00",
        "gross-total": f"{QUANTITY * PRICE}.00",
        "payment-channel": "ERP",
        "invoice-lines": [invoice_line(n, QUANTITY)],
    }


def _order(n: int) -> Json:
    line = {"purchaseOrderLine": 1, "itemCode": "ITEM0001", "quantityOrdered": QUANTITY, "purchaseCost": PRICE}
    return {"purchaseOrderNumber": f"PO20000{n}", "supplierCode": SUPPLIER, "currencyCode": "USD", "lines": [line]}


def _receipt(n: int) -> Json:
    return {
        "purchaseOrderNumber": f"PO20000{n}",
        "purchaseOrderLine": 1,
        "receiverNumber": f"RC20000{n}",
        "quantityReceived": QUANTITY,
        "supplierCode": SUPPLIER,
        "receiptDate": "2026-02-03",
    }
