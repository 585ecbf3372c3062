"""One real Prefect server with a worker for all tests of the flows, and the flow runs that it carries out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.objects import FlowRun
from prefect.context import SettingsContext, get_settings_context
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import Settings as PrefectSettings
from prefect.states import AwaitingRetry

from deployments.deploying import deploy
from deployments.home import Home
from deployments.stack import Plan, Stack, running
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from tasks import caching

Answer = TypeVar("Answer")

# Upper bounds in seconds; a machine with nothing else to do needs a quarter of them.
RUN_S = 60.0
POLL_S = 0.2
WORKER_LIMIT = 3


@dataclass(frozen=True)
class Desk:
    """The server, its worker and a client of it."""

    stack: Stack
    client: PrefectClient
    elsewhere: Path

    @property
    def home(self) -> Home:
        """The connector's home that every process here uses."""
        return self.stack.home

    async def deploy(self, connection: str) -> UUID:
        """The deployments of a connection; gives that of its way from Coupa to QAD."""
        return (await self.deploy_all(connection))["coupa_to_qad"]

    async def deploy_all(self, connection: str) -> dict[str, UUID]:
        """A connection's deployments by what they do; their processes start in a folder without the project."""
        async with Installation.open() as one:
            made = await deploy(one, self.client, scheduled=False)
        found = {row["direction"]: UUID(row["id"]) for row in made if row["connection"] == connection}
        for deployment in found.values():
            await self.shift_clock(deployment, 0)
        return found

    async def start(self, deployment: UUID, **parameters: Any) -> UUID:
        """Ask for a run by the worker."""
        return (await self.client.create_flow_run_from_deployment(deployment, parameters=parameters)).id

    async def ended(self, run: UUID, *, times: int = 1) -> FlowRun:
        """The run once it has ended for the given time."""

        async def probe() -> FlowRun | None:
            found = await self.client.read_flow_run(run)
            return found if found.run_count >= times and found.state and found.state.is_final() else None

        return await until(probe, f"flow run {run} to end")

    async def pid(self, run: UUID) -> int:
        """The process of a run that is under way."""

        async def probe() -> int | None:
            found = await self.client.read_flow_run(run)
            return int(found.infrastructure_pid.rpartition(":")[2]) if found.infrastructure_pid else None

        return await until(probe, f"flow run {run} to have a process")

    async def kill(self, run: UUID) -> None:
        """End the process of a run without warning and wait until the worker has noticed."""
        os.kill(await self.pid(run), signal.SIGKILL)
        ended = await self.ended(run)
        assert ended.state is not None and ended.state.is_crashed(), ended.state

    async def shift_clock(self, deployment: UUID, seconds: float, **more: str) -> None:
        """From now on the deployment's processes live so much later, and have these variables, too."""
        env = {"ML_CONNECTOR_CLOCK_SHIFT_S": str(seconds), **more}
        variables = {"working_dir": str(self.elsewhere), "env": env}
        await self.client.update_deployment(deployment, DeploymentUpdate(job_variables=variables))

    async def retry(self, run: UUID) -> FlowRun:
        """What the retry button does, pressed at once, and the run when it has ended again."""
        before = (await self.client.read_flow_run(run)).run_count

        async def probe() -> FlowRun | None:
            found = await self.client.read_flow_run(run)
            if found.state is not None and found.state.is_final():
                if found.run_count > before:
                    return found
                # A killed run is reported as crashed twice, and the second report undoes a retry in between.
                await self.client.set_flow_run_state(run, AwaitingRetry(message="Retry from the UI"))
            return None

        return await until(probe, f"flow run {run} to be retried")


async def until(probe: Callable[[], Awaitable[Answer | None]], what: str, *, within: float = RUN_S) -> Answer:
    """Ask until there is an answer; an assertion fails when there is none in time."""
    deadline = asyncio.get_running_loop().time() + within
    while (answer := await probe()) is None:
        assert asyncio.get_running_loop().time() < deadline, f"waited {within:g} s for {what}"
        await asyncio.sleep(POLL_S)
    return answer


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Desk]:
    """Start it all, and end it after the block."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    home = Home.open(Settings(home=folder / "home"))
    async with running(home, Plan(worker_limit=WORKER_LIMIT), shows=lambda _: nullcontext()) as stack:
        with in_this_process(stack):
            client = get_client()
        async with client:
            yield Desk(stack, client, elsewhere)


@contextmanager
def in_this_process(stack: Stack) -> Iterator[None]:
    """This process belongs to the desk for the length of a block, as a flow run that somebody starts by hand."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        caching._keys.cache_clear()
        with SettingsContext(profile=get_settings_context().profile, settings=PrefectSettings()):
            yield
        caching._keys.cache_clear()


async def hand_in_what_is_noted() -> None:
    """Logs and events of this process go to the server, and the threads that bring them end."""
    for service in (APILogWorker, EventsWorker):
        waiting = service.drain_all()
        assert isinstance(waiting, Coroutine)
        await waiting
