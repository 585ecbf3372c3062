"""Logins of the stand-in QAD tenant: grants, rotation, lockout, ageing, workspaces and wrong addresses."""

from __future__ import annotations

import httpx
import pytest

from sandbox.qad.auth import WRONG_LOGIN
from tests.sandbox.qad_visitor import INVOICES, LOGIN, SUPPLIERS, Visitor, visiting

UNAUTHORIZED = {"errors": [{"severity": 1, "code": "401", "message": "Unauthorized", "fieldName": ""}]}
DENIED = {"errors": [{"severity": 1, "code": "403", "message": "Access is denied", "fieldName": ""}]}


async def control(visitor: Visitor) -> httpx.Response:
    return await visitor.call("GET", "qracore/securityControl")


async def test_password_grant_takes_form_or_query() -> None:
    async with visiting() as visitor:
        tokens = await visitor.login()
        assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 1800)
        query = await visitor.http.post("/clouderp/oauth/token", params={"grant_type": "password", **LOGIN})
        assert query.status_code == 200
        assert query.json()["access_token"] != tokens["access_token"]


async def test_wrong_password_is_invalid_grant_and_unknown_client_is_invalid_client() -> None:
    async with visiting() as visitor:
        wrong = await visitor.token(**LOGIN | {"grant_type": "password", "password": "no"})
        assert (wrong.status_code, wrong.json()) == (
            400,
            {"error": "invalid_grant", "error_description": WRONG_LOGIN},
        )
        stranger = await visitor.token(**LOGIN | {"grant_type": "password", "client_id": "no"})
        assert (stranger.status_code, stranger.json()["error"]) == (401, "invalid_client")
        odd = await visitor.token(**LOGIN | {"grant_type": "magic"})
        assert (odd.status_code, odd.json()["error"]) == (400, "unsupported_grant_type")
        assert (await visitor.truth())["logins"] == {"ok": 1, "failed": 1, "refreshed": 0}


async def test_ten_wrong_passwords_lock_the_user_until_an_administrator_helps() -> None:
    async with visiting() as visitor:
        for _ in range(9):
            await visitor.token(**LOGIN | {"grant_type": "password", "password": "no"})
        assert (await visitor.token(grant_type="password", **LOGIN)).status_code == 200
        for _ in range(10):
            await visitor.token(**LOGIN | {"grant_type": "password", "password": "no"})
        locked = await visitor.token(grant_type="password", **LOGIN)
        assert (locked.status_code, locked.json()["error"]) == (400, "invalid_grant")
        await visitor.do("unlock_user")
        assert (await visitor.token(grant_type="password", **LOGIN)).status_code == 200


async def test_a_right_password_forgets_the_failures_before_it() -> None:
    async with visiting() as visitor:
        for _ in range(2):
            for _ in range(9):
                await visitor.token(**LOGIN | {"grant_type": "password", "password": "no"})
            assert (await visitor.token(grant_type="password", **LOGIN)).status_code == 200


async def test_basic_and_jwt_logins_count_towards_the_same_lock() -> None:
    async with visiting() as visitor:
        for _ in range(5):
            await visitor.http.get("/clouderp/api/qracore/securityControl", auth=("qad-demo", "no"))
            body = {"username": "qad-demo", "password": "no"}
            assert (await visitor.http.post("/clouderp/api/qracore/login", json=body)).status_code == 401
        assert (await visitor.token(grant_type="password", **LOGIN)).status_code == 400


async def test_refresh_rotates_and_a_used_refresh_token_is_refused() -> None:
    async with visiting() as visitor:
        tokens = await visitor.login()
        form = {"grant_type": "refresh_token", "client_id": "qad-demo-client", "refresh_token": tokens["refresh_token"]}
        second = await visitor.token(**form)
        assert second.json()["refresh_token"] != tokens["refresh_token"]
        again = await visitor.token(**form)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
        visitor.headers["Authorization"] = f"Bearer {second.json()['access_token']}"
        assert (await control(visitor)).status_code == 200


async def test_refresh_token_ends_with_its_time_and_with_a_new_password() -> None:
    async with visiting() as visitor:
        form = {"grant_type": "refresh_token", "client_id": "qad-demo-client"}
        early = (await visitor.login())["refresh_token"]
        await visitor.do("change_password", password="other")
        assert (await visitor.token(**form, refresh_token=early)).status_code == 400
        await visitor.do("change_password", password=LOGIN["password"])
        late = (await visitor.login())["refresh_token"]
        await visitor.advance(minutes=480)
        assert (await visitor.token(**form, refresh_token=late)).status_code == 400


async def test_token_dies_when_idle_and_at_its_absolute_end() -> None:
    async with visiting() as visitor:
        await visitor.advance(minutes=14)
        assert (await control(visitor)).status_code == 200
        await visitor.advance(minutes=15)
        idle = await control(visitor)
        assert (idle.status_code, idle.json()) == (401, UNAUTHORIZED)
        await visitor.login()
        for _ in range(2):
            await visitor.advance(minutes=14)
            assert (await control(visitor)).status_code == 200
        await visitor.advance(minutes=2)
        assert (await control(visitor)).status_code == 401


