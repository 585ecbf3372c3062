"""A customer between QAD and Jira: exceptions, the people who decide about them, and the receiver that hears of it."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from pydantic import SecretStr

from blocks import JiraApiTokenCredentials, JiraOAuthCredentials, QadCredentials
from deployments import ingress, processes
from deployments.home import Home, child_environment
from deployments.jira_logins import keep_consent
from deployments.stack import Plan, Stack
from deployments.stack import running as stack_running
from flows.jira_to_qad import jira_to_qad
from flows.qad_to_jira import qad_to_jira
from ml_connector.http.tokens import Token
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from ml_connector.store import inbox, wakes
from ml_connector.store.tenants import ConnectionRow
from ml_connector.systems.jira.config import JiraOAuthLogin
from ml_connector.systems.jira.consent import authorize_url, exchange
from ml_connector.systems.jira.subscriptions import EVENTS
from sandbox import story
from sandbox.jira.app import create as create_jira
from sandbox.jira.options import CLOUD_ID
from sandbox.jira.scopes import CLASSIC
from sandbox.kit.serve import running
from sandbox.qad.app import create as create_qad
from tasks.runtime import load_block
from tests.engine.qad_jira import BACK, THERE, settings
from tests.engine.world import Json
from tests.flows.customers import QAD_PASSWORD, Customer
from tests.flows.desk import Desk, in_this_process, until

# Planted wherever a customer's secrets go.
API_TOKEN = "canary-jira-token-91d3c6"
APP_SECRET = "canary-jira-app-secret-77ab02"
EMAIL = "connector@acme.example"
REDIRECT = "http://127.0.0.1:9999/callback"
INVOICES, ORDERS = "supplierInvoices", "purchaseOrders"
# An upper bound in seconds; a machine with nothing else to do needs a tenth of it.
QUIET_S = 120.0
_UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
_RECEIVER_START_S = 60.0


@dataclass(frozen=True)
class Exceptions(Customer):
    """A connection between a QAD entity and a Jira project."""

    async def run(self, what: str = THERE) -> State[Any]:
        """One flow run of a direction in this process; its final state."""
        flow = jira_to_qad if what == BACK else qad_to_jira
        with warnings.catch_warnings():
            # As in the other customer: Prefect leaves a connection of its own unclosed in each flow run.
            warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
            state: State[Any] = await flow(self.name, return_state=True)
            gc.collect()
        return state

    # ---- what people do and see

    async def issue_of(self, record: str) -> str:
        """The id of the issue about an invoice or order."""
        target = (await self.standing())[record].target_id
        assert target is not None
        return target

    async def finish(self, issue: str) -> None:
        """A person works on an issue and closes it."""
        for status in ("In Progress", "Done"):
            await self.admin("jira", "do/transition", {"issue": issue, "to": status})

    async def shown(self, record: str) -> Json:
        """What QAD shows of decisions about an invoice or order."""
        for kind, name in ((INVOICES, "invoiceReference"), (ORDERS, "purchaseOrderNumber")):
            for one in await self.admin("qad", f"state/{kind}", method="GET"):
                if one.get(name) == record:
                    return {slot: value for slot, value in one.items() if slot.startswith("custom") and value}
        raise AssertionError(f"QAD has no {record}")

    async def written(self) -> Json:
        """What took effect in both systems, the traffic aside."""
        qad, jira = await self.truth("qad"), await self.truth("jira")
        kinds = ("tokens", "creates", "edits", "transitions", "comments", "comment_edits", "links", "deletes")
        return {"qad": qad["writes"], **{kind: jira[kind] for kind in kinds}}

    # ---- deliveries

    async def open_door(self, receiver: str, *, kind: str = "admin", sends: bool = True) -> str:
        """An address for the site's webhook, entered there when it `sends`; gives the secret that was made for it.

        An app that has a door of kind `dynamic` enters it itself, and its own secret is used.
        """
        async with Installation.open() as one:
            row = await one.connections.get(self.name)
            draft = ingress.Draft(self.name, "jira", kind, self.name, receiver).checked()
            facts = await ingress.add(one, draft, {"jira": (await load_block(row.target_block)).login()})
        if kind == "dynamic":
            return ""
        hook = {"name": "connector", "url": facts["address"], "secret": facts["secret"], "events": list(EVENTS)}
        if sends:
            await self.admin("jira", "do/add_admin_webhook", hook)
        return str(facts["secret"])

    async def runs_back(self) -> list[FlowRun]:
        """The flow runs of the way back so far, oldest first."""
        return await _runs(self, FlowRunFilter())

    async def waiting(self) -> int:
        """How many deliveries no run has read."""
        async with Installation.open() as one:
            return len(await inbox.waiting(one.store.db, self.name, BACK, 10_000))

    async def flagged(self) -> bool:
        """Whether the way back is asked to run."""
        async with Installation.open() as one:
            tomorrow = one.store.clock.now() + timedelta(days=1)
            return (self.name, BACK) in await wakes.overdue(one.store.db, tomorrow)

    async def quiet(self) -> None:
        """Wait until everything that was told has been acted upon."""

        async def probe() -> bool | None:
            if (await self.truth("jira"))["deliveries"]["waiting"] or await self.flagged() or await self.waiting():
                return None
            return None if await _runs(self, _unfinished()) else True

        await until(probe, "deliveries to be worked off", within=QUIET_S)


async def _runs(customer: Exceptions, which: FlowRunFilter) -> list[FlowRun]:
    mine = DeploymentFilter(id=DeploymentFilterId(any_=[customer.deployments[BACK]]))
    found = await customer.desk.client.read_flow_runs(deployment_filter=mine, flow_run_filter=which)
    return sorted(found, key=lambda one: one.created or datetime.max.replace(tzinfo=UTC))


def _unfinished() -> FlowRunFilter:
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)))


@asynccontextmanager
async def receiving(stack: Stack) -> AsyncIterator[str]:
    """The receiver as a process beside a desk that has none; gives its address."""
    port = processes.free_port()
    url = f"http://{processes.LOOPBACK}:{port}"
    command = [sys.executable, "-P", "-m", "deployments.cli", "webhooks", "--port", str(port)]
    environment = child_environment(stack.environment)
    async with processes.running("receiver", command, environment=environment, logs=stack.home.logs) as child:
        await child.ready(processes.answers(f"{url}/health"), within=_RECEIVER_START_S)
        yield url


@asynccontextmanager
async def opened_with_receiver(folder: Path) -> AsyncIterator[Desk]:
    """A desk of its own, with a receiver."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    home = Home.open(Settings(home=folder / "home"))
    plan = Plan(worker_limit=2, receiver_port=0)
    async with stack_running(home, plan, shows=lambda _: nullcontext()) as stack:
        with in_this_process(stack):
            client = get_client()
        async with client:
            yield Desk(stack, client, elsewhere)


