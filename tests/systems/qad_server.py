"""A small QAD that answers as its contract sheet says, for tests of the client; it remembers every request."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
from pydantic import SecretStr

from ml_connector.clock import ManualClock
from ml_connector.http.tokens import MemoryTokenStore
from ml_connector.systems.qad.client import QadClient, open_client
from ml_connector.systems.qad.config import QadLogin, QadPasswordLogin, QadTenant
from ml_connector.systems.qad.needs import needs_of
from sandbox.kit.clock import Clock
from sandbox.qad.app import create

NOW = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
BASE = "http://127.0.0.1/clouderp"
ROOT = "/clouderp"
WORKSPACE = "10USA_10USACO"
TENANT: dict[str, Any] = {
    "workspace_id": WORKSPACE,
    "domain": "10USA",
    "entity": "10USACO",
    "shared_sets": {"supplier": "SHSET"},
}
LOGIN = QadPasswordLogin(base_url=BASE, client_id="CID", username="svc@acme", password=SecretStr("pa55-word"))
DEMO_LOGIN = QadPasswordLogin(
    base_url=BASE, client_id="qad-demo-client", username="qad-demo", password=SecretStr("qad-demo-password")
)
INVOICE_VIEW = "urn:be:com.qad.financials.purchaseledger.supplierinvoice.ISupplierInvoice"
Fault = Callable[[httpx.Request], httpx.Response | Exception]


def supplier(number: str = "SUP00001", **changes: Any) -> dict[str, Any]:
    row = {"sharedSetCode": "SHSET", "supplierCode": number, "addressName": "Acme Metals", "isActive": True}
    return {**row, "currencyCode": "USD", "creditTermsCode": "N30", **changes}


def order(number: str = "PO100001", **changes: Any) -> dict[str, Any]:
    row = {"domainCode": "10USA", "purchaseOrderNumber": number, "supplierCode": "SUP00001"}
    return {**row, "currencyCode": "USD", "orderStatus": "O", **changes}


def order_line(number: str = "PO100001", line: int = 1, **changes: Any) -> dict[str, Any]:
    row = {"pod_nbr": number, "pod_line": line, "pod_part": "ITEM0001", "pod_qty_ord": 50, "pod_pur_cost": 12.0}
    return {**row, "pod_um": "EA", "pod_status": "", **changes}


def receipt(number: str = "PO100001", receiver: str = "RC004411", quantity: Any = 50, **changes: Any) -> dict[str, Any]:
    row = {"prh_receiver": receiver, "prh_nbr": number, "prh_line": 1, "prh_vend": "SUP00001", "prh_rcvd": quantity}
    return {**row, "prh_rcp_date": "2026-02-08T00:00:00.000Z", **changes}


def invoice(voucher: int = 10452, **changes: Any) -> dict[str, Any]:
    record = {
        "entityCode": "10USACO",
        "postingYear": 2026,
        "daybookCode": "APINV",
        "voucher": voucher,
        "registrationNumber": 88120,
        "supplierCode": "SUP00001",
        "invoiceReference": "INV-20417",
        "invoiceType": "Invoice",
        "currencyCode": "USD",
        "originalAmountTC": 625.0,
        "holdAmountTC": 25.0,
        "invoiceStatusCode": "AP-NOALLOC",
        "isReceiverMatching": True,
        "isOpen": True,
        "customShort0": "",
        "receiverMatchingLines": [],
        "lastModifiedDate": "2026-02-10T00:00:00.000Z",
        "lastModifiedTime": 41233,
        "concurrencyHash": "h1",
    }
    return {**record, **changes}


def ours(*tokens: str) -> Callable[[frozenset[str]], Awaitable[frozenset[str]]]:
    """Knows these tokens as the connector's own."""

    async def known(asked: frozenset[str]) -> frozenset[str]:
        return asked & frozenset(tokens)

    return known


