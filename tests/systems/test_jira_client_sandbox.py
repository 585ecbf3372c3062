"""The Jira client against the stand-in site: every login, the consent from end to end, and a day in an issue's life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ml_connector.clock import SystemClock
from ml_connector.errors import AuthenticationError, RecordRejectedError
from ml_connector.http.tokens import MemoryTokenStore, Token
from ml_connector.systems.jira.adf import doc, paragraph, text
from ml_connector.systems.jira.client import JiraClient, open_client
from ml_connector.systems.jira.config import (
    JiraApiTokenLogin,
    JiraLogin,
    JiraOAuthLogin,
    JiraServiceAccountLogin,
    JiraTenant,
)
from ml_connector.systems.jira.consent import authorize_url, exchange, new_state, read_answer, sites_of
from ml_connector.systems.jira.sites import chosen_site, cloud_id_at
from ml_connector.systems.jira.validate import ping
from sandbox.jira.app import create
from sandbox.kit.app import seed_by_name
from tests.jira_openapi import Judged
from tests.systems.jira_server import caught

URL = "http://127.0.0.1"
BACK = "http://127.0.0.1:8787/callback"
TENANT = JiraTenant(project="AP", issue_type="Task", token_field="customfield_10047")
FIRST = "ACMEAAAAAAAAAAAAAAAA"


class Site:
    """The stand-in site in process, and clients of it."""

    def __init__(self) -> None:
        app = create()
        seed_by_name(app.state.tenant, "base")
        self.wire = httpx.ASGITransport(app)
        self.store = MemoryTokenStore()
        self.clients: list[JiraClient] = []

    async def service(self) -> JiraServiceAccountLogin:
        return JiraServiceAccountLogin(
            client_id="jira-svc-client",
            client_secret=SecretStr("jira-svc-secret"),
            site_url=URL,
            cloud_id=await cloud_id_at(URL, transport=self.wire),
            api_url=URL,
            auth_url=URL,
        )

    def token(self, value: str, cloud_id: str = "") -> JiraApiTokenLogin:
        secret = SecretStr(value)
        return JiraApiTokenLogin(
            email="connector@acme.example", token=secret, site_url=URL, cloud_id=cloud_id, api_url=URL
        )

    def open(self, login: JiraLogin, **more: Any) -> JiraClient:
        slot = str(len(self.clients))
        client = open_client(
            login, TENANT, name="a", **{"store": self.store, "slot": slot, "transport": Judged(self.wire), **more}
        )
        self.clients.append(client)
        return client


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    yield found
    for one in found.clients:
        await one.aclose()


async def test_every_kind_of_login_passes_the_connection_test(site: Site) -> None:
    service = await site.service()
    logins: list[JiraLogin] = [
        service,
        site.token("jira-demo-token"),
        site.token("jira-scoped-token", service.cloud_id),
    ]
    for login in logins:
        report = await ping(site.open(login), login)
        assert [one for one in report.checks if not one.ok] == []
    for wrong in (site.token("wrong"), site.token("jira-demo-token", service.cloud_id)):
        await caught(site.open(wrong).myself(), AuthenticationError)


async def test_a_consent_begins_in_the_browser_and_lasts(site: Site) -> None:
    service = await site.service()
    login = JiraOAuthLogin(
        client_id="jira-demo-client",
        client_secret=SecretStr("jira-demo-secret"),
        site_url=URL,
        api_url=URL,
        auth_url=URL,
    )
    state = new_state()
    async with httpx.AsyncClient(transport=site.wire) as browser:
        sent_back = await browser.get(authorize_url(login, BACK, state))
    code = read_answer(httpx.URL(sent_back.headers["location"]).params, state)
    first = await exchange(login, code, BACK, transport=site.wire)
    chosen = chosen_site(await sites_of(login, first, transport=site.wire), URL)
    assert chosen.cloud_id == service.cloud_id

    async def given(_: Token | None) -> Token:
        return first

    await site.store.renew("consent", None, given)
    clock = SystemClock()
    client = site.open(login.model_copy(update={"cloud_id": chosen.cloud_id}), slot="consent", clock=clock)
    await client.myself()
    async with httpx.AsyncClient(transport=site.wire, base_url=URL) as person:
        assert (await person.post("/_sandbox/do/expire_tokens", json={})).is_success
    await client.myself()
    later = await site.store.load("consent")
    assert later is not None
    assert later.refresh != first.refresh
    assert later.extra["consented_at"] == first.extra["consented_at"]
    await caught(exchange(login, code, BACK, transport=site.wire), AuthenticationError)


async def test_an_issue_lives_from_create_to_done(site: Site) -> None:
    client = site.open(await site.service())

    def document(number: int, **more: Any) -> dict[str, Any]:
        token = FIRST[:-1] + "ABCDEFG"[number]
        fields = {
            "project": {"key": "AP"},
            "issuetype": {"name": "Task"},
            "summary": f"Issue {number}",
            "description": doc(paragraph(text("Look at this."))),
            "customfield_10047": token,
            **more,
        }
        return {"fields": fields, "properties": [{"key": "ml-connector", "value": {"token": token, "record": "r"}}]}

    made = await client.create(document(0), "c:0")
    answer = await client.bulk_create([document(1), document(2, customfield_99999="x"), document(3)])
    assert (len(answer.created), {at: one.code for at, one in answer.failed.items()}) == (
        2,
        {1: "screen:customfield_99999"},
    )
    found = await client.bulk_fetch(
        [made.id, *(one.id for one in answer.created), "999"], fields=["summary"], properties=["ml-connector"]
    )
    assert found.missing == {"999"}
    assert found.issues[made.id].properties["ml-connector"]["token"] == FIRST
    await client.edit(made.id, {"summary": "Changed"}, "c:0")
    refusal = await caught(client.edit(made.id, {"assignee": {"accountId": "nobody"}}, "c:0"), RecordRejectedError)
    assert refusal.code == "unknown_user"
    pages = client.search('project = "AP"', fields=["summary"], reconcile=[int(made.id)])
    assert [[one.fields["summary"] for one in page] async for page in pages] == [["Changed"]]
    comment = await client.add_comment(made.id, doc(paragraph(text("Note."))), external_id="c:0")
    assert [one.id for one in await client.comments(made.id)] == [comment]
    step = next(one for one in await client.transitions(made.id) if one.to_category == "done")
    await client.transition(made.id, step.id, external_id="c:0")
    done = await client.get_issue(made.id, fields=["status"])
    assert done is not None
    assert done.fields["status"]["id"] == step.to_id
