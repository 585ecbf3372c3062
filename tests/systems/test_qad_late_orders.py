"""Orders with late lines: found by due date, told with all their lines, and told once more when nothing is late."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ml_connector.domain.exceptions import OpenOrder, OrderLineDue
from ml_connector.sync.seams import Batch, Source
from ml_connector.systems.qad.late_orders import LateOrders
from ml_connector.systems.qad.ports import QadRest
from tests.systems.qad_server import Qad, Tenant, open_qad, order, order_line, supplier, tenant_with_masters

TODAY = date(2026, 2, 10)
Json = dict[str, Any]


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters(datetime(2026, 2, 10, 9, tzinfo=UTC)) as one:
        yield one


def line(number: int = 1, due: str = "2026-02-05", **more: Any) -> Json:
    row = {"purchaseOrderLine": number, "itemCode": "ITEM0001", "quantityOrdered": 50, "purchaseCost": 12}
    return {**row, "dueDate": due, **more}


def ordered(number: int, *lines: Json, **more: Any) -> Json:
    return {"purchaseOrderNumber": f"PO{number}", "lines": list(lines or (line(),)), **more}


def receipt(number: int, quantity: int, line_number: int = 1) -> Json:
    row = {"receiverNumber": f"RC{number}", "purchaseOrderNumber": f"PO{number}", "purchaseOrderLine": line_number}
    return {**row, "quantityReceived": quantity}


def late(tenant: Any, *known: str, window: int = 365, cost_slot: str = "", **settings: Any) -> LateOrders:
    async def known_open() -> Collection[str]:
        return known

    client = tenant.client(**settings) if isinstance(tenant, Tenant) else open_qad(tenant, **settings)
    return LateOrders(QadRest(client), today=TODAY, window_days=window, known_open=known_open, cost_slot=cost_slot)


async def read(stream: LateOrders, start: str | None = None) -> list[Batch[OpenOrder]]:
    return [batch async for batch in stream.pages(start, None)]


async def numbers(stream: LateOrders, start: str | None = None) -> list[str]:
    return [one.number for batch in await read(stream, start) for one in batch.records]


def test_keeps_the_protocol_of_a_source() -> None:
    one: Source[OpenOrder] = late(Qad())
    assert one.stream == "qad.late_orders"


async def test_an_order_is_late_by_an_open_line_that_is_due_and_not_fully_received(tenant: Tenant) -> None:
    await tenant.seed(
        purchaseOrders=[
            ordered(100001),
            ordered(100002),
            ordered(100003),
            ordered(100004, line(due="2026-02-10")),
            ordered(100005, line(lineStatus="C")),
            ordered(100006, orderStatus="C"),
            ordered(100007, line(due="2026-02-20"), line(2)),
            ordered(100008, line(due="")),
        ],
        receipts=[receipt(100002, 50), receipt(100003, 49)],
    )
    assert await numbers(late(tenant)) == ["PO100001", "PO100003", "PO100007"]


async def test_a_late_order_is_told_with_all_its_lines(tenant: Tenant) -> None:
    lines = [
        line(2, costCenterCode="CC20", itemDescription="Chair"),
        line(1, "2026-03-01", lineStatus="X", costCenterCode="", itemDescription="Item"),
    ]
    await tenant.seed(purchaseOrders=[ordered(100001, *lines, supplierCode="SUP00001", customShort2="CC40")])
    await tenant.seed(receipts=[receipt(100001, 8, 2)])
    ((found,),) = [batch.records for batch in await read(late(tenant))]
    price, fifty = Decimal(12), Decimal(50)
    assert found == OpenOrder(
        key="10USA/PO100001",
        number="PO100001",
        supplier_number="SUP00001",
        supplier_name="Acme Metals",
        currency="USD",
        status="open",
        lines=(
            OrderLineDue(1, "ITEM0001", "Item", fifty, Decimal(0), price, "EA", date(2026, 3, 1), "cancelled", ""),
            OrderLineDue(2, "ITEM0001", "Chair", fifty, Decimal(8), price, "EA", date(2026, 2, 5), "open", "CC20"),
        ),
        cost_code="CC20",
    )
    ((found,),) = [batch.records for batch in await read(late(tenant, cost_slot="customShort2"))]
    assert (found.cost_code, dict(found.slots)) == ("CC40", {"customShort2": "CC40"})


async def test_an_order_that_people_were_told_of_is_told_until_it_has_cleared(tenant: Tenant) -> None:
    await tenant.seed(purchaseOrders=[ordered(100001), ordered(100002, line(due="2026-03-01")), ordered(100003)])
    await tenant.seed(receipts=[receipt(100001, 50)])
    known = ("10USA/PO100001", "10USA/PO100002", "10USA/PO109999", "OTHER/PO100003")
    assert await numbers(late(tenant, *known)) == ["PO100001", "PO100002", "PO100003"]


async def test_what_fell_due_before_the_window_is_nobodys_worry(tenant: Tenant) -> None:
    await tenant.seed(purchaseOrders=[ordered(100001, line(due="2026-01-31")), ordered(100002, line(due="2026-01-30"))])
    assert await numbers(late(tenant, window=10)) == ["PO100001"]
    days = [one for one in tenant.calls("/browses")[0].url.params.get_list("filter") if "due_date" in one]
    assert days == ["pod_det.pod_due_date,ge,2026-01-31,literal", "pod_det.pod_due_date,lt,2026-02-10,literal"]


async def test_orders_are_read_by_key_whatever_they_show(tenant: Tenant) -> None:
    await tenant.seed(purchaseOrders=[ordered(100001, line(due="2026-03-01")), ordered(100002)])
    stream = late(tenant)
    found = await stream.by_key(["10USA/PO100001", "10USA/PO109999", "OTHER/PO100002", "no key"])
    assert list(found) == ["10USA/PO100001"]
    assert isinstance(found["10USA/PO100001"], OpenOrder)


async def test_many_late_orders_take_few_questions(tenant: Tenant) -> None:
    await tenant.seed(purchaseOrders=[ordered(number) for number in range(100001, 100251)])
    tenant.seen.clear()
    stream = late(tenant)
    batches = await read(stream)
    assert [len(batch.records) for batch in batches] == [100, 100, 50]
    # The lines that are due, then heads and lines of each batch, and the one supplier once.
    assert len(tenant.calls("/browses")) == 1 + 3 * 2 + 1
    assert tenant.calls("/api/erp") == []
    assert await numbers(stream, batches[0].cursor) == [f"PO{number}" for number in range(100101, 100251)]


async def test_more_due_lines_than_a_page_holds_are_read_by_halving_the_days(tenant: Tenant) -> None:
    lines = [line(number, f"2026-01-{1 + number % 28:02}") for number in range(1, 601)]
    await tenant.seed(purchaseOrders=[ordered(100001, *lines), ordered(100002, *lines)])
    tenant.seen.clear()
    assert await numbers(late(tenant, window=60)) == ["PO100001", "PO100002"]
    due = [call for call in tenant.calls("/browses") if "due_date" in str(call.url)]
    assert len(due) > 1
    assert {call.url.params["page"] for call in due} == {"1"}


async def test_what_cannot_be_understood_is_told_as_such() -> None:
    due: Json = {"pod_due_date": "2026-02-01T00:00:00.000Z"}
    lost = order_line("", pod_qty_rcvd=0, **due)
    rows = [order_line(**due), order_line("PO100002", pod_qty_rcvd="few", **due), lost]
    rows.append(order_line("PO100003", pod_qty_rcvd=0, **due))
    heads = [order(), order("PO100002"), order("PO100003")]
    server = Qad(purchaseOrderLine=rows, purchaseOrder=heads, supplier=[supplier()])
    (batch,) = await read(late(server))
    assert [one.number for one in batch.records] == ["PO100003"]
    told = {one.key: one.path.split(":")[0] for one in batch.unreadable}
    assert {"10USA/PO100001": "pod_det.pod_qty_rcvd", "10USA/PO100002": "pod_det.pod_qty_rcvd"}.items() <= told.items()
    assert [path for key, path in told.items() if key.startswith("row/")] == ["pod_det.pod_nbr"]
    assert len(told) == 3
