"""The way to a tenant: its connections, and before them the gate of budget, latest start and one time limit."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache

import httpx

from ml_connector.clock import Clock
from ml_connector.errors import LeaseLostError
from ml_connector.http.budget import Budget
from ml_connector.http.limits import Limits


class Connections(httpx.AsyncBaseTransport):
    """A fixed number of connections, each a pool of its own: a shared one looks at all of them for each request."""

    def __init__(self, size: int) -> None:
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        self._all = [httpx.AsyncHTTPTransport(verify=_tls(), limits=one) for _ in range(size)]
        self._free = list(self._all)
        self._next = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send over the connection that was used last; when all are busy, wait for one of them in turn."""
        if not self._free:
            self._next = (self._next + 1) % len(self._all)
            return await _whole(self._all[self._next], request)
        one = self._free.pop()
        try:
            return await _whole(one, request)
        finally:
            self._free.append(one)

    async def aclose(self) -> None:
        """Close them all."""
        for one in self._all:
            await one.aclose()


async def _whole(one: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
    """The answer with its body, so that the connection is free again."""
    response = await one.handle_async_request(request)
    response.request = request
    await response.aread()
    return response


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes longer than a dozen calls.
    return httpx.create_ssl_context()


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
        response.request = request
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()
