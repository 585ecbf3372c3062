"""How targets send: a fixed number of workers, lanes in order, and nothing thrown away when something stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from ml_connector.domain.writes import Doubt, NotSent, Order, Refused, Sent, Stopped
from ml_connector.errors import ContractError, RecordRejectedError, TransientError, UnknownOutcomeError

SendOne = Callable[[Order], Awaitable[Sent]]


async def send_each(orders: Sequence[Order], one: SendOne, workers: int) -> dict[str, Sent]:
    """Send orders one by one, each answer by external id; orders of a lane go one after another.

    An error that concerns the whole run (login, rights, lease) ends it with `Stopped`: what is under way is waited for,
    nothing new begins, and the answers so far travel with the error.
    """
    sending = _Sending(one)
    lanes: dict[str, list[Order]] = {}
    for number, order in enumerate(orders):
        lanes.setdefault(order.lane or f"\0{number}", []).append(order)
    queue = iter(lanes.values())
    await asyncio.gather(*(sending.work(queue) for _ in range(min(workers, len(lanes)))))
    if sending.failure is not None:
        raise Stopped(sending.sent, sending.failure)
    return sending.sent


def meaning(error: Exception) -> Sent | None:
    """What an error of a write means for its record; None when it concerns the whole run."""
    if isinstance(error, RecordRejectedError):
        return Refused(error.code, error.detail)
    if isinstance(error, UnknownOutcomeError | ContractError):
        return Doubt(str(error))
    return NotSent(str(error)) if isinstance(error, TransientError) else None


class _Sending:
    """The workers of one call: they share a queue of lanes, the answers and the first failure."""

    def __init__(self, one: SendOne) -> None:
        self._one = one
        self.sent: dict[str, Sent] = {}
        self.failure: Exception | None = None

    async def work(self, queue: Iterator[list[Order]]) -> None:
        """Take lanes until none is left or something failed that stops everybody."""
        for lane in queue:
            blocked = False
            for order in lane:
                if self.failure is not None:
                    return
                if blocked:
                    self.sent[order.external_id] = NotSent("an earlier write of the same lane is open")
                    continue
                try:
                    outcome = await self._one(order)
                except Exception as error:
                    # Kept until the other workers have their answers: a write under way must not be cut off.
                    self.failure = self.failure or error
                    return
                self.sent[order.external_id] = outcome
                blocked = isinstance(outcome, Doubt | NotSent)
