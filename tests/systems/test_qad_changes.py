"""Reading what changed in QAD since a mark: few questions for many rows, and a mark that never runs ahead."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from ml_connector.systems.qad import changes
from ml_connector.systems.qad.browse import Filter
from ml_connector.systems.qad.changes import ChangeReader, Changes, Span, Stamp
from tests.systems.qad_server import Qad, Tenant, open_qad, page, supplier, tenant_with_masters

BEGIN = date(2025, 11, 1)
DAY = 86400
Json = dict[str, Any]


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters(datetime(2025, 11, 1, 9, tzinfo=UTC)) as one:
        yield one


def payment(number: int) -> Json:
    row = {"paymentYear": 2025, "paymentNumber": number, "invoicePostingYear": 2025}
    return {**row, "invoiceDaybookCode": "APINV", "invoiceVoucher": 10000 + number, "allocatedAmountTC": 1}


async def paid_on_days(tenant: Tenant, counts: list[int]) -> None:
    """So many payments on each of the days from the first on; today is the last of them."""
    number = 0
    for day, count in enumerate(counts):
        if day:
            tenant.clock.advance(DAY)
        if count:
            await tenant.seed(supplierPayments=[payment(number + one) for one in range(1, count + 1)])
            number += count


def reader(tenant: Tenant, begin: date = BEGIN) -> ChangeReader:
    return ChangeReader(tenant.client(), "supplierPayment", [Filter("entity", "eq", "10USACO")], begin)


def asked(tenant: Tenant) -> list[list[str]]:
    """The conditions on the day of every question."""
    found = []
    for call in tenant.calls("/browses"):
        filters = [one.split(",") for one in call.url.params.get_list("filter") if "lastModified" in one]
        found.append([f"{op} {value}" for _, op, value, _ in filters])
    return found


def numbers(found: Changes) -> list[int]:
    return sorted(int(row["number"]) for row in found.rows)


def altered(tenant: Tenant, change: Callable[[httpx.QueryParams, Json], None]) -> None:
    """Let a list be answered otherwise than the tenant would."""

    async def before(request: httpx.Request) -> httpx.Response | None:
        if "/browses" not in request.url.path:
            return None
        answer = await tenant.inner.handle_async_request(request)
        body = json.loads(await answer.aread())
        change(request.url.params, body)
        return httpx.Response(200, json=body)

    tenant.before = before


def extra(number: int, day: str) -> Json:
    row = {"entityCode": "10USACO", "paymentYear": 2025, "paymentNumber": number, "lastModifiedDate": day}
    return {f"supplierPayment.{name}": value for name, value in row.items()}


async def test_a_page_that_holds_everything_is_one_question_from_a_day_before_the_mark(tenant: Tenant) -> None:
    await paid_on_days(tenant, [1, 1, 1, 1])
    found = await reader(tenant).read("2025-11-03")
    assert (numbers(found), found.mark) == ([2, 3, 4], "2025-11-04")
    assert asked(tenant) == [["ge 2025-11-02"]]
    assert tenant.calls("/browses")[0].url.params["pageSize"] == "1000"


async def test_without_a_mark_reading_begins_at_the_given_day(tenant: Tenant) -> None:
    await paid_on_days(tenant, [1, 1, 1])
    found = await reader(tenant, date(2025, 11, 2)).read(None)
    assert (numbers(found), found.mark) == ([2, 3], "2025-11-03")
    assert asked(tenant) == [["ge 2025-11-02"]]


async def test_2500_rows_over_months_are_read_by_halving_the_days(tenant: Tenant) -> None:
    await paid_on_days(tenant, [28] * 90)
    found = await reader(tenant).read(None)
    assert len(found.rows) == 2520
    assert len(set(numbers(found))) == 2520
    assert found.mark == "2026-01-29"
    # One for the whole, two for the halves, four for the quarters; nothing is read twice.
    assert len(asked(tenant)) == 7
    assert {call.url.params["page"] for call in tenant.calls("/browses")} == {"1"}
    assert asked(tenant)[0] == ["ge 2025-11-01"]
    assert asked(tenant)[-1] == ["ge 2026-01-07"]


async def test_the_parts_leave_no_day_out_and_read_none_twice(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 3)
    await paid_on_days(tenant, [2, 0, 3, 1, 0, 0, 2, 3, 1])
    found = await reader(tenant).read(None)
    assert (numbers(found), found.mark) == (list(range(1, 13)), "2025-11-09")
    assert found.repeated == ()


async def test_a_day_of_several_pages_is_read_until_a_pass_finds_nothing_new(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 3)
    await paid_on_days(tenant, [1, 5, 1])
    found = await reader(tenant).read(None)
    assert (numbers(found), found.mark) == (list(range(1, 8)), "2025-11-03")
    days = [call for call in tenant.calls("/browses") if call.url.params["page"] == "2"]
    assert len(days) == 2


async def test_a_row_that_is_edited_while_days_are_read_is_not_missed(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 3)
    await paid_on_days(tenant, [2, 2, 2])

    async def edit(request: httpx.Request) -> None:
        # After the first day was asked for, a payment of the second one becomes one of today.
        if len(tenant.calls("/browses")) == 2:
            await tenant.do("set_payment_status", paymentNumber=3, paymentYear=2025, status="Void")

    tenant.after = edit
    found = await reader(tenant).read(None)
    assert set(numbers(found)) == {1, 2, 3, 4, 5, 6}
    assert "Void" in {row["status"] for row in found.rows if int(row["number"]) == 3}


async def test_a_day_that_never_comes_to_rest_stops_the_mark_before_it(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 3)
    await paid_on_days(tenant, [1, 5, 1, 1])
    asked_so_far = iter(range(1000, 2000))

    def moving(params: httpx.QueryParams, body: Json) -> None:
        if "supplierPayment.lastModifiedDate,lt,2025-11-03,literal" in params.get_list("filter") and body["data"]:
            body["data"][0] = extra(next(asked_so_far), "2025-11-02T00:00:00.000Z")

    altered(tenant, moving)
    found = await reader(tenant).read(None)
    assert found.mark == "2025-11-01"
    assert {7, 8} <= set(numbers(found))
    assert (await reader(tenant).read("2025-11-02")).mark == "2025-11-02"


async def test_an_unfinished_last_day_leaves_the_mark_at_the_day_before(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 3)
    await paid_on_days(tenant, [1, 1, 5])
    more = iter(range(500, 600))

    async def pay(request: httpx.Request) -> None:
        if "/browses" in request.url.path and request.url.params["page"] == "1":
            await tenant.seed(supplierPayments=[payment(next(more))])

    tenant.after = pay
    found = await reader(tenant).read(None)
    assert found.mark == "2025-11-02"
    assert set(range(1, 8)) <= set(numbers(found))
    tenant.after = None
    assert (await reader(tenant).read(found.mark)).mark == "2025-11-03"


async def test_a_server_whose_day_is_ahead_of_ours_is_read_to_its_own_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 3)
    async with tenant_with_masters(datetime(2025, 11, 1, 12, tzinfo=UTC), utc_offset_hours=14) as ahead:
        await paid_on_days(ahead, [2, 2, 2])
        found = await reader(ahead).read(None)
        assert (len(found.rows), found.mark) == (6, "2025-11-04")


async def test_a_day_that_lies_in_the_future_moves_no_mark(tenant: Tenant) -> None:
    await paid_on_days(tenant, [1, 1])
    altered(tenant, lambda _params, body: body["data"].append(extra(99, "2099-01-01T00:00:00.000Z")))
    found = await reader(tenant).read(None)
    assert (numbers(found), found.mark) == ([1, 2, 99], "2025-11-02")
    # A mark that is there already is read from the last day that can be.
    assert numbers(await reader(tenant).read("2099-01-01")) == [2, 99]


async def test_a_mark_never_goes_back(tenant: Tenant) -> None:
    found = await reader(tenant).read("2025-11-01")
    assert (found.rows, found.mark) == ((), "2025-11-01")
    assert (await reader(tenant).read(None)).mark == ""


async def test_a_list_without_a_change_date_is_read_whole_and_has_no_mark() -> None:
    server = Qad(supplier=[supplier("SUP1"), supplier("SUP2")])
    client = open_qad(server, resources={"supplier": {"fields": {"last_modified": ""}}})
    found = await ChangeReader(client, "supplier", [Filter("shared_set", "eq", "SHSET")], BEGIN).read("2026-01-01")
    assert ([row["number"] for row in found.rows], found.mark) == (["SUP1", "SUP2"], "")
    assert server.calls("/browses")[0].url.params.get_list("filter") == ["supplierV2.sharedSetCode,eq,SHSET,literal"]


async def test_the_later_version_of_a_record_counts_even_where_the_list_hides_its_set() -> None:
    first = {"supplierV2.supplierCode": "A", "supplierV2.isActive": True}
    first |= {"supplierV2.lastModifiedDate": "2026-02-01T00:00:00.000Z"}
    later = first | {"supplierV2.isActive": False, "supplierV2.lastModifiedDate": "2026-02-10T00:00:00.000Z"}
    answers = iter([page([first], more=True), page([first], more=False), page([later], more=False)])
    server = Qad()
    server._browse = lambda _params: next(answers)  # type: ignore[method-assign,assignment]
    found = await ChangeReader(open_qad(server), "supplier", [], date(2026, 2, 1)).read(None)
    assert [row["active"] for row in found.rows] == [False]


def test_halves_meet_and_a_single_day_has_none() -> None:
    for days in range(1, 40):
        span = Span(date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=days))
        halves = span.halves(date(2026, 1, 1))
        assert halves is not None
        first, second = halves
        assert (first.first, second.last) == (span.first, span.last)
        assert first.last is not None
        assert second.first == first.last + timedelta(days=1)
    assert Span(date(2026, 1, 1), date(2026, 1, 1)).halves(date(2026, 5, 1)) is None
    assert Span(date(2026, 1, 2)).halves(date(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("day", "time", "stamp"),
    [
        ("2026-02-10T00:00:00.000Z", 41233, Stamp("2026-02-10", 41233)),
        ("2026-02-10", None, Stamp("2026-02-10", 0)),
        ("2026-02-10", True, Stamp("2026-02-10", 0)),
        ("soon", 5, Stamp()),
        (None, 5, Stamp()),
    ],
)
def test_stamps_are_read_as_shown_and_nonsense_does_not_count(day: Any, time: Any, stamp: Stamp) -> None:
    assert Stamp.of({"last_modified": day, "last_modified_time": time}) == stamp


def test_positions_sort_like_their_stamps() -> None:
    stamps = [Stamp(), Stamp("2026-02-09", 86399), Stamp("2026-02-10", 9), Stamp("2026-02-10", 10)]
    places = [stamp.position("k") for stamp in stamps]
    assert places == sorted(places)
