"""A plain visitor of the stand-in QAD tenant for its own tests: logs in, reads, writes, and works the admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from sandbox.kit import jsontext
from sandbox.kit.clock import Clock
from sandbox.qad.app import create

START = datetime(2026, 2, 10, 11, 27, 13, tzinfo=UTC)
LOGIN = {"client_id": "qad-demo-client", "username": "qad-demo", "password": "qad-demo-password"}
TOKEN = "K7QMA3TB5XW2HD6ZJ4RN"
ERP = "urn:browse:bebrowse:com.qad.erp"
INVOICES = f"{ERP}.financials.supplierInvoices"
PAYMENTS = f"{ERP}.financials.supplierPayments"
SUPPLIERS = f"{ERP}.base.supplierV2s"
RECEIPTS = "urn:browse:mfg:po501"
LINES = "urn:browse:mfg:po804"
VIEWS = {
    "supplierV2s": "urn:be:com.qad.base.supplier.ISupplierV2",
    "businessRelationV2s": "urn:be:com.qad.base.address.IBusinessRelationV2",
    "purchaseOrderHeaders": "urn:be:com.qad.purchasing.purchaseorders.IPurchaseOrderHeader",
    "purchaseOrderReceipts": "urn:be:com.qad.purchasing.receipts.IPurchaseOrderReceipt",
    "supplierInvoices": "urn:be:com.qad.financials.purchaseledger.supplierinvoice.ISupplierInvoice",
    "supplierPayments": "urn:be:com.qad.financials.purchaseledger.supplierpayment.ISupplierPayment",
    "glAccounts": "urn:be:com.qad.base.coa.IGLAccount",
    "costCenters": "urn:be:com.qad.base.coa.ICostCenter",
    "projects": "urn:be:com.qad.base.coa.IProject",
    "items": "urn:be:com.qad.base.item.IItem",
}
Json = dict[str, Any]


class Visitor:
    """One client of a tenant."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.headers: dict[str, str] = {}

    async def login(self) -> Json:
        """Log in with the password grant and use the token from now on."""
        answer = await self.token(grant_type="password", **LOGIN)
        assert answer.status_code == 200, answer.text
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        tokens: Json = answer.json()
        return tokens

    async def token(self, **form: str) -> httpx.Response:
        """Call the token endpoint with a form."""
        return await self.http.post("/clouderp/oauth/token", data=form)

    async def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Call an API path as it is."""
        return await self.http.request(method, f"/clouderp/api/{path}", headers=self.headers, **arguments)

    async def page(self, browse: str, *filters: str, **paging: Any) -> httpx.Response:
        """One browse call; None leaves a paging parameter out."""
        asked = {"callId": "call-1", "page": 1, "pageSize": 100, "pageAction": "first"} | paging
        parameters = [("browseId", browse), *((key, str(value)) for key, value in asked.items() if value is not None)]
        return await self.call("GET", "qracore/browses", params=[*parameters, *(("filter", text) for text in filters)])

    async def rows(self, browse: str, *filters: str) -> list[Json]:
        """The first page of a browse."""
        answer = await self.page(browse, *filters)
        assert answer.status_code == 200, answer.text
        found: list[Json] = jsontext.loads(answer.content)["data"]
        return found

    async def get(self, collection: str, **key: Any) -> Json:
        """One record by its key; {} when there is none."""
        answer = await self.call("GET", f"erp/{collection}", params=key | {"viewUri": VIEWS[collection]})
        assert answer.status_code == 200, answer.text
        found = jsontext.loads(answer.content)["data"][collection]
        return found[0] if found else {}

    async def post(self, collection: str, record: Json, **key: Any) -> Json:
        """Create (no key) or update (key in the query) a record."""
        body = jsontext.dumps({"supplementaryMessages": [], collection: [record]})
        parameters = key | {"viewUri": VIEWS[collection]}
        answer = await self.call("POST", f"erp/{collection}", params=parameters, content=body)
        assert answer.status_code == 200, answer.text
        read: Json = jsontext.loads(answer.content)
        return read

    async def seed(self, **collections: Any) -> Json:
        """Put records into the tenant."""
        answer = await self.http.post("/_sandbox/seed", json=collections)
        assert answer.status_code == 200, answer.text
        counts: Json = answer.json()
        return counts

    async def do(self, action: str, **given: Any) -> Json:
        """Use an admin verb."""
        answer = await self.http.post(f"/_sandbox/do/{action}", json=given)
        assert answer.status_code == 200, answer.text
        outcome: Json = answer.json()
        return outcome

    async def advance(self, *, minutes: float = 0, days: float = 0) -> None:
        """Let the tenant's time pass."""
        await self.http.post("/_sandbox/clock", json={"advance": minutes * 60 + days * 86400})

    async def truth(self) -> Json:
        """What really took effect."""
        counters: Json = jsontext.loads((await self.http.get("/_sandbox/truth")).content)
        return counters

    async def create_invoice(self, **changes: Any) -> Json:
        """Post an invoice made from the standard one."""
        return await self.post("supplierInvoices", invoice(**changes))

    async def update_invoice(self, record: Json, **changes: Any) -> Json:
        """Post a whole invoice back with changes."""
        return await self.post("supplierInvoices", record | changes | {"dataOperation": "U"}, **invoice_key(record))


