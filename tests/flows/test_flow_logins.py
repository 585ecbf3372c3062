"""A refused login: one try, then everything that shares it stands still until a ping finds that it works again."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule

from deployments.home import child_environment
from flows.coupa_to_qad import coupa_to_qad
from ml_connector.installation import Installation
from tasks.logins import release, stop
from tasks.tags import NEEDS_AUTH, refused_blocks
from tests.engine.coupa_qad import settings
from tests.flows.customers import QAD_PASSWORD, Customer, customer
from tests.flows.desk import Desk
from tests.flows.documents import plain_invoices

pytestmark = pytest.mark.asyncio(loop_scope="session")

USER = {"username": "qad-canary"}
MONTH = IntervalSchedule(interval=timedelta(days=30))


async def test_a_changed_password_stops_all_who_share_the_block_and_a_right_ping_starts_them_again(desk: Desk) -> None:
    async with _sharing(desk, "lone", "lone-too") as (acme, mine, other), customer(desk, "apart", {}) as apart:
        bystander = await _with_schedules(desk, apart.deployment)
        assert (await acme.run()).is_completed()

        await acme.admin("qad", "do/change_password", USER | {"password": "another"})
        await acme.admin("qad", "do/expire_tokens", {})
        await _one_more_invoice(acme)
        before = await _passwords_tried(acme)
        state = await acme.run()
        assert (state.type.value, state.name) == ("FAILED", "Needs login")
        assert state.message is not None and "\n" not in state.message
        assert "login refused for block qad-credentials/lone; " in state.message
        assert "ml-connector ping lone --again" in state.message
        assert (await _run("lone-too")).name == "Needs login"
        assert (await acme.run()).name == "Needs login"
        assert await _passwords_tried(acme) == before + 1

        for deployment in (mine, other):
            found = await desk.client.read_deployment(deployment)
            assert (NEEDS_AUTH in found.tags, refused_blocks(found.tags)) == (True, ["qad-credentials/lone"])
            assert _active(found) == {"by-us": False, "by-a-person": False}
        assert _active(await desk.client.read_deployment(bystander)) == {"by-us": True, "by-a-person": False}
        assert "Block `qad-credentials/lone` was refused" in await _shown(desk, "lone-login")
        assert "ml-connector ping lone-too --again" in await _shown(desk, "lone-too-login")

        await desk.deploy("lone")
        assert _active(await desk.client.read_deployment(mine)) == {"by-us": False, "by-a-person": False}

        await acme.admin("qad", "do/change_password", USER | {"password": QAD_PASSWORD})
        assert await _ping(desk, "lone") == 1
        assert _active(await desk.client.read_deployment(mine)) == {"by-us": False, "by-a-person": False}
        assert await _ping(desk, "lone", "--again") == 0
        for deployment in (mine, other):
            found = await desk.client.read_deployment(deployment)
            assert (NEEDS_AUTH in found.tags, refused_blocks(found.tags)) == (False, [])
            assert _active(found) == {"by-us": True, "by-a-person": False}
        assert "run again" in await _shown(desk, "lone-too-login")
        assert (await acme.run()).is_completed()


async def test_a_token_endpoint_that_is_down_stops_nothing(desk: Desk) -> None:
    once = {"limits": {"rps": 1000, "attempts": 1}}
    async with customer(desk, "down", plain_invoices(1), qad=settings()["qad"] | once) as acme:
        mine = await _with_schedules(desk, acme.deployment)
        await acme.spoil("qad", path="oauth", kind="status", status=503, times=-1)
        state = await acme.run()
        assert state.is_failed()
        assert state.name != "Needs login"
        found = await desk.client.read_deployment(mine)
        assert (NEEDS_AUTH in found.tags, _active(found)["by-us"]) == (False, True)
        await acme.repair("qad")
        assert (await acme.run()).is_completed()


async def test_two_refused_logins_are_both_noted_and_both_must_be_mended(desk: Desk) -> None:
    async with customer(desk, "twofold", {}) as acme, Installation.open() as one:
        mine = await _with_schedules(desk, acme.deployment)
        coupa, qad = "coupa-credentials/twofold", "qad-credentials/twofold"
        await asyncio.gather(*(stop(one, desk.client, block) for block in (coupa, qad, coupa, qad)))
        found = await desk.client.read_deployment(mine)
        assert refused_blocks(found.tags) == [coupa, qad]
        assert _active(found) == {"by-us": False, "by-a-person": False}

        assert await release(one, desk.client, [coupa]) == []
        found = await desk.client.read_deployment(mine)
        assert (refused_blocks(found.tags), _active(found)["by-us"]) == ([qad], False)
        assert await release(one, desk.client, [qad]) == ["twofold"]
        found = await desk.client.read_deployment(mine)
        assert _active(found) == {"by-us": True, "by-a-person": False}
        assert [tag for tag in found.tags if "needs-auth" in tag or "stopped" in tag] == []
        assert await release(one, desk.client, [coupa, qad]) == []


async def test_a_run_by_hand_that_proves_the_login_starts_the_schedules_again(desk: Desk) -> None:
    async with customer(desk, "by-hand", plain_invoices(1)) as acme, Installation.open() as one:
        mine = await _with_schedules(desk, acme.deployment)
        await stop(one, desk.client, "qad-credentials/by-hand")
        ended = await acme.run_by_worker()
        assert ended.state is not None and ended.state.is_completed()
        found = await desk.client.read_deployment(mine)
        assert (NEEDS_AUTH in found.tags, _active(found)["by-us"]) == (False, True)


@asynccontextmanager
async def _sharing(desk: Desk, name: str, second: str) -> AsyncIterator[tuple[Customer, UUID, UUID]]:
    """A customer, and a second connection that takes other invoices with the same two logins."""
    async with customer(desk, name, plain_invoices(1)) as acme:
        async with Installation.open() as one:
            row = await one.connections.get(name)
            other = {**row.settings, "invoices": {**row.settings["invoices"], "chart_of_accounts": "OTHER"}}
            await one.connections.save(replace(row, name=second, settings=other, settings_version=0))
        deployments = [await _with_schedules(desk, one) for one in (acme.deployment, await desk.deploy(second))]
        yield acme, deployments[0], deployments[1]


async def _one_more_invoice(acme: Customer) -> None:
    """Something to ask QAD about: a login that worked and is still good is not tried for its own sake."""
    for system, seed in plain_invoices(2).items():
        await acme.admin(system, "seed", {name: rows[1:] for name, rows in seed.items() if rows[1:]})


async def _with_schedules(desk: Desk, deployment: UUID) -> UUID:
    schedules = [
        DeploymentScheduleCreate(schedule=MONTH, slug=slug, active=active)
        for slug, active in (("by-us", True), ("by-a-person", False))
    ]
    await desk.client.create_deployment_schedules(deployment, schedules)
    return deployment


def _active(found: DeploymentResponse) -> dict[str, bool]:
    return {str(one.slug): one.active for one in found.schedules}


async def _run(connection: str) -> State[Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        state: State[Any] = await coupa_to_qad(connection, return_state=True)
        gc.collect()
    return state


async def _passwords_tried(acme: Customer) -> int:
    """How often QAD was shown a password; the end of a refresh token locks nobody out."""
    counts = (await acme.truth("qad"))["logins"]
    return int(counts.get("ok", 0)) + int(counts.get("failed", 0))


async def _ping(desk: Desk, *arguments: str) -> int:
    command = [sys.executable, "-m", "deployments.cli", "ping", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command,
        env=child_environment(desk.stack.environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


async def _shown(desk: Desk, key: str) -> str:
    async with desk.stack.api() as api:
        answer = await api.get(f"artifacts/{key}/latest")
    return str(answer.raise_for_status().json()["data"])
