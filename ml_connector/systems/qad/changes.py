"""Reads what changed in one of QAD's lists since a mark, however much that is, and says how far the mark may move.

QAD tells changes apart by day only and lists them without order (README, "changes"): a question whose answer does not
fit a page is asked again in two halves of its days, down to single days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ml_connector.systems.qad.browse import Filter, Rows
from ml_connector.systems.qad.client import QadClient
from ml_connector.systems.qad.resources import Resource

PAGE_SIZE = 1000
_DAY = timedelta(days=1)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `first` to `last`, both included; `last` None leaves the end open."""

    first: date
    last: date | None = None

    def halves(self, today: date) -> tuple[Span, Span] | None:
        """The two halves, None for a single day. An open end counts as today and stays open in the second half."""
        days = ((self.last or today) - self.first).days + 1
        if days < 2:
            return None
        middle = self.first + timedelta(days=days // 2 - 1)
        return Span(self.first, middle), Span(middle + _DAY, self.last)

    def filters(self) -> list[Filter]:
        """The conditions that let these days through."""
        found = [Filter("last_modified", "ge", self.first)]
        # "Before the next day" holds for a day and for any instant of it alike.
        return found if self.last is None else [*found, Filter("last_modified", "lt", self.last + _DAY)]


@dataclass(frozen=True, slots=True)
class Stamp:
    """When QAD says that a row changed: its day (empty when it does not say) and the time of that day as it counts."""

    day: str = ""
    time: int = 0

    @classmethod
    def of(cls, row: Row) -> Stamp:
        """The stamp of a row; what is no date does not count."""
        shown, time = str(row.get("last_modified") or "")[:10], row.get("last_modified_time")
        try:
            day = date.fromisoformat(shown).isoformat()
        except ValueError:
            return cls()
        return cls(day, time if isinstance(time, int) and not isinstance(time, bool) and time >= 0 else 0)

    def position(self, key: str) -> str:
        """A text that sorts by day, time and key."""
        return f"{self.day or '0000-00-00'}|{self.time:012d}|{key}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, each version once; `repeated` came twice in one read; `mark` is a day, empty when there is none."""

    rows: tuple[Row, ...]
    repeated: tuple[Row, ...]
    mark: str


class ChangeReader:
    """Reads the changes of one record type; `begin` is the first day that counts while there is no mark."""

    def __init__(self, client: QadClient, name: str, where: Sequence[Filter], begin: date) -> None:
        self._client = client
        self._name = name
        self._where = tuple(where)
        self._begin = begin

    async def read(self, since: str | None) -> Changes:
        """Everything that changed since the mark, less a day; all records where the list shows no change date."""
        if not self._client.resource(self._name).has("last_modified"):
            found = await self._client.browse(self._name, self._where, page_size=PAGE_SIZE)
            return Changes(found.rows, found.repeated, "")
        today = self._client.http.clock.now().date()
        # A day that no time zone explains is a slip of the pen: it must not make later changes invisible.
        latest = today + _DAY
        first = min(date.fromisoformat(since[:10]), latest) - _DAY if since else self._begin
        parts = await self._parts(Span(first), today)
        rows = _latest(self._client.resource(self._name), parts)
        return Changes(rows, tuple(row for part in parts for row in part.repeated), _mark(since, parts, latest))

    async def _parts(self, whole: Span, today: date) -> list[Rows]:
        """Every part in the order of days: a row that is edited meanwhile moves into the part that is read last."""
        waiting, read = [whole], []
        while waiting:
            span = waiting.pop()
            filters = [*self._where, *span.filters()]
            halves = span.halves(today)
            if halves is None:
                read.append(await self._client.browse(self._name, filters, page_size=PAGE_SIZE))
                continue
            rows = await self._client.browse_page(self._name, filters, page_size=PAGE_SIZE)
            if rows is None:
                waiting += reversed(halves)
            else:
                read.append(rows)
        return read


def _mark(since: str | None, parts: Iterable[Rows], latest: date) -> str:
    """The greatest day in the parts that are complete without a gap from the start; never one before the last mark."""
    mark = since or ""
    for part in parts:
        if not part.complete:
            break
        days = (Stamp.of(row).day for row in part)
        mark = max([mark, *(day for day in days if day <= latest.isoformat())])
    return mark


def _latest(resource: Resource, parts: Iterable[Rows]) -> tuple[Row, ...]:
    """Each record once where the key tells records apart: a later part shows it as it is later."""
    found: dict[Any, Row] = {}
    for part in parts:
        for row in part:
            # A list may leave the shared set out; the code alone tells rows of one set apart as well.
            if resource.identity == "key" and any(name in row for name in resource.key):
                found[tuple(str(row.get(name)) for name in resource.key)] = row
            else:
                found[tuple(sorted((name, str(value)) for name, value in row.items()))] = row
    return tuple(found.values())