@asynccontextmanager
async def exceptions(
    desk: Desk, name: str, seed: Json | None = None, *, login: Literal["token", "oauth"] = "token", **changes: Any
) -> AsyncIterator[Exceptions]:
    """Two tenants with masters and QAD's exceptions, blocks, a stored connection and its deployments."""
    app = {"client_id": "jira-canary", "client_secret": APP_SECRET, "kind": "3lo", "scopes": sorted(CLASSIC)}
    users = [{"username": "qad-canary", "password": QAD_PASSWORD, "client_id": "qad-canary-client"}]
    jira = create_jira(options={"api_token": API_TOKEN, "email": EMAIL, "apps": [app]})
    async with running(create_qad(options={"users": users})) as qad_url, running(jira) as jira_url:
        urls = {"qad": qad_url, "jira": jira_url}
        block = await _save_blocks(name, urls, login)
        await _connect(name, block, changes)
        found = Exceptions(desk, name, urls, await desk.deploy_all(name))
        for system in urls:
            await found.admin(system, "seed/base")
        await found.admin("qad", "seed", story.qad_exceptions() if seed is None else seed)
        yield found


async def token_of(name: str) -> Token:
    """What the vault keeps of a customer's consent."""
    async with Installation.open() as one:
        block = (await one.connections.get(name)).target_block
        found = await one.vault.load(one.slot(block, (await load_block(block)).login()))
    assert found is not None
    return found


async def _save_blocks(name: str, urls: dict[str, str], login: str) -> str:
    """Both logins as blocks; the name of Jira's."""
    qad = QadCredentials(
        base_url=f"{urls['qad']}/clouderp",
        client_id="qad-canary-client",
        username="qad-canary",
        password=SecretStr(QAD_PASSWORD),
    )
    await qad.asave(name)
    if login == "token":
        await JiraApiTokenCredentials(email=EMAIL, token=SecretStr(API_TOKEN), site_url=urls["jira"]).asave(name)
        return f"jira-api-token-credentials/{name}"
    at = {"site_url": urls["jira"], "api_url": urls["jira"], "auth_url": urls["jira"]}
    app = JiraOAuthCredentials(client_id="jira-canary", client_secret=SecretStr(APP_SECRET), cloud_id=CLOUD_ID, **at)
    await app.asave(name)
    block = f"jira-oauth-credentials/{name}"
    await _consent(block, app.login())
    return block


async def _consent(block: str, login: JiraOAuthLogin) -> None:
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(authorize_url(login, REDIRECT, "a-state"))
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    token = await exchange(login, code, REDIRECT)
    async with Installation.open() as one:
        await keep_consent(one.vault, one.slot(block, login), token)


async def _connect(name: str, block: str, changes: Json) -> None:
    async with Installation.open() as one:
        source = await one.tenants.get_or_create("qad", f"erp.{name}.example 10USA 10USACO")
        target = await one.tenants.get_or_create("jira", f"{name}.atlassian.example")
        blocks = f"qad-credentials/{name}", block
        row = ConnectionRow(name, "qad_jira", *blocks, source, target, settings=settings(**changes))
        await one.connections.save(row)
