"""A run that stops in the middle of a write and wakes up when its lease is over: another has taken its place."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from ml_connector.store.leases import LENGTH_S
from ml_connector.systems.qad.targets import SETTLE
from tests.flows.customers import Customer, customer
from tests.flows.desk import Desk, until
from tests.flows.documents import plain_invoices

pytestmark = pytest.mark.asyncio(loop_scope="session")

AFTER_THE_LEASE_S = LENGTH_S + 20
AFTER_SETTLING_S = AFTER_THE_LEASE_S + SETTLE.total_seconds() + 60
# The answer comes while the login of the request is still good, or when it has long ended.
SOON_S, LATE_S = 500, 100_000
ONE_AT_A_TIME = {"qad": {"limits": {"rps": 1000, "concurrency": 1}}, "coupa": {"concurrency": 1}}
# Time passes for a process that does not run: both of its clocks read the jump from a file.
CLOCK = """
import os
from datetime import timedelta
from ml_connector.clock import SystemClock


def jump():
    with open(os.environ["CLOCK_JUMP"]) as file:
        return float(file.read())


now, monotonic = SystemClock.now, SystemClock.monotonic
SystemClock.now = lambda self: now(self) + timedelta(seconds=jump())
SystemClock.monotonic = lambda self: monotonic(self) + jump()
"""


@pytest.mark.parametrize(
    ("system", "method", "path", "seconds"),
    [
        ("qad", "POST", "supplierInvoices", SOON_S),
        ("qad", "POST", "supplierInvoices", LATE_S),
        ("coupa", "PUT", "invoices/", SOON_S),
    ],
    ids=["a create that takes effect", "a create that has to log in again", "a mark that takes effect"],
)
async def test_a_run_that_wakes_after_its_lease_sends_nothing_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, method: str, path: str, seconds: int
) -> None:
    name = f"frozen-{system}-{seconds}"
    async with customer(desk, name, plain_invoices(3), **ONE_AT_A_TIME) as acme:
        await acme.spoil(system, method=method, path=path, kind="slow", seconds=seconds)
        async with _frozen_in_a_write(acme, system, tmp_path) as first:
            monkeypatch.setenv("ML_CONNECTOR_CLOCK_SHIFT_S", str(AFTER_THE_LEASE_S))
            second = await acme.run()
            assert (second.name, second.message) == ("In doubt", "3 read: 3 in_doubt")
            seen = {one: await acme.last_call(one) for one in acme.urls}
            standing = await acme.standing()

        # It runs again, and now its request is answered.
        await acme.admin(system, "clock", {"advance": seconds})
        ended = await desk.ended(first)
        assert ended.state is not None and ended.state.is_failed()
        assert f"{name}/coupa_to_qad belongs to another run now" in (ended.state.message or "")
        for one, last in seen.items():
            sent = [call["path"].rpartition("/")[2] for call in await acme.calls(one, since=last)]
            # Logging in may look up how long a login lasts; nothing else goes out.
            assert set(sent) <= {"securityControl"}
        assert await acme.standing() == standing

        monkeypatch.setenv("ML_CONNECTOR_CLOCK_SHIFT_S", str(AFTER_SETTLING_S))
        third = await acme.run()
        assert (third.name, third.message) == ("Completed", "3 read: 3 created")
        await _proves_one_of_each(acme)


@asynccontextmanager
async def _frozen_in_a_write(acme: Customer, system: str, folder: Path) -> AsyncIterator[UUID]:
    """A run by the worker, stopped while a write of it is under way, and its lease over; it runs on after the block."""
    jump = folder / "jump"
    jump.write_text("0")
    (folder / "sitecustomize.py").write_text(CLOCK)
    await acme.desk.shift_clock(acme.deployment, 0, PYTHONPATH=str(folder), CLOCK_JUMP=str(jump))
    run = await acme.start()

    async def probe() -> bool | None:
        return True if [one for one in await acme.calls(system) if one["fault"] == "slow"] else None

    await until(probe, "a write to be under way")
    pid = await acme.desk.pid(run)
    os.kill(pid, signal.SIGSTOP)
    try:
        jump.write_text("0")
        yield run
    finally:
        os.kill(pid, signal.SIGCONT)


async def _proves_one_of_each(acme: Customer) -> None:
    qad, coupa = await acme.truth("qad"), await acme.truth("coupa")
    assert sorted(qad["invoices_by_token"].values()) == [1, 1, 1]
    assert sorted(qad["invoices_by_reference"].values()) == [1, 1, 1]
    assert sorted(coupa["exported"].values()) == [1, 1, 1]
    assert sorted(coupa["history"].values()) == [1, 1, 1]
    assert set((await acme.outcomes()).values()) == {"created"}
