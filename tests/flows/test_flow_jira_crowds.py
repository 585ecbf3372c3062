"""Many deliveries and no server: thousands of them start a handful of runs, and those of an outage are made up for."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deployments import processes
from deployments.home import child_environment, environment
from tests.engine.jira_desk import held
from tests.engine.qad_jira import COST_CODE, THERE
from tests.engine.world import Json
from tests.flows.desk import Desk, hand_in_what_is_noted, in_this_process, until
from tests.flows.jira_desk import Exceptions, exceptions, opened_with_receiver
from tests.webhooks.senders import issue_event, signature

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADMIN: dict[str, Any] = {"webhook": "admin"}
ISSUES, TIMES, SENDERS = 50, 100, 32
# Each run that ends while deliveries still come is followed by another one.
HANDFUL = 10


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def later() -> AsyncIterator[AsyncExitStack]:
    """What is ended after the desk of this module."""
    async with AsyncExitStack() as exits:
        yield exits


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowded_desk(later: AsyncExitStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A desk of this module's own, whose server may be ended."""
    async with opened_with_receiver(tmp_path_factory.mktemp("crowded")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def desk(crowded_desk: Desk) -> AsyncIterator[Desk]:
    """That desk, with this process as a part of it."""
    with in_this_process(crowded_desk.stack):
        yield crowded_desk
        await hand_in_what_is_noted()


async def test_five_thousand_deliveries_start_a_handful_of_runs_and_write_each_decision_once(desk: Desk) -> None:
    async with exceptions(desk, "storm", _held_invoices(), jira=ADMIN) as acme:
        assert (await acme.run(THERE)).message == f"{ISSUES} read: {ISSUES} created"
        secret = await acme.open_door(desk.stack.receiver, sends=False)
        issues = {record: str(row.target_id) for record, row in (await acme.standing()).items()}
        for issue in issues.values():
            await acme.admin("jira", "do/set_fields", {"issue": issue, "fields": {COST_CODE: f"CC{int(issue) % 90}"}})
        seen = await acme.last_call("jira")
        answers = await _storm(f"{desk.stack.receiver}/webhooks/jira/storm", secret, [*issues.values()])
        assert answers == {(202, "accepted"): ISSUES * TIMES}
        await acme.quiet()

        runs = await acme.runs_back()
        assert 1 <= len(runs) <= HANDFUL
        assert {run.state.name for run in runs if run.state is not None} == {"Completed"}
        calls = await acme.calls("jira", since=seen)
        asked = [one for one in calls if one["path"].endswith("/bulkfetch") or "/issue/" in one["path"]]
        # A run asks once about all the issues that it was told of.
        assert 1 <= len(asked) <= len(runs) * 2 <= ISSUES
        assert (await acme.written())["qad"] == ISSUES
        assert len(await acme.calls("qad", "POST")) == ISSUES
        codes = {row["invoiceReference"]: row["customShort4"] for row in await _invoices(acme)}
        assert codes == {record: f"CC{int(issue) % 90}" for record, issue in issues.items()}


def _held_invoices() -> Json:
    day = date.today().isoformat()
    return {"supplierInvoices": [held(n, invoiceDate=day, postingDate=day) for n in range(1, ISSUES + 1)]}


async def _invoices(acme: Exceptions) -> list[Json]:
    found: list[Json] = await acme.admin("qad", "state/supplierInvoices", method="GET")
    return found


async def _storm(url: str, secret: str, issues: list[str]) -> Counter[tuple[int, str]]:
    """Every issue is told of so many times, by so many senders at once; the answers."""
    stamp = int(datetime.now(UTC).timestamp() * 1000)
    waiting = iter([(turn, issue) for turn in range(TIMES) for issue in issues])
    answers: Counter[tuple[int, str]] = Counter()

    async def send() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            for turn, issue in waiting:
                body = issue_event(int(issue), site="127.0.0.1", timestamp=stamp + turn)
                identifier = f"storm-{turn}-{issue}"
                headers = {
                    "X-Hub-Signature": signature(body, secret),
                    "X-Atlassian-Webhook-Identifier": identifier,
                }
                answer = await http.post(url, content=body, headers=headers)
                answers[answer.status_code, answer.json()["status"]] += 1

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    return answers


async def test_decisions_that_arrive_without_a_server_take_effect_once_it_is_back(
    desk: Desk, later: AsyncExitStack
) -> None:
    async with exceptions(desk, "outage", jira=ADMIN) as acme:
        await acme.run(THERE)
        await acme.open_door(desk.stack.receiver)
        (server,) = [one for one in desk.stack.children if one.name == "prefect-server"]
        await server.stop()
        for record in ("INV-3001", "INV-3002"):
            await acme.finish(await acme.issue_of(record))
        await _all_delivered(acme, 4)
        assert await acme.flagged()
        assert {one["status"] for one in await acme.admin("jira", "state/deliveries", method="GET")} == {202}

        await later.enter_async_context(_server_again(desk))
        await _ready(desk)
        await acme.quiet()
        told = {record: (await acme.shown(record))["customShort2"] for record in ("INV-3001", "INV-3002")}
        assert told == {"INV-3001": "Done", "INV-3002": "Done"}
        assert (await acme.written())["qad"] == 2
        assert await acme.runs_back()


async def _all_delivered(acme: Exceptions, count: int) -> None:
    async def probe() -> bool | None:
        return True if await acme.waiting() == count else None

    await until(probe, "the deliveries to be kept")


def _server_again(desk: Desk) -> Any:
    """The server on the same home and port."""
    port = desk.stack.api_url.removesuffix("/api").rpartition(":")[2]
    command = [sys.executable, "-P", "-m", "prefect", "server", "start", "--host", processes.LOOPBACK, "--port", port]
    surroundings = child_environment(environment(desk.home, desk.stack.api_url))
    return processes.running("prefect-server-again", command, environment=surroundings, logs=desk.home.logs)


async def _ready(desk: Desk) -> None:
    answers = processes.answers(f"{desk.stack.api_url}/health")

    async def probe() -> bool | None:
        return True if await answers() else None

    await until(probe, "the server to be back", within=120)
