"""The documented rate limit: 25 calls per second with a burst of 20."""

from __future__ import annotations

from sandbox.kit.clock import Clock


class Bucket:
    """A token bucket; it refills with real time even when the tenant's clock stands still."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rate, self._burst = 25.0, 20
        self._level, self._seen = 20.0, clock.elapsed()

    def set(self, rate: float, burst: int) -> None:
        """Change the limit; the bucket starts full."""
        self._rate, self._burst = rate, burst
        self._level, self._seen = float(burst), self._clock.elapsed()

    def take(self) -> bool:
        """Count one call; False when there are too many."""
        now = self._clock.elapsed()
        self._level = min(float(self._burst), self._level + (now - self._seen) * self._rate)
        self._seen = now
        if self._level < 1:
            return False
        self._level -= 1
        return True
