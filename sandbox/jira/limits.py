"""How much a caller may do: points by the hour, bursts by the second, writes on one issue."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from datetime import timedelta

from sandbox.jira.errors import ApiError
from sandbox.kit.clock import Clock

ISSUE_WINDOWS = ((2.0, 20), (30.0, 100))


class Limits:
    """Counts what was done lately and refuses with 429."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget what was counted."""
        self.points = 0
        self._hours: Counter[str] = Counter()
        self._writes: defaultdict[int, deque[float]] = defaultdict(deque)
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)

    def write(self, number: int, *, retry_after: bool) -> None:
        """Count a write on an issue; raises ApiError 429."""
        now, times = self._clock.elapsed(), self._writes[number]
        while times and now - times[0] >= ISSUE_WINDOWS[-1][0]:
            times.popleft()
        for seconds, most in ISSUE_WINDOWS:
            recent = sum(1 for at in times if now - at < seconds)
            if recent >= most:
                wait = max(1, round(seconds))
                raise _refused("jira-per-issue-on-write", wait if retry_after else None)
        times.append(now)

    def call(self, name: str, most: int, *, retry_after: bool) -> None:
        """Count a call of an address; raises ApiError 429 when a second has seen too many."""
        now, times = self._clock.elapsed(), self._calls[name]
        while times and now - times[0] >= 1.0:
            times.popleft()
        if len(times) >= most:
            raise _refused("jira-burst-based", 1 if retry_after else None)
        times.append(now)

    def check_quota(self, most: int, *, retry_after: bool) -> None:
        """Refuse with 429 while the points of this hour are spent."""
        now = self._clock.now()
        if self._hours[_hour(now.isoformat())] < most:
            return
        top = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        left = max(1, int((top - now).total_seconds()) + 1)
        headers = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": top.strftime("%Y-%m-%dT%H:%MZ"),
            "RateLimit-Policy": f'"global-app-quota";q={most};w=3600',
            "RateLimit": f'"global-app-quota";r=0;t={left}',
        }
        raise _refused("jira-quota-global-based", left if retry_after else None, headers)

    def charge(self, points: int, most: int) -> dict[str, str]:
        """Add the points of a call; gives the headers that tell how many are left, where there is a limit."""
        hour = _hour(self._clock.now().isoformat())
        self.points += points
        self._hours[hour] += points
        if not most:
            return {}
        left = max(0, most - self._hours[hour])
        headers = {"X-RateLimit-Limit": str(most), "X-RateLimit-Remaining": str(left)}
        return headers | ({"X-RateLimit-NearLimit": "true"} if left * 5 < most else {})


def _hour(instant: str) -> str:
    return instant[:13]


def _refused(reason: str, wait: int | None, headers: dict[str, str] | None = None) -> ApiError:
    extra = {"RateLimit-Reason": reason, **(headers or {})}
    if wait is not None:
        extra["Retry-After"] = str(wait)
    return ApiError(429, {"errorMessages": ["Rate limit exceeded."], "errors": {}}, headers=extra)
