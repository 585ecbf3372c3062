"""The stand-in tenants of a benchmark, each in a process of its own, and the documents in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

WORKERS = 8
PER_ORDER = 10
_OPTIONS = {"coupa": ("--option", "throttle=false"), "qad": ()}
_LOT = 1000
Json = dict[str, Any]


class Tenants:
    """A Coupa and a QAD tenant over real HTTP; their time limits the connector and the bare loop alike."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        self._http = httpx.Client(timeout=300, trust_env=False)

    def reset(self) -> None:
        """Empty tenants with their masters alone."""
        for name in self.urls:
            self._post(name, "reset", {})
            self._post(name, "seed/base", {})

    def seed(self, first: int, count: int) -> None:
        """Approved invoices with running numbers from `first`, ten to an order, each order received in full."""
        for start in range(first, first + count, _LOT):
            numbers = range(start, min(start + _LOT, first + count))
            orders = sorted({_order(number) for number in numbers})
            receipts = [_receipt(order) for order in orders]
            self._post("qad", "seed", {"purchaseOrders": [_purchase(one) for one in orders], "receipts": receipts})
            self._post("coupa", "seed", {"invoices": [_invoice(number) for number in numbers]})

    def slow_down(self, seconds: float) -> None:
        """Every call takes so much longer from now on."""
        for name in self.urls:
            self._http.delete(f"{self.urls[name]}/_sandbox/faults").raise_for_status()
            if seconds:
                self._post(name, "faults", {"kind": "slow", "seconds": seconds, "times": -1})

    def calls(self) -> int:
        """How many calls both have received so far, logins included."""
        answers = [self._http.get(f"{url}/_sandbox/requests?since={10**15}") for url in self.urls.values()]
        return sum(int(one.json()["last"]) for one in answers)

    def _post(self, name: str, path: str, body: Json) -> None:
        self._http.post(f"{self.urls[name]}/_sandbox/{path}", json=body).raise_for_status()


@contextmanager
def started() -> Iterator[Tenants]:
    """Both tenants for the length of a block."""
    with ExitStack() as stack:
        yield Tenants({name: stack.enter_context(_process(name, options)) for name, options in _OPTIONS.items()})


@contextmanager
def _process(name: str, options: tuple[str, ...]) -> Iterator[str]:
    command = [sys.executable, "-m", "sandbox", name, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield json.loads(line)["url"]
        finally:
            process.terminate()


def _order(number: int) -> str:
    return f"PO{300001 + (number - 1) // PER_ORDER}"


def _purchase(order: str) -> Json:
    line = {"purchaseOrderLine": 1, "itemCode": "ITEM0001", "quantityOrdered": PER_ORDER, "purchaseCost": 12}
    return {"purchaseOrderNumber": order, "supplierCode": "SUP00001", "currencyCode": "USD", "lines": [line]}


def _receipt(order: str) -> Json:
    return {
        "purchaseOrderNumber": order,
        "purchaseOrderLine": 1,
        "receiverNumber": f"RC{order[2:]}",
        "quantityReceived": PER_ORDER,
        "supplierCode": "SUP00001",
        "receiptDate": "2026-02-03",
    }


def _invoice(number: int) -> Json:
    line = {"line-num": 1, "type": "InvoiceQuantityLine", "po-number": _order(number), "order-line-num": "1"}
    return {
        "id": number,
        "invoice-number": f"B-{number:06}",
        "invoice-date": "2026-02-09T00:00:00-08:00",
        "status": "approved",
        "currency": {"code": "USD"},
        "supplier": {"number": "SUP00001"},
        "line-level-taxation": True,
        "total-with-taxes": "12.00",
        "gross-total": "12.00",
        "payment-channel": "ERP",
        "invoice-lines": [line | {"quantity": "1", "price": "12.00", "total": "12.00", "tax-amount": "0.00"}],
    }
