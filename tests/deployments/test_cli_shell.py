"""The shell of the command line: clear errors, data on stdout alone, a clean end on Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from deployments import output
from deployments.commands import desk
from deployments.processes import answers
from deployments.stack import seeds_of
from deployments.up import until_interrupted
from sandbox.__main__ import load
from sandbox.qad.app import create as create_qad

PATIENCE = 30.0
COMMAND = [sys.executable, "-m", "deployments.cli"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "ML_CONNECTOR_HOME": str(tmp_path / "home"), "COLUMNS": "100"}


def ml_connector(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_help_names_the_commands(environment: dict[str, str]) -> None:
    shown = ml_connector(environment, "--help")
    assert shown.returncode == 0
    assert {"up", "sandbox"} <= set(shown.stdout.split())


def test_a_user_error_is_one_line_and_exit_code_2(environment: dict[str, str]) -> None:
    ended = ml_connector(environment, "sandbox", "nosuch")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "ml-connector: there is no sandbox for nosuch; there are: coupa, qad, jira\n"


def test_an_unknown_seed_shows_what_the_sandbox_said(environment: dict[str, str]) -> None:
    ended = ml_connector(environment, "sandbox", "qad", "--seed", "nosuch")
    assert ended.returncode == 2
    assert "sandbox-qad ended with code 2 before it was ready" in ended.stderr
    assert "no seed nosuch" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_sandboxes_answer_until_one_ctrl_c(environment: dict[str, str], tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("wb") as told:
        arguments = [*COMMAND, "sandbox", "--seed", "story", "--json"]
        pipe = asyncio.subprocess.PIPE
        command = await asyncio.create_subprocess_exec(*arguments, env=environment, stdout=pipe, stderr=told)
    assert command.stdout is not None
    try:
        shown = await asyncio.wait_for(command.stdout.readuntil(b"\n}\n"), PATIENCE)
        urls = json.loads(shown)
        logins = urls.pop("logins")
        assert set(urls) == set(logins) == {"coupa", "qad", "jira"}
        async with httpx.AsyncClient(trust_env=False) as client:
            for system, url in urls.items():
                assert (await client.get(f"{url}/_sandbox/health")).json()["sandbox"] == system
                await _opens(client, **logins[system])
            state = {"coupa": "invoices", "qad": "purchaseOrders"}
            told = {name: (await client.get(f"{urls[name]}/_sandbox/state/{it}")).json() for name, it in state.items()}
        assert {name: len(rows) for name, rows in told.items()} == {"coupa": 7, "qad": 6}
    finally:
        command.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(command.wait(), PATIENCE)
    assert code == 0
    assert not any([await answers(f"{url}/_sandbox/health")() for url in urls.values()])


async def _opens(client: httpx.AsyncClient, *, base_url: str = "", kind: str = "", **login: str) -> None:
    """The printed login is one that the stand-in takes."""
    if "site_url" in login:
        who = await client.get(f"{login['site_url']}/rest/api/3/myself", auth=(login["email"], login["token"]))
        assert who.json()["accountId"], who.text
        return
    coupa = "client_secret" in login
    grant = {"grant_type": "client_credentials", "scope": "core.invoice.read"} if coupa else {"grant_type": "password"}
    answer = await client.post(f"{base_url}/{'oauth2' if coupa else 'oauth'}/token", data=login | grant)
    assert answer.json()["access_token"], answer.text


def test_the_login_of_a_stand_in_is_shown_as_connect_takes_it() -> None:
    shown = desk._ways_in({"coupa": "http://127.0.0.1:1", "qad": "http://127.0.0.1:2"}, as_json=False)
    assert shown == {
        "coupa": "http://127.0.0.1:1",
        "coupa login": "base_url=http://127.0.0.1:1 client_id=coupa-demo client_secret=coupa-demo-secret",
        "qad": "http://127.0.0.1:2",
        "qad login": "kind=password base_url=http://127.0.0.1:2/clouderp client_id=qad-demo-client "
        "username=qad-demo password=qad-demo-password",
    }


def test_the_story_comes_once_and_over_its_base() -> None:
    for names in (["story"], ["base", "story"], ["story", "base", "story"]):
        tenant = create_qad().state.tenant
        load(tenant, names)
        assert (len(tenant.state("suppliers")), len(tenant.state("purchaseOrders"))) == (10, 6)


def test_an_interrupt_lets_the_work_clean_up_and_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGINT)  # an impatient second one
            await asyncio.sleep(0.05)
            steps.append("cleaned up")

    until_interrupted(work())
    assert steps == ["cleaned up"]
    assert capsys.readouterr().err.count("Ending") == 1


def test_work_that_cancels_itself_is_not_taken_for_an_interrupt() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        until_interrupted(work())


def test_json_keeps_every_digit_and_every_letter(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"amount": Decimal("0.10"), "due": date(2026, 2, 1), "name": "Größe 大", "codes": ("b", "a")}]
    output.show_rows(rows, ["amount"], as_json=True)
    shown = capsys.readouterr().out
    assert json.loads(shown) == [{"amount": "0.10", "due": "2026-02-01", "name": "Größe 大", "codes": ["b", "a"]}]
    assert "Größe 大" in shown


def test_a_table_shows_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_rows([{"invoice_number": "[red]4711", "reason": None}], ["invoice_number", "reason"], as_json=False)
    shown = capsys.readouterr().out
    assert "[red]4711" in shown
    assert "invoice number" in shown
    assert "None" not in shown


def test_progress_leaves_stdout_to_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Reading [pages]"):
        pass
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Reading [pages]: 0.0 s" in shown.err


def test_progress_does_not_claim_an_end_that_did_not_come(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), output.progress("Reading"):
        _ = 1 / 0
    assert capsys.readouterr().err == "Reading ...\n"


def test_a_seed_goes_to_its_system_or_to_all() -> None:
    assert seeds_of(["base", "qad=story"]) == {
        "coupa": ["base"],
        "qad": ["base", "story"],
        "jira": ["base"],
    }
