"""How targets send many records in one request: a refused request is halved until the culprit stands alone.

Nobody guesses: of a request whose answer is lost every record is in doubt, and so is one that its answer leaves out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ml_connector.domain.writes import Doubt, NotSent, Order, Refused, Sent, Stopped
from ml_connector.errors import RecordRejectedError
from ml_connector.systems.sending import meaning

Post = Callable[[Sequence[Order]], Awaitable[Mapping[str, Sent]]]


async def send_in_bulk(orders: Sequence[Order], post: Post, size: int, *, abreast: int = 2) -> dict[str, Sent]:
    """Send orders in requests of up to `size`, at most `abreast` at a time; each answer by external id.

    `post` sends one request: it answers for each of its orders, raises RecordRejectedError when the request was refused
    as a whole, and may raise any other error of a write. Orders of a lane are never in one request, and go one after
    another. An error that concerns the whole run ends it with `Stopped`, as in `send_each`.
    """

    async def wave(some: Sequence[Order]) -> dict[str, Sent]:
        return await _Requests(post, some, size).send(abreast)

    return await lane_by_lane(orders, wave)


async def lane_by_lane(orders: Sequence[Order], send: Post) -> dict[str, Sent]:
    """Send orders in rounds in which each lane has one; a lane whose last write is open waits for the next run."""
    sent: dict[str, Sent] = {}
    while orders:
        now, later = _first_of_lanes(orders)
        try:
            answers = await send(now)
        except Stopped as stopped:
            raise Stopped(sent | dict(stopped.sent), stopped.cause) from stopped
        sent |= answers
        closed = {one.lane for one in now if one.lane and _is_open(answers.get(one.external_id))}
        blocked = NotSent("an earlier write of the same lane is open")
        sent |= {one.external_id: blocked for one in later if one.lane in closed}
        orders = [one for one in later if one.lane not in closed]
    return sent


class _Requests:
    """The requests of one round: those that wait, the answers, and the first failure that stops everybody."""

    def __init__(self, post: Post, orders: Sequence[Order], size: int) -> None:
        self._post = post
        self._waiting = deque(orders[start : start + size] for start in range(0, len(orders), size))
        self._sent: dict[str, Sent] = {}
        self._failure: Exception | None = None

    async def send(self, abreast: int) -> dict[str, Sent]:
        """Send all of them; what is under way when something stops them is waited for."""
        await asyncio.gather(*(self._work() for _ in range(abreast)))
        if self._failure is not None:
            raise Stopped(self._sent, self._failure)
        return self._sent

    async def _work(self) -> None:
        while self._waiting and self._failure is None:
            await self._request(self._waiting.popleft())

    async def _request(self, lot: Sequence[Order]) -> None:
        try:
            answers = await self._post(lot)
        except RecordRejectedError as error:
            await self._refused(lot, error)
        except Exception as error:
            told = meaning(error)
            if told is None:
                self._failure = self._failure or error
                return
            self._sent |= dict.fromkeys((one.external_id for one in lot), told)
        else:
            silent = Doubt("the answer leaves this record out")
            self._sent |= {one.external_id: answers.get(one.external_id, silent) for one in lot}

    async def _refused(self, lot: Sequence[Order], error: RecordRejectedError) -> None:
        """The halves go at once, so that the workers of the round do not end while some are still to be sent."""
        if len(lot) == 1:
            self._sent[lot[0].external_id] = Refused(error.code, error.detail)
            return
        middle = len(lot) // 2
        for half in (lot[:middle], lot[middle:]):
            if self._failure is None:
                await self._request(half)


def _first_of_lanes(orders: Sequence[Order]) -> tuple[list[Order], list[Order]]:
    now, later, taken = [], [], set()
    for one in orders:
        if one.lane and one.lane in taken:
            later.append(one)
        else:
            now.append(one)
            taken.add(one.lane)
    return now, later


def _is_open(answer: Sent | None) -> bool:
    return answer is None or isinstance(answer, Doubt | NotSent)
