"""The story that the demo plays and the tests replay: seven approved invoices and what QAD knows about their orders.

INV-1001 plain · INV-1002 several lines over two orders with tax and freight · INV-1003 in yen · CN-1004 a credit
note · INV-1005 without a receipt · INV-1006 whose order is not in QAD · INV-1007 whose lines do not add up.
INV-1008 is the later second invoice over the receipt that INV-1005 waits for. On the way back QAD pays INV-1001 in full
and INV-1002 in part, voids the first payment and pays again; at last INV-1003 is voided in Coupa although it is posted.

Beside it stands the story of the exceptions in QAD that become issues in Jira: INV-3001 was billed above the order's
price and is held for it · INV-3002 agrees with its order and is held by a person · INV-3003 is in order · PO200004
has one line that is five days late in part and one that was received.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

Json = dict[str, Any]

SUPPLIERS = {"SUP00001": "Acme Metals", "SUP00003": "Cedar Falls Packaging", "SUP00007": "Grandview Chemicals"}


def qad() -> Json:
    """Orders and receipts, to be seeded over the base masters."""
    orders = [
        _order("PO100001", "SUP00001", "USD", [("ITEM0001", 50, 12)]),
        _order("PO100002", "SUP00003", "USD", [("ITEM0003", 200, 1.25), ("ITEM0005", 40, 4.5)]),
        _order("PO100003", "SUP00003", "USD", [("ITEM0004", 10, 30)]),
        _order("PO100004", "SUP00007", "JPY", [("ITEM0004", 30, 1500)]),
        _order("PO100005", "SUP00001", "USD", [("ITEM0002", 100, 8)]),
        _order("PO100006", "SUP00001", "USD", [("ITEM0002", 20, 8)]),
    ]
    receipts = [
        _receipt("PO100001", 1, "RC000001", 50, "SUP00001", "2026-02-03"),
        _receipt("PO100002", 1, "RC000003", 200, "SUP00003", "2026-02-03"),
        _receipt("PO100002", 2, "RC000004", 25, "SUP00003", "2026-02-03"),
        _receipt("PO100002", 2, "RC000005", 15, "SUP00003", "2026-02-05"),
        _receipt("PO100003", 1, "RC000006", 10, "SUP00003", "2026-02-04"),
        _receipt("PO100004", 1, "RC000007", 30, "SUP00007", "2026-02-05"),
        _receipt("PO100006", 1, "RC000008", 20, "SUP00001", "2026-02-05"),
    ]
    return {"purchaseOrders": orders, "receipts": receipts}


def coupa() -> Json:
    """The seven invoices, approved and not exported, in the order of the story."""
    invoices = [
        _invoice(4001, "INV-1001", "SUP00001", [_line("PO100001", 1, "50", "12.00", "600.00")], "600.00"),
        _invoice(
            4002,
            "INV-1002",
            "SUP00003",
            [
                _line("PO100002", 1, "200", "1.25", "250.00", tax="20.00"),
                _line("PO100002", 2, "40", "4.50", "180.00", tax="14.40"),
                _line("PO100003", 1, "10", "30.00", "300.00", tax="24.00"),
            ],
            "813.40",
            shipping="25.00",
        ),
        _invoice(4003, "INV-1003", "SUP00007", [_line("PO100004", 1, "30", "1500", "45000")], "45000", currency="JPY"),
        _invoice(
            4004,
            "CN-1004",
            "SUP00001",
            [_line("PO100001", 1, "-5", "12.00", "-60.00")],
            "-60.00",
            kind="Credit Note",
        ),
        _invoice(4005, "INV-1005", "SUP00001", [_line("PO100005", 1, "40", "8.00", "320.00")], "320.00"),
        _invoice(4006, "INV-1006", "SUP00003", [_line("PO109999", 1, "4", "9.00", "36.00")], "36.00"),
        _invoice(4007, "INV-1007", "SUP00001", [_line("PO100006", 1, "20", "8.00", "160.00")], "175.00"),
    ]
    order = {"po-number": "PO109999", "status": "issued", "supplier": {"number": "SUP00003"}}
    # The base has the other two, under names of their own; QAD's names come with the first alignment.
    supplier = {"number": "SUP00007", "name": "Grandview Chem."}
    return {"suppliers": [supplier], "purchase_orders": [order], "invoices": invoices}


def qad_exceptions(today: date | None = None) -> Json:
    """Orders, receipts and posted invoices some of them exceptions as of a day; seeded over the base masters."""
    today = today or datetime.now(UTC).date()
    late, early = today - timedelta(days=5), (today - timedelta(days=12)).isoformat()
    orders = [
        _order("PO200001", "SUP00001", "USD", [("ITEM0001", 50, 12)]),
        _order("PO200002", "SUP00003", "USD", [("ITEM0003", 200, 1.25)]),
        _order("PO200003", "SUP00001", "USD", [("ITEM0002", 20, 8)]),
        _order("PO200004", "SUP00007", "USD", [("ITEM0004", 40, 30), ("ITEM0005", 10, 4.5)]),
    ]
    for line in (line for order in orders for line in order["lines"]):
        line["dueDate"] = late.isoformat()
    receipts = [
        _receipt("PO200001", 1, "RC200001", 50, "SUP00001", early),
        _receipt("PO200002", 1, "RC200002", 200, "SUP00003", early),
        _receipt("PO200003", 1, "RC200003", 20, "SUP00001", early),
        _receipt("PO200004", 1, "RC200004", 15, "SUP00007", early),
        _receipt("PO200004", 2, "RC200005", 10, "SUP00007", early),
    ]
    posted = today - timedelta(days=2)
    freight = {"line": 1, "glAccountCode": "6200", "costCenterCode": "CC40", "amountTC": 15, "description": "Freight"}
    invoices = [
        _posted("INV-3001", "SUP00001", posted, _match("PO200001", "RC200001", 50, 12.5), 640)
        | {"supplierInvoiceLines": [freight]},
        _posted("INV-3002", "SUP00003", posted, _match("PO200002", "RC200002", 200, 1.25), 250)
        | {"holdAmountTC": 100, "comment": "Held by hand: the delivery note is missing."},
        _posted("INV-3003", "SUP00001", posted, _match("PO200003", "RC200003", 20, 8), 160),
    ]
    return {"purchaseOrders": orders, "receipts": receipts, "supplierInvoices": invoices}


def jira() -> Json:
    """What the story needs in Jira beyond the base: nothing, issues come from the exceptions in QAD."""
    return {}


def second_invoice() -> Json:
    """An invoice over goods that INV-1005 has been matched with already."""
    return _invoice(4008, "INV-1008", "SUP00001", [_line("PO100005", 1, "40", "8.00", "320.00")], "320.00")


def payments() -> list[Json]:
    """What QAD pays first: one invoice in full and one in part."""
    return [{"invoiceReference": "INV-1001"}, {"invoiceReference": "INV-1002", "amount": 400}]


def voided_payment() -> Json:
    """The first payment of a tenant, taken back."""
    return {"paymentNumber": 50001, "status": "Void"}


def payment_again() -> Json:
    """The invoice of the voided payment, paid after all."""
    return {"invoiceReference": "INV-1001"}


def voided_invoice() -> Json:
    """A posted invoice that somebody voids in Coupa; it goes on showing itself as exported."""
    return {"id": 4003, "keep_exported": True}


def _order(number: str, supplier: str, currency: str, lines: list[tuple[str, int, float]]) -> Json:
    return {
        "purchaseOrderNumber": number,
        "supplierCode": supplier,
        "currencyCode": currency,
        "lines": [
            {"purchaseOrderLine": n, "itemCode": item, "quantityOrdered": quantity, "purchaseCost": price}
            for n, (item, quantity, price) in enumerate(lines, start=1)
        ],
    }


def _receipt(order: str, line: int, receiver: str, quantity: int, supplier: str, day: str) -> Json:
    return {
        "purchaseOrderNumber": order,
        "purchaseOrderLine": line,
        "receiverNumber": receiver,
        "quantityReceived": quantity,
        "supplierCode": supplier,
        "receiptDate": day,
    }


def _match(order: str, receiver: str, quantity: int, price: float) -> Json:
    return {
        "purchaseOrderNumber": order,
        "purchaseOrderLine": 1,
        "receiverNumber": receiver,
        "matchQuantity": quantity,
        "matchUnitPrice": price,
        "isFinished": True,
    }


def _posted(number: str, supplier: str, day: date, match: Json, amount: int) -> Json:
    return {
        "supplierCode": supplier,
        "supplierName": SUPPLIERS[supplier],
        "invoiceReference": number,
        "invoiceDate": (day - timedelta(days=1)).isoformat(),
        "postingDate": day.isoformat(),
        "originalAmountTC": amount,
        "description": f"Goods of {match['purchaseOrderNumber']}",
        "supplierInvoicePOs": [{"poDomainCode": "10USA", "purchaseOrderNumber": match["purchaseOrderNumber"]}],
        "receiverMatchingLines": [match],
    }


def _invoice(
    key: int,
    number: str,
    supplier: str,
    lines: list[Json],
    total: str,
    *,
    currency: str = "USD",
    kind: str = "Invoice",
    shipping: str = "0.00",
) -> Json:
    return {
        "id": key,
        "invoice-number": number,
        "invoice-date": "2026-02-09T00:00:00-08:00",
        "document-type": kind,
        "status": "approved",
        "exported": False,
        "currency": {"code": currency},
        "supplier": {"number": supplier, "name": SUPPLIERS[supplier]},
        "line-level-taxation": True,
        "shipping-amount": shipping,
        "total-with-taxes": total,
        "gross-total": total,
        "payment-channel": "ERP",
        "invoice-lines": [{"line-num": n, "currency": {"code": currency}, **line} for n, line in enumerate(lines, 1)],
    }


def _line(order: str, number: int, quantity: str, price: str, total: str, *, tax: str = "0.00") -> Json:
    return {
        "type": "InvoiceQuantityLine",
        "description": f"Goods of {order} line {number}",
        "po-number": order,
        "order-line-num": str(number),
        "quantity": quantity,
        "price": price,
        "total": total,
        "tax-amount": tax,
    }
