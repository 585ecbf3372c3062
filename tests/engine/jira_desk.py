"""A day at the desk between QAD and Jira: runs of either direction, what people see, and what was written to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml_connector.store import inbox
from ml_connector.store.inbox import Arrival
from ml_connector.sync import repair
from ml_connector.sync.steps import RECORD, chain
from sandbox.jira import adf_text
from tests.engine import qad_jira
from tests.engine.qad_jira import BACK, NAME, THERE, issue_of, person, shown
from tests.engine.stories import Wire
from tests.engine.world import START, Json, World

CREATE = r"^POST /rest/api/3/issue(/bulk)?(\?|$)"
UPDATE = r"^POST .*/supplierInvoices"
RELEASES: Json = qad_jira.settings()["decisions"] | {"release_on": ["Done"]}


async def make(folder: Path, template: Path, *, told: bool = True, **changes: Any) -> World:
    """A connection over wires that can break; nothing has run."""
    world = await qad_jira.qad_jira(folder, template, told=told, **changes)
    world.apps = {name: Wire(app) for name, app in world.apps.items()}
    return world


async def opened(folder: Path, template: Path, **changes: Any) -> World:
    """The same after a first run of either direction: INV-3001 fails the match, INV-3002 is held, PO200004 is late."""
    world = await make(folder, template, **changes)
    await qad_jira.both(world)
    return world


async def there(world: World, seconds: float = 60) -> Json:
    """Time passes, then QAD's exceptions go to Jira."""
    await world.pass_time(seconds)
    return dict(await world.run(THERE, NAME))


async def back(world: World, seconds: float = 60) -> Json:
    """Time passes, then decisions go back to QAD."""
    await world.pass_time(seconds)
    return dict(await world.run(BACK, NAME))


async def in_order(world: World, *directions: str) -> None:
    """Runs of these directions, a minute apart."""
    for direction in directions:
        await world.pass_time(60)
        await world.run(direction, NAME)


async def writes(world: World) -> tuple[int, Json]:
    """What took effect: writes in QAD, and per kind in Jira."""
    qad, jira = await world.truth("qad"), await world.truth("jira")
    kinds = ("creates", "edits", "transitions", "comments", "comment_edits", "deletes")
    return qad["writes"], {name: sum(jira[name].values()) for name in kinds}


async def comes_to_rest(world: World) -> None:
    """What QAD has taken over may show in the issue's text once more; after that nothing is written."""
    await there(world)
    await is_quiet(world)


async def is_quiet(world: World) -> None:
    """Two more rounds write nothing to anybody."""
    before = await writes(world)
    await in_order(world, THERE, BACK, BACK, THERE)
    assert await writes(world) == before


async def stands(world: World) -> dict[str, str]:
    """Outcome and reason codes of every record by its label."""
    found = await world.standing(NAME)
    return {label: " ".join([row.outcome.value, *(one.code for one in row.reasons)]) for label, row in found.items()}


async def refusal_code(world: World, label: str) -> str:
    """Why the other system refused a record, in our words."""
    reasons = (await world.standing(NAME))[label].reasons
    return next((str(one.params["code"]) for one in reasons if "code" in one.params), "")


async def comments(world: World, issue: str) -> list[str]:
    """The texts of an issue's comments, oldest first."""
    found = (await shown(world, issue))["fields"]["comment"]["comments"]
    return [adf_text.plain(one["body"]) or "" for one in found]


async def field(world: World, issue: str, name: str) -> Any:
    """What an issue shows in a field."""
    return (await shown(world, issue))["fields"][name]


async def status(world: World, issue: str) -> str:
    """The name of an issue's status."""
    return str((await field(world, issue, "status"))["name"])


async def resolve(world: World, label: str) -> str:
    """A person works on the issue of a record and finishes it; the issue's id."""
    issue = await issue_of(world, label)
    for name in ("In Progress", "Done"):
        await person(world, "transition", issue=issue, to=name)
    return issue


async def replay(world: World, direction: str, label: str, *, recreate: bool = False) -> None:
    """A person asks for a record once more, and it is taken at once."""
    async with world.session(direction, NAME) as session:
        run = session.steps.run
        row = await repair.find(run, label)
        assert row is not None
        row = await repair.request_replay(run, row, by="clerk", recreate=recreate)
        await chain(session.steps, row.route, kinds=[RECORD + row.id])


async def deliver(world: World, *issues: str, topic: str = "jira:issue_updated") -> None:
    """Deliveries about these issues stand in the inbox."""
    now = world.clock.now()
    rows = [Arrival(NAME, BACK, "site", f"{topic}/{one}/{now.timestamp()}", topic, one, now) for one in issues]
    async with world.installation() as one, one.store.db.write() as tx:
        await inbox.put(one.store.db, tx, rows)


async def waiting(world: World) -> int:
    """How many deliveries nobody has read."""
    async with world.installation() as one:
        return len(await inbox.waiting(one.store.db, NAME, BACK, 10_000))


async def alarms(world: World, seconds: float = 60) -> Mapping[str, int]:
    """What a run back to QAD asks people to look into."""
    await world.pass_time(seconds)
    async with world.session(BACK, NAME) as session:
        for route in session.steps.run.routes:
            await chain(session.steps, route)
        return dict(session.alarms())


def held(number: int, **members: Any) -> Json:
    """A posted invoice that somebody holds in QAD."""
    day = START.date().isoformat()
    return {
        "invoiceReference": f"INV-41{number:02d}",
        "supplierCode": "SUP00003",
        "currencyCode": "USD",
        "originalAmountTC": 100 + number,
        "invoiceDate": day,
        "postingDate": day,
        "holdAmountTC": 10,
        "daybookCode": "APINV",
        "supplierInvoiceLines": [{"line": 1, "glAccountCode": "6100", "amountTC": 100 + number}],
    } | members


async def post(world: World, *invoices: Json) -> None:
    """Invoices appear in QAD."""
    await world.admin("qad", "seed", {"supplierInvoices": list(invoices)})


def text_of(issue: Json) -> str:
    """An issue's description as plain text."""
    return adf_text.plain(issue["fields"]["description"]) or ""


async def change_settings(world: World, **changes: Any) -> None:
    """An administrator saves other settings, which is a new version of them."""
    row = replace(world.rows[NAME], settings=qad_jira.settings(**changes))
    site = "11111111-2222-4333-8444-555555555555"
    await world.connect(row, world.logins[NAME], ("erp.acme.example 10USA 10USACO", site))


async def qad_slots(world: World, label: str) -> Json:
    """What QAD shows of decisions about an invoice."""
    found = await qad_jira.invoice(world, label)
    return {name: value for name, value in found.items() if name.startswith("custom") and value}
