"""The one owner of retries: which errors, how often, how long, and how long between two attempts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ml_connector.clock import Clock
from ml_connector.errors import RateLimitedError, TransientError
from ml_connector.http.limits import Limits

MAX_BACKOFF_S = 30.0
_jitter = wait_random_exponential(multiplier=1, max=MAX_BACKOFF_S)

Answer = TypeVar("Answer")


async def retried(attempt: Callable[[], Awaitable[Answer]], limits: Limits, clock: Clock) -> Answer:
    """Run an attempt until it no longer raises TransientError, within the limits' attempts and total time.

    Waits as long as the system asked for, else an exponential time with jitter; a wait that would pass the total
    time is not begun and the last error is raised as it is.
    """
    started = clock.monotonic()
    try:
        return await attempt()  # the usual case costs no retry machinery
    except TransientError as error:
        failed: list[TransientError] = [error]

    async def next_attempt() -> Answer:
        if failed:
            raise failed.pop()
        return await attempt()

    def out_of_time(state: RetryCallState) -> bool:
        return clock.monotonic() - started + state.upcoming_sleep >= limits.total_s

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        stop=lambda state: stop_after_attempt(limits.attempts)(state) or out_of_time(state),
        wait=_pause,
        sleep=clock.sleep,
        reraise=True,
    )
    return await retrying(next_attempt)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RateLimitedError) and error.retry_after is not None:
        return error.retry_after
    return float(_jitter(state))


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """The pause a response asks for, in seconds; both forms of the header are read, nonsense counts as absent."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
