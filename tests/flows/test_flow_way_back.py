"""The way from QAD back to Coupa as its deployment runs it: payments, a second run, and a process that dies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from ml_connector.store.leases import LENGTH_S
from ml_connector.systems.coupa.targets import SETTLE
from tests.flows.customers import Customer, customer
from tests.flows.desk import Desk, until
from tests.flows.documents import FIRST_KEY, plain_invoices

pytestmark = pytest.mark.asyncio(loop_scope="session")

BACK = "qad_to_coupa"
NO_SUPPLIERS: dict[str, Any] = {"suppliers": {"direction": "none"}}
AFTER_THE_LEASE_S = LENGTH_S + 20
AFTER_SETTLING_S = AFTER_THE_LEASE_S + SETTLE.total_seconds() + 60
# Within the settle time.
LATE_S = 400
KEYS = [str(FIRST_KEY + n) for n in range(3)]


async def test_one_run_brings_the_payments_and_the_next_brings_none(desk: Desk) -> None:
    async with customer(desk, "paying", plain_invoices(2), **NO_SUPPLIERS) as acme:
        await acme.run()
        await _pay(acme, "INV-2001")
        await _pay(acme, "INV-2002", amount=20)
        ended = await acme.run_by_worker(BACK)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("Completed", "2 read: 2 created")
        assert await _entries(acme) == {KEYS[0]: ["50.00"], KEYS[1]: ["20.00"]}
        assert list((await acme.truth("coupa"))["paid"]) == [KEYS[0]]
        which = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[ended.id]))
        shown = {one.key: one.data for one in await desk.client.read_artifacts(artifact_filter=which)}
        table = json.loads(str(shown["paying-qad-to-coupa-outcomes"]))
        links = {f"{acme.urls['coupa']}/invoices/{key}" for key in KEYS[:2]}
        assert ({row["target link"] for row in table}, len(table)) == (links, 2)

        truths = await acme.truths()
        again = await acme.run_by_worker(BACK)
        assert again.state is not None
        assert (again.state.name, again.state.message) == ("Completed", "2 read: 2 unchanged")
        assert await acme.truths() == truths


async def test_a_killed_run_leaves_one_entry_of_each_payment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with customer(desk, "paid-late", plain_invoices(3), **NO_SUPPLIERS) as acme:
        await acme.run()
        for n in (1, 2, 3):
            await _pay(acme, f"INV-200{n}")
        seen = await acme.last_call("coupa")
        run = await acme.start(BACK)
        await _three_appends_without_reply(acme)
        await desk.kill(run)
        assert await _standing(acme) == ["in_doubt"] * 3

        # The old lease has ended. One entry is there; the absence of the others does not count yet.
        await desk.shift_clock(acme.deployments[BACK], AFTER_THE_LEASE_S)
        ended = await desk.retry(run)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("In doubt", "3 read: 1 created, 2 in_doubt")
        # The flag of the one that was found is all that was written.
        assert len(await acme.calls("coupa", "PUT", since=seen)) == 4

        # One of the two arrives late after all, the other never does and is sent once more.
        await acme.admin("coupa", "clock", {"advance": LATE_S})
        monkeypatch.setenv("ML_CONNECTOR_CLOCK_SHIFT_S", str(AFTER_SETTLING_S))
        state = await acme.run(BACK)
        assert (state.name, state.message) == ("Completed", "3 read: 2 created, 1 unchanged")
        assert len(await acme.calls("coupa", "PUT", since=seen)) == 7
        assert await _entries(acme) == {key: ["50.00"] for key in KEYS}
        assert sorted((await acme.truth("coupa"))["paid"]) == KEYS
        assert await _standing(acme) == ["created"] * 3


async def _pay(acme: Customer, reference: str, **more: object) -> None:
    await acme.admin("qad", "do/pay", {"invoiceReference": reference, **more})


async def _entries(acme: Customer) -> dict[str, list[str]]:
    found = (await acme.truth("coupa"))["payments"]
    return {key: [str(one["amount-paid"]) for one in entries] for key, entries in found.items()}


async def _standing(acme: Customer) -> list[str]:
    rows = (await acme.standing()).values()
    return [row.outcome.value for row in rows if row.route == "payments"]


async def _three_appends_without_reply(acme: Customer) -> None:
    """The first takes effect at once, the second after a long time, the third never."""
    put = {"method": "PUT", "path": "invoices/"}
    await acme.spoil("coupa", **put, kind="hang_after")
    await acme.spoil("coupa", **put, kind="late_hang", seconds=LATE_S)
    await acme.spoil("coupa", **put, kind="hang_before")

    async def probe() -> bool | None:
        hit = [rule["hit"] for rule in await acme.admin("coupa", "faults", method="GET")]
        return True if hit == [1, 1, 1] and len(await _entries(acme)) == 1 else None

    await until(probe, "three appends to be under way")
