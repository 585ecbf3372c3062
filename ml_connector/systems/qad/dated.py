"""Reads a list by one of its dates, however many rows fall into the days that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_connector.systems.qad.browse import Filter, Rows
from ml_connector.systems.qad.changes import PAGE_SIZE, Span
from ml_connector.systems.qad.client import QadClient

_DAY = timedelta(days=1)


async def read_days(
    client: QadClient, name: str, member: str, span: Span, where: Sequence[Filter] = ()
) -> tuple[list[Mapping[str, Any]], bool]:
    """The rows whose date lies in a closed span, and whether none can be missing.

    What does not fit a page is asked again in two halves of its days, down to single days; a single day of several
    pages is read until it comes to rest.
    """
    today = client.http.clock.now().date()
    waiting, complete = [span], True
    rows: list[Mapping[str, Any]] = []
    while waiting:
        part = waiting.pop()
        filters = [*where, Filter(member, "ge", part.first), Filter(member, "lt", (part.last or today) + _DAY)]
        halves = part.halves(today)
        if halves is None:
            found: Rows | None = await client.browse(name, filters, page_size=PAGE_SIZE)
        else:
            found = await client.browse_page(name, filters, page_size=PAGE_SIZE)
        if found is None:
            waiting += reversed(halves or ())
            continue
        rows += found
        complete = complete and found.complete
    return rows, complete
