"""When Jira wants a pause without saying so where everybody looks: the hour's quota names its end in its own header."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import httpx

from ml_connector.clock import Clock
from ml_connector.http.retry import retry_after

QUOTA = "jira-quota-"


class Pacing(httpx.AsyncBaseTransport):
    """Puts the pause that a 429 means into its Retry-After, so that the one owner of retries needs no special case.

    A used-up quota lasts until its reset, whatever else the answer says; any other 429 without Retry-After takes the
    reset if there is one, and is left to the usual growing pauses if not (README: Limits).
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send once."""
        response = await self._inner.handle_async_request(request)
        if response.status_code == 429:
            now = self._clock.now()
            asked, reset = retry_after(response, now), _seconds_to_reset(response, now)
            if reset is not None and (asked is None or _is_quota(response)):
                response.headers["Retry-After"] = str(math.ceil(max(reset, asked or 0)))
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


def _is_quota(response: httpx.Response) -> bool:
    reason: str = response.headers.get("RateLimit-Reason", "").lower()
    return reason.startswith(QUOTA)


def _seconds_to_reset(response: httpx.Response, now: datetime) -> float | None:
    text = response.headers.get("X-RateLimit-Reset", "").strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
