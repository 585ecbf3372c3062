"""How hard one tenant may be pressed and how long anybody waits for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates and time limits of one tenant; all times in seconds.

    `timeout_s` bounds one whole attempt, `total_s` all attempts of one call with the waits between them.
    `burst` is how many calls a system tolerates above its rate (for the record; budgets stay at the rate).
    """

    concurrency: int
    per_second: float
    timeout_s: float = 60
    connect_timeout_s: float = 10
    attempts: int = 5
    total_s: float = 120
    burst: int = 0
