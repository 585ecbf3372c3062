"""Webhooks at the command line: consent, connection, address, and a person's click in Jira that reaches QAD by itself.

The tests follow one another on one desk, as a person would.
"""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from typer.testing import Result

from deployments import consent, ingress, launching, rehearsal, server
from deployments.jira_logins import keep_consent
from ml_connector.http.tokens import Token
from ml_connector.installation import Installation
from ml_connector.store import inbox, runs
from sandbox import story
from sandbox.jira.options import CLOUD_ID
from tasks.runtime import load_block
from tests.deployments.terminal import QAD_PASSWORD, Terminal, terminal
from tests.engine import qad_jira
from tests.flows.desk import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SOMEBODY_ELSES = {"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": "The printer is out of paper"}
# A machine with nothing else to do needs three seconds.
PATIENCE_S = 180.0
WAKE = "ml-connector: wake acme jira_to_qad"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    """The desk of all tests here, with a receiver."""
    async with terminal(tmp_path_factory.mktemp("terminal"), ("qad", "jira"), receiver=True) as found:
        yield found


async def test_connecting_an_app_asks_for_consent_and_finds_the_site(
    desk: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = await _connect_jira(desk, tmp_path, monkeypatch)
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told["block"] == "jira-oauth-credentials/acme"
    assert told["tenant"].endswith(f"/ex/jira/{CLOUD_ID}")
    assert told["next"] == "ml-connector connect qad_jira"
    assert "jira-demo-secret" not in ended.output


async def test_connecting_it_again_consents_again_with_the_same_app(
    desk: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    _browse(monkeypatch)
    again = ["connect", "jira", "acme", "--field", "kind=oauth", "--redirect-port", _free_port()]
    ended = await desk.run(*again, "--yes", "--json")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["block"] == "jira-oauth-credentials/acme"
    ping = await desk.run("ping", "jira-oauth-credentials/acme", "--again")
    assert ping.exit_code == 0, ping.output


async def test_a_connection_with_jira_is_made_of_two_logins(desk: Terminal, tmp_path: Path) -> None:
    await _connect_qad(desk, tmp_path)
    # Which fields can be edited shows on an issue that is there.
    await rehearsal.admin(desk.stack, "jira", "do/set_option", {"index_lag_s": 0})
    await rehearsal.admin(desk.stack, "jira", "do/create", {"fields": SOMEBODY_ELSES})
    changes: dict[str, Any] = {"jira": {"webhook": "dynamic"}}
    (tmp_path / "acme.yaml").write_text(json.dumps(qad_jira.settings(**changes)))
    blocks = ["--source-block", "qad-credentials/acme", "--target-block", "jira-oauth-credentials/acme"]
    ended = await desk.run("connect", "qad_jira", "acme", *blocks, "--settings", str(tmp_path / "acme.yaml"), "--yes")
    assert ended.exit_code == 0, ended.output
    assert CLOUD_ID in ended.output
    missing = qad_jira.settings(issues={"fields": {"amount": "customfield_99999"}})
    (tmp_path / "wrong.yaml").write_text(json.dumps(missing))
    wrong = await desk.run("connect", "qad_jira", "acme", *blocks, "--settings", str(tmp_path / "wrong.yaml"), "--yes")
    assert wrong.exit_code == 1
    assert "customfield_99999" in wrong.output


async def test_deploy_makes_the_renewal_and_the_automation_that_wakes(desk: Terminal) -> None:
    rows = await _deployed(desk)
    assert {one["deployment"]: one["every"] for one in rows}["renew-jira-webhooks/acme"] == "86400 s"
    (made,) = await _wakes(desk)
    jira_to_qad = next(one["id"] for one in rows if one["direction"] == "jira_to_qad")
    assert made["actions"][0]["deployment_id"] == jira_to_qad
    assert made["trigger"]["match"] == {"prefect.resource.id": "ml-connector.acme.jira_to_qad"}
    await desk.read("PATCH", f"automations/{made['id']}", {"enabled": False})
    like_ours = {"trigger": made["trigger"], "actions": made["actions"]}
    foreign, gone = "ml-connector: wake theirs jira_to_qad", "ml-connector: wake former jira_to_qad"
    await desk.read("POST", "automations/", {"name": foreign, "tags": ["ml-connector", "installation:x"], **like_ours})
    await desk.read("POST", "automations/", {"name": gone, "tags": made["tags"], **like_ours})
    await _deployed(desk)
    names = {one["name"] for one in await desk.read("POST", "automations/filter", {})}
    assert (foreign in names, gone in names) == (True, False)
    (still,) = await _wakes(desk)
    assert (still["id"], still["enabled"]) == (made["id"], False)
    await desk.read("PATCH", f"automations/{made['id']}", {"enabled": True})


async def test_an_app_registers_its_webhook_at_the_address(desk: Terminal) -> None:
    add = ["webhooks", "add", "app", "--system", "jira", "--kind", "dynamic", "--connection", "acme"]
    refused = await desk.run(*add)
    assert "--public-url is missing" in str(refused.exception)
    ended = await desk.run(*add, "--public-url", desk.stack.receiver, "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told["address"] == f"{desk.stack.receiver}/webhooks/jira/app"
    assert told["webhook"].endswith("registered")
    assert "jira-demo-secret" not in ended.output
    (row,) = json.loads((await desk.run("webhooks", "list", "--json")).stdout)
    assert (row["wakes"], row["secrets"]) == ("jira_to_qad of acme", 1)
    assert row["webhooks_end"]
    second = await desk.run(*add[:2], "second", *add[3:], "--public-url", desk.stack.receiver)
    assert "has the ingress app, and an app has one address only" in str(second.exception)


async def test_the_daily_renewal_finds_everything_in_order(desk: Terminal) -> None:
    ended = await _run_deployment(desk, "renew-jira-webhooks/acme")
    assert (ended.ok, ended.message) == (True, "nothing to do: it is alive")


async def test_doctor_is_content_with_the_way_of_a_delivery(desk: Terminal) -> None:
    shown = await _doctor(desk)
    assert {name: one["result"] for name, one in shown.items() if name in _OF_DELIVERIES} == dict.fromkeys(
        _OF_DELIVERIES, "ok"
    )
    assert shown["consent of jira-oauth-credentials/acme"]["message"].startswith("given 0 days ago")
    assert shown["inbox"]["message"] == "nothing waits"


_OF_DELIVERIES = {
    "wake-ups", "webhook receiver", "inbox", "missed webhooks", "webhook of acme",
    "consent of jira-oauth-credentials/acme",
}  # fmt: skip


async def test_a_decision_in_jira_reaches_qad_without_anybody_starting_a_run(desk: Terminal) -> None:
    await rehearsal.admin(desk.stack, "qad", "seed", story.qad_exceptions(datetime.now(UTC).date()))
    ended = await desk.run("run", "acme", "qad_to_jira", "--wait", "--json")
    assert json.loads(ended.stdout)["counts"]["created"] == 3, ended.output
    found = await rehearsal.admin(desk.stack, "jira", "state/issues")
    issue = next(one for one in found if one["fields"]["summary"] != SOMEBODY_ELSES["summary"])
    await rehearsal.admin(desk.stack, "jira", "do/transition", {"issue": issue["id"], "to": "Done"})
    await _shown_in_qad(desk, issue["key"])
    await _inbox_empty()


async def test_doctor_names_what_is_wrong_with_deliveries(desk: Terminal) -> None:
    (made,) = await _wakes(desk)
    await desk.read("DELETE", f"automations/{made['id']}")
    address = desk.stack.home.root / "receiver-address"
    here = address.read_text()
    address.write_text(f"http://127.0.0.1:{_free_port()}\n")
    now = datetime.now(UTC)
    async with Installation.open() as one:
        doors = ingress.doors_of(one)
        (before,) = await doors.subscriptions(name="app")
        await doors.subscribe("app", "acme", [replace(before, expires_at=now + timedelta(days=5))])
        late = inbox.Arrival("acme", "jira_to_qad", "app", "lost", "comment_created", "1", now - timedelta(hours=2))
        async with one.store.db.write() as tx:
            await inbox.put(one.store.db, tx, [late])
        await runs.start(one.store.db, "r-1", connection="acme", direction="jira_to_qad", now=now)
        await runs.finish(one.store.db, "r-1", counts={"missed_webhooks": 2}, now=now)
    shown = await _doctor(desk)
    wrong = {name: one["message"] for name, one in shown.items() if one["result"] == "wrong"}
    assert set(wrong) == {"wake-ups", "webhook receiver", "inbox", "webhook of acme"}
    assert wrong["wake-ups"].startswith(f"missing: {WAKE}")
    assert wrong["inbox"].startswith("1 for jira_to_qad of acme; the oldest since ")
    assert "2 of acme" in shown["missed webhooks"]["message"]
    assert all(shown[name]["remedy"] for name in wrong)
    address.write_text(here)
    await _deployed(desk)
    renewed = await _run_deployment(desk, "renew-jira-webhooks/acme")
    assert renewed.ok, renewed.message


async def test_an_old_consent_is_told_before_it_ends(desk: Terminal) -> None:
    async with Installation.open() as one:
        slot, token = await _token(one)
        old = (datetime.now(UTC) - timedelta(days=340)).isoformat()
        await keep_consent(one.vault, slot, replace(token, extra={**token.extra, "consented_at": old}))
        shown = (await _doctor(desk))["consent of jira-oauth-credentials/acme"]
        await keep_consent(one.vault, slot, token)
    assert (shown["result"], shown["message"]) == ("wrong", "given 340 days ago, ends in 25 days")
    assert shown["remedy"] == "consent again: ml-connector connect jira acme"


async def test_a_signed_webhook_has_a_secret_of_its_own_which_is_shown_once(desk: Terminal) -> None:
    add = ["webhooks", "add", "site", "--system", "jira", "--kind", "admin", "--connection", "acme", "--json"]
    told = json.loads((await desk.run(*add)).stdout)
    assert told["wakes"] == "jira_to_qad of acme"
    assert told["JQL"] == 'project = "AP"'
    assert told["next"].startswith("set jira.webhook to admin")
    listed = (await desk.run("webhooks", "list", "--json")).stdout
    assert told["secret"] not in listed
    assert await _delivered(desk, told["secret"]) == 202
    newer = json.loads((await desk.run("webhooks", "rotate", "site", "--json")).stdout)["secret"]
    assert [await _delivered(desk, one) for one in (told["secret"], newer)] == [202, 202]
    assert (await desk.run("webhooks", "drop-secret", "site")).exit_code == 0
    await _forgotten(desk, told["secret"])
    assert await _delivered(desk, newer) == 202
    unasked = await desk.run("webhooks", "remove", "site")
    assert "Say so with --yes" in str(unasked.exception)
    assert (await desk.run("webhooks", "remove", "site", "--yes")).exit_code == 0
    assert [one["ingress"] for one in json.loads((await desk.run("webhooks", "list", "--json")).stdout)] == ["app"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--system", "sap", "--connection", "acme"], "sap sends no webhooks that are known; there is: jira, coupa"),
        (["--system", "jira", "--connection", "acme"], "--kind is missing; for jira there is: admin, dynamic"),
        (["--system", "coupa", "--connection", "acme"], "connection acme joins qad and jira, not coupa"),
        (["--system", "coupa", "--connection", "none"], "there is no connection named none"),
        (["--system", "coupa", "--connection", "acme", "--option", "x"], "write it as name=value"),
    ],
)
async def test_an_address_that_cannot_work_is_refused_in_one_line(
    desk: Terminal, arguments: list[str], line: str
) -> None:
    refused = await desk.run("webhooks", "add", "other", *arguments)
    assert line in str(refused.exception)


async def test_a_paused_connection_is_not_woken_any_more(desk: Terminal) -> None:
    assert (await desk.run("pause", "acme")).exit_code == 0
    await _deployed(desk)
    assert await _wakes(desk) == []


def _free_port() -> str:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def _browse(monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(url: str) -> bool:
        httpx.get(url, follow_redirects=True, trust_env=False).raise_for_status()
        return True

    monkeypatch.setattr(consent, "open_browser", follow)


async def _connect_jira(desk: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    _browse(monkeypatch)
    (folder / "secret").write_text("jira-demo-secret")
    site = desk.stack.sandboxes["jira"]
    fields = ["kind=oauth", "client_id=jira-demo-client", f"api_url={site}", f"auth_url={site}"]
    given = [part for one in fields for part in ("--field", one)]
    more = ["--secret-file", str(folder / "secret"), "--site", site, "--redirect-port", _free_port(), "--json"]
    return await desk.run("connect", "jira", "acme", *given, *more)


async def _connect_qad(desk: Terminal, folder: Path) -> None:
    (folder / "secret").write_text(QAD_PASSWORD)
    site = f"{desk.stack.sandboxes['qad']}/clouderp"
    fields = ["kind=password", f"base_url={site}", "client_id=qad-demo-client", "username=qad-demo"]
    given = [part for one in fields for part in ("--field", one)]
    ended = await desk.run("connect", "qad", "acme", *given, "--secret-file", str(folder / "secret"), "--json")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["next"] == "ml-connector connect coupa_qad or ml-connector connect qad_jira"


async def _deployed(desk: Terminal) -> list[Any]:
    ended = await desk.run("deploy", "--json")
    assert ended.exit_code == 0, ended.output
    rows: list[Any] = json.loads(ended.stdout)
    return rows


async def _wakes(desk: Terminal) -> list[Any]:
    return [one for one in await desk.read("POST", "automations/filter", {}) if one["name"] == WAKE]


async def _doctor(desk: Terminal) -> dict[str, Any]:
    await desk.run("audit", "checkpoint")
    ended = await desk.run("doctor", "--json")
    return {one["check"]: one for one in json.loads(ended.stdout)["checks"]}


async def _run_deployment(desk: Terminal, name: str) -> launching.Ended:
    found = await desk.read("GET", f"deployments/name/{name}")
    run = await desk.read("POST", f"deployments/{found['id']}/create_flow_run", {})
    async with Installation.open() as one, server.api() as client:
        return await launching.wait(one, client, run["id"], within=PATIENCE_S)


async def _inbox_empty() -> None:
    async def probe() -> bool | None:
        async with Installation.open() as one:
            return None if await inbox.counts(one.store.db) else True

    await until(probe, "the inbox to be read", within=PATIENCE_S)


async def _shown_in_qad(desk: Terminal, issue: str) -> None:
    async def probe() -> bool | None:
        kinds = ("supplierInvoices", "purchaseOrders")
        states = [await rehearsal.admin(desk.stack, "qad", f"state/{one}") for one in kinds]
        return True if f'"{issue}"' in json.dumps(states) else None

    await until(probe, f"{issue} to be shown in QAD", within=PATIENCE_S)


async def _token(one: Installation) -> tuple[str, Token]:
    login = (await load_block("jira-oauth-credentials/acme")).login()
    slot = one.slot("jira-oauth-credentials/acme", login)
    token = await one.vault.load(slot)
    assert token is not None
    return slot, token


async def _delivered(desk: Terminal, secret: str) -> int:
    site = desk.stack.sandboxes["jira"]
    issue = {"id": "10000", "key": "AP-1", "self": f"{site}/rest/api/2/issue/10000", "fields": {}}
    moment = int(datetime.now(UTC).timestamp() * 1000)
    body = json.dumps({"timestamp": moment, "webhookEvent": "jira:issue_updated", "issue": issue}).encode()
    signature = f"sha256={hmac.new(secret.encode(), body, 'sha256').hexdigest()}"
    headers = {"X-Hub-Signature": signature, "X-Atlassian-Webhook-Identifier": uuid4().hex}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{desk.stack.receiver}/webhooks/jira/site", content=body, headers=headers)
    return answer.status_code


async def _forgotten(desk: Terminal, secret: str) -> None:
    """The receiver remembers secrets for a few seconds."""

    async def probe() -> bool | None:
        return True if await _delivered(desk, secret) == 401 else None

    await until(probe, "the former secret to be forgotten")
