"""Sends a tenant's webhook deliveries over HTTP, on the tenant's clock, with the retries that its vendor makes."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from sandbox.kit.clock import Clock

PAUSE_S = 0.05  # between two rounds of the background task; a burst within it is one batch for `shuffle`
TIMEOUT_S = 5.0  # after that a receiver counts as silent


@dataclass(frozen=True)
class RetryPolicy:
    """After which statuses a delivery is tried again, and how many seconds after each failed attempt.

    With a set of statuses, a receiver that gave no answer at all is tried again too; a function is asked with None.
    """

    statuses: frozenset[int] | Callable[[int | None], bool] = frozenset()
    delays_s: Sequence[float] = ()

    def wait_s(self, status: int | None, attempt: int) -> float | None:
        """Seconds until the next attempt after attempt number `attempt` (0 = the first); None when there is none."""
        if attempt >= len(self.delays_s):
            return None
        again = self.statuses(status) if callable(self.statuses) else status is None or status in self.statuses
        return self.delays_s[attempt] if again else None


def _no_headers(attempt: int) -> dict[str, str]:
    return {}


@dataclass
class Delivery:
    """One event on its way to one address; `attempt` counts from 0 and rises with each retry."""

    url: str
    body: bytes
    headers: dict[str, str]
    due: datetime
    attempt: int = 0
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    per_attempt: Callable[[int], dict[str, str]] = _no_headers

    def all_headers(self) -> dict[str, str]:
        """The fixed headers and those of the present attempt."""
        return {**self.headers, **self.per_attempt(self.attempt)}


class Sent(NamedTuple):
    """One attempt that was made; status None means the receiver gave no answer."""

    url: str
    status: int | None
    attempt: int
    at: datetime


Send = Callable[[Delivery], Awaitable[int | None]]


def is_loopback(url: str) -> bool:
    """Whether an address is plain HTTP or HTTPS on this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        near = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    return near and port != 0 and parts.scheme in ("http", "https")


class Deliveries:
    """The queue of one tenant's deliveries.

    While real time passes a background task sends what is due. With a frozen clock nothing goes out but by flush(), so
    that a test decides when. Knobs for a mean network: `duplicate` (every delivery goes out so many times), `shuffle`
    (a batch goes out in an order drawn from `seed`) and `delay_s` (seconds added to every new delivery).
    """

    def __init__(self, clock: Clock, *, send: Send | None = None, seed: int = 0) -> None:
        self._clock, self._send = clock, send
        self._queue: list[Delivery] = []
        self._random = random.Random(seed)
        self._sending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.sent: list[Sent] = []
        self.duplicate, self.shuffle, self.delay_s = 1, False, 0.0

    @property
    def waiting(self) -> int:
        """How many deliveries have not been made, or wait for another attempt."""
        return len(self._queue)

    def put(self, delivery: Delivery) -> None:
        """Queue a delivery; raises ValueError for an address beyond loopback, unless the test brings its own sender."""
        if self._send is None and not is_loopback(delivery.url):
            raise ValueError("a sandbox delivers on loopback only")
        due = delivery.due + timedelta(seconds=self.delay_s)
        self._queue.extend(replace(delivery, due=due) for _ in range(self.duplicate))
        self._start()

    def clear(self) -> None:
        """Forget what waits and what was sent."""
        self._queue.clear()
        self.sent.clear()

    async def flush(self) -> None:
        """Send everything that is due by the tenant's clock; what failed is queued again as its policy says."""
        # One round at a time: whoever calls this may rely on a round already under way having ended.
        async with self._sending:
            batch = self._take_due()
            if batch and self._send is not None:
                await self._attempt(batch, self._send)
            elif batch:
                # Loopback alone is reached, so there is no certificate worth judging and no proxy to go through.
                async with httpx.AsyncClient(verify=False, trust_env=False, timeout=TIMEOUT_S) as client:
                    await self._attempt(batch, lambda delivery: _post(client, delivery))

    def _take_due(self) -> list[Delivery]:
        now = self._clock.now()
        batch = sorted((item for item in self._queue if item.due <= now), key=lambda item: item.due)
        self._queue = [item for item in self._queue if item.due > now]
        if self.shuffle:
            self._random.shuffle(batch)
        return batch

    async def _attempt(self, batch: list[Delivery], send: Send) -> None:
        for item in batch:
            status = await send(item)
            now = self._clock.now()
            self.sent.append(Sent(item.url, status, item.attempt, now))
            wait = item.policy.wait_s(status, item.attempt)
            if wait is not None:
                self._queue.append(replace(item, attempt=item.attempt + 1, due=now + timedelta(seconds=wait)))

    def _start(self) -> None:
        if self._clock.frozen or (self._task is not None and not self._task.done()):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # filled from plain code: whoever has a loop will flush
        self._task = loop.create_task(self._run())

    async def _run(self) -> None:
        while self._queue:
            await asyncio.sleep(PAUSE_S)
            await self.flush()


async def _post(client: httpx.AsyncClient, delivery: Delivery) -> int | None:
    try:
        answer = await client.post(delivery.url, content=delivery.body, headers=delivery.all_headers())
    except httpx.HTTPError:
        return None
    return answer.status_code
