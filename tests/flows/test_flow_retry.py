"""A run that failed at page 4 of 5, retried as the UI does it: finished pages stay, nothing stale is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from tests.flows.customers import Customer, customer
from tests.flows.desk import Desk, until
from tests.flows.documents import FIRST_KEY, QUANTITY, invoice_line, plain_invoices

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = 5
FOURTH = FIRST_KEY + 3
ALL_CREATED = {f"INV-200{n}": "created" for n in range(1, PAGES + 1)}
ONE_PER_PAGE = {"coupa": {"page_size": 1}, "invoices": {"page_size": 1}}
# The steps that are done when the fourth page fails while it is deduped: login, the empty page of open doubts,
# three whole pages, and the first two steps of the fourth.
STEPS_DONE = 1 + 1 + 3 * 4 + 2


@asynccontextmanager
async def _failed_at_page_four(desk: Desk, name: str) -> AsyncIterator[tuple[Customer, UUID]]:
    async with customer(desk, name, plain_invoices(PAGES), **ONE_PER_PAGE) as acme:
        await acme.spoil("qad", method="GET", path="invoiceReference.*INV-2004", kind="status", status=403, times=-1)
        run = await acme.run_by_worker()
        assert run.state is not None and run.state.is_failed()
        assert "access is denied (403)" in (run.state.message or "")
        assert sorted(await acme.outcomes()) == ["INV-2001", "INV-2002", "INV-2003"]
        await acme.repair("qad")
        yield acme, run.id


async def test_a_retry_resumes_at_the_failed_page_and_repeats_nothing(desk: Desk) -> None:
    async with _failed_at_page_four(desk, "resumed") as (acme, run):
        seen = {system: await acme.last_call(system) for system in acme.urls}
        ended = await desk.retry(run)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("Completed", "5 read: 5 created")
        assert ended.run_count == 2
        assert await acme.outcomes() == ALL_CREATED
        await _nothing_of_the_first_pages_was_touched(acme, seen)
        truth = await acme.truth("qad")
        assert sorted(truth["invoices_by_token"].values()) == [1] * PAGES
        assert await _cached_steps(desk, run) == STEPS_DONE


async def _nothing_of_the_first_pages_was_touched(acme: Customer, seen: dict[str, int]) -> None:
    reads = await acme.calls("coupa", "GET", since=seen["coupa"])
    queries = [one["query"] for one in reads if "exported=false" in one["query"]]
    cursors = [query.partition("id%5Bgt%5D=")[2].partition("&")[0] for query in queries]
    assert cursors == [str(FOURTH), str(FOURTH + 1)]
    updates = {one["path"].rsplit("/", 1)[1] for one in await acme.calls("coupa", "PUT", since=seen["coupa"])}
    assert updates == {str(FOURTH), str(FOURTH + 1)}
    asked = " ".join(one["query"] for one in await acme.calls("qad", "GET", since=seen["qad"]))
    assert "PO200004" in asked and "PO200005" in asked
    assert not [n for n in (1, 2, 3) if f"PO20000{n}" in asked or f"INV-200{n}" in asked]
    assert len(await acme.calls("qad", "POST", since=seen["qad"])) == 2


async def _cached_steps(desk: Desk, run: UUID) -> int:
    """How many steps of a retry came from the results of the attempt before, once Prefect has recorded all."""

    async def probe() -> int | None:
        which = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
        steps = await desk.client.read_task_runs(flow_run_filter=which)
        cached = [step for step in steps if step.state is not None and step.state.name == "Cached"]
        return len(cached) if len(cached) >= STEPS_DONE else None

    return await until(probe, "the cached steps to be recorded", within=15)


async def test_a_retry_after_a_receipt_was_reversed_holds_the_invoice(desk: Desk) -> None:
    async with _failed_at_page_four(desk, "reversed") as (acme, run):
        back = {"purchaseOrderNumber": "PO200004", "purchaseOrderLine": 1, "quantity": -QUANTITY}
        await acme.admin("qad", "do/post_receipt", back)
        seen = await acme.last_call("qad")
        ended = await desk.retry(run)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("Held", "5 read: 4 created, 1 held")
        row = (await acme.standing())["INV-2004"]
        assert [one.code for one in row.reasons] == ["receipt_missing"]
        assert len(await acme.calls("qad", "POST", since=seen)) == 1
        assert "SUP00001/Invoice/INV-2004" not in (await acme.truth("qad"))["invoices_by_reference"]


async def test_a_retry_after_another_run_wrote_a_newer_version_sends_nothing_stale(desk: Desk) -> None:
    async with _failed_at_page_four(desk, "newer") as (acme, run):
        less = QUANTITY - 3
        total = f"{less * 5}.00"
        changes = {"invoice-lines": [invoice_line(4, less)], "total-with-taxes": total, "gross-total": total}
        await acme.admin("coupa", "do/edit_invoice", {"id": FOURTH, "changes": changes})
        newer = await acme.run()
        assert newer.message == "2 read: 2 created"
        truths = await acme.truths()
        seen = await acme.last_call("qad")

        ended = await desk.retry(run)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("Completed", "4 read: 3 created, 1 unchanged")
        assert await acme.calls("qad", "POST", since=seen) == []
        assert await acme.truths() == truths
        amounts = {one["reference"]: one["amount"] for one in truths["qad"]["invoices"]}
        assert amounts["INV-2004"] == less * 5


async def test_a_write_that_was_refused_for_lack_of_rights_is_made_by_the_retry(desk: Desk) -> None:
    async with customer(desk, "rights", plain_invoices(PAGES), **ONE_PER_PAGE) as acme:
        refused = {"method": "POST", "path": "supplierInvoices", "kind": "status", "status": 403}
        await acme.spoil("qad", **refused, skip=3)
        run = await acme.run_by_worker()
        assert run.state is not None and run.state.is_failed()
        ended = await desk.retry(run.id)
        assert ended.state is not None
        assert (ended.state.name, ended.state.message) == ("Completed", "5 read: 5 created")
        assert sorted((await acme.truth("qad"))["invoices_by_token"].values()) == [1] * PAGES
