"""Setting up at the command line, from nothing: two logins, a connection, its deployments, and a doctor who is content.

The tests follow one another on one desk, as a person would.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import Result

from deployments import launching, server
from deployments.automations import ZOMBIES
from ml_connector.installation import Installation
from ml_connector.pairs import registry
from sandbox import story
from tests.deployments.terminal import COUPA_SECRET, QAD_PASSWORD, Terminal, terminal

FIFTEEN_DAYS_AGO = time.time() - 15 * 24 * 3600

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    """The desk of all tests here."""
    async with terminal(tmp_path_factory.mktemp("terminal")) as found:
        yield found


async def test_a_login_that_is_refused_is_explained_and_not_kept(desk: Terminal) -> None:
    url = desk.stack.sandboxes["coupa"]
    ended = await desk.run("connect", "coupa", "acme", typed=[url, "coupa-demo", "not-the-secret", ""])
    assert ended.exit_code == 1
    assert "client_id or client_secret is wrong" in ended.output
    assert "enter client_id and client_secret again" in ended.output
    assert "not-the-secret" not in ended.output
    assert await desk.blocks() == set()


async def test_a_login_is_asked_for_field_by_field_and_kept_once_it_works(desk: Terminal) -> None:
    url = desk.stack.sandboxes["coupa"]
    ended = await desk.run("connect", "coupa", "acme", typed=[url, "coupa-demo", COUPA_SECRET, ""])
    assert ended.exit_code == 0, ended.output
    assert "Identifier of the OAuth2 client, as Coupa shows it" in ended.output
    assert COUPA_SECRET not in ended.output
    assert await desk.blocks() == {"coupa-credentials/acme"}


async def test_an_existing_block_is_replaced_only_when_a_person_agrees(desk: Terminal) -> None:
    ended = await desk.run("connect", "coupa", "acme", typed=["n"])
    assert ended.exit_code == 1
    assert "Block coupa-credentials/acme exists. Replace it?" in ended.output
    refused = await desk.run("connect", "coupa", "acme")
    assert "Say so with --yes" in str(refused.exception)


async def test_qad_asks_first_which_kind_of_login_it_is(desk: Terminal) -> None:
    url = f"{desk.stack.sandboxes['qad']}/clouderp"
    typed = ["password", url, "qad-demo-client", "qad-demo", QAD_PASSWORD, ""]
    ended = await desk.run("connect", "qad", "acme", typed=typed)
    assert ended.exit_code == 0, ended.output
    assert "4  basic" in ended.output
    assert await desk.blocks() == {"coupa-credentials/acme", "qad-credentials/acme"}


async def test_a_script_names_its_answers_and_reads_the_secret_from_a_file(desk: Terminal, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(QAD_PASSWORD + "\n")
    fields = ["kind=password", f"base_url={desk.stack.sandboxes['qad']}/clouderp", "client_id=qad-demo-client"]
    given = [part for field in [*fields, "username=qad-demo"] for part in ("--field", field)]
    secret = ["--secret-file", str(tmp_path / "secret")]
    ended = await desk.run("connect", "qad", "scripted", *given, *secret, "--json")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["block"] == "qad-credentials/scripted"
    for arguments, line in (
        (given, "--secret-file is missing"),
        ([*given, *secret, "--field", "password=x"], "a secret is typed at the prompt or read from --secret-file"),
        ([*given, *secret, "--field", "colour=red"], "--field colour: there is no such field"),
        ([*given[2:], *secret], "--field kind=... is missing; there is: password, client, session, basic"),
        ([*given, "--secret-file", str(tmp_path / "none")], "cannot be read: No such file"),
    ):
        refused = await desk.run("connect", "qad", "other", *arguments)
        assert line in str(refused.exception)
    assert "qad-credentials/other" not in await desk.blocks()


async def test_a_connection_asks_for_blocks_and_for_what_has_no_default(desk: Terminal) -> None:
    # Enter takes the only block of Coupa.
    typed = ["", "1", "", "10USA", "10USACO", "y"]
    ended = await desk.run("connect", "coupa_qad", "acme", typed=typed)
    assert ended.exit_code == 0, ended.output
    assert "qad.domain" in ended.output
    assert "Block of coupa [coupa-credentials/acme]: " in ended.output
    assert "1  qad-credentials/acme" in ended.output
    assert "2  qad-credentials/scripted" in ended.output
    assert "as coupa-demo" in ended.output
    listed = json.loads((await desk.run("connections", "--json")).stdout)
    assert [(one["connection"], one["settings_version"]) for one in listed] == [("acme", 1)]


async def test_a_block_alone_is_not_warned_of_a_time_zone_that_nobody_has_set(desk: Terminal) -> None:
    # Coupa tells its offset with any record; this one is nobody's work.
    await _admin(desk, "seed", {"invoices": [{**story.second_invoice(), "status": "draft"}]}, "coupa")
    alone = json.loads((await desk.run("ping", "coupa-credentials/acme", "--json")).stdout)
    (told,) = [one for one in alone[0]["checks"] if one["name"] == "time zone"]
    assert (told["ok"], told["remedy"]) == (True, "")
    assert "-0800" in told["message"]
    # A connection whose settings leave it out has chosen UTC.
    joined = json.loads((await desk.run("ping", "acme", "--json")).stdout)
    (told,) = [one for one in joined[0]["checks"] if one["name"] == "time zone"]
    assert told["message"].startswith("warning: ")


async def test_a_script_that_leaves_a_block_out_is_told_so(desk: Terminal) -> None:
    refused = await desk.run("connect", "coupa_qad", "other")
    assert "--source-block is missing" in str(refused.exception)


async def test_settings_that_name_what_is_not_there_are_refused(desk: Terminal, tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(
        'qad: {domain: 10USA, entity: 10USACO}\ninvoices: {accounts: {tax: {account: "9999"}}}\n'
    )
    blocks = ["--source-block", "coupa-credentials/acme", "--target-block", "qad-credentials/acme"]
    ended = await desk.run("connect", "coupa_qad", "acme", *blocks, "--settings", str(tmp_path / "acme.yaml"), "--yes")
    assert ended.exit_code == 1
    assert "9999" in ended.output
    listed = json.loads((await desk.run("connections", "--json")).stdout)
    assert listed[0]["settings_version"] == 1


async def test_deploy_makes_directions_services_form_and_housekeeping_and_keeps_a_pause(desk: Terminal) -> None:
    rows = {row["deployment"]: row for row in await _deployed(desk)}
    assert {name: row["every"] for name, row in rows.items()} == {
        "coupa-to-qad/acme": f"{registry.direction('coupa_to_qad').schedule_s} s",
        "qad-to-coupa/acme": f"{registry.direction('qad_to_coupa').schedule_s} s",
        "resolve-in-doubt/acme": "600 s",
        "replay/acme": "on demand",
        "coupa-qad-settings/acme": "on demand",
        "housekeeping/ml-connector": "86400 s",
    }
    assert {row["done"] for row in rows.values()} == {"created"}
    paused = await _schedule(desk, rows["coupa-to-qad/acme"]["id"])
    path = f"deployments/{rows['coupa-to-qad/acme']['id']}/schedules/{paused['id']}"
    await desk.read("PATCH", path, {"active": False})
    automations = await _automations(desk)
    assert {row["done"] for row in await _deployed(desk)} == {"unchanged"}
    assert (await _schedule(desk, rows["coupa-to-qad/acme"]["id"]))["active"] is False
    assert [one["id"] for one in await _automations(desk)] == [one["id"] for one in automations]
    assert len(automations) == 1


async def test_doctor_is_content_with_a_whole_installation(desk: Terminal) -> None:
    await desk.run("audit", "checkpoint")
    ended = await desk.run("doctor", "--json")
    report = json.loads(ended.stdout)
    assert [one for one in report["checks"] if one["result"] != "ok"] == []
    assert (ended.exit_code, report["ok"]) == (0, True)
    shown = {one["check"]: one["message"] for one in report["checks"]}
    assert set(shown) == {
        "keys", "disk", "journal", "database", "keys open the store", "audit checkpoint", "server", "server login",
        "clock", "recorder", "encryption key", "telemetry", "work pool", "worker", "deployments", "paused",
        "results sweep", "dead runs", "wake-ups", "logins",
    }  # fmt: skip
    assert shown["paused"] == "by a person's choice: coupa-to-qad/acme"


async def test_doctor_names_each_thing_that_is_wrong_with_its_remedy(desk: Terminal) -> None:
    rows = {row["deployment"]: row["id"] for row in await _deployed(desk)}
    for name in ("replay/acme", "housekeeping/ml-connector"):
        await desk.read("DELETE", f"deployments/{rows[name]}")
    await desk.read("DELETE", f"automations/{(await _automations(desk))[0]['id']}")
    await desk.read("PATCH", "work_pools/ml-connector", {"concurrency_limit": None})
    checkpoints = sorted((desk.stack.home.root / "audit").glob("*.json"))
    for path in checkpoints:
        path.rename(path.with_suffix(".away"))
    ended = await desk.run("doctor", "--json")
    assert ended.exit_code == 1
    wrong = {one["check"]: one for one in json.loads(ended.stdout)["checks"] if one["result"] == "wrong"}
    assert set(wrong) == {"deployments", "results sweep", "dead runs", "work pool", "audit checkpoint"}
    assert wrong["deployments"]["message"] == "missing: replay/acme"
    assert all(one["remedy"] for one in wrong.values())
    for path in checkpoints:
        path.with_suffix(".away").rename(path)
    await _deployed(desk, "--limit", "4")
    assert (await desk.run("doctor")).exit_code == 0


async def test_housekeeping_removes_our_old_results_and_nobody_elses(desk: Terminal) -> None:
    results = desk.stack.home.results
    sealed, foreign = ({"metadata": {"serializer": {"type": kind}}} for kind in ("ml-connector-sealed", "pickle"))
    files = {"old": sealed, "young": sealed, "foreign": foreign, "unreadable": None}
    for name, content in files.items():
        (results / name).write_text(json.dumps(content) if content else "no JSON")
        if name != "young":
            os.utime(results / name, (FIFTEEN_DAYS_AGO, FIFTEEN_DAYS_AGO))
    rows = {row["deployment"]: row["id"] for row in await _deployed(desk)}
    run = await desk.read("POST", f"deployments/{rows['housekeeping/ml-connector']}/create_flow_run", {})
    async with Installation.open() as one, server.api() as client:
        ended = await launching.wait(one, client, run["id"], within=60)
    assert ended.message.startswith("1 results (0.0 MB) and 0 pages older than 14 days removed")
    assert {name: (results / name).exists() for name in files} == {name: name != "old" for name in files}


async def test_a_run_without_a_direction_starts_both_the_source_first(desk: Terminal) -> None:
    ended = await desk.run("run", "acme", "--json")
    assert ended.exit_code == 0, ended.output
    assert [one["name"] for one in json.loads(ended.stdout)] == ["coupa-to-qad acme", "qad-to-coupa acme"]
    refused = await desk.run("run", "acme", "sideways")
    assert "has no direction sideways; it has coupa_to_qad, qad_to_coupa" in str(refused.exception)


async def test_a_refused_login_is_named_by_deploy_and_doctor(desk: Terminal) -> None:
    wrong = {"username": "qad-demo", "password": "another"}
    await _admin(desk, "do/change_password", wrong)
    await _admin(desk, "do/expire_tokens", {"refresh": True})
    assert (await desk.run("ping", "acme")).exit_code == 1
    notes = {row["deployment"]: row["note"] for row in await _deployed(desk)}
    assert notes["coupa-to-qad/acme"] == "needs login"
    assert notes["coupa-qad-settings/acme"] == ""
    ended = await desk.run("doctor", "--json")
    told = next(one for one in json.loads(ended.stdout)["checks"] if one["check"] == "login of acme")
    assert (told["result"], told["message"]) == ("wrong", "refused: qad-credentials/acme")
    await _admin(desk, "do/change_password", wrong | {"password": QAD_PASSWORD})
    again = await desk.run("ping", "acme", "--again")
    assert again.exit_code == 0, again.output
    assert "Schedules run again: acme" in again.output
    assert {row["note"] for row in await _deployed(desk)} == {""}


async def _deployed(desk: Terminal, *arguments: str) -> list[Any]:
    ended: Result = await desk.run("deploy", "--json", *arguments)
    assert ended.exit_code == 0, ended.output
    rows: list[Any] = json.loads(ended.stdout)
    return rows


async def _schedule(desk: Terminal, deployment: str) -> Any:
    return (await desk.read("GET", f"deployments/{deployment}"))["schedules"][0]


async def _automations(desk: Terminal) -> list[Any]:
    found: list[Any] = await desk.read("POST", "automations/filter", {})
    return [one for one in found if one["name"] == ZOMBIES]


async def _admin(desk: Terminal, path: str, body: dict[str, Any], system: str = "qad") -> None:
    from deployments import rehearsal

    await rehearsal.admin(desk.stack, system, path, body)
