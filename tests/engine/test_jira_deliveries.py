"""Deliveries are hints: thousands of them cause one read per issue, and what none of them told is found too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ml_connector.store.ingresses import Ingresses, Subscription
from ml_connector.webhooks.receiver import Receiver
from tests.engine import jira_desk as desk
from tests.engine import qad_jira
from tests.engine import stories as tell
from tests.engine.jira_desk import UPDATE, back, held, make, opened, post, resolve, stands, there
from tests.engine.qad_jira import BACK, COST_CODE, NAME, clerk, invoice, issue_of, person
from tests.engine.world import Json, World
from tests.webhooks.senders import SECRET, Bell, admin, issue_event

SITE = "acme.atlassian.net"
ADMIN: Json = {"webhook": "admin"}
HOUR_S = 3600.0


def _jira(more: Json) -> Json:
    """The Jira part of the settings with some members changed."""
    found: Json = qad_jira.settings()["jira"] | more
    return found


async def _received(world: World, issues: list[str], times: int) -> list[str]:
    """A receiver takes so many deliveries about each issue, in turn; its answers."""
    async with world.installation() as one:
        ingresses = Ingresses(one.store.db, one.store.keys, one.store.audit, one.store.clock)
        await ingresses.create("jira", system="jira", kind="admin", secrets=[SECRET], options={"site": SITE})
        await ingresses.subscribe("jira", NAME, [Subscription(NAME, BACK)])
        receiver = Receiver(one.store, Bell())
        door = await receiver.find("jira", "jira")
        assert door is not None
        stamp = int(world.clock.now().timestamp() * 1000)
        answers: list[str] = []
        for turn in range(times):
            bodies = [issue_event(int(issue), timestamp=stamp + turn) for issue in issues]
            sent = [admin(body, delivery=f"d-{turn}-{n}") for n, body in enumerate(bodies)]
            answers += await asyncio.gather(*(receiver.accept(door, headers, body) for _, headers, body in sent))
        await receiver.close()
    return answers


async def test_five_thousand_deliveries_about_fifty_issues_cause_one_read_and_one_effect_of_each(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, told=False, jira=_jira(ADMIN))
    await post(world, *(held(number) for number in range(1, 51)))
    await there(world)
    await back(world)
    issues = [await issue_of(world, f"INV-41{number:02d}") for number in range(1, 51)]
    for issue in issues:
        await person(world, "set_fields", issue=issue, fields={COST_CODE: f"CC{int(issue) % 90}"})
    answers = await _received(world, issues, 100)
    assert (len(answers), set(answers), await desk.waiting(world)) == (5000, {"accepted"}, 5000)
    before = len(await tell.calls(world, "jira", "."))
    assert (await back(world))["updated"] == 50
    calls = [f"{one['method']} {one['path']}" for one in (await tell.calls(world, "jira", "."))[before:]]
    # One question names all fifty; the poll behind it asks the index once.
    assert calls.count("POST /rest/api/3/issue/bulkfetch") == 1
    assert calls.count("POST /rest/api/3/search/jql") == 1
    assert len([one for one in calls if one.startswith("GET /rest/api/3/issue/")]) == 0
    assert len(await tell.calls(world, "qad", UPDATE)) == 50
    assert await desk.waiting(world) == 0
    assert (await invoice(world, "INV-4101"))["customShort4"] == f"CC{int(issues[0]) % 90}"
    await desk.comes_to_rest(world)


async def test_a_run_that_dies_after_it_cleared_the_flag_leaves_the_deliveries_to_the_next(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, jira=_jira(ADMIN))
    issue = await resolve(world, "INV-3002")
    await _received(world, [issue], 3)
    tell.wire(world, "qad").when(UPDATE, tell.dies(world), after=True)
    await tell.killed(back(world), world)
    assert await desk.waiting(world) == 3
    for seconds in (200, 700, 60):
        await back(world, seconds)
    assert await desk.waiting(world) == 0
    assert (await invoice(world, "INV-3002"))["customShort2"] == "Done"
    assert (await world.truth("qad"))["writes"] == 1
    assert (await stands(world))["AP-2"] in ("created", "updated")


@pytest.mark.parametrize("webhook", ["admin", "none"])
async def test_an_outage_of_the_receiver_loses_nothing_and_is_counted(
    tmp_path: Path, sqlite_template: Path, webhook: str
) -> None:
    world = await opened(tmp_path, sqlite_template, jira=_jira({"webhook": webhook}))
    await resolve(world, "INV-3002")
    await person(world, "comment", issue=await issue_of(world, "INV-3001"), text="nothing is decided by this")
    alarms = await desk.alarms(world, 3 * HOUR_S)
    assert (await invoice(world, "INV-3002"))["customShort2"] == "Done"
    assert alarms == ({"missed_webhooks": 1} if webhook == "admin" else {})
    assert await desk.alarms(world) == {}
    await desk.is_quiet(world)


async def test_what_a_delivery_told_is_not_counted_as_missed(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, jira=_jira(ADMIN))
    issue = await resolve(world, "INV-3002")
    await _received(world, [issue], 1)
    assert await desk.alarms(world, 3 * HOUR_S) == {}
    assert (await invoice(world, "INV-3002"))["customShort2"] == "Done"


async def test_our_own_changes_are_not_counted_as_missed(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template, jira=_jira(ADMIN))
    await clerk(world, "edit_invoice", invoiceReference="INV-3001", changes={"holdAmountTC": 45})
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 0})
    await there(world)
    assert await desk.alarms(world, HOUR_S) == {}


async def test_deliveries_about_issues_of_others_and_gone_ones_are_drained_without_a_trace(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    fields = {"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": "not ours"}
    other = (await person(world, "create", fields=fields))["id"]
    await desk.deliver(world, other, "10999", "10000")
    await desk.deliver(world, "10000", topic="comment_created")
    await back(world)
    assert await desk.waiting(world) == 0
    assert not any(row.external_id.endswith(other) for row in (await world.standing(NAME)).values())
    assert (await world.truth("qad"))["writes"] == 0
