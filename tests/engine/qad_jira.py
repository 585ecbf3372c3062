"""The world of a QAD-Jira connection: exceptions in QAD, people at work in Jira, and what became of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ml_connector.store.tenants import ConnectionRow
from ml_connector.systems.jira.config import JiraApiTokenLogin
from ml_connector.systems.qad.config import QadPasswordLogin
from sandbox import story
from sandbox.jira.app import create as create_jira
from sandbox.kit.clock import Clock
from sandbox.qad.app import create as create_qad
from tests.engine.world import START, Json, World

NAME = "acme"
SITE = "http://127.0.0.1"
THERE, BACK = "qad_to_jira", "jira_to_qad"
FIELDS = {
    "po_number": "customfield_10040",
    "supplier": "customfield_10041",
    "amount": "customfield_10042",
    "variance": "customfield_10043",
    "currency": "customfield_10044",
    "cost_code": "customfield_10045",
    "kind": "customfield_10046",
}
COST_CODE, APPROVAL = FIELDS["cost_code"], "customfield_10050"
SETTLED_S = 900.0


def logins() -> list[Any]:
    """The demo logins of both sandboxes."""
    qad = QadPasswordLogin(
        base_url="http://127.0.0.1/clouderp",
        client_id="qad-demo-client",
        username="qad-demo",
        password=SecretStr("qad-demo-password"),
    )
    return [qad, JiraApiTokenLogin(email="connector@acme.example", token=SecretStr("jira-demo-token"), site_url=SITE)]


def settings(**changes: Any) -> Json:
    """Settings of the connection; parts are merged member by member."""
    base: Json = {
        "qad": {"domain": "10USA", "entity": "10USACO", "workspace_id": "10USA_10USACO", "limits": {"rps": 1000}},
        "jira": {"project": "AP", "issue_type": "Task", "token_field": "customfield_10047", "per_second": 1000},
        "issues": {"fields": FIELDS, "cleared_status": "Done", "returned_status": "To Do"},
        "decisions": {
            "approval_field": APPROVAL,
            "invoice": {
                "issue_key": "customShort1",
                "resolution": "customShort2",
                "approval": "customShort3",
                "cost_code": "customShort4",
                "note": "customNote",
            },
        },
    }
    for part, members in changes.items():
        base[part] = base.get(part, {}) | members if isinstance(members, dict) else members
    return base


async def qad_jira(
    folder: Path,
    template: Path,
    *,
    options: dict[str, Json] | None = None,
    url: str = "",
    told: bool = True,
    **changes: Any,
) -> World:
    """A world with both tenants' masters, three posted invoices and a late order, and a stored connection."""
    options = options or {}
    apps = {
        "qad": create_qad(clock=Clock(START), options=options.get("qad")),
        "jira": create_jira(clock=Clock(START), options=options.get("jira")),
    }
    world = World(folder, template, apps, url=url)
    await world.admin("qad", "seed/base")
    await world.admin("jira", "seed/base")
    if told:
        await world.admin("qad", "seed", story.qad_exceptions(START.date()))
    row = ConnectionRow(
        NAME, "qad_jira", "qad-credentials/acme", "jira-credentials/acme", "", "", settings=settings(**changes)
    )
    await world.connect(row, logins(), ("erp.acme.example 10USA 10USACO", "11111111-2222-4333-8444-555555555555"))
    return world


async def both(world: World) -> None:
    """A run of either direction, after the index has caught up."""
    world.clock.advance(60)
    await world.run(THERE, NAME)
    world.clock.advance(60)
    await world.run(BACK, NAME)


async def issue_of(world: World, label: str) -> str:
    """The id of the issue about an invoice or order."""
    for row in (await world.standing(NAME)).values():
        if row.direction == THERE and row.label == label and row.target_id:
            return row.target_id
    raise AssertionError(f"{label} has no issue")


async def shown(world: World, issue: str) -> Json:
    """An issue as the site keeps it."""
    for one in await world.admin("jira", "state/issues", method="GET"):
        if one["id"] == issue:
            return dict(one)
    raise AssertionError(f"no issue {issue}")


async def invoice(world: World, reference: str) -> Json:
    """A supplier invoice as QAD keeps it."""
    for one in await world.admin("qad", "state/supplierInvoices", method="GET"):
        if one["invoiceReference"] == reference:
            return dict(one)
    raise AssertionError(f"no invoice {reference}")


async def person(world: World, verb: str, **given: Any) -> Any:
    """Somebody does something in Jira."""
    return await world.admin("jira", f"do/{verb}", given)


async def clerk(world: World, verb: str, **given: Any) -> Any:
    """Somebody does something in QAD."""
    return await world.admin("qad", f"do/{verb}", given)
