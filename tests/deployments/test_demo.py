"""Both commands of a newcomer as they are typed: the demo to its end, and the desk until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tenacity import AsyncRetrying, stop_after_delay, wait_fixed

from deployments import ingress
from deployments.commands.demo import fresh_folder
from deployments.demo import POSTED
from deployments.demo_stage import Teller
from deployments.home import Home
from deployments.processes import answers
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from sandbox import story

COMMAND = [sys.executable, "-m", "deployments.cli"]
PATIENCE = 240.0  # seconds; on an idle machine a sixth of it
SECRETS = ("coupa-demo-secret", "qad-demo-password", "jira-demo-token")


async def ml_connector(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command line to its end; gives exit code, stdout and stderr."""
    pipe = asyncio.subprocess.PIPE
    command = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=_environment(home), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    out, err = await asyncio.wait_for(command.communicate(), PATIENCE)
    assert command.returncode is not None
    return command.returncode, out.decode(), err.decode()


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ML_CONNECTOR_"))}
    return {**kept, "ML_CONNECTOR_HOME": str(home), "COLUMNS": "200"}


async def test_the_demo_plays_the_story_and_proves_it(tmp_path: Path) -> None:
    code, out, err = await ml_connector(tmp_path, "demo")
    assert code == 0, out + err
    lines = [line.strip() for line in out.splitlines()]
    for record in POSTED:
        assert _told(lines, record, "created", "QAD voucher 10USACO/") == 1
    assert _told(lines, "INV-1005", "held", "no goods receipt posted for PO PO100005") == 1
    assert _told(lines, "INV-1006", "held", "PO PO109999 is not in the target") == 4
    assert _told(lines, "INV-1007", "rejected", "add up to 160") == 4
    assert _told(lines, "INV-1008", "held", "no goods receipt posted for PO PO100005") == 2
    for coupa, qad in (("0 -> 12", "0 -> 4"), ("12 -> 15", "4 -> 5"), ("15 -> 15", "5 -> 5 (nothing was sent)")):
        assert f"ok       writes counted by the tenants: coupa {coupa}, qad {qad}" in lines
    _the_way_back_is_told(lines)
    _the_issues_are_told(lines)
    assert "DIFFERS" not in out
    assert "0 lost" in out and "make up" in out
    assert "Run 1: " in err
    secrets = (*SECRETS, *await _webhook_secrets(tmp_path / "demo"))
    assert not any(secret in out + err for secret in secrets)
    _everything_is_in_one_folder(tmp_path, secrets)


def _told(lines: list[str], record: str, outcome: str, why: str) -> int:
    return sum(line.split()[:2] == [record, outcome] and why in line for line in lines)


def _the_way_back_is_told(lines: list[str]) -> None:
    assert "suppliers: 4 brought in line, 5 created" in lines
    assert _told(lines, "INV-1001/50001", "created", "Coupa invoice 4001") == 1
    assert _told(lines, "INV-1002/50002", "created", "Coupa invoice 4002") == 1
    assert _told(lines, "INV-1001/50001", "updated", "Coupa invoice 4001") == 1
    assert _told(lines, "INV-1001/50003", "created", "Coupa invoice 4001") == 1
    for entries in ("600.00, paid", "600.00 -600.00, not paid", "600.00 -600.00 600.00, paid"):
        shown = f"INV-1001: {entries}; INV-1002: 400.00, not paid"
        assert lines.count(f"ok       Coupa shows the payments of {shown}") == 1
    assert _told(lines, "INV-1003", "rejected", "posted as 10USACO/") == 1
    for coupa in ("15 -> 27", "27 -> 29", "29 -> 31"):
        assert f"ok       writes counted by the tenants: coupa {coupa}, qad 5 -> 5" in lines
    assert "ok       writes counted by the tenants: coupa 31 -> 31, qad 5 -> 5 (nothing was sent)" in lines


def _the_issues_are_told(lines: list[str]) -> None:
    for record, words in (
        ("INV-1002", "(PO100002, PO100003) fails the match"),
        ("INV-1003", "is held"),
        ("INV-1005", "fails the match"),
        ("PO100005", "is late"),
    ):
        assert _told(lines, record, "created", words) == 1
    assert sum(one.startswith("Match, 813.4 USD, variance 25; http://127.0.0.1:") for one in lines) == 2
    for shown in (
        "Done, cost code CC40, hold 0",
        "Won't Do, cost code none, hold 45000",
        "none, cost code none, hold 40",
    ):
        assert lines.count(f"ok       QAD shows resolution {shown}") == 1
    assert sum(one.startswith("INV-1002  updated  QAD shows it ") for one in lines) == 1
    assert lines.count("ok       nobody started a run: Jira's webhook did") == 3
    assert lines.count("| QAD says: Invoice is submitted for approval and cannot be modified") == 1
    assert lines.count("| The exception has cleared in QAD.") == 1
    for writes in ("0 -> 4, qad 5 -> 5", "4 -> 4, qad 5 -> 6", "4 -> 4, qad 6 -> 7", "4 -> 5, qad 7 -> 7"):
        assert f"ok       writes counted by the tenants: jira {writes}" in lines


