"""The stream of voided invoices: nothing that was voided is passed over, whatever flag, order or moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ml_connector.domain.records import SupplierInvoice, Unreadable
from ml_connector.sync.seams import Batch
from ml_connector.systems.coupa.ports import VoidedInvoices
from tests.systems.coupa_server import NOW, StandIn, stand_in

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def voided(number: int, at: datetime, **changes: Any) -> dict[str, Any]:
    line = {"description": "Widget", "price": "10.00", "quantity": "1.0"}
    base = {"id": number, "status": "voided", "exported": True, "updated-at": at.isoformat()}
    return base | {"currency": {"code": "USD"}, "invoice-lines": [line]} | changes


def stream(coupa: StandIn, **changes: Any) -> VoidedInvoices:
    return VoidedInvoices(coupa.client, **{"first": FIRST} | changes)


async def read(
    source: VoidedInvoices, since: str | None = None, start: str | None = None
) -> list[Batch[SupplierInvoice]]:
    return [batch async for batch in source.pages(start, since)]


def keys(batches: list[Batch[SupplierInvoice]]) -> list[str]:
    return [record.key for batch in batches for record in batch.records]


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


async def test_voids_are_read_whatever_their_flag_from_the_first_instant_on() -> None:
    async with stand_in() as coupa:
        early = voided(1, FIRST - timedelta(seconds=1))
        await coupa.seed(invoices=[early, voided(2, FIRST), voided(3, at(0), exported=False), voided(4, at(1))])
        await coupa.seed(invoices=[voided(5, at(1), status="approved")])
        assert keys(await read(stream(coupa))) == ["2", "3", "4"]


async def test_the_mark_is_the_newest_change_as_text_that_sorts_like_time() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[voided(1, at(5)), voided(2, at(3))])
        ((batch),) = await read(stream(coupa))
        assert batch.mark == "2026-03-05T09:05:00.000000+00:00"
        assert batch.mark < at(5.01).isoformat(timespec="microseconds")


async def test_a_later_run_goes_back_ten_minutes_and_never_moves_the_mark_back() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[voided(1, at(-12)), voided(2, at(-9)), voided(3, at(0))])
        since = at(0.5).isoformat(timespec="microseconds")
        (batch,) = await read(stream(coupa), since)
        assert (keys([batch]), batch.mark) == (["2", "3"], since)
        assert await read(stream(coupa), at(60).isoformat(timespec="microseconds")) == []


async def test_only_the_last_batch_brings_the_mark() -> None:
    async with stand_in(page_size=2) as coupa:
        # The newest change has the lowest id: order by id is not order by time.
        await coupa.seed(invoices=[voided(1, at(9)), voided(2, at(1)), voided(3, at(2)), voided(4, at(3))])
        batches = await read(stream(coupa))
        assert keys(batches) == ["1", "2", "3", "4"]
        assert [batch.mark for batch in batches] == ["", "", "2026-03-05T09:09:00.000000+00:00"]


async def test_a_void_behind_the_reader_is_read_by_the_next_run() -> None:
    async with stand_in(page_size=2) as coupa:
        await coupa.seed(invoices=[voided(number, at(number)) for number in range(1, 6)])
        source, first = stream(coupa), []
        async for batch in source.pages(None, None):
            first.append(batch)
            if len(first) == 1:
                await _stamp(coupa, 1, at(30))
                await _stamp(coupa, 5, at(60))
        assert keys(first) == ["1", "2", "3", "4", "5"]
        assert first[-1].mark == "2026-03-05T09:05:00.000000+00:00"
        assert "1" in keys(await read(source, first[-1].mark))


async def _stamp(coupa: StandIn, number: int, moment: datetime) -> None:
    """The tenant's clock stands at this moment while somebody touches the invoice."""
    now = datetime.fromisoformat((await coupa.admin("health", "GET"))["time"])
    await coupa.admin("clock", advance=(moment - now).total_seconds())
    await coupa.admin("do/void_invoice", id=number, keep_exported=True)


async def test_a_resumed_read_goes_on_after_the_cursor_with_the_same_mark() -> None:
    async with stand_in(page_size=2) as coupa:
        await coupa.seed(invoices=[voided(number, at(-number)) for number in range(1, 6)])
        every = await read(stream(coupa))
        for number, batch in enumerate(every[:-1]):
            rest = await read(stream(coupa), start=batch.cursor)
            assert keys(rest) == keys(every[number + 1 :])
            assert rest[-1].mark == every[-1].mark == at(-1).isoformat(timespec="microseconds")
        (empty,) = await read(stream(coupa), start=every[-1].cursor)
        assert (empty.records, empty.mark) == ([], every[-1].mark)


async def test_an_idle_read_is_one_call() -> None:
    async with stand_in() as coupa:
        assert await read(stream(coupa), at(0).isoformat(timespec="microseconds")) == []
        await coupa.seed(invoices=[voided(1, at(0))])
        await read(stream(coupa))
        assert len(coupa.sent("GET")) == 2


async def test_filters_and_unreadable_voids() -> None:
    async with stand_in() as coupa:
        await coupa.seed(account_types=[{"name": "Other chart", "currency": {"code": "USD"}}])
        chart = {"account-type": {"name": "Corporate chart"}}
        bad = {"total-with-taxes": None, "gross-total": None}
        await coupa.seed(invoices=[voided(1, at(0), **chart), voided(2, at(1), **chart, **bad), voided(3, at(2))])
        (batch,) = await read(stream(coupa, filters=[("account_type[name]", "Corporate chart")]))
        assert keys([batch]) == ["1"]
        assert batch.unreadable == [Unreadable("2", "total-with-taxes: missing")]
        assert batch.mark == at(1).isoformat(timespec="microseconds")


async def test_a_void_by_key_shows_any_state() -> None:
    async with stand_in() as coupa:
        await coupa.seed(invoices=[voided(1, at(0)), voided(2, at(0), status="approved")])
        found = await stream(coupa).by_key(["1", "2", "3"])
        assert {key: one.status for key, one in found.items() if isinstance(one, SupplierInvoice)} == {
            "1": "voided",
            "2": "approved",
        }
