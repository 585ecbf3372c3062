"""Bulk requests: halved until the culprit stands alone, and nobody guesses about what an answer leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_connector.domain.writes import Done, Doubt, NotSent, Order, Refused, Sent, Stopped
from ml_connector.errors import (
    AuthenticationError,
    ContractError,
    LeaseLostError,
    RecordRejectedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.systems.bulk import lane_by_lane, send_in_bulk
from tests.systems.stopping import stopped_by


def order(number: int, lane: str = "") -> Order:
    return Order(f"c:x:{number}", f"t{number}", f"k{number}", "issue", "upsert", {}, lane=lane)


class Server:
    """Takes lots; some records are bad and refuse their whole lot, some lots end in an error."""

    def __init__(self, bad: Sequence[int] = (), errors: Mapping[int, Exception] | None = None) -> None:
        self.bad = {f"c:x:{number}" for number in bad}
        self.errors = {f"c:x:{number}": error for number, error in (errors or {}).items()}
        self.lots: list[list[str]] = []
        self.written: list[str] = []
        self.under_way = 0
        self.most_under_way = 0

    async def post(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        names = [one.external_id for one in orders]
        self.lots.append(names)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        for name in names:
            if name in self.errors:
                raise self.errors[name]
        if self.bad & set(names):
            raise RecordRejectedError("no", code="bad_record", detail="its text")
        self.written += names
        return {name: Done(name) for name in names}


async def test_one_bad_record_is_found_and_the_others_go_through() -> None:
    server = Server(bad=[17])
    sent = await send_in_bulk([order(number) for number in range(50)], server.post, 50)
    assert sent.pop("c:x:17") == Refused("bad_record", "its text")
    assert all(one == Done(name) for name, one in sent.items())
    assert len(sent) == 49
    assert len(server.lots) <= 13


@settings(deadline=None)
@given(st.integers(0, 40), st.sets(st.integers(0, 39), max_size=8), st.integers(1, 12))
def test_each_good_record_is_written_once_and_each_bad_one_refused(count: int, bad: set[int], size: int) -> None:
    server = Server(bad=sorted(bad))
    sent = asyncio.run(send_in_bulk([order(number) for number in range(count)], server.post, size))
    refused = {name for name, one in sent.items() if isinstance(one, Refused)}
    assert refused == {f"c:x:{number}" for number in bad if number < count}
    assert sorted(server.written) == sorted(set(sent) - refused)
    assert len(sent) == count
    assert all(len(lot) <= size for lot in server.lots)


async def test_at_most_two_requests_are_under_way() -> None:
    server = Server()
    await send_in_bulk([order(number) for number in range(60)], server.post, 10)
    assert server.most_under_way == 2
    assert len(server.lots) == 6


async def test_a_lost_answer_puts_its_whole_request_in_doubt_and_no_other() -> None:
    server = Server(errors={3: UnknownOutcomeError("lost"), 13: ContractError("odd")})
    sent = await send_in_bulk([order(number) for number in range(30)], server.post, 10)
    kinds = [type(sent[f"c:x:{number}"]) for number in range(30)]
    assert kinds == [Doubt] * 20 + [Done] * 10


async def test_a_request_that_never_left_can_be_sent_again() -> None:
    server = Server(errors={3: TransientError("busy")})
    sent = await send_in_bulk([order(number) for number in range(20)], server.post, 10)
    assert sent["c:x:9"] == NotSent("busy")
    assert sent["c:x:10"] == Done("c:x:10")


async def test_a_record_that_the_answer_leaves_out_is_in_doubt() -> None:
    async def post(orders: Sequence[Order]) -> Mapping[str, Sent]:
        return {one.external_id: Done("1") for one in orders[:-1]}

    sent = await send_in_bulk([order(1), order(2)], post, 50)
    assert isinstance(sent["c:x:2"], Doubt)


async def test_a_lost_lease_stops_everything_and_keeps_the_answers() -> None:
    server = Server(errors={5: LeaseLostError("gone")})
    orders = [order(number) for number in range(100)]
    with pytest.raises(Stopped) as stopped:
        await send_in_bulk(orders, server.post, 10)
    assert isinstance(stopped.value.cause, LeaseLostError)
    assert set(stopped.value.sent) == {f"c:x:{number}" for number in range(10, 20)}
    assert len(server.lots) == 2


async def test_an_error_while_halving_stops_the_other_half_too() -> None:
    server = Server(bad=[1], errors={0: AuthenticationError("refused")})
    first = True

    async def post(orders: Sequence[Order]) -> Mapping[str, Sent]:
        nonlocal first
        if first:
            first = False
            raise RecordRejectedError("no")
        return await server.post(orders)

    with stopped_by(AuthenticationError):
        await send_in_bulk([order(number) for number in range(4)], post, 4)
    assert server.lots == [["c:x:0", "c:x:1"]]


async def test_orders_of_a_lane_are_never_in_one_request() -> None:
    server = Server()
    orders = [order(1, "a"), order(2, "a"), order(3), order(4, "b"), order(5, "a")]
    sent = await send_in_bulk(orders, server.post, 50)
    assert server.lots == [["c:x:1", "c:x:3", "c:x:4"], ["c:x:2"], ["c:x:5"]]
    assert len(sent) == 5


async def test_a_lane_waits_while_its_last_write_is_open() -> None:
    server = Server(errors={1: UnknownOutcomeError("lost")})
    sent = await send_in_bulk([order(1, "a"), order(2, "a"), order(3, "b"), order(4, "b")], server.post, 1)
    assert isinstance(sent["c:x:1"], Doubt)
    assert isinstance(sent["c:x:2"], NotSent)
    assert sent["c:x:4"] == Done("c:x:4")


async def test_what_stops_a_later_round_keeps_the_answers_of_the_first() -> None:
    async def send(orders: Sequence[Order]) -> Mapping[str, Sent]:
        if orders[0].external_id == "c:x:2":
            raise Stopped({}, LeaseLostError("gone"))
        return {one.external_id: Done("1") for one in orders}

    with pytest.raises(Stopped) as stopped:
        await lane_by_lane([order(1, "a"), order(2, "a")], send)
    assert stopped.value.sent == {"c:x:1": Done("1")}