async def test_expire_tokens_ends_every_access_token() -> None:
    async with visiting() as visitor:
        assert (await visitor.do("expire_tokens")) == {"expired": 1}
        assert (await control(visitor)).status_code == 401


async def test_missing_or_invented_token_is_unauthorized() -> None:
    async with visiting() as visitor:
        for headers in ({}, {"Authorization": "Bearer nobody"}, {"Authorization": "Basic %%%"}):
            visitor.headers = headers
            assert (await control(visitor)).status_code == 401


async def test_client_credentials_give_no_refresh_token() -> None:
    async with visiting() as visitor:
        client = {"client_id": "qad-demo-client", "client_secret": "qad-demo-client-secret"}
        good = await visitor.token(grant_type="client_credentials", **client)
        assert "refresh_token" not in good.json()
        visitor.headers["Authorization"] = f"Bearer {good.json()['access_token']}"
        assert (await control(visitor)).status_code == 200
        by_header = await visitor.http.post(
            "/clouderp/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(client["client_id"], client["client_secret"]),
        )
        assert by_header.status_code == 200
        bad = await visitor.token(grant_type="client_credentials", client_id="qad-demo-client", client_secret="no")
        assert (bad.status_code, bad.json()["error"]) == (401, "invalid_client")


async def test_jwt_session_answers_a_bearer_token() -> None:
    async with visiting() as visitor:
        body = {"username": "qad-demo", "password": "qad-demo-password", "workspaceId": "10USA_10USACO"}
        answer = await visitor.http.post("/clouderp/api/qracore/login", json=body)
        data = answer.json()["data"]
        assert (data["expiresInMinutes"], data["idleTimeoutMinutes"]) == (30, 15)
        visitor.headers["Authorization"] = f"Bearer {data['token']}"
        assert (await control(visitor)).status_code == 200
        elsewhere = await visitor.http.post("/clouderp/api/qracore/login", json=body | {"workspaceId": "X_Y"})
        assert elsewhere.status_code == 403


async def test_basic_needs_no_login() -> None:
    async with visiting() as visitor:
        answer = await visitor.http.get("/clouderp/api/qracore/securityControl", auth=("qad-demo", "qad-demo-password"))
        assert answer.json() == {
            "data": {"securityControls": [{"clientId": "qad-demo-client", "sessionLength": 30, "timeoutMinutes": 15}]}
        }


async def test_unknown_workspace_is_denied() -> None:
    async with visiting() as visitor:
        visitor.headers["x-qad-workspace-id"] = "10USA_10USACO"
        assert (await control(visitor)).status_code == 200
        visitor.headers["x-qad-workspace-id"] = "99XX_99XXCO"
        denied = await control(visitor)
        assert (denied.status_code, denied.json()) == (403, DENIED)


async def test_a_user_sees_only_allowed_workspaces_and_their_records() -> None:
    user = {"workspaces": ["20EU_20EUCO", "10USA_10USACO"]}
    spaces = ["10USA_10USACO", "20EU_20EUCO", "30CN_30CNCO"]
    async with visiting(workspaces=spaces, users=[user]) as visitor:
        await visitor.seed(
            supplierInvoices=[{"invoiceReference": "A"}, {"invoiceReference": "B", "entityCode": "20EUCO"}]
        )
        seen = {row["supplierInvoice.invoiceReference"] for row in await visitor.rows(INVOICES)}
        assert seen == {"B"}
        visitor.headers["x-qad-workspace-id"] = "10USA_10USACO"
        seen = {row["supplierInvoice.invoiceReference"] for row in await visitor.rows(INVOICES)}
        assert seen == {"A"}
        visitor.headers["x-qad-workspace-id"] = "30CN_30CNCO"
        assert (await control(visitor)).status_code == 403


@pytest.mark.parametrize("path", ["/", "/qad-central/api/qracore/securityControl", "/api/erp/supplierV2s"])
async def test_wrong_context_root_shows_the_login_page(path: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.http.get(path, headers=visitor.headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "<form>" in answer.text


async def test_wrong_path_is_404_and_wrong_verb_is_405() -> None:
    async with visiting() as visitor:
        lost = await visitor.call("GET", "erp/invoices")
        assert (lost.status_code, lost.json()["errors"][0]["code"]) == (404, "404")
        assert (await visitor.call("PATCH", "erp/supplierInvoices")).status_code == 405
        assert (await visitor.http.get("/clouderp/oauth/token")).status_code == 405


async def test_rights_can_be_taken_away_by_resource() -> None:
    async with visiting(denied=["securityControl", "supplier"]) as visitor:
        assert (await control(visitor)).json() == DENIED
        assert (await visitor.page(SUPPLIERS)).status_code == 403
        assert (await visitor.page(INVOICES)).status_code == 200
