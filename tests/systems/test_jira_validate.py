"""The connection test says exactly what is wrong with a Jira project and what mends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ml_connector.errors import ConfigurationError
from ml_connector.systems.jira.config import JiraLogin
from ml_connector.systems.jira.validate import FieldReport, field_report, ping
from ml_connector.systems.ping import PingCheck
from tests.systems.jira_server import CLASSIC, CLOUD, NOW, OAUTH, SCOPED, SERVICE, SITE, TEXT, Bench, caught, field


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    yield found
    await found.close()


async def checked(bench: Bench, login: JiraLogin = SERVICE, **tenant: Any) -> dict[str, PingCheck]:
    """The checks of a connection test by name."""
    report = await ping(bench.open(login, **tenant), login)
    assert report.ok is all(one.ok for one in report.checks)
    return {one.name: one for one in report.checks}


async def failed(bench: Bench, login: JiraLogin = SERVICE, **tenant: Any) -> dict[str, str]:
    """The failed checks: name to message and remedy."""
    wrong = {name: one for name, one in (await checked(bench, login, **tenant)).items() if not one.ok}
    assert all(one.remedy for one in wrong.values())
    return {name: f"{one.message}; {one.remedy}" for name, one in wrong.items()}


async def test_the_connection_test_passes_on_a_good_project(bench: Bench) -> None:
    report = await ping(bench.open(), SERVICE)
    assert report.ok
    assert (report.system, report.who) == ("jira", f"acc:1 at {SITE}")
    assert [one.name for one in report.checks] == [
        "login",
        "site",
        "webhook",
        "permissions",
        "issue type",
        "token field",
        "create screen",
        "queries",
    ]
    assert next(one for one in report.checks if one.name == "token field").message.endswith("short text, searched by ~")
    judged = bench.jira.sent("POST", "/jql/parse")[0]["queries"]
    assert [query.partition(" ORDER")[0] for query in judged] == [
        '(cf[10101] ~ "MLCN234567ABCDEFGHIJ")',
        '(project = "AP" OR cf[10101] IS NOT EMPTY) AND updated >= "-10m"',
    ]


async def test_a_login_without_settings_judges_no_project(bench: Bench) -> None:
    report = await ping(bench.open(project="", issue_type="", token_field=""), SERVICE, bare=True)
    assert report.ok
    assert [one.name for one in report.checks] == ["login", "site"]
    assert list(await failed(bench, project="", token_field="")) == ["settings"]


async def test_each_fault_of_a_login_has_a_message_of_its_own(bench: Bench) -> None:
    cases: list[tuple[JiraLogin, str]] = [
        (SERVICE.model_copy(update={"client_secret": SecretStr("wrong")}), "client_secret is wrong"),
        (SERVICE.model_copy(update={"cloud_id": ""}), "cloud_id"),
        (SERVICE.model_copy(update={"cloud_id": "99999999-foreign"}), "check cloud_id"),
        (OAUTH, "nobody has given consent"),
        (CLASSIC.model_copy(update={"token": SecretStr("wrong")}), "refuses the login"),
    ]
    for login, text in cases:
        other = Bench()
        assert text in (await failed(other, login))["login"]
        await other.close()
    bench.jira.scopes = "write:jira-work"
    assert "read:jira-user" in (await failed(bench))["login"]
    other = Bench()
    other.wire.instead = [("/oauth/token", httpx.ConnectError("down"))] * 4
    assert "can be reached" in (await failed(other))["login"]
    await other.close()


async def test_an_inactive_account_is_told(bench: Bench) -> None:
    bench.jira.answers["GET", "/myself"] = {"accountId": "acc:1", "active": False}
    assert "not active" in (await failed(bench))["login"]


async def test_the_cloud_id_must_be_that_of_the_site(bench: Bench) -> None:
    elsewhere = {"site_url": "https://beta.atlassian.net"}
    assert CLOUD in (await failed(bench, SERVICE.model_copy(update=elsewhere)))["site"]
    other = SCOPED.model_copy(update={"cloud_id": "other-cloud"})
    bench.jira.answers["GET", "/myself"] = {"accountId": "acc:1"}
    assert (await checked(bench, SCOPED))["site"].ok
    bench.wire.instead = [("/myself", httpx.Response(200, json={"accountId": "acc:1"}))]
    assert "other-cloud" in (await failed(bench, other))["site"]


async def test_a_site_that_cannot_be_checked_is_a_warning(bench: Bench) -> None:
    bench.wire.instead = [("/accessible-resources", httpx.Response(404, json={"code": 404, "message": "no"}))]
    assert (await checked(bench))["site"].message.startswith("warning: not checked")


@pytest.mark.parametrize(
    ("days", "ok", "text"),
    [(200, True, "in 200 days"), (30, True, "warning: the token ends"), (0, True, "warning"), (-1, False, "ended on")],
)
async def test_warns_before_an_api_token_ends(days: int, ok: bool, text: str, bench: Bench) -> None:
    login = CLASSIC.model_copy(update={"expires_on": NOW.date() + timedelta(days=days)})
    found = (await checked(bench, login))["token expiry"]
    assert found.ok is ok
    assert text in found.message


async def test_asks_for_the_day_on_which_an_api_token_ends(bench: Bench) -> None:
    assert (await checked(bench, CLASSIC))["token expiry"].message.startswith("warning: expires_on is empty")


@pytest.mark.parametrize(("days", "warned"), [(334, False), (335, True), (366, True)])
async def test_warns_of_a_consent_from_day_335_on(days: int, warned: bool, bench: Bench) -> None:
    await bench.consented(at=NOW - timedelta(days=days))
    found = (await checked(bench, OAUTH))["consent"]
    assert found.ok
    assert found.message.startswith("warning: ") is warned
    assert bool(found.remedy) is warned


async def test_the_kind_of_webhook_must_fit_the_login(bench: Bench) -> None:
    await bench.consented()
    assert "OAuth app" in (await failed(bench, CLASSIC, webhook="dynamic"))["webhook"]
    assert await failed(bench, OAUTH, webhook="dynamic") == {}
    less = OAUTH.model_copy(update={"scopes": ("read:jira-work", "offline_access")})
    assert "manage:jira-webhook" in (await failed(bench, less, webhook="dynamic"))["webhook"]
    assert await failed(bench, CLASSIC, webhook="admin") == {}


def _no_rights(bench: Bench) -> None:
    bench.jira.rights -= {"CREATE_ISSUES", "ADD_COMMENTS"}


def _no_field(bench: Bench) -> None:
    bench.jira.fields.pop(1)


def _document_field(bench: Bench) -> None:
    bench.jira.fields[1] = field(10101, "Connector key", "textarea")


def _no_searcher(bench: Bench) -> None:
    bench.jira.searchers["customfield_10101"] = TEXT + "daterange"


def _off_screen(bench: Bench) -> None:
    bench.jira.screen.remove("customfield_10101")


def _bad_query(bench: Bench) -> None:
    bench.jira.queries["cf[10101]"] = ["The operator '~' is not supported by the 'Connector key' field."]


def _no_types(bench: Bench) -> None:
    bench.jira.answers["GET", "/issue/createmeta/AP/issuetypes"] = {
        "issueTypes": [{"id": "9", "name": "Bug"}],
        "total": 1,
    }


@pytest.mark.parametrize(
    ("spoil", "check", "text"),
    [
        (_no_rights, "permissions", "CREATE_ISSUES (create issues), ADD_COMMENTS"),
        (_no_types, "settings", "has no Task; it has Bug"),
        (_no_field, "token field", "does not exist or is hidden"),
        (_document_field, "token field", "textarea"),
        (_no_searcher, "token field", "daterange"),
        (_off_screen, "create screen", "not on the create screen of Task in AP"),
        (_bad_query, "queries", "The operator '~' is not supported"),
    ],
)
async def test_the_connection_test_names_exactly_what_is_wrong(
    spoil: Callable[[Bench], None], check: str, text: str, bench: Bench
) -> None:
    spoil(bench)
    wrong = await failed(bench)
    assert list(wrong) == [check]
    assert text in wrong[check]


async def test_an_unknown_project_is_told(bench: Bench) -> None:
    assert "project ZZ is not visible" in (await failed(bench, project="ZZ"))["permissions"]


async def test_rights_that_only_some_connections_need_are_a_warning(bench: Bench) -> None:
    bench.jira.rights -= {"ASSIGN_ISSUES"}
    found = await checked(bench)
    assert found["more permissions"].ok
    assert "ASSIGN_ISSUES" in found["more permissions"].message


async def test_connecting_shows_which_fields_cannot_be_set_and_why(bench: Bench) -> None:
    scope = {"type": "PROJECT", "project": {"id": "10001"}}
    bench.jira.fields.append(field(10105, "Supplier", "textfield", scope=scope))
    client = bench.open()
    wanted = {
        "key": "customfield_10101",
        "po": "customfield_10102",
        "supplier": "customfield_10105",
        "none": "customfield_1",
    }
    before = await field_report(client, client.tenant, wanted)
    assert before[:2] == [
        FieldReport("key", "customfield_10101", True, None),
        FieldReport("po", "customfield_10102", True, None),
    ]
    bench.jira.put(1)
    found = {one.name: one for one in await field_report(client, client.tenant, wanted)}
    assert found["key"] == FieldReport("key", "customfield_10101", True, True)
    assert found["po"] == FieldReport("po", "customfield_10102", True, False, "PO number is not on the edit screen")
    assert "team-managed project 10001" in found["supplier"].why
    assert "does not exist" in found["none"].why
    wrong = client.tenant.model_copy(update={"issue_type": "Epic"})
    assert "has no Epic" in str(await caught(field_report(client, wanted=wanted, tenant=wrong), ConfigurationError))