@asynccontextmanager
async def visiting(**options: Any) -> AsyncIterator[Visitor]:
    """A logged-in visitor of a fresh tenant with masters, one order of 50 at 12.00 and its receipt."""
    app = create(clock=Clock(START), options=options)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        visitor = Visitor(http)
        assert (await http.post("/_sandbox/seed/base")).status_code == 200
        line = {"quantityOrdered": 100, "purchaseCost": 12}
        await visitor.seed(
            purchaseOrders=[{"purchaseOrderNumber": "PO100001", "supplierCode": "SUP00001", "lines": [line]}],
            receipts=[{"purchaseOrderNumber": "PO100001", "receiverNumber": "RC1", "quantityReceived": 50}],
        )
        await visitor.login()
        yield visitor


def invoice(**changes: Any) -> Json:
    """A create body: 50 pieces of the standard order at 12.00."""
    return {
        "entityCode": "10USACO",
        "postingYear": 0,
        "daybookCode": "APINV",
        "voucher": 0,
        "supplierCode": "SUP00001",
        "invoiceReference": "INV-20418",
        "invoiceType": "Invoice",
        "invoiceDate": "2026-02-09T00:00:00.000Z",
        "postingDate": "2026-02-10T00:00:00.000Z",
        "currencyCode": "USD",
        "originalAmountTC": 600,
        "isTaxable": False,
        "invoiceStatusCode": "AP-NOALLOC",
        "creditTermsCode": "N30",
        "description": "Office chairs",
        "customShort0": TOKEN,
        "supplierInvoicePOs": [{"poDomainCode": "10USA", "purchaseOrderNumber": "PO100001"}],
        "receiverMatchingLines": [match()],
        "supplierInvoiceLines": [],
        "dataOperation": "C",
        "concurrencyHash": "",
    } | changes


def match(receiver: str = "RC1", quantity: Any = 50, price: Any = 12, **changes: Any) -> Json:
    """A matching line on the standard order."""
    return {
        "purchaseOrderNumber": "PO100001",
        "purchaseOrderLine": 1,
        "receiverNumber": receiver,
        "matchQuantity": quantity,
        "matchUnitPrice": price,
        "isFinished": False,
    } | changes


def line(amount: Any, account: str = "6100", **changes: Any) -> Json:
    """An invoice line on an account."""
    return {"glAccountCode": account, "costCenterCode": "CC10", "amountTC": amount} | changes


def invoice_key(record: Json) -> Json:
    """The key members of an invoice."""
    return {name: record[name] for name in ("entityCode", "postingYear", "daybookCode", "voucher")}


def stored(answer: Json, collection: str = "supplierInvoices") -> Json:
    """The record of a write that succeeded."""
    assert answer["submitResult"] == {"success": True, "errorSeverity": 0, "errors": []}, answer["submitResult"]
    record: Json = answer["data"][collection][0]
    return record


def refusal(answer: Json) -> tuple[str, str]:
    """Field and message of a write that was refused for one reason."""
    assert answer["submitResult"]["success"] is False, answer
    assert "data" not in answer
    (error,) = answer["submitResult"]["errors"]
    assert error["severity"] == 1
    return error["fieldName"], error["message"]
