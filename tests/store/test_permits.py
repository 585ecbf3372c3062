"""Calls per second, shared by all processes of an installation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ml_connector.store.budget import Permits
from ml_connector.store.database import Database

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_grants_no_more_than_the_rate_within_a_second(db: Database) -> None:
    permits = Permits(db)
    assert [await permits.draw("AAAA", 5, 3, after(s)) for s in (0, 0.3, 0.9)] == [3, 2, 0]


async def test_a_new_second_starts_afresh_and_saves_nothing_up(db: Database) -> None:
    permits = Permits(db)
    assert [await permits.draw("AAAA", 5, 9, after(s)) for s in (0, 1, 60)] == [5, 5, 5]


async def test_processes_that_draw_at_the_same_time_stay_within_the_rate_together(db: Database) -> None:
    granted = await asyncio.gather(*(Permits(db).draw("AAAA", 7, 2, NOON) for _ in range(10)))
    assert sum(granted) == 7


async def test_tenants_do_not_share_a_rate(db: Database) -> None:
    permits = Permits(db)
    assert await permits.draw("AAAA", 2, 2, NOON) == 2
    assert await permits.draw("BBBB", 2, 2, NOON) == 2


async def test_below_one_per_second_one_permit_comes_per_period(db: Database) -> None:
    permits = Permits(db)
    granted = [await permits.draw("AAAA", 0.3, 5, after(second)) for second in range(12)]
    assert granted == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("rate", [1, 1.5, 2.5, 10])
async def test_no_second_sees_more_than_the_rate(db: Database, rate: float) -> None:
    permits = Permits(db)
    for second in range(3):
        granted = [await permits.draw("AAAA", rate, 2, after(second + part / 10)) for part in range(10)]
        assert rate - 1 < sum(granted) <= rate


@pytest.mark.parametrize(("rate", "wanted"), [(5, 0), (5, -1), (0, 1), (-1, 1)])
async def test_nothing_is_granted_for_nothing(db: Database, rate: float, wanted: int) -> None:
    assert await Permits(db).draw("AAAA", rate, wanted, NOON) == 0


async def test_a_process_whose_clock_is_behind_gets_no_second_of_its_own(db: Database) -> None:
    permits = Permits(db)
    assert await permits.draw("AAAA", 5, 3, after(2)) == 3
    assert await permits.draw("AAAA", 5, 5, after(1)) == 2
    assert await permits.draw("AAAA", 5, 5, after(2)) == 0


async def test_a_clock_that_ran_far_ahead_once_does_not_stop_the_others(db: Database) -> None:
    permits = Permits(db)
    assert await permits.draw("AAAA", 5, 5, after(3600)) == 5
    assert await permits.draw("AAAA", 5, 5, NOON) == 5