def match(receiver: str = "RC004411", quantity: Any = 50, number: str = "PO100001") -> dict[str, Any]:
    row = {"purchaseOrderNumber": number, "purchaseOrderLine": 1, "receiverNumber": receiver}
    return {**row, "matchQuantity": quantity, "matchUnitPrice": 12.0, "isFinished": True}


class Qad:
    """Records per type, a login and a list of faults; `posted` holds what was written, `seen` every request."""

    def __init__(self, **records: list[dict[str, Any]]) -> None:
        self.tenant = QadTenant(**TENANT)
        self.records: dict[str, list[dict[str, Any]]] = {name: [] for name in self.tenant.resources} | records
        self.seen: list[httpx.Request] = []
        self.posted: list[dict[str, Any]] = []
        self.raw_posts: list[bytes] = []
        self.faults: list[tuple[str, Fault]] = []
        self.password = "pa55-word"
        self.tokens: set[str] = set()
        self.refreshes: set[str] = set()
        self.minted = 0
        self.closed_workspace = False
        self.rules: dict[str, Any] | None = {"sessionLength": 480, "timeoutMinutes": 15}
        self.answer: Callable[[dict[str, Any]], Any] = self.accept
        self.hidden_row_members: set[str] = set()
        self.entity_members: dict[str, list[dict[str, Any]]] = {}
        self.missing_browse_fields: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        path = request.url.path.removeprefix(ROOT)
        for number, (part, fault) in enumerate(self.faults):
            if part in path:
                del self.faults[number]
                outcome = fault(request)
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome
        if not request.url.path.startswith(ROOT + "/"):
            return httpx.Response(200, html="<html><body>Welcome, please log in</body></html>")
        if path == "/oauth/token":
            return self._token(request)
        if path == "/api/qracore/login":
            return self._session(request)
        if not self._allowed(request):
            return bare("401", "Unauthorized")
        if self.closed_workspace:
            return bare("403", "Access is denied")
        return self._api(request, path)

    def fail(self, part: str, fault: Fault, times: int = 1) -> None:
        """Let the next requests whose path contains `part` fail."""
        self.faults += [(part, fault)] * times

    def calls(self, part: str) -> list[httpx.Request]:
        """All requests whose path contains `part`."""
        return [request for request in self.seen if part in request.url.path]

    def accept(self, record: dict[str, Any]) -> Any:
        """Post an invoice as QAD does."""
        number = 10453 + len(self.posted)
        shown = {**record, "postingYear": 2026, "voucher": number, "registrationNumber": 88121, "holdAmountTC": 0}
        shown = {**shown, "receiverMatchingStatus": "FINISHED", "concurrencyHash": "h2"}
        self.posted.append(shown)
        self.records["supplierInvoice"].append(shown)
        return {"data": {"supplierInvoices": [shown]}, "submitResult": success()}

    def _token(self, request: httpx.Request) -> httpx.Response:
        query = parse_qs(request.content.decode()) or parse_qs(request.url.query.decode())
        form = {name: values[0] for name, values in query.items()}
        if form.get("client_id") != "CID":
            return httpx.Response(401, json={"error": "invalid_client", "error_description": "unknown"})
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refreshes:
                return invalid_grant()
            self.refreshes.discard(form["refresh_token"])
        elif form["grant_type"] == "password" and form["password"] != self.password:
            return invalid_grant()
        self.minted += 1
        access, refresh = f"eyJ-{self.minted}", f"r-{self.minted}"
        self.tokens = {access}
        self.refreshes.add(refresh)
        answer = {"access_token": access, "token_type": "bearer", "expires_in": 1800}
        return httpx.Response(200, json=answer if "client_secret" in form else {**answer, "refresh_token": refresh})

    def _session(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if body["password"] != self.password or body.get("workspaceId") != WORKSPACE:
            return bare("401", "Unauthorized")
        self.minted += 1
        self.tokens = {f"s-{self.minted}"}
        life = {"token": f"s-{self.minted}", "expiresInMinutes": 30, "idleTimeoutMinutes": 15}
        return httpx.Response(200, json={"data": life})

    def _allowed(self, request: httpx.Request) -> bool:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            return base64.b64decode(value).decode() == f"svc@acme:{self.password}"
        return value in self.tokens

    def _api(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "/api/qracore/securityControl":
            if self.rules is None:
                return bare("403", "Access is denied")
            return httpx.Response(200, json={"data": {"securityControls": [{"clientId": "CID", **self.rules}]}})
        if path == "/api/qracore/entitymetadatas":
            return self._described(request.url.params["entityURI"])
        if path == "/api/qracore/browses":
            return self._browse(request.url.params)
        for name, resource in self.tenant.resources.items():
            if path == f"/api/erp/{resource.path}":
                return self._read(name, request) if request.method == "GET" else self._write(name, request)
        return bare("404", "Not found")

    def _described(self, uri: str) -> httpx.Response:
        for need in needs_of(self.tenant):
            resource = self.tenant.resources[need.resource]
            if resource.view_uri == uri:
                wires = [resource.fields[name] for name in (*need.filters, *need.rows, *need.reads, *need.writes)]
                fields = [{"jsonName": wire, "dataType": "character", "maxLength": 40} for wire in sorted(set(wires))]
                found = self.entity_members.get(need.resource, fields)
                described = [{"entityURI": uri, "entityFields": found}] if found else []
                return httpx.Response(200, json={"data": {"entityMetadatas": described}})
        return httpx.Response(200, json={"data": {"entityMetadatas": []}})

    def _browse(self, params: httpx.QueryParams) -> httpx.Response:
        if "page" not in params or "pageAction" not in params:
            return page([], more=False)
        filters = [one.rsplit(",", 1)[0].split(",", 2) for one in params.get_list("filter")]
        if params["browseId"] == "urn:browse:custom:lookupBrowseFields":
            return page(self._fields(filters[0][2]), more=False)
        for name, resource in self.tenant.resources.items():
            if resource.browse == params["browseId"]:
                rows = [
                    {
                        f"{resource.prefix}.{member}": value
                        for member, value in record.items()
                        if not isinstance(value, list) and member not in self.hidden_row_members
                    }
                    for record in self.records[name]
                    if all(holds(record.get(field.split(".")[1]), op, value) for field, op, value in filters)
                ]
                size, number = int(params["pageSize"]), int(params["page"])
                return page(rows[(number - 1) * size : number * size], more=len(rows) > number * size)
        return bare("404", "Unknown browse")

    def _fields(self, browse: str) -> list[dict[str, Any]]:
        found = [
            resource.row_name(member)
            for resource in self.tenant.resources.values()
            if resource.browse == browse
            for member in resource.fields
        ]
        return [{"fieldName": one, "fieldLabel": "x"} for one in found if one not in self.missing_browse_fields]

    def _read(self, name: str, request: httpx.Request) -> httpx.Response:
        keys = {key: value for key, value in request.url.params.items() if key != "viewUri"}
        found = [
            record
            for record in self.records[name]
            if all(str(record[key]) == value for key, value in keys.items() if key in record)
        ]
        answer = {"data": {self.tenant.resources[name].collection: found[:1]}}
        return httpx.Response(200, content=json.dumps(answer, default=str))

    def _write(self, name: str, request: httpx.Request) -> httpx.Response:
        self.raw_posts.append(request.content)
        body = json.loads(request.content, parse_float=Decimal)
        answer = self.answer(body[self.tenant.resources[name].collection][0])
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, content=dumped(answer))


def open_qad(
    server: Any,
    *,
    login: QadLogin = LOGIN,
    clock: ManualClock | None = None,
    store: MemoryTokenStore | None = None,
    **tenant: Any,
) -> QadClient:
    """A client whose network is the given server."""
    return open_client(
        login,
        QadTenant(**{**TENANT, **tenant}),
        name="acme",
        store=store or MemoryTokenStore(),
        slot="qad-acme",
        clock=clock or ManualClock(NOW),
        transport=httpx.MockTransport(server),
    )


class Tenant(httpx.AsyncBaseTransport):
    """The stand-in tenant in process: counts what it is asked, and lets a test act just before or after a call."""

    def __init__(self, start: datetime = NOW, **options: Any) -> None:
        self.clock = Clock(start)
        app = create(clock=self.clock, options=options)
        self.inner = httpx.ASGITransport(app=app)
        self.admin = httpx.AsyncClient(transport=self.inner, base_url="http://127.0.0.1")
        self.seen: list[httpx.Request] = []
        self.before: Callable[[httpx.Request], Awaitable[httpx.Response | None]] | None = None
        self.after: Callable[[httpx.Request], Awaitable[None]] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = await self.before(request) if self.before else None
        answer = answer or await self.inner.handle_async_request(request)
        if self.after:
            await self.after(request)
        return answer

    def calls(self, part: str, method: str = "GET") -> list[httpx.Request]:
        """All requests of a method whose path contains `part`."""
        return [one for one in self.seen if part in one.url.path and one.method == method]

    async def seed(self, **collections: Any) -> None:
        """Put records into the tenant."""
        answer = await self.admin.post("/_sandbox/seed", json=collections)
        assert answer.status_code == 200, answer.text

    async def do(self, action: str, **given: Any) -> dict[str, Any]:
        """Use an admin verb."""
        answer = await self.admin.post(f"/_sandbox/do/{action}", json=given)
        assert answer.status_code == 200, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    async def truth(self) -> Any:
        """What really took effect."""
        return json.loads((await self.admin.get("/_sandbox/truth")).content)

    async def state(self, collection: str) -> list[dict[str, Any]]:
        """The records of a collection as they are."""
        found: list[dict[str, Any]] = (await self.admin.get(f"/_sandbox/state/{collection}")).json()
        return found

    def client(self, **tenant: Any) -> QadClient:
        """A client of this tenant, with a login of its own."""
        sets = {"supplier": "SHSET", "account": "SHGL", "cost_center": "SHCC"}
        return open_client(
            DEMO_LOGIN,
            QadTenant(**{**TENANT, "shared_sets": sets, "limits": {"rps": 10_000}, **tenant}),
            name="demo",
            store=MemoryTokenStore(),
            slot="qad-demo",
            clock=ManualClock(self.clock.now()),
            transport=self,
        )


@asynccontextmanager
async def tenant_with_masters(start: datetime = NOW, **options: Any) -> AsyncIterator[Tenant]:
    """A fresh stand-in tenant with masters and nothing else."""
    tenant = Tenant(start, **options)
    async with tenant.admin:
        assert (await tenant.admin.post("/_sandbox/seed/base")).status_code == 200
        yield tenant


def holds(value: Any, op: str, wanted: str) -> bool:
    shown = str(value)
    if op == "eq":
        return shown.casefold() == wanted.casefold()
    if op == "sw":
        return shown.startswith(wanted)
    if op == "lt":
        return shown < wanted
    return shown >= wanted if op == "ge" else shown <= wanted


def page(rows: list[dict[str, Any]], *, more: bool) -> httpx.Response:
    return httpx.Response(200, content=dumped({"data": rows, "auxillaryData": {"HasMoreParams": str(more).lower()}}))


def bare(code: str, message: str) -> httpx.Response:
    error = {"severity": 1, "code": code, "message": message, "fieldName": ""}
    return httpx.Response(int(code), json={"errors": [error]})


def invalid_grant() -> httpx.Response:
    text = "Username or password is invalid, please try again."
    return httpx.Response(400, json={"error": "invalid_grant", "error_description": text})


def success(**more: Any) -> dict[str, Any]:
    return {"success": True, "errorSeverity": 0, "errors": [], **more}


def refusal(field: str, message: str) -> dict[str, Any]:
    error = {"fieldName": field, "message": message, "fieldValue": "", "code": "", "severity": 1}
    return {"submitResult": {"success": False, "errorSeverity": 1, "errors": [error]}}


def dumped(value: Any) -> bytes:
    return json.dumps(value, default=float).encode()
