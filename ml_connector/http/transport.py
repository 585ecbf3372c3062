"""The gate every request passes last: rate budget, latest start, one time limit for the whole attempt."""

from __future__ import annotations

import asyncio

import httpx

from ml_connector.clock import Clock
from ml_connector.errors import LeaseLostError
from ml_connector.http.budget import Budget
from ml_connector.http.limits import Limits


class Gate(httpx.AsyncBaseTransport):
    """Wraps a transport. Being the last step before the wire it also sees logins and repeats after a 401.

    The body is read here, so that its time counts too and the connection is free again before a login renews.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, budget: Budget, clock: Clock, limits: Limits) -> None:
        self._inner = inner
        self._budget = budget
        self._clock = clock
        self._limits = limits
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send once; LeaseLostError when the request's `latest_start` (monotonic seconds) has passed."""
        await self._budget.acquire()
        latest = request.extensions.get("latest_start")
        if latest is not None and self._clock.monotonic() > latest:
            raise LeaseLostError("too little of the lease is left for one more write; nothing was sent")
        self.calls += 1
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                response = await self._inner.handle_async_request(request)
                await response.aread()
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no complete answer within {self._limits.timeout_s:g} s") from error
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()
