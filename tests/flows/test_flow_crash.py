"""A process killed while QAD has its vouchers in hand: whatever became of each, there is one of it in the end."""

from __future__ import annotations

import pytest

from ml_connector.store.leases import LENGTH_S
from ml_connector.systems.qad.targets import SETTLE
from tests.flows.customers import Customer, customer
from tests.flows.desk import Desk, until
from tests.flows.documents import plain_invoices

pytestmark = pytest.mark.asyncio(loop_scope="session")

AFTER_THE_LEASE_S = LENGTH_S + 20
AFTER_SETTLING_S = AFTER_THE_LEASE_S + SETTLE.total_seconds() + 60
# Within the settle time, and within the life of the login that the late request carries.
LATE_S = 500


async def test_a_killed_run_leaves_one_voucher_of_each_invoice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with customer(desk, "killed", plain_invoices(3), qad={"limits": {"rps": 1000, "concurrency": 3}}) as acme:
        run = await acme.start()
        await _three_posts_without_reply(acme)
        await desk.kill(run)
        assert set((await acme.outcomes()).values()) == {"in_doubt"}

        # The old lease has ended. One voucher is there; the absence of the others does not count yet.
        await desk.shift_clock(acme.deployment, AFTER_THE_LEASE_S)
        ended = await desk.retry(run)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("In doubt", "3 read: 1 created, 2 in_doubt")
        assert len(await _posts(acme)) == 3

        # One of the two arrives late after all, the other never does and is sent once more.
        await acme.admin("qad", "clock", {"advance": LATE_S})
        monkeypatch.setenv("ML_CONNECTOR_CLOCK_SHIFT_S", str(AFTER_SETTLING_S))
        state = await acme.run()
        assert (state.name, state.message) == ("Completed", "2 read: 2 created")
        assert len(await _posts(acme)) == 4
        await _proves_one_of_each(acme)


async def _three_posts_without_reply(acme: Customer) -> None:
    """The first takes effect at once, the second after a long time, the third never."""
    post = {"method": "POST", "path": "supplierInvoices"}
    await acme.spoil("qad", **post, kind="hang_after")
    await acme.spoil("qad", **post, kind="late_hang", seconds=LATE_S)
    await acme.spoil("qad", **post, kind="hang_before")

    async def probe() -> bool | None:
        hit = [rule["hit"] for rule in await acme.admin("qad", "faults", method="GET")]
        return True if hit == [1, 1, 1] and (await acme.truth("qad"))["writes"] == 1 else None

    await until(probe, "three posts to be under way")


async def _posts(acme: Customer) -> list[str]:
    return [one["path"] for one in await acme.calls("qad", "POST")]


async def _proves_one_of_each(acme: Customer) -> None:
    qad, coupa = await acme.truth("qad"), await acme.truth("coupa")
    assert sorted(qad["invoices_by_token"].values()) == [1, 1, 1]
    assert sorted(qad["invoices_by_reference"].values()) == [1, 1, 1]
    assert sorted(coupa["exported"].values()) == [1, 1, 1]
    assert sorted(coupa["history"].values()) == [1, 1, 1]
    assert set((await acme.outcomes()).values()) == {"created"}
