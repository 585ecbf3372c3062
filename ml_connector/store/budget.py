"""Calls per second, shared by every process that works on one tenant: whoever wants to call draws permits here."""

from __future__ import annotations

import math
from datetime import datetime

from sqlalchemy import select, update

from ml_connector.store.database import Database
from ml_connector.store.schema import permit

# A stored second further ahead than clocks of one installation differ comes from a wrong clock and is not believed.
_CLOCKS_DIFFER_S = 10


class Permits:
    """Grants permits so that all processes together stay within a tenant's rate."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def draw(self, tenant: str, per_second: float, wanted: int, now: datetime) -> int:
        """Permits granted for the second of `now`, at most `wanted`; below one per second, one every 1/rate seconds.

        A fraction above one is dropped (2.5 grants 2): no second ever sees more calls than the rate allows.
        """
        if wanted <= 0 or per_second <= 0:
            return 0
        second = int(now.timestamp())
        async with self._db.write() as tx:
            first = self._db.insert(permit).values(tenant=tenant, second=0, used=0)
            await tx.execute(first.on_conflict_do_nothing())
            row = (await tx.execute(select(permit).where(permit.c.tenant == tenant).with_for_update())).one()
            last = row.second if row.second <= second + _CLOCKS_DIFFER_S else 0
            # A process whose clock is behind shares the newer second of the others instead of opening its own again.
            second = max(second, last)
            free = _free(per_second, elapsed=second - last, used=row.used)
            granted = min(wanted, free)
            if granted:
                used = granted + (row.used if second == last else 0)
                spent = update(permit).where(permit.c.tenant == tenant).values(second=second, used=used)
                await tx.execute(spent)
        return granted


def _free(per_second: float, *, elapsed: int, used: int) -> int:
    """What is left `elapsed` seconds after the second in which `used` permits were last drawn."""
    if per_second < 1:
        return 1 if elapsed >= math.ceil(1 / per_second) else 0
    return math.floor(per_second) - (used if elapsed == 0 else 0)
