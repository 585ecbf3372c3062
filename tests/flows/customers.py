"""A customer of the desk: one connection between two tenants of its own, reached over real HTTP."""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.schemas.objects import FlowRun, State
from pydantic import SecretStr

from blocks import CoupaCredentials, QadCredentials
from flows.coupa_to_qad import coupa_to_qad
from flows.qad_to_coupa import qad_to_coupa
from ml_connector.domain.outcomes import Outcome
from ml_connector.installation import Installation
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow
from ml_connector.store.tenants import ConnectionRow
from sandbox.coupa.app import create as create_coupa
from sandbox.kit.serve import running
from sandbox.qad.app import create as create_qad
from tests.engine.coupa_qad import settings
from tests.engine.world import Json
from tests.flows.desk import Desk

# Planted wherever a customer's secrets and names go, and looked for wherever something is kept.
COUPA_SECRET = "canary-coupa-secret-5f0c91"
QAD_PASSWORD = "canary-qad-password-b27e44"
SUPPLIER_NAME = "Canarius Feathered Freight"
CANARIES = (COUPA_SECRET, QAD_PASSWORD, SUPPLIER_NAME)


@dataclass(frozen=True)
class Customer:
    """What a test does with one connection and looks at afterwards."""

    desk: Desk
    name: str
    urls: dict[str, str]
    deployments: dict[str, UUID]

    @property
    def deployment(self) -> UUID:
        """The one that takes invoices from Coupa to QAD."""
        return self.deployments["coupa_to_qad"]

    async def run(self, what: str = "coupa_to_qad") -> State[Any]:
        """One flow run of a direction in this process; its final state."""
        flow = qad_to_coupa if what == "qad_to_coupa" else coupa_to_qad
        # Prefect leaves a connection of its own unclosed in each flow run; it is collected here, where we know of it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
            state: State[Any] = await flow(self.name, return_state=True)
            gc.collect()
        return state

    async def start(self, what: str = "coupa_to_qad", **parameters: Any) -> UUID:
        """One flow run by the worker, under way soon."""
        return await self.desk.start(self.deployments[what], **parameters)

    async def run_by_worker(self, what: str = "coupa_to_qad", **parameters: Any) -> FlowRun:
        """One flow run by the worker, ended."""
        return await self.desk.ended(await self.start(what, **parameters))

    async def replay(self, record: str) -> str:
        """A replay of a record by the worker; how it ended, in the words of its state."""
        ended = await self.run_by_worker("replay", direction="coupa_to_qad", record=record)
        assert ended.state is not None
        return f"{ended.state.name}: {ended.state.message}"

    # ---- the tenants

    async def admin(self, system: str, path: str, body: Any = None, method: str = "POST") -> Any:
        """Call a tenant's admin API."""
        async with httpx.AsyncClient(base_url=self.urls[system], trust_env=False) as http:
            answer = await http.request(method, f"/_sandbox/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def truth(self, system: str) -> Json:
        """What really took effect in a tenant."""
        found: Json = await self.admin(system, "truth", method="GET")
        return found

    async def truths(self) -> dict[str, Json]:
        """What really took effect in both tenants, logins aside."""
        return {system: await self.truth(system) | {"logins": None} for system in self.urls}

    async def last_call(self, system: str) -> int:
        """The running number of the newest call a tenant received."""
        return int((await self.admin(system, "requests", method="GET"))["last"])

    async def calls(self, system: str, method: str = "", *, since: int = 0) -> list[Json]:
        """The calls (of one method) that a tenant received, logins aside."""
        found = (await self.admin(system, f"requests?since={since}", method="GET"))["requests"]
        return [one for one in found if one["method"] == (method or one["method"]) and "oauth" not in one["path"]]

    async def spoil(self, system: str, **rule: Any) -> None:
        """Let calls to a tenant fail by a rule."""
        await self.admin(system, "faults", rule)

    async def repair(self, system: str) -> None:
        """No call fails any more."""
        await self.admin(system, "faults", method="DELETE")

    # ---- the ledger

    async def standing(self) -> dict[str, LedgerRow]:
        """Every ledger row of the connection by its document number."""
        async with Installation.open() as one:
            rows = await ledger.listing(one.store.db, outcomes=list(Outcome), connection=self.name)
        return {row.label: row for row in rows}

    async def outcomes(self) -> dict[str, str]:
        """The outcome of every record by its document number."""
        return {label: row.outcome.value for label, row in (await self.standing()).items()}


@asynccontextmanager
async def customer(desk: Desk, name: str, seeds: dict[str, Json], **changes: Any) -> AsyncIterator[Customer]:
    """Two tenants with the masters and the given documents, blocks, a stored connection and its deployment."""
    clients = [{"client_id": "coupa-canary", "client_secret": COUPA_SECRET}]
    users = [{"username": "qad-canary", "password": QAD_PASSWORD, "client_id": "qad-canary-client"}]
    coupa = create_coupa(options={"clients": clients, "throttle": False})
    qad = create_qad(options={"users": users})
    async with running(coupa) as coupa_url, running(qad) as qad_url:
        urls = {"coupa": coupa_url, "qad": qad_url}
        await _save_blocks(name, urls)
        await _connect(name, changes)
        found = Customer(desk, name, urls, await desk.deploy_all(name))
        for system, seed in seeds.items():
            await found.admin(system, "seed/base")
            await _name_supplier(found, system)
            await found.admin(system, "seed", seed)
        yield found


async def _save_blocks(name: str, urls: dict[str, str]) -> None:
    coupa = CoupaCredentials(base_url=urls["coupa"], client_id="coupa-canary", client_secret=SecretStr(COUPA_SECRET))
    qad = QadCredentials(
        base_url=f"{urls['qad']}/clouderp",
        client_id="qad-canary-client",
        username="qad-canary",
        password=SecretStr(QAD_PASSWORD),
    )
    await coupa.asave(name)
    await qad.asave(name)


async def _connect(name: str, changes: Json) -> None:
    changes["coupa"] = settings()["coupa"] | {"per_second": 1000} | changes.get("coupa", {})
    async with Installation.open() as one:
        source = await one.tenants.get_or_create("coupa", f"{name}.coupahost.com")
        target = await one.tenants.get_or_create("qad", f"erp.{name}.example 10USA 10USACO")
        blocks = f"coupa-credentials/{name}", f"qad-credentials/{name}"
        await one.connections.save(
            ConnectionRow(name, "coupa_qad", *blocks, source, target, settings=settings(**changes))
        )


async def _name_supplier(found: Customer, system: str) -> None:
    """Give the first supplier the canary as its name, so that every document of it carries it."""
    if system == "qad":
        change = {"supplierCode": "SUP00001", "addressName": SUPPLIER_NAME}
        await found.admin(system, "seed", {"suppliers": [change]})
        return
    known = await found.admin(system, "state/suppliers", method="GET")
    number = next(one["id"] for one in known if one["number"] == "SUP00001")
    await found.admin(system, "do/edit_supplier", {"id": number, "changes": {"name": SUPPLIER_NAME}})
