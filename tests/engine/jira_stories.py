"""Stories for the fault loop of this pair: exceptions of every kind on their way, and decisions of every kind back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from ml_connector.store import inbox
from ml_connector.store.inbox import Arrival
from tests.engine import qad_jira
from tests.engine.faults import Faults
from tests.engine.qad_jira import BACK, COST_CODE, NAME, THERE, clerk, issue_of, person
from tests.engine.world import START, Json, World

RELEASES: Json = {"release_on": ["Done"]}


async def exceptions_told(folder: Path, template: Path, **changes: Any) -> World:
    """Three issues are there: one to be updated, one that clears, one that comes back; six more are to be made."""
    world = await qad_jira.qad_jira(folder, template, **changes)
    await clerk(world, "fail_match", invoiceReference="INV-3003")
    await run(world, THERE)
    await clerk(world, "clear_match", invoiceReference="INV-3003")
    await run(world, THERE)
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=40)
    await clerk(world, "clear_match", invoiceReference="INV-3002")
    await clerk(world, "fail_match", invoiceReference="INV-3003")
    await world.admin("qad", "seed", {"supplierInvoices": [held(number) for number in range(1, 7)]})
    world.faults = Faults()
    return world


async def decisions_told(folder: Path, template: Path, **changes: Any) -> World:
    """A release, a cost code and a decision that QAD refuses; two of them announced by a delivery."""
    rules = qad_jira.settings()["decisions"] | RELEASES
    world = await qad_jira.qad_jira(folder, template, decisions=rules, **changes)
    await run(world, THERE)
    await run(world, BACK)
    await resolve(world, await issue_of(world, "INV-3001"))
    await person(world, "set_fields", issue=await issue_of(world, "INV-3001"), fields={COST_CODE: "CC77"})
    await resolve(world, await issue_of(world, "INV-3002"))
    await clerk(world, "submit_for_approval", invoiceReference="INV-3002")
    await person(world, "comment", issue=await issue_of(world, "PO200004"), text="Who knows more?")
    await deliver(world, *[await issue_of(world, name) for name in ("INV-3001", "INV-3002")])
    world.clock.advance(60)
    world.faults = Faults()
    return world


def held(number: int) -> Json:
    """A posted invoice that somebody holds."""
    day = (START.date() - timedelta(days=1)).isoformat()
    return {
        "invoiceReference": f"INV-31{number:02d}",
        "supplierCode": "SUP00003",
        "currencyCode": "USD",
        "originalAmountTC": 100 + number,
        "invoiceDate": day,
        "postingDate": day,
        "holdAmountTC": 10,
        "daybookCode": "APINV",
        "supplierInvoiceLines": [{"line": 1, "glAccountCode": "6100", "amountTC": 100 + number}],
    }


async def run(world: World, direction: str) -> Json:
    """One run, when the index has caught up."""
    world.clock.advance(60)
    return dict(await world.run(direction, NAME))


async def resolve(world: World, issue: str) -> None:
    """A person works on an issue and finishes it."""
    for status in ("In Progress", "Done"):
        await person(world, "transition", issue=issue, to=status)


async def deliver(world: World, *issues: str) -> None:
    """Deliveries about these issues stand in the inbox."""
    async with world.installation() as one:
        now = one.store.clock.now()
        rows = [
            Arrival(NAME, BACK, "site", f"delivery-{issue}-{now.timestamp()}", "jira:issue_updated", issue, now)
            for issue in issues
        ]
        async with one.store.db.write() as tx:
            await inbox.put(one.store.db, tx, rows)


async def waiting(world: World) -> int:
    """How many deliveries nobody has read."""
    async with world.installation() as one:
        return len(await inbox.waiting(one.store.db, NAME, BACK, 10_000))


async def effects(world: World) -> Json:
    """What both systems show, whatever the tokens of this world are."""
    qad, jira = await world.truth("qad"), await world.truth("jira")
    told: Json = {name: sorted(jira[name].values()) for name in ("creates", "tokens", "transitions", "comments")}
    for one in await world.admin("jira", "state/issues", method="GET"):
        fields = one["fields"]
        told[fields["summary"]] = [str(fields["status"]["name"]), *(str(fields.get(id_)) for id_ in _SHOWN)]
    for one in await world.admin("qad", "state/supplierInvoices", method="GET"):
        slots = [one[f"customShort{number}"] for number in range(1, 5)]
        told[one["invoiceReference"]] = [one["holdAmountTC"], one["customNote"], *slots]
    told["releases"] = sum(one.get("releases", 0) for one in qad["updates"].get("supplierInvoice", {}).values())
    told["waiting"] = await waiting(world)
    return told


_SHOWN = tuple(qad_jira.FIELDS.values())
