"""Logging in to the stand-in Coupa tenant, and the gate before every call: scopes, formats, rate limit."""

from __future__ import annotations

import base64

import pytest

from sandbox.coupa.app import create
from sandbox.coupa.options import ALL_SCOPES
from sandbox.kit.clock import Clock
from tests.sandbox.coupa_visitor import CLIENT, START, visitor

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_token_names_its_life_and_scopes() -> None:
    async with visitor() as guest:
        answer = await guest.login("core.invoice.read core.common.read")
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "bearer", 86_399)
    assert body["scope"] == "core.invoice.read core.common.read"


async def test_token_without_asked_scope_carries_every_granted_one() -> None:
    async with visitor() as guest:
        assert (await guest.login()).json()["scope"].split() == list(ALL_SCOPES)


async def test_token_grows_with_its_scopes() -> None:
    async with visitor() as guest:
        short = (await guest.login("core.invoice.read")).json()["access_token"]
        long = (await guest.login()).json()["access_token"]
    assert len(long) > len(short)


async def test_client_may_authenticate_by_basic() -> None:
    pair = base64.b64encode(b"coupa-demo:coupa-demo-secret").decode()
    async with visitor() as guest:
        headers = {"Authorization": f"Basic {pair}"}
        answer = await guest.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_id": "stranger"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "core.invoice.read core.requisition.read"}, 400, "invalid_scope"),
        ({"scope": "core.invoice.read,core.common.read"}, 400, "invalid_scope"),
    ],
)
async def test_token_endpoint_refuses_in_rfc_6749_words(change: dict[str, str], status: int, error: str) -> None:
    async with visitor() as guest:
        answer = await guest.http.post("/oauth2/token", data=CLIENT | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]


async def test_token_endpoint_reads_forms_only() -> None:
    async with visitor() as guest:
        answer = await guest.http.post("/oauth2/token", json=CLIENT)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_broken_basic_credentials_are_an_unknown_client() -> None:
    async with visitor() as guest:
        answer = await guest.http.post("/oauth2/token", data=CLIENT, headers={"Authorization": "Basic %%%"})
    assert answer.json()["error"] == "invalid_client"


async def test_token_younger_than_five_seconds_is_refused_when_the_tenant_wants_that() -> None:
    async with visitor(token_delay=5) as guest:
        await guest.login()
        assert (await guest.get("invoices")).status_code == 401
        await guest.advance(4.9)
        assert (await guest.get("invoices")).status_code == 401
        await guest.advance(0.1)
        assert (await guest.get("invoices")).status_code == 200


async def test_token_ends_with_its_life() -> None:
    async with visitor(token_life=60) as guest:
        await guest.advance(59)
        assert (await guest.get("invoices")).status_code == 200
        await guest.advance(1)
        answer = await guest.get("invoices")
    assert answer.status_code == 401
    assert answer.json()["errors"]["base"]


async def test_expired_tokens_and_revoked_clients_stop_every_call() -> None:
    async with visitor() as guest:
        assert await guest.do("expire_tokens") == {"expired": 1}
        assert (await guest.get("invoices")).status_code == 401
        await guest.login()
        assert await guest.do("revoke_client", client_id="coupa-demo") == {"revoked": "coupa-demo", "tokens": 1}
        assert (await guest.get("invoices")).status_code == 401
        assert (await guest.http.post("/oauth2/token", data=CLIENT)).status_code == 401


async def test_call_without_bearer_is_401_and_without_scope_403() -> None:
    async with visitor() as guest:
        await guest.login("core.invoice.read")
        assert (await guest.get("invoices")).status_code == 200
        refused = await guest.get("suppliers")
        assert (refused.status_code, refused.json()) == (
            403,
            {"errors": {"base": ["The access token does not carry the scope core.supplier.read."]}},
        )
        await guest.seed(invoices=[{"id": 4835}])
        assert (await guest.put("invoices/4835?exported=true")).status_code == 403
        guest.headers.pop("Authorization")
        assert (await guest.get("invoices")).status_code == 401
        assert (await guest.truth())["writes"] == 0


