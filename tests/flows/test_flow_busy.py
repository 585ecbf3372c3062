"""Two runs of one direction at the same time: one works, the other ends Busy and does nothing."""

from __future__ import annotations

import asyncio

import pytest

from ml_connector.store.leases import Lease
from tests.flows.customers import Customer, customer
from tests.flows.desk import Desk, until
from tests.flows.documents import plain_invoices

pytestmark = pytest.mark.asyncio(loop_scope="session")

SLOW_S = 100_000


async def test_of_two_runs_at_once_one_works_and_the_other_ends_busy(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Lease.acquire.__kwdefaults__ is not None
    monkeypatch.setitem(Lease.acquire.__kwdefaults__, "wait_s", 2.0)
    async with customer(desk, "twice", plain_invoices(2)) as acme:
        await acme.spoil("qad", method="POST", path="supplierInvoices", kind="slow", seconds=SLOW_S)
        first = await acme.start()
        await _one_post_is_under_way(acme)
        seen = {system: await acme.last_call(system) for system in acme.urls}

        second = await acme.run()
        assert (second.name, second.is_completed()) == ("Busy", True)
        assert "another run holds twice/coupa_to_qad" in (second.message or "")
        assert {system: await acme.last_call(system) for system in acme.urls} == seen

        await acme.admin("qad", "clock", {"advance": SLOW_S})
        ended = await desk.ended(first)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("Completed", "2 read: 2 created")
        truth = await acme.truth("qad")
        assert sorted(truth["invoices_by_reference"].values()) == [1, 1]
        assert truth["writes"] == 2


async def _one_post_is_under_way(acme: Customer) -> None:
    async def probe() -> bool | None:
        return True if [one for one in await acme.calls("qad", "POST") if one["fault"] == "slow"] else None

    await until(probe, "a post to be under way")


async def test_two_runs_at_once_in_one_process_do_not_disturb_each_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Lease.acquire.__kwdefaults__ is not None
    monkeypatch.setitem(Lease.acquire.__kwdefaults__, "wait_s", 0.0)
    async with customer(desk, "neighbours", plain_invoices(2)) as acme:
        await acme.spoil("qad", method="POST", path="supplierInvoices", kind="slow", seconds=SLOW_S)
        first = asyncio.create_task(acme.run())
        await _one_post_is_under_way(acme)
        assert (await acme.run()).name == "Busy"
        await acme.admin("qad", "clock", {"advance": SLOW_S})
        done = await first
        assert (done.name, done.message) == ("Completed", "2 read: 2 created")
        assert (await acme.truth("qad"))["writes"] == 2