async def _webhook_secrets(home: Path) -> tuple[str, ...]:
    """The secrets that Jira's deliveries were signed with."""
    async with Installation.open(Settings(home=home, database_url="", keys_file=None)) as installation:
        (door,) = await ingress.doors_of(installation).list()
    assert door.secrets
    return door.secrets


def _everything_is_in_one_folder(home: Path, secrets: Sequence[str]) -> None:
    assert [path.name for path in home.iterdir()] == ["demo"]
    with closing(sqlite3.connect(home / "demo" / "ml-connector.db")) as store:
        query = "select label, outcome from ledger where direction = ? and route = 'invoices' and target_id is not null"
        found = store.execute(query, ("coupa_to_qad",)).fetchall()
    # One of the posted was voided in Coupa afterwards, which a person has to see.
    assert sorted(found) == sorted((one, "rejected" if one == "INV-1003" else "created") for one in POSTED)
    for log in (home / "demo" / "logs").glob("*.log"):
        assert not any(secret in log.read_text(errors="replace") for secret in secrets)


PINGED = [("coupa", True), ("qad", True), ("coupa_qad", True)]


async def test_the_desk_stays_up_answers_commands_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    async with _desk(tmp_path) as shown:
        home = tmp_path / "up"
        first = await _ended(home, "run", "demo", "coupa_to_qad", "--wait", "--json")
        # The desk has started a run of its own; whichever comes first reads all seven.
        assert (first["state"], sum(first["counts"].values()) in (3, 7)) == ("Held", True)
        code, out, err = await ml_connector(home, "held", "--json")
        assert (code, [row["record"] for row in json.loads(out)]) == (0, ["INV-1005", "INV-1006"]), err
        code, out, err = await ml_connector(home, "ping", "demo", "--json")
        assert (code, [(one["system"], one["ok"]) for one in json.loads(out)]) == (0, PINGED)
        assert not any(secret in out + err for secret in SECRETS)
        code, out, _ = await ml_connector(home, "ping", "qad-credentials/demo", "--again", "--json")
        assert (code, [one["who"] for one in json.loads(out)]) == (0, ["qad-demo in workspace (default)"])
        assert {row["done"] for row in await _ended(home, "deploy", "--json")} == {"unchanged"}
        truth = await _truth(shown["sandbox_qad"])
        assert sorted(truth["invoices_by_token"].values()) == [1, 1, 1, 1]
        await _the_way_back_runs_too(home, shown)
        await _a_decision_in_jira_reaches_qad_by_itself(home, shown)
        await _a_persons_pause_is_kept_and_a_removed_connection_loses_its_deployment(home, shown)
    assert not (home / "server-address").exists()
    assert not any([await answers(f"{shown[f'sandbox_{name}']}/_sandbox/health")() for name in ("coupa", "qad")])


async def _the_way_back_runs_too(home: Path, shown: dict[str, str]) -> None:
    """QAD pays an invoice; the next run of the other direction, which has a schedule of its own, tells Coupa."""
    rows = {row["deployment"]: row["every"] for row in await _ended(home, "deploy", "--json")}
    assert (rows["coupa-to-qad/demo"], rows["qad-to-coupa/demo"]) == ("300 s", "900 s")
    async with httpx.AsyncClient(trust_env=False) as api:
        paid = await api.post(f"{shown['sandbox_qad']}/_sandbox/do/pay", json=story.payments()[0])
        paid.raise_for_status()
    ended = await _ended(home, "run", "demo", "qad_to_coupa", "--wait", "--json")
    truth = await _truth(shown["sandbox_coupa"])
    assert ended["state"] == "Completed"
    assert ([one["amount-paid"] for one in truth["payments"]["4001"]], "4001" in truth["paid"]) == (["600.00"], True)
    assert set(truth["suppliers"].values()) == {1}


async def _a_decision_in_jira_reaches_qad_by_itself(home: Path, shown: dict[str, str]) -> None:
    """The stand-in of Jira knows the receiver's address and secret, and its delivery starts the run."""
    ended = await _ended(home, "run", "demo-jira", "qad_to_jira", "--wait", "--json")
    assert ended["state"] == "Completed"
    qad, jira = shown["sandbox_qad"], shown["sandbox_jira"]
    async with httpx.AsyncClient(trust_env=False) as api:
        issues = {one["key"]: one for one in (await api.get(f"{jira}/_sandbox/state/issues")).json()}
        held = next(key for key, one in issues.items() if "INV-3002" in one["fields"]["summary"])
        for step in ("Start", "Finish"):
            moved = await api.post(f"{jira}/_sandbox/do/transition", json={"issue": held, "to": step})
            moved.raise_for_status()
        async with asyncio.timeout(PATIENCE):
            while True:
                if updates := (await _truth(qad))["updates"].get("supplierInvoice"):
                    break
                await asyncio.sleep(0.2)
    (update,) = updates.values()
    assert (update["calls"], update["releases"]) == (1, 1)


