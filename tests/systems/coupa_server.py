"""Two Coupas for tests of the client: a small one that answers as documented, and the stand-in tenant in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
from pydantic import SecretStr

from ml_connector.clock import Clock, ManualClock
from ml_connector.domain.writes import Order
from ml_connector.http.tokens import MemoryTokenStore
from ml_connector.systems.coupa.client import CoupaClient, open_client
from ml_connector.systems.coupa.config import CoupaCredentialsData, CoupaTenant
from sandbox.coupa.app import create
from sandbox.kit.clock import Clock as SandboxClock

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
CREDENTIALS = CoupaCredentialsData(
    base_url="https://acme.coupahost.com", client_id="acme-id", client_secret=SecretStr("s3cretvalue")
)
SCOPES = (
    "core.invoice.read core.invoice.write core.purchase_order.read core.supplier.read core.supplier.write "
    "core.common.read core.common.write core.integration.read core.integration.write"
)
FAMILIES = {
    "invoices": "core.invoice",
    "purchase_orders": "core.purchase_order",
    "suppliers": "core.supplier",
    "currencies": "core.common",
    "integrations": "core.integration",
    "integration_history_records": "core.integration",
    "integration_runs": "core.integration",
}

INVOICE: dict[str, Any] = {
    "id": 4835,
    "invoice-number": "INV-1001",
    "invoice-date": "2026-03-01T00:00:00-08:00",
    "document-type": "Invoice",
    "status": "approved",
    "exported": False,
    "updated-at": "2026-03-04T10:00:01-08:00",
    "payment-channel": "ERP",
    "net-due-date": "2026-03-31T23:59:59-07:00",
    "line-level-taxation": True,
    "tax-amount": "8.00",
    "shipping-amount": "0.0000",
    "handling-amount": "0.0000",
    "misc-amount": "0.0000",
    "gross-total": "108.00",
    "total-with-taxes": "108.00",
    "currency": {"id": 1, "code": "USD", "decimals": 2},
    "supplier": {"id": 17, "name": "Insight", "number": "V100"},
    "invoice-charges": [],
    "invoice-lines": [
        {
            "id": 77,
            "line-num": 1,
            "type": "InvoiceQuantityLine",
            "description": "Widget",
            "po-number": "PO-2400",
            "order-header-num": "2400",
            "order-line-id": 1325,
            "order-line-num": "1",
            "price": "10.00",
            "quantity": "10.0",
            "total": "100.00",
            "tax-amount": "8.00",
            "account": {"id": 18, "code": "SF-IT-Assets"},
            "account-allocations": [],
        }
    ],
    "custom-fields": {"cf-erp-number": None, "cf-status": None},
}


def invoice(invoice_id: int, **changes: Any) -> dict[str, Any]:
    """A documented invoice with another id; keyword names are Coupa's with underscores."""
    return deepcopy(INVOICE) | {"id": invoice_id} | {name.replace("_", "-"): value for name, value in changes.items()}


def open_coupa(
    server: Any,
    *,
    credentials: CoupaCredentialsData = CREDENTIALS,
    clock: Clock | None = None,
    store: MemoryTokenStore | None = None,
    **tenant: Any,
) -> CoupaClient:
    """A client of that server; keyword arguments are tenant settings."""
    return open_client(
        credentials,
        CoupaTenant(allow_private=True, attempts=3, **tenant),
        name="acme",
        store=store or MemoryTokenStore(),
        slot="coupa-acme",
        clock=clock or ManualClock(NOW),
        transport=httpx.MockTransport(server),
    )


def order(invoice_id: int = 1, **changes: Any) -> Order:
    """An order about an invoice, by default to mark it exported."""
    base: dict[str, Any] = {
        "external_id": f"c:invoice:{invoice_id}",
        "token": "TOKN234567ABCDEFGHIJ",
        "key": f"key-{invoice_id}",
        "effect": "effect",
        "operation": "act",
        "payload": {
            "exported": True,
            "expected_status": "approved",
            "expected_updated_at": "2026-03-04T18:00:01Z",
        },
        "target_id": str(invoice_id),
    }
    return Order(**(base | changes))


