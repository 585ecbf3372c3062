"""The stand-in tenants with the story in them, and the connection `demo` between them: what `demo` and `up` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import delete, select

from deployments import connecting, deploying, server
from deployments.stack import SandboxPlan, Stack
from deployments.tenancies import Side
from ml_connector.installation import Installation
from ml_connector.store.audit import ADMIN_CHAIN, AuditEvent
from ml_connector.store.schema import effect, ledger, mark, overlay, page, reservation, run
from sandbox import story
from sandbox.coupa.options import Options as CoupaOptions
from sandbox.jira.options import Options as JiraOptions
from sandbox.qad.options import Options as QadOptions

CONNECTION = "demo"
PAIR = "coupa_qad"
BLOCKS = ("coupa-credentials/demo", "qad-credentials/demo")
SETTINGS: Mapping[str, Any] = {
    "time_zone": "America/New_York",
    "coupa": {
        # The stand-in's company keeps one time all year.
        "time_zone": "Etc/GMT+8",
        "invoice_number_field": "cf-erp-invoice-number",
        "status_field": "cf-integration-status",
        "monitoring": "history",
        "integration_code": "QAD_INV",
    },
    "qad": {"domain": "10USA", "entity": "10USACO", "workspace_id": "10USA_10USACO", "limits": {"rps": 100}},
    "invoices": {
        "accounts": {
            "shipping": {"account": "6200"},
            "misc": {"account": "7200"},
            "tax": {"account": "7100"},
            "credit": {"account": "6100"},
        }
    },
}


@dataclass(frozen=True, slots=True)
class _StandIn(Side):
    """A tenant of this desk: the same one at every start, although its port may differ."""

    @property
    def identity(self) -> str:
        return f"stand-in {self.system}"


def plans(ports: Mapping[str, int] | None = None) -> list[SandboxPlan]:
    """Both stand-in tenants with base data; the story comes on top when they answer."""
    return [SandboxPlan(system, (ports or {}).get(system, 0), ["base"]) for system in ("coupa", "qad")]


async def prepare(stack: Stack, *, scheduled: bool) -> None:
    """Seed the story, save both blocks, store the connection and make its deployment; repeatable."""
    server.use(stack.environment)
    for system, content in (("coupa", story.coupa()), ("qad", story.qad())):
        await admin(stack, system, "seed", content)
    await _save_blocks(stack)
    async with Installation.open() as installation, server.api() as client:
        await _forget(installation)
        settings = connecting.settings_of(PAIR, SETTINGS, about=CONNECTION)
        logins = await _logins()
        wanted = connecting.describe(CONNECTION, PAIR, BLOCKS, logins, settings)
        ends = [_StandIn(end.system, end.block, end.login, end.tenant) for end in (wanted.source, wanted.target)]
        await connecting.save(installation, connecting.Wanted(CONNECTION, PAIR, ends[0], ends[1], settings))
        await deploying.deploy(installation, client, scheduled=scheduled)


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
        }
    options = QadOptions()
    user = options.users[0]
    return {
        "base_url": f"{url}/{options.context_root}",
        "client_id": user.client_id,
        "username": user.username,
        "password": user.password.get_secret_value(),
    }


async def admin(stack: Stack, system: str, path: str, body: object | None = None) -> Any:
    """Call a stand-in tenant's admin API: POST with a body, else GET."""
    async with httpx.AsyncClient(base_url=stack.sandboxes[system], trust_env=False, timeout=30.0) as http:
        answer = await http.request("GET" if body is None else "POST", f"/_sandbox/{path}", json=body)
    return answer.raise_for_status().json()


async def _save_blocks(stack: Stack) -> None:
    from blocks import CoupaCredentials, QadCredentials

    logins = {system: login(system, url) for system, url in stack.sandboxes.items()}
    kinds = (CoupaCredentials, QadCredentials)
    found = [kind(**logins[system]) for kind, system in zip(kinds, ("coupa", "qad"), strict=True)]
    for block, name in zip(found, BLOCKS, strict=True):
        with server.told():
            await block.asave(name.partition("/")[2], overwrite=True)


async def _logins() -> tuple[Any, Any]:
    from tasks.runtime import load_block

    source, target = [(await load_block(name)).login() for name in BLOCKS]
    return source, target


async def _forget(installation: Installation) -> None:
    """Let the connector know nothing of invoices that an earlier start's tenants had: these keep nothing.

    Only rows of the stand-in connection go; other connections and the audit trail stay whole.
    """
    store = installation.store
    mine = select(ledger.c.id).where(ledger.c.connection == CONNECTION)
    async with store.db.write() as tx:
        for table in (effect, overlay, reservation):
            await tx.execute(delete(table).where(table.c.ledger_id.in_(mine)))
        runs = select(run.c.id).where(run.c.connection == CONNECTION)
        await tx.execute(delete(page).where(page.c.run.in_(runs)))
        gone = (await tx.execute(delete(ledger).where(ledger.c.connection == CONNECTION))).rowcount
        await tx.execute(delete(mark).where(mark.c.connection == CONNECTION))
        if gone:
            event = AuditEvent("stand_in_renewed", f"connection:{CONNECTION}", {"records_forgotten": gone})
            await store.audit.append(tx, ADMIN_CHAIN, [event])