async def _a_persons_pause_is_kept_and_a_removed_connection_loses_its_deployment(
    home: Path, shown: dict[str, str]
) -> None:
    user, _, password = shown["login"].partition(":")
    async with httpx.AsyncClient(
        base_url=f"{shown['prefect_ui']}/api/", auth=(user, password), trust_env=False, timeout=30
    ) as api:
        where = "deployments/name/coupa-to-qad/demo"
        found = (await api.get(where)).json()
        assert (found["concurrency_options"]["collision_strategy"], found["global_concurrency_limit"]["limit"]) == (
            "ENQUEUE",
            1,
        )
        (schedule,) = found["schedules"]
        assert (schedule["schedule"]["interval"], found["parameters"]) == (300.0, {"connection": "demo"})
        await _patched(api, f"deployments/{found['id']}/schedules/{schedule['id']}", {"active": False})
        tags = ["ml-connector", *found["tags"][1:], "mine"]
        await _patched(api, f"deployments/{found['id']}", {"tags": tags})
        done = {row["deployment"]: row["done"] for row in await _ended(home, "deploy", "--json")}
        assert [name for name, what in done.items() if what != "unchanged"] == ["coupa-to-qad/demo"]
        found = (await api.get(where)).json()
        assert [one["active"] for one in found["schedules"]] == [False]
        with closing(sqlite3.connect(home / "ml-connector.db")) as store, store:
            store.execute("update connection set state = 'paused'")
        left = [row["deployment"] for row in await _ended(home, "deploy", "--json") if row["done"] != "removed"]
        assert left == ["housekeeping/ml-connector"]
        assert (await api.get(where)).status_code == httpx.codes.NOT_FOUND
        code, _, err = await ml_connector(home, "run", "demo")
        assert (code, err) == (2, "ml-connector: connection demo is paused; run: ml-connector resume demo\n")


async def _patched(api: httpx.AsyncClient, path: str, changes: Any) -> None:
    """What a person changes in the UI; a server on SQLite answers 503 while it is busy, and a person tries again."""
    async for attempt in AsyncRetrying(stop=stop_after_delay(PATIENCE), wait=wait_fixed(1), reraise=True):
        with attempt:
            (await api.patch(path, json=changes)).raise_for_status()


@asynccontextmanager
async def _desk(home: Path) -> AsyncIterator[dict[str, str]]:
    """`ml-connector up` for the length of the block; gives what it shows."""
    with (home / "stderr").open("wb") as told:
        command = await asyncio.create_subprocess_exec(
            *COMMAND, "up", "--json", env=_environment(home), stdout=asyncio.subprocess.PIPE, stderr=told
        )
    assert command.stdout is not None
    try:
        shown = await asyncio.wait_for(command.stdout.readuntil(b"}\n"), PATIENCE)
        yield json.loads(shown)
    finally:
        if command.returncode is None:
            command.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(command.wait(), PATIENCE)
    assert code == 0, (home / "stderr").read_text()


async def _ended(home: Path, *arguments: str) -> Any:
    code, out, err = await ml_connector(home, *arguments)
    assert code == 0, out + err
    return json.loads(out)


async def _truth(url: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as api:
        return (await api.get(f"{url}/_sandbox/truth")).json()


def test_the_demo_replaces_only_its_own_folder(tmp_path: Path) -> None:
    folder = fresh_folder(tmp_path / "demo")
    (folder / "left").write_text("over")
    assert sorted(path.name for path in fresh_folder(folder).iterdir()) == ["made-by-ml-connector-demo"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").write_text("not yet published")
    with pytest.raises(ConfigurationError, match="was not made by the demo"):
        fresh_folder(mine)
    assert (mine / "thesis").exists()


def test_the_demo_does_not_pull_the_ground_from_under_a_running_one(tmp_path: Path) -> None:
    home = Home.open(Settings(home=fresh_folder(tmp_path / "demo")))
    with home.held(), pytest.raises(ConfigurationError, match=r"a demo runs in .* already"):
        fresh_folder(home.root)
    assert home.keys.exists()


def test_a_story_that_was_not_finished_or_differs_is_not_ok(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller()
    teller.check("one", expected=1, found=1)
    assert not teller.ok
    teller.finished = True
    assert teller.ok
    teller.check("two", expected={"INV-1001": 1}, found={"INV-1001": 2})
    assert not teller.ok
    assert "expected {'INV-1001': 1}" in capsys.readouterr().out