class Coupa:
    """One instance. Append an answer, an exception or a function to `faults` to put it before the next API answer."""

    def __init__(self, *invoices: dict[str, Any]) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in FAMILIES}
        self.tables["invoices"] = list(invoices)
        self.tables["currencies"] = [{"id": 1, "code": "USD"}]
        self.tables["integrations"] = [{"id": 3, "code": "QAD_INV"}]
        self.granted = SCOPES
        self.secret = "s3cretvalue"
        self.tokens = 0
        self.empty_is_404 = False
        self.faults: list[Any] = []
        self.lose_reply = False
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/oauth2/token":
            return self._token(request)
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            answered: httpx.Response = fault(request) if callable(fault) else fault
            return answered
        if request.headers.get("Accept") != "application/json":
            return httpx.Response(200, text="<invoices/>")
        if request.headers.get("Authorization") != f"Bearer token-{self.tokens}":
            return httpx.Response(401)
        answer = self._api(request)
        if self.lose_reply and request.method != "GET":
            raise httpx.ReadTimeout("no reply")
        return answer

    def sent(self, method: str) -> list[httpx.Request]:
        """The API requests with that method."""
        return [one for one in self.requests if one.method == method and one.url.path.startswith("/api/")]

    def row(self, table: str, row_id: int) -> dict[str, Any]:
        """One stored object."""
        return next(row for row in self.tables[table] if row["id"] == row_id)

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        if form.get("client_secret") != self.secret:
            return httpx.Response(401, json={"error": "invalid_client", "error_description": "Client not found"})
        for scope in form.get("scope", "").split():
            if scope not in self.granted.split():
                return httpx.Response(400, json={"error": "invalid_scope", "error_description": f"'{scope}' is bad"})
        self.tokens += 1
        body = {"access_token": f"token-{self.tokens}", "token_type": "bearer", "expires_in": 86399}
        return httpx.Response(200, json=body | {"scope": form.get("scope", self.granted)})

    def _api(self, request: httpx.Request) -> httpx.Response:
        _, _, table, *rest = request.url.path.split("/")
        kind = "read" if request.method == "GET" else "write"
        if f"{FAMILIES[table]}.{kind}" not in self.granted.split():
            return httpx.Response(403, json={"errors": {"base": ["not allowed"]}})
        if request.method == "GET":
            return self._list(table, dict(request.url.params))
        if request.method == "POST":
            return self._create(table, request)
        return self._update(table, int(rest[0]), rest[1:], request)

    def _list(self, table: str, params: dict[str, str]) -> httpx.Response:
        fields = json.loads(params.pop("fields"))
        limit = min(int(params.pop("limit", "50")), 50)
        params.pop("order_by", None), params.pop("dir", None)
        rows = sorted(self.tables[table], key=lambda row: row["id"])
        for name, wanted in params.items():
            rows = [row for row in rows if _matches(row, name.replace("_", "-"), wanted)]
        if not rows and self.empty_is_404:
            return httpx.Response(404, text="<errors><error>No results match your search criteria.</error></errors>")
        return httpx.Response(200, json=[_shown(row, fields) for row in rows[:limit]])

    def _create(self, table: str, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        row = {"id": 900 + len(self.tables[table]), "resolved": False, "status": "pending"} | body
        row["alerted"] = request.url.path.endswith("/create_alert")
        self.tables[table].append(row)
        return httpx.Response(201, json={"id": row["id"], "status": row["status"]})

    def _update(self, table: str, row_id: int, action: list[str], request: httpx.Request) -> httpx.Response:
        if all(row["id"] != row_id for row in self.tables[table]):
            return httpx.Response(404, json={"errors": {"base": ["not found"]}})
        row = self.row(table, row_id)
        if action:
            row |= {"resolved": True} if action == ["resolve"] else {"status": action[0]}
            return httpx.Response(200, json=row)
        if request.url.params.get("exported") == "true":
            row["exported"] = True
        else:
            for name, value in json.loads(request.content).get("custom-fields", {}).items():
                if name in row["custom-fields"]:
                    row["custom-fields"][name] = value
        return httpx.Response(200, json=_shown(row, json.loads(request.url.params["fields"])))


def _matches(row: dict[str, Any], name: str, wanted: str) -> bool:
    if name.endswith("[in]"):
        return str(row.get(name[:-4])) in wanted.split(",")
    if name.endswith("[gt]"):
        return int(row[name[:-4]]) > int(wanted)
    return str(row.get(name)).lower() == wanted.lower()


def _shown(row: dict[str, Any], fields: list[Any]) -> dict[str, Any]:
    names = [next(iter(field)) if isinstance(field, dict) else field for field in fields]
    return {name: row[name] for name in (one.replace("_", "-") for one in names) if name in row}


class Wire(httpx.AsyncBaseTransport):
    """The way into the stand-in tenant: remembers requests, can lose replies to writes or members on the way.

    `faults` are answers instead of the tenant's own, one per request; None lets a request pass.
    """

    def __init__(self, inner: httpx.ASGITransport) -> None:
        self._inner = inner
        self.requests: list[httpx.Request] = []
        self.lose_replies = 0
        self.dropped: set[str] = set()
        self.faults: list[httpx.Response | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.startswith("/api/"):
            return await self._inner.handle_async_request(request)
        self.requests.append(request)
        await asyncio.sleep(0)  # in process nothing waits, and then nothing would ever run beside anything
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return fault
        answer = await self._inner.handle_async_request(self._thinned(request))
        if request.method != "GET" and self.lose_replies:
            self.lose_replies -= 1
            raise httpx.ReadTimeout("no reply")
        return answer

    def _thinned(self, request: httpx.Request) -> httpx.Request:
        if request.method == "GET" or not self.dropped or not request.content:
            return request
        body = {name: value for name, value in json.loads(request.content).items() if name not in self.dropped}
        headers = [(name, value) for name, value in request.headers.multi_items() if name != "content-length"]
        return httpx.Request(request.method, request.url, headers=headers, json=body)


class StandIn:
    """The stand-in tenant with its masters, and a client of it."""

    def __init__(self, options: dict[str, Any], tenant: dict[str, Any]) -> None:
        app = create(clock=SandboxClock(start=NOW), options=options)
        self.wire = Wire(httpx.ASGITransport(app=app))
        self._admin = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1/_sandbox/")
        login = CoupaCredentialsData(
            base_url="http://127.0.0.1", client_id="coupa-demo", client_secret=SecretStr("coupa-demo-secret")
        )
        self.client = open_client(
            login,
            CoupaTenant(attempts=2, **({"time_zone": "Etc/GMT+8"} | tenant)),
            name="acme",
            store=MemoryTokenStore(),
            slot="coupa-acme",
            clock=ManualClock(NOW),
            transport=self.wire,
        )

    def sent(self, method: str) -> list[httpx.Request]:
        """The API requests with that method."""
        return [one for one in self.wire.requests if one.method == method]

    def bodies(self) -> list[dict[str, Any]]:
        """What was written, in order."""
        return [json.loads(one.content) for one in self.wire.requests if one.method != "GET"]

    async def admin(self, path: str, method: str = "POST", **body: Any) -> Any:
        """Call the admin API."""
        answer = await self._admin.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def seed(self, **collections: Any) -> None:
        """Put records into the tenant."""
        await self.admin("seed", **collections)

    async def rows(self, collection: str) -> list[dict[str, Any]]:
        """The stored records of a collection."""
        found: list[dict[str, Any]] = await self.admin(f"state/{collection}", "GET")
        return found

    async def row(self, collection: str, row_id: int) -> dict[str, Any]:
        """One stored record."""
        return next(row for row in await self.rows(collection) if row["id"] == row_id)

    async def close(self) -> None:
        """Free the connections."""
        await self._admin.aclose()
        await self.client.http.aclose()


@asynccontextmanager
async def stand_in(options: dict[str, Any] | None = None, **tenant: Any) -> AsyncIterator[StandIn]:
    """A new stand-in tenant whose company lives at -08:00; keyword arguments are the client's tenant settings."""
    one = StandIn(options or {}, tenant)
    await one.admin("seed/base")
    yield one
    await one.close()
