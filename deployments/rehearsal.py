"""The stand-in tenants with the story in them, and the connections between them: what `demo` and `up` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import delete, select

from deployments import connecting, deploying, ingress, server
from deployments.stack import SandboxPlan, Stack
from deployments.tenancies import Side
from ml_connector.errors import ContractError
from ml_connector.installation import Installation
from ml_connector.store.audit import ADMIN_CHAIN, AuditEvent
from ml_connector.store.schema import agreed, effect, inbox, ledger, mark, overlay, page, reservation, run, wake
from ml_connector.systems.jira.subscriptions import EVENTS
from sandbox import story
from sandbox.coupa.options import Options as CoupaOptions
from sandbox.jira.options import Options as JiraOptions
from sandbox.qad.options import Options as QadOptions

CONNECTION, EXCEPTIONS = "demo", "demo-jira"
BLOCKS = {
    "coupa": "coupa-credentials/demo",
    "qad": "qad-credentials/demo",
    "jira": "jira-api-token-credentials/demo",
}
_QAD = {"domain": "10USA", "entity": "10USACO", "workspace_id": "10USA_10USACO", "limits": {"rps": 100}}
INVOICES: Mapping[str, Any] = {
    "time_zone": "America/New_York",
    "coupa": {
        # The stand-in's company keeps one time all year.
        "time_zone": "Etc/GMT+8",
        "invoice_number_field": "cf-erp-invoice-number",
        "status_field": "cf-integration-status",
        "monitoring": "history",
        "integration_code": "QAD_INV",
    },
    "qad": _QAD,
    "invoices": {
        "accounts": {
            "shipping": {"account": "6200"},
            "misc": {"account": "7200"},
            "tax": {"account": "7100"},
            "credit": {"account": "6100"},
        }
    },
}
ISSUES: Mapping[str, Any] = {
    "time_zone": "America/New_York",
    "qad": _QAD,
    "jira": {"project": "AP", "issue_type": "Task", "token_field": "customfield_10047", "webhook": "admin"},
    "issues": {
        "fields": {
            "po_number": "customfield_10040",
            "supplier": "customfield_10041",
            "amount": "customfield_10042",
            "variance": "customfield_10043",
            "currency": "customfield_10044",
            "cost_code": "customfield_10045",
            "kind": "customfield_10046",
        },
        "cleared_status": "Done",
        "returned_status": "To Do",
    },
    "decisions": {
        "invoice": {
            "issue_key": "customShort1",
            "resolution": "customShort2",
            "cost_code": "customShort4",
            "note": "customNote",
        },
        # No other resolution releases the hold of an invoice.
        "release_on": ["Done"],
    },
}
CONNECTIONS = {CONNECTION: ("coupa_qad", INVOICES), EXCEPTIONS: ("qad_jira", ISSUES)}


@dataclass(frozen=True, slots=True)
class _StandIn(Side):
    """A tenant of this desk: the same one at every start, although its port may differ."""

    @property
    def identity(self) -> str:
        return f"stand-in {self.system}"


def plans(ports: Mapping[str, int] | None = None) -> list[SandboxPlan]:
    """The stand-in tenants with base data; the story comes on top when they answer."""
    return [SandboxPlan(system, (ports or {}).get(system, 0), ["base"]) for system in BLOCKS]


async def prepare(stack: Stack, *, scheduled: bool) -> None:
    """Seed the story, save the blocks, store the connections, make their deployments, enter the webhook; repeatable."""
    server.use(stack.environment)
    for system, content in (("coupa", story.coupa()), ("qad", story.qad())):
        await admin(stack, system, "seed", content)
    await _save_blocks(stack)
    async with Installation.open() as installation, server.api() as client:
        logins = await _logins()
        for name in CONNECTIONS:
            await _forget(installation, name)
            await _connect(installation, name, logins)
        await deploying.deploy(installation, client, scheduled=scheduled)
        await _enter_webhook(stack, installation, logins)


def login(system: str, url: str) -> dict[str, Any]:
    """What `connect` asks about a stand-in tenant at this address, with the answers; they open nothing else."""
    if system == "coupa":
        client = CoupaOptions().clients[0]
        return {
            "base_url": url,
            "client_id": client.client_id,
            "client_secret": client.client_secret.get_secret_value(),
        }
    if system == "jira":
        site = JiraOptions()
        return {
            "kind": "api-token",
            "site_url": url,
            "email": site.email,
            "token": site.api_token.get_secret_value(),
            # Without it a refused token would be tried at Atlassian's own gateway.
            "api_url": url,
        }
    options = QadOptions()
    user = options.users[0]
    return {
        "kind": "password",
        "base_url": f"{url}/{options.context_root}",
        "client_id": user.client_id,
        "username": user.username,
        "password": user.password.get_secret_value(),
    }


async def admin(stack: Stack, system: str, path: str, body: object | None = None) -> Any:
    """Call a stand-in tenant's admin API: POST with a body, else GET."""
    async with httpx.AsyncClient(base_url=stack.sandboxes[system], trust_env=False, timeout=30.0) as http:
        answer = await http.request("GET" if body is None else "POST", f"/_sandbox/{path}", json=body)
    if answer.is_error:
        raise ContractError(f"the stand-in of {system} answered HTTP {answer.status_code} to {path}", system=system)
    return answer.json()


