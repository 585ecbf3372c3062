"""Reads one of QAD's lists to its end: pages, repeats while rows move, and never a silent half answer.

README, "reading": rows have no order, shift between pages while people work, and may come twice.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ml_connector.errors import ContractError
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.resources import Resource

MAX_PASSES = 3
MAX_PAGES = 10_000
Row = dict[str, Any]
Params = list[tuple[str, str]]
Get = Callable[[Params], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition; several of them must all hold. `op` is one of eq sw ew cn gt ge lt le."""

    name: str
    op: str
    value: str | int | bool | date

    @property
    def text(self) -> str:
        """The value as QAD writes it."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return self.value.isoformat() if isinstance(self.value, date) else str(self.value)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one read; `complete` is False when every pass still found something new.

    `repeated` are the rows that came more than once within one pass: moved, or two rows that look alike.
    """

    rows: tuple[Row, ...]
    complete: bool = True
    repeated: tuple[Row, ...] = ()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Listing:
    """One browse with its conditions, ready to be read."""

    browse: str
    filters: tuple[tuple[str, str, str], ...]
    page_size: int

    def params(self, call_id: str, page: int) -> Params:
        """The query of one page. Without page and pageAction QAD answers with no rows at all."""
        pairs = [
            ("browseId", self.browse),
            ("callId", call_id),
            ("page", str(page)),
            ("pageSize", str(self.page_size)),
            ("pageAction", "first" if page == 1 else "next"),
        ]
        return pairs + [("filter", f"{name},{op},{value},literal") for name, op, value in self.filters]


async def read_listing(
    get: Get, listing: Listing, identity: Callable[[Row], Any], keep: Callable[[Row], bool], operation: str
) -> Rows:
    """All rows that `keep` wants, each once, the latest version of each; several pages are read again until stable."""
    found = _Found(identity, keep)
    for attempt in range(MAX_PASSES):
        known, pages = set(found.rows), 0
        found.begin_pass()
        async for rows in _pages(get, listing, operation):
            pages += 1
            found.add(rows)
        if pages <= 1 or (attempt and known == set(found.rows)):
            return found.told(complete=True)
    return found.told(complete=False)


async def read_one_page(
    get: Get, listing: Listing, identity: Callable[[Row], Any], keep: Callable[[Row], bool], operation: str
) -> Rows | None:
    """All rows where a single page holds them, else None: then the question has to be narrowed first."""
    answer = await get(listing.params(str(uuid.uuid4()), 1))
    rows = rows_of(answer, operation)
    if _has_more(answer, operation):
        return None
    found = _Found(identity, keep)
    found.add(rows)
    return found.told(complete=True)


class _Found:
    """Rows by what makes them the same record: the latest version of each, and which came twice in one pass."""

    def __init__(self, identity: Callable[[Row], Any], keep: Callable[[Row], bool]) -> None:
        self._identity = identity
        self._keep = keep
        self._this_pass: set[Any] = set()
        self._twice: set[Any] = set()
        self.rows: dict[Any, Row] = {}

    def begin_pass(self) -> None:
        self._this_pass = set()

    def add(self, rows: Sequence[Row]) -> None:
        for row in filter(self._keep, rows):
            name = self._identity(row)
            if name in self._this_pass:
                self._twice.add(name)
            self._this_pass.add(name)
            self.rows[name] = row

    def told(self, *, complete: bool) -> Rows:
        repeated = tuple(row for name, row in self.rows.items() if name in self._twice)
        return Rows(tuple(self.rows.values()), complete, repeated)


async def _pages(get: Get, listing: Listing, operation: str) -> AsyncIterator[list[Row]]:
    call_id = str(uuid.uuid4())
    before: list[Row] = []
    for page in range(1, MAX_PAGES + 1):
        answer = await get(listing.params(call_id, page))
        rows = rows_of(answer, operation)
        more = _has_more(answer, operation)
        if rows and rows == before:
            raise _broken(f"data: page {page} repeats page {page - 1}", operation)
        if more and not rows:
            raise _broken(f"data: page {page} is empty although auxillaryData.HasMoreParams announces more", operation)
        yield rows
        if not more:
            return
        before = rows
    raise _broken(f"auxillaryData.HasMoreParams announces more than {MAX_PAGES} pages", operation)


def rows_of(answer: Mapping[str, Any], operation: str) -> list[Row]:
    """The rows of one page, checked for their shape."""
    rows = answer.get("data")
    if not isinstance(rows, list):
        raise _broken("data: a list is expected", operation)
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise _broken(f"data[{index}]: an object is expected", operation)
    return rows


def _has_more(answer: Mapping[str, Any], operation: str) -> bool:
    # The flag is a string and the name around it is spelled like this (README, "reading").
    holder = answer.get("auxillaryData")
    flag = holder.get("HasMoreParams") if isinstance(holder, Mapping) else None
    text = str(flag).lower()
    if text not in ("true", "false"):
        raise _broken("auxillaryData.HasMoreParams: true or false is expected", operation)
    return text == "true"


def _broken(message: str, operation: str) -> ContractError:
    return ContractError(message, system=SYSTEM, operation=operation)


def conditions(resource: Resource, filters: Sequence[Filter]) -> tuple[tuple[str, str, str], ...]:
    """The conditions under the tenant's names.

    A comma separates the parts of a condition, so a value with one is asked for by what stands before it
    and compared here (`still_holds`).
    """
    sent = []
    for one in filters:
        head, comma, _ = one.text.partition(",")
        if not comma:
            sent.append((resource.row_name(one.name), one.op, one.text))
        elif one.op not in ("eq", "sw"):
            raise ValueError(f"a condition {one.op} cannot hold a comma")
        elif head:
            sent.append((resource.row_name(one.name), "sw", head))
    return tuple(sent)


def still_holds(resource: Resource, filters: Sequence[Filter]) -> Callable[[Row], bool]:
    """Whether a row satisfies the conditions that could not be sent whole."""
    checks = [(resource.row_name(one.name), one) for one in filters if "," in one.text]

    def keep(row: Row) -> bool:
        return all(_holds(row.get(name), one) for name, one in checks)

    return keep


def _holds(value: Any, wanted: Filter) -> bool:
    shown, asked = same(value), same(wanted.text)
    return shown == asked if wanted.op == "eq" else shown.startswith(asked)


def same(value: Any) -> str:
    """A code as QAD compares it: without regard to case and trailing blanks."""
    return "" if value is None else str(value).rstrip().casefold()


def identity_of(resource: Resource) -> Callable[[Row], Any]:
    """What makes a row the same record when it comes again: its key, or the whole row where the key is not enough."""
    names = [resource.row_name(name) for name in resource.key if name in resource.fields]

    def identify(row: Row) -> Any:
        if resource.identity == "key" and all(name in row for name in names):
            return tuple(str(row[name]) for name in names)
        return tuple(sorted((name, str(value)) for name, value in row.items()))

    return identify
