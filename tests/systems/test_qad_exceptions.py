"""Invoices that may need a person: judged by their list row, read whole only where that matters, and no trace else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ml_connector.domain.exceptions import InvoiceMatch, PostedInvoice
from ml_connector.domain.records import Unreadable
from ml_connector.sync.seams import Batch, Source
from ml_connector.systems.qad.exceptions import AgingInvoices, InvoiceChanges
from ml_connector.systems.qad.ports import QadRest
from ml_connector.systems.qad.validate import ping
from tests.systems.qad_server import Qad, Tenant, invoice, match, open_qad, tenant_with_masters

BEGIN = date(2025, 11, 1)
DAY = 86400
Json = dict[str, Any]
Any_Stream = InvoiceChanges | AgingInvoices


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters(datetime(2026, 2, 10, 9, tzinfo=UTC)) as one:
        lines = [{"purchaseOrderLine": 1, "itemCode": "ITEM0001", "quantityOrdered": 50, "purchaseCost": 12}]
        await one.seed(
            purchaseOrders=[{"purchaseOrderNumber": "PO100001", "lines": lines}],
            receipts=[{"receiverNumber": "RC004411", "purchaseOrderNumber": "PO100001", "quantityReceived": 50}],
        )
        one.seen.clear()
        yield one


def posted(voucher: int, **more: Any) -> Json:
    row = {"postingYear": 2026, "voucher": voucher, "invoiceReference": f"INV-{voucher}", "supplierCode": "SUP00001"}
    standard = {"invoiceStatusCode": "AP-RMALLOC", "receiverMatchingStatus": "FINISHED", "originalAmountTC": 100}
    return {**row, **standard, "postingDate": "2026-02-09", **more}


def matched(voucher: int, price: float, **more: Any) -> Json:
    line = {"purchaseOrderNumber": "PO100001", "purchaseOrderLine": 1, "receiverNumber": "RC004411"}
    line |= {"matchQuantity": 50, "matchUnitPrice": price}
    links = [{"poDomainCode": "10USA", "purchaseOrderNumber": "PO100001"}]
    return posted(voucher, originalAmountTC=625, receiverMatchingLines=[line], supplierInvoicePOs=links, **more)


def worth(one: PostedInvoice) -> bool:
    unmatched = one.receiver_matching and (one.initial or one.matching_status != "FINISHED")
    return one.open and (one.hold_amount > 0 or one.payment_locked or unmatched)


def knows(*keys: str) -> Callable[[Collection[str]], Any]:
    async def known(asked: Collection[str]) -> frozenset[str]:
        return frozenset(asked) & frozenset(keys)

    return known


def port(tenant: Any, **settings: Any) -> QadRest:
    return QadRest(tenant.client(**settings) if isinstance(tenant, Tenant) else open_qad(tenant, **settings))


def changes(tenant: Any, *known: str, cost_slot: str = "", **settings: Any) -> InvoiceChanges:
    return InvoiceChanges(port(tenant, **settings), begin=BEGIN, worth=worth, known=knows(*known), cost_slot=cost_slot)


def aging(tenant: Any, *known: str, days: int = 14, **settings: Any) -> AgingInvoices:
    today = date(2026, 2, 10)
    common: Json = {"begin": BEGIN, "worth": worth, "known": knows(*known)}
    return AgingInvoices(port(tenant, **settings), days=days, today=today, **common)


async def read(stream: Any_Stream, since: str | None = None, start: str | None = None) -> list[Batch[PostedInvoice]]:
    return [batch async for batch in stream.pages(start, since)]


def vouchers(batches: list[Batch[PostedInvoice]]) -> list[int]:
    return [int(one.key.rsplit("/", 1)[1]) for batch in batches for one in batch.records]


def whole_reads(tenant: Tenant) -> list[str]:
    return [call.url.params["voucher"] for call in tenant.calls("/supplierInvoices")]


def test_both_streams_are_sources() -> None:
    streams: list[Source[PostedInvoice]] = [changes(Qad()), aging(Qad())]
    assert [one.stream for one in streams] == ["qad.invoices", "qad.aging_invoices"]


async def test_what_is_in_order_is_not_even_read(tenant: Tenant) -> None:
    held = posted(3, holdAmountTC=25)
    await tenant.seed(supplierInvoices=[posted(1), posted(2), held, posted(4, isLockPayment=True)])
    (batch,) = await read(changes(tenant))
    assert vouchers([batch]) == [3, 4]
    assert whole_reads(tenant) == ["3", "4"]
    assert batch.mark == "2026-02-10"
    assert len(tenant.calls("/browses")) == 1


async def test_what_has_an_issue_is_told_whatever_it_shows(tenant: Tenant) -> None:
    await tenant.seed(supplierInvoices=[posted(1), posted(2), posted(3)])
    assert vouchers(await read(changes(tenant, "10USACO/2026/APINV/2"))) == [2]
    assert whole_reads(tenant) == ["2"]


async def test_an_invoice_is_told_whole(tenant: Tenant) -> None:
    lines = [
        {"line": 1, "glAccountCode": "6100", "amountTC": 0},
        {"line": 2, "glAccountCode": "6100", "costCenterCode": "CC20", "amountTC": 0},
    ]
    one = matched(7, 12.5, supplierInvoiceLines=lines, customShort0="T" * 20, customShort3="X")
    await tenant.seed(
        supplierInvoices=[one | {"invoiceDate": "2026-02-08", "dueDate": "2026-03-10", "supplierName": "Acme Metals"}]
    )
    await tenant.do("submit_for_approval", voucher=7)
    ((found,),) = [batch.records for batch in await read(changes(tenant))]
    assert found == PostedInvoice(
        key="10USACO/2026/APINV/7",
        reference="INV-7",
        type="Invoice",
        supplier_number="SUP00001",
        supplier_name="Acme Metals",
        currency="USD",
        amount=Decimal(625),
        balance=Decimal(625),
        hold_amount=Decimal(25),
        payment_locked=False,
        status="AP-RMALLOC",
        open=True,
        receiver_matching=True,
        matching_status="FINISHED",
        initial=False,
        invoice_date=date(2026, 2, 8),
        posted_on=date(2026, 2, 9),
        due_on=date(2026, 3, 10),
        orders=("PO100001",),
        cost_code="CC20",
        matches=(InvoiceMatch("PO100001", 1, "RC004411", Decimal(50), Decimal("12.5"), Decimal(25)),),
        slots={"customShort3": "X"},
        submitted=True,
    )


async def test_the_slot_of_the_cost_code_goes_before_the_lines(tenant: Tenant) -> None:
    line = {"line": 1, "glAccountCode": "6100", "costCenterCode": "CC20", "amountTC": 100}
    held = posted(1, holdAmountTC=5, supplierInvoiceLines=[line])
    await tenant.seed(supplierInvoices=[held | {"customShort4": " CC30 "}, held | {"voucher": 2}])
    (batch,) = await read(changes(tenant, cost_slot="customShort4"))
    assert [one.cost_code for one in batch.records] == ["CC30", "CC20"]


async def test_a_variance_is_of_price_and_quantity_together(tenant: Tenant) -> None:
    await tenant.seed(supplierInvoices=[matched(1, 12)])
    await tenant.do("fail_match", voucher=1, variance=-30, usage=12, hold=10)
    (batch,) = await read(changes(tenant))
    assert [one.variance for one in batch.records[0].matches] == [Decimal(-18)]


async def test_a_list_that_says_too_little_is_no_reason_to_miss_a_hold(tenant: Tenant) -> None:
    server = Qad(supplierInvoice=[invoice(1, holdAmountTC=0, receiverMatchingStatus="FINISHED"), invoice(2)])
    for record in server.records["supplierInvoice"]:
        record |= {"isLockPayment": False, "isInitialStatus": False, "receiverMatchingStatus": "FINISHED"}
    server.hidden_row_members = {"holdAmountTC"}
    assert vouchers(await read(changes(server))) == [2]
    assert len(server.calls("/api/erp/supplierInvoices")) == 2


async def test_a_member_that_the_tenant_does_not_have_is_not_looked_for() -> None:
    fields = {"payment_locked": "", "initial": "", "posting_date": "", "matching_status": ""}
    server = Qad(supplierInvoice=[invoice(1, holdAmountTC=0, isReceiverMatching=False), invoice(2)])
    stream = changes(server, resources={"supplierInvoice": {"fields": fields}})
    assert vouchers(await read(stream)) == [2]
    assert len(server.calls("/api/erp/supplierInvoices")) == 1


async def test_the_name_comes_from_the_supplier_where_invoices_do_not_show_it() -> None:
    rows = [invoice(number, supplierCode="SUP00001") for number in (1, 2)]
    server = Qad(supplierInvoice=rows, supplier=[{"sharedSetCode": "SHSET", "supplierCode": "SUP00001"}])
    server.records["supplier"][0] |= {"addressName": "Acme Metals", "isActive": True}
    stream = changes(server)
    (batch,) = await read(stream)
    assert [one.supplier_name for one in batch.records] == ["Acme Metals", "Acme Metals"]
    await stream.by_key(["10USACO/2026/APINV/1"])
    assert len([call for call in server.calls("/browses") if "supplierV2s" in call.url.params["browseId"]]) == 1


async def test_what_cannot_be_understood_is_told_as_such() -> None:
    rows = [invoice(1, holdAmountTC="much"), invoice(2, holdAmountTC=5), invoice(3)]
    server = Qad(supplierInvoice=rows)
    del rows[2]["originalAmountTC"]
    rows[1]["receiverMatchingLines"] = [match() | {"matchQuantity": "some"}]
    (batch,) = await read(changes(server))
    assert batch.records == []
    assert {one.key.rsplit("/", 1)[1]: one.path.split(":")[0] for one in batch.unreadable} == {
        "1": "supplierInvoice.holdAmountTC",
        "2": "data.supplierInvoices[0].receiverMatchingLines[0].matchQuantity",
        "3": "supplierInvoice.originalAmountTC",
    }


async def test_an_invoice_that_is_listed_but_not_found_is_told(tenant: Tenant) -> None:
    await tenant.seed(supplierInvoices=[posted(1, holdAmountTC=5)])

    async def before(request: httpx.Request) -> httpx.Response | None:
        gone = "/supplierInvoices" in request.url.path
        return httpx.Response(200, json={"data": {"supplierInvoices": []}}) if gone else None

    tenant.before = before
    (batch,) = await read(changes(tenant))
    key = "10USACO/2026/APINV/1"
    assert list(batch.unreadable) == [Unreadable(key, "the invoice is listed, but cannot be read by its key")]
    assert await changes(tenant).by_key([key]) == {}


async def test_invoices_are_read_by_key_whatever_they_show(tenant: Tenant) -> None:
    await tenant.seed(supplierInvoices=[posted(1), posted(2)])
    keys = ["10USACO/2026/APINV/1", "10USACO/2026/APINV/9", "no key", "10USACO/2026/APINV/1"]
    found = await changes(tenant).by_key(keys)
    assert list(found) == ["10USACO/2026/APINV/1"]
    assert whole_reads(tenant) == ["1", "9"]


async def test_a_resumed_run_goes_on_behind_its_cursor(tenant: Tenant) -> None:
    await tenant.seed(supplierInvoices=[posted(number, holdAmountTC=5) for number in range(1, 206)])
    stream = changes(tenant)
    batches = await read(stream)
    assert [len(batch.records) for batch in batches] == [100, 100, 5]
    again = await read(changes(tenant), start=batches[0].cursor)
    assert vouchers(again) == vouchers(batches[1:])
    asked = len(tenant.calls("/browses"))
    assert vouchers(await read(stream, start=batches[1].cursor)) == vouchers(batches[2:])
    assert len(tenant.calls("/browses")) == asked


async def test_a_run_without_anything_new_moves_the_mark_alone(tenant: Tenant) -> None:
    await tenant.seed(supplierInvoices=[posted(1)])
    assert await read(changes(tenant), since="2026-02-01") == [Batch((), (), "", "2026-02-10")]
    assert await read(changes(tenant), since="2026-02-10") == []


async def test_an_invoice_ages_without_a_change(tenant: Tenant) -> None:
    unmatched = {"receiverMatchingStatus": "INITIAL", "invoiceStatusCode": "AP-NOALLOC"}
    days = {1: "2026-01-19", 2: "2026-01-20", 3: "2026-01-27", 4: "2026-01-28"}
    await tenant.seed(supplierInvoices=[posted(one, postingDate=day, **unmatched) for one, day in days.items()])
    await tenant.seed(supplierInvoices=[posted(5, postingDate="2026-01-22")])
    batches = await read(aging(tenant), since="2026-01-20")
    assert (vouchers(batches), batches[-1].mark) == ([2, 3], "2026-01-27")
    assert whole_reads(tenant) == ["2", "3"]


async def test_the_first_look_begins_at_the_given_day(tenant: Tenant) -> None:
    old = {"receiverMatchingStatus": "INITIAL", "invoiceStatusCode": "AP-NOALLOC"}
    rows = [
        posted(1, postingDate="2025-11-01", postingYear=2025, **old),
        posted(2, postingDate="2025-10-31", postingYear=2025, **old),
    ]
    await tenant.seed(supplierInvoices=rows)
    assert vouchers(await read(aging(tenant))) == [1]


async def test_paid_invoices_do_not_age(tenant: Tenant) -> None:
    old = {"receiverMatchingStatus": "INITIAL", "invoiceStatusCode": "AP-NOALLOC", "postingDate": "2026-01-20"}
    await tenant.seed(supplierInvoices=[posted(1, **old), posted(2, **old)])
    await tenant.do("pay", voucher=1)
    assert vouchers(await read(aging(tenant))) == [2]
    assert "supplierInvoice.isOpen,eq,true,literal" in tenant.calls("/browses")[0].url.params.get_list("filter")


async def test_an_age_that_was_looked_at_costs_no_call(tenant: Tenant) -> None:
    assert await read(aging(tenant), since="2026-01-27") == []
    assert await read(aging(tenant, days=30), since="2026-01-27") == []
    assert await read(aging(tenant, days=120)) == [Batch((), (), "", "2025-10-13")]
    assert tenant.seen == []


async def test_a_long_look_back_is_read_by_halving_the_days() -> None:
    rows = [
        invoice(number, postingDate=f"2025-{11 + number % 2}-{1 + number % 28:02}", isOpen="true")
        for number in range(1, 2201)
    ]
    server = Qad(supplierInvoice=[row | {"holdAmountTC": 0, "receiverMatchingStatus": "FINISHED"} for row in rows])
    for record in server.records["supplierInvoice"]:
        record |= {"isInitialStatus": False, "isLockPayment": False}
    (batch,) = await read(aging(server, limits={"rps": 10_000}))
    assert (batch.records, batch.mark) == ((), "2026-01-27")
    spans = [
        [one.split(",")[2] for one in call.url.params.get_list("filter") if "postingDate" in one]
        for call in server.calls("/browses")
    ]
    assert spans[0] == ["2025-11-01", "2026-01-28"]
    assert {call.url.params["page"] for call in server.calls("/browses")} == {"1"}


async def test_a_day_that_never_comes_to_rest_moves_no_mark(tenant: Tenant) -> None:
    old = {"postingDate": "2026-01-27"}
    await tenant.seed(supplierInvoices=[posted(number, **old) for number in range(1, 1003)])
    fresh = iter(range(2000, 3000))

    async def before(request: httpx.Request) -> None:
        if "/browses" in request.url.path and request.url.params["page"] == "2":
            await tenant.seed(supplierInvoices=[posted(next(fresh), **old)])

    tenant.before = before
    assert await read(aging(tenant), since="2026-01-26") == []
    tenant.before = None
    assert await read(aging(tenant), since="2026-01-26") == [Batch((), (), "", "2026-01-27")]


async def test_the_connection_test_asks_for_what_exceptions_need(tenant: Tenant) -> None:
    streams = ("supplierInvoice", "purchaseOrderLine")
    assert (await ping(tenant.client(), streams=streams)).ok
    fields = {"hold_amount": "heldAmountTC", "initial": ""}
    settings: Json = {"resources": {"supplierInvoice": {"fields": fields}}}
    report = await ping(tenant.client(**settings), streams=streams)
    assert [one.message for one in report.checks if not one.ok] == ["neither list nor entity has heldAmountTC"]
    settings = {"resources": {"purchaseOrderLine": {"fields": {"received": "pod_received"}}}}
    report = await ping(tenant.client(**settings), streams=streams)
    text = "browse urn:browse:mfg:po804 has no field pod_det.pod_received"
    assert [one.message for one in report.checks if not one.ok] == [text]
