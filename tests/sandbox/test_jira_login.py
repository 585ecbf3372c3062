"""Logins of the stand-in Jira site: tokens and where they work, consent, rotation, ageing, scopes, bad tokens."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.sandbox.jira_visitor import (
    APP,
    BACK,
    CLASSIC,
    CLOUD,
    GATEWAY,
    SCOPED,
    SCOPES,
    SERVICE,
    Visitor,
    consent,
    visiting,
)

DAY = 86_400
MISMATCH = {"code": 401, "message": "Unauthorized; scope does not match"}
UNKNOWN = {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}


async def refresh(visitor: Visitor, token: str) -> httpx.Response:
    return await visitor.token(grant_type="refresh_token", refresh_token=token, **APP)


async def test_each_token_works_at_its_own_address_only() -> None:
    async with visiting() as visitor:
        for auth, gateway, status in (
            (CLASSIC, False, 200),
            (CLASSIC, True, 401),
            (SCOPED, True, 200),
            (SCOPED, False, 401),
            (("connector@acme.example", "wrong"), False, 401),
        ):
            visitor.use(auth, gateway=gateway)
            assert (await visitor.get("myself")).status_code == status
        await visitor.consent()
        assert (await visitor.get("myself")).json()["accountId"] == "712020:manager-0003"
        assert (await visitor.get("/rest/api/3/myself")).status_code == 401


async def test_an_unknown_cloud_is_not_found_and_the_second_site_is_only_a_name() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        assert (await visitor.get("/ex/jira/nowhere/rest/api/3/myself")).json() == {"code": 404, "message": "Not Found"}
        sites = (await visitor.get("/oauth/token/accessible-resources")).json()
        assert [(one["name"], one["url"]) for one in sites] == [
            ("acme", "http://127.0.0.1"),
            ("acme-lab", "https://acme-lab.example"),
        ]
        assert sites[0]["id"] == CLOUD
        assert "offline_access" not in sites[0]["scopes"]
        assert (await visitor.get(f"/ex/jira/{sites[1]['id']}/rest/api/3/myself")).status_code == 501
        visitor.use(None)
        assert (await visitor.get("/_edge/tenant_info")).json() == {"cloudId": CLOUD}


async def test_consent_comes_back_with_code_and_state() -> None:
    async with visiting() as visitor:
        answer = await visitor.http.get("/authorize", params=consent(state="a b"))
        assert answer.status_code == 302
        assert answer.headers["location"].startswith(BACK + "?code=")
        assert answer.headers["location"].endswith("&state=a+b")
        await visitor.option(consent="deny")
        denied = await visitor.http.get("/authorize", params=consent())
        assert "error=access_denied" in denied.headers["location"]
        assert "state=s1" in denied.headers["location"]


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "stranger"},
        {"redirect_uri": "https://elsewhere.example/back"},
        {"state": ""},
        {"scope": ""},
        {"audience": "elsewhere"},
        {"response_type": "token"},
        {"prompt": "none"},
    ],
)
async def test_consent_is_refused_in_place_when_the_address_is_wrong(change: dict[str, str]) -> None:
    async with visiting() as visitor:
        answer = await visitor.http.get("/authorize", params=consent(**change))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_unknown_scopes_come_back_as_an_error() -> None:
    async with visiting() as visitor:
        answer = await visitor.http.get("/authorize", params=consent("read:everything"))
        assert "error=invalid_scope" in answer.headers["location"]


async def test_a_code_works_once_and_for_its_own_address() -> None:
    async with visiting() as visitor:
        code = await visitor.code()
        body = {"grant_type": "authorization_code", "code": code, **APP}
        elsewhere = await visitor.token(**body, redirect_uri=BACK + "/other")
        assert (elsewhere.status_code, elsewhere.json()["error"]) == (403, "invalid_grant")
        granted = (await visitor.token(**body, redirect_uri=BACK)).json()
        assert (granted["expires_in"], granted["token_type"]) == (3600, "Bearer")
        again = await visitor.token(**body, redirect_uri=BACK)
        assert (again.status_code, again.json()["error"]) == (403, "invalid_grant")


async def test_a_wrong_secret_and_an_odd_grant_are_refused() -> None:
    async with visiting() as visitor:
        wrong = await visitor.token(grant_type="client_credentials", **SERVICE | {"client_secret": "no"})
        assert (wrong.status_code, wrong.json()["error"]) == (401, "access_denied")
        odd = await visitor.token(grant_type="password", **APP)
        assert (odd.status_code, odd.json()["error"]) == (400, "unsupported_grant_type")
        crossed = await visitor.token(grant_type="client_credentials", **APP)
        assert (crossed.status_code, crossed.json()["error"]) == (403, "unauthorized_client")
        unreadable = await visitor.http.post("/oauth/token", content=b"{", headers={"Content-Type": "application/json"})
        assert unreadable.status_code == 400


async def test_without_offline_access_there_is_nothing_to_refresh_with() -> None:
    async with visiting() as visitor:
        assert "refresh_token" not in await visitor.consent("read:jira-work")


async def test_refresh_tokens_rotate_with_ten_minutes_of_leeway_and_then_the_family_dies() -> None:
    async with visiting() as visitor:
        first = (await visitor.consent())["refresh_token"]
        second = (await refresh(visitor, first)).json()["refresh_token"]
        assert second != first
        await visitor.advance(600)
        third = (await refresh(visitor, first)).json()["refresh_token"]
        assert third not in (first, second)
        await visitor.advance(1)
        stolen = await refresh(visitor, first)
        assert (stolen.status_code, stolen.json()) == (403, UNKNOWN)
        for token in (second, third):
            assert (await refresh(visitor, token)).status_code == 403


async def test_two_refreshes_at_once_both_work() -> None:
    async with visiting() as visitor:
        token = (await visitor.consent())["refresh_token"]
        answers = await asyncio.gather(refresh(visitor, token), refresh(visitor, token))
        assert [one.status_code for one in answers] == [200, 200]


async def test_an_unused_refresh_token_dies_after_ninety_days() -> None:
    async with visiting() as visitor:
        token = (await visitor.consent())["refresh_token"]
        await visitor.advance(89 * DAY)
        token = (await refresh(visitor, token)).json()["refresh_token"]
        await visitor.advance(90 * DAY)
        assert (await refresh(visitor, token)).status_code == 403


async def test_a_consent_dies_after_a_year_however_busy() -> None:
    async with visiting() as visitor:
        token = (await visitor.consent())["refresh_token"]
        for _ in range(6):
            await visitor.advance(60 * DAY)
            token = (await refresh(visitor, token)).json()["refresh_token"]
        await visitor.advance(5 * DAY)
        assert (await refresh(visitor, token)).status_code == 403


async def test_access_tokens_live_an_hour_and_can_be_ended() -> None:
    async with visiting() as visitor:
        await visitor.consent()
        await visitor.advance(3599)
        assert (await visitor.get("myself")).status_code == 200
        await visitor.advance(1)
        expired = await visitor.get("myself")
        assert (expired.status_code, expired.json()) == (401, {"code": 401, "message": "Unauthorized"})
        await visitor.consent()
        await visitor.do("expire_tokens")
        assert (await visitor.get("myself")).status_code == 401


async def test_a_revoked_grant_ends_everything() -> None:
    async with visiting() as visitor:
        token = (await visitor.consent())["refresh_token"]
        await visitor.do("revoke_grant")
        assert (await visitor.get("myself")).status_code == 401
        assert (await refresh(visitor, token)).status_code == 403
        assert (await visitor.get("/oauth/token/accessible-resources")).status_code == 401


async def test_a_service_account_gets_tokens_without_a_person() -> None:
    async with visiting() as visitor:
        granted = (await visitor.token(grant_type="client_credentials", **SERVICE)).json()
        assert "refresh_token" not in granted
        visitor.use(bearer=granted["access_token"], gateway=True)
        assert (await visitor.get("myself")).json()["accountType"] == "app"
        assert len((await visitor.get("/oauth/token/accessible-resources")).json()) == 1


async def test_scopes_are_enforced_classic_or_granular() -> None:
    async with visiting() as visitor:
        await visitor.consent("read:jira-work offline_access")
        assert (await visitor.get("field")).status_code == 200
        refused = await visitor.get("myself")
        assert (refused.status_code, refused.json()) == (401, MISMATCH)
        assert (await visitor.post("issue", {})).json() == MISMATCH
        await visitor.consent("read:issue.property:jira")
        assert (await visitor.get("issue/AP-1/properties")).status_code == 404
        assert (await visitor.get("field")).json() == MISMATCH
        assert (await visitor.get(f"{GATEWAY}/rest/webhooks/1.0/webhook")).json() == MISMATCH


async def test_expired_api_tokens_are_refused_or_served_as_nobody() -> None:
    async with visiting() as visitor:
        await visitor.create()
        await visitor.advance(5)
        await visitor.do("expire_tokens", kind="api")
        assert (await visitor.get("search/jql", jql="project = AP")).status_code == 401
        await visitor.option(bad_token="anonymous_empty")
        empty = await visitor.get("search/jql", jql="project = AP")
        assert (empty.status_code, empty.json()) == (200, {"issues": [], "isLast": True})
        assert empty.headers["X-Seraph-LoginReason"] == "AUTHENTICATED_FAILED"
        assert (await visitor.get("field")).json() == []
        assert (await visitor.get("project/search")).json()["total"] == 0
        assert (await visitor.get("issue/AP-1")).status_code == 404
        assert (await visitor.get("myself")).status_code == 401
        assert (await visitor.post("issue", {})).status_code == 401


async def test_the_token_answer_names_its_scopes() -> None:
    async with visiting() as visitor:
        assert set((await visitor.consent())["scope"].split()) == set(SCOPES.split())