async def _save_blocks(stack: Stack) -> None:
    from blocks import CoupaCredentials, JiraApiTokenCredentials, QadCredentials

    kinds: dict[str, Any] = {"coupa": CoupaCredentials, "qad": QadCredentials, "jira": JiraApiTokenCredentials}
    for system, kind in kinds.items():
        answers = login(system, stack.sandboxes[system])
        # Which kind of block it is does not stand in the block itself.
        block = kind(**{name: value for name, value in answers.items() if name in kind.model_fields})
        with server.told():
            await block.asave(BLOCKS[system].partition("/")[2], overwrite=True)


async def _logins() -> dict[str, Any]:
    from tasks.runtime import load_block

    return {system: (await load_block(name)).login() for system, name in BLOCKS.items()}


async def _connect(installation: Installation, name: str, logins: Mapping[str, Any]) -> None:
    pair, given = CONNECTIONS[name]
    settings = connecting.settings_of(pair, given, about=name)
    way = connecting.directions_of(pair)[0]
    blocks = BLOCKS[way.source], BLOCKS[way.target]
    wanted = connecting.describe(name, pair, blocks, (logins[way.source], logins[way.target]), settings)
    ends = [_StandIn(end.system, end.block, end.login, end.tenant) for end in (wanted.source, wanted.target)]
    await connecting.save(installation, connecting.Wanted(name, pair, ends[0], ends[1], settings))


async def _enter_webhook(stack: Stack, installation: Installation, logins: Mapping[str, Any]) -> None:
    """Let the Jira stand-in tell the receiver of changes: an earlier start's ingress makes room for a new one."""
    if not stack.receiver:
        return
    doors = ingress.doors_of(installation)
    if EXCEPTIONS in [one.name for one in await doors.list()]:
        await doors.remove(EXCEPTIONS)
    draft = ingress.Draft(EXCEPTIONS, "jira", "admin", EXCEPTIONS, stack.receiver).checked()
    facts = await ingress.add(installation, draft, logins)
    hook = {"name": "ml-connector", "url": facts["address"], "secret": facts["secret"], "events": list(EVENTS)}
    filters = {"issue-related-events-section": facts["JQL"]}
    await admin(stack, "jira", "do/add_admin_webhook", {**hook, "filters": filters})


async def _forget(installation: Installation, name: str) -> None:
    """Let the connector know nothing of records that an earlier start's tenants had: these keep nothing.

    Only rows of this stand-in connection go; other connections and the audit trail stay whole.
    """
    store = installation.store
    mine = select(ledger.c.id).where(ledger.c.connection == name)
    async with store.db.write() as tx:
        for table in (effect, overlay, reservation):
            await tx.execute(delete(table).where(table.c.ledger_id.in_(mine)))
        await tx.execute(delete(agreed).where(agreed.c.record.in_(mine)))
        runs = select(run.c.id).where(run.c.connection == name)
        await tx.execute(delete(page).where(page.c.run.in_(runs)))
        gone = (await tx.execute(delete(ledger).where(ledger.c.connection == name))).rowcount
        for of_connection in (mark, inbox, wake):
            await tx.execute(delete(of_connection).where(of_connection.c.connection == name))
        if gone:
            event = AuditEvent("stand_in_renewed", f"connection:{name}", {"records_forgotten": gone})
            await store.audit.append(tx, ADMIN_CHAIN, [event])