async def test_answer_is_xml_unless_json_is_asked_for() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{"id": 4835, "invoice-number": "A&B"}])
        for accept in ("*/*", "application/xml", ""):
            guest.headers["Accept"] = accept
            answer = await guest.get("invoices/4835")
            assert answer.headers["content-type"].startswith("application/xml")
            assert "<invoice-number>A&amp;B</invoice-number>" in answer.text
        missing = await guest.get("invoices", status="draft")
        assert missing.status_code == 404
        assert "<errors><error>No results match your search criteria.</error></errors>" in missing.text


async def test_other_formats_are_refused() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{"id": 4835}])
        form = await guest.http.put("/api/invoices/4835", content=b"paid=true", headers=guest.headers | FORM)
        broken = await guest.http.put(
            "/api/invoices/4835", content=b"{", headers=guest.headers | {"Content-Type": "application/json"}
        )
        listed = await guest.put("invoices/4835", [{"paid": True}])
        guest.headers["Accept"] = "text/csv"
        csv = await guest.get("invoices")
    assert [form.status_code, broken.status_code, listed.status_code, csv.status_code] == [415, 400, 400, 406]


async def test_rate_limit_answers_429_without_a_hint_and_refills_25_a_second() -> None:
    async with visitor(throttle=True, throttle_rate=0.001) as guest:
        codes = [(await guest.get("invoices")).status_code for _ in range(22)]
        assert codes == [200] * 20 + [429] * 2
        assert "retry-after" not in (await guest.get("invoices")).headers
        await guest.do("set_option", throttle_rate=25, retry_after=True)
        codes = [(await guest.get("invoices")).status_code for _ in range(60)]
        assert codes.count(200) < 60
        await guest.do("set_option", throttle_rate=0.001)
        for _ in range(20):
            await guest.get("invoices")
        assert (await guest.get("invoices")).headers["retry-after"] == "1"
        await guest.advance(1000)
        assert (await guest.get("invoices")).status_code == 200


def test_rate_limit_is_on_unless_the_clock_stands_still() -> None:
    assert create().state.tenant.options.throttle is True
    assert create(clock=Clock(start=START)).state.tenant.options.throttle is False


async def test_api_version_header_is_noted_and_only_demanded_by_switch() -> None:
    async with visitor() as guest:
        assert (await guest.get("invoices")).status_code == 200
        await guest.do("set_option", require_api_version=True)
        assert (await guest.get("invoices")).status_code == 400
        guest.headers["X-Coupa-API-Version"] = "44"
        assert (await guest.get("invoices")).status_code == 200
        noted = (await guest.http.get("/_sandbox/requests")).json()["requests"][-1]
    assert noted["headers"]["x-coupa-api-version"] == "44"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "requisitions"),
        ("GET", "invoices/none"),
        ("GET", "invoices/99"),
        ("POST", "invoices/4835/payments"),
        ("PUT", "integration_history_records"),
        ("DELETE", "invoices/4835"),
        ("PUT", "purchase_orders/1"),
    ],
)
async def test_what_the_api_does_not_have_is_404(verb: str, path: str) -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{"id": 4835}], purchase_orders=[{"id": 1}])
        answer = await guest.http.request(verb, f"/api/{path}", headers=guest.headers)
    assert answer.status_code == 404
    assert answer.json()["errors"]


async def test_second_client_has_its_own_scopes() -> None:
    clients = [{"client_id": "reader", "client_secret": "s", "scopes": ["core.invoice.read"]}]
    async with visitor(clients=clients, token_delay=0.001) as guest:
        refused = await guest.http.post("/oauth2/token", data=CLIENT)
        form = {"client_id": "reader", "client_secret": "s", "grant_type": "client_credentials"}
        granted = await guest.http.post("/oauth2/token", data=form)
    assert (refused.status_code, granted.json()["scope"]) == (401, "core.invoice.read")
