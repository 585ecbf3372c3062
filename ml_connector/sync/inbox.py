"""A stream fed by webhooks: the records that waiting deliveries are about, read from their system as they are now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Generic, TypeVar

from ml_connector.domain.records import Unreadable
from ml_connector.store import inbox
from ml_connector.sync.run import Store
from ml_connector.sync.seams import Batch, Source

R = TypeVar("R")

_PAGE = 500
# Many deliveries are about few records: this many rows are looked through at once.
_ROWS = 2000


class InboxSource(Generic[R]):
    """Source: records by key, in the order in which deliveries named them first; it has no mark.

    The cursor is the last inbox row of a page. Rows stay until `acknowledge`, so a run that dies leaves them to the
    next one. Rows of other topics, and rows about records that are gone, are drained with their page.
    """

    def __init__(
        self,
        stream: str,
        store: Store,
        connection: str,
        direction: str,
        *,
        topics: Collection[str],
        inner: Source[R],
    ) -> None:
        self.stream = stream
        self._store = store
        self._where = (connection, direction)
        self._topics = frozenset(topics)
        self._inner = inner
        self._read: list[tuple[int, Sequence[int]]] = []

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[R]]:
        """Page by page until nothing waits; `since` means nothing here."""
        last = int(start or 0)
        while rows := await self._rows(last):
            last = rows[-1].id
            ids = dict.fromkeys(row.object_id for row in rows if row.topic in self._topics)
            found = await self._inner.by_key(list(ids)) if ids else {}
            # Only what this page has seen is its own: a row with a smaller id may still be on its way.
            self._read.append((last, [row.id for row in rows]))
            readable = [one for one in found.values() if not isinstance(one, Unreadable)]
            unreadable = [one for one in found.values() if isinstance(one, Unreadable)]
            yield Batch(readable, unreadable, str(last))

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, R | Unreadable]:
        """The records with these keys as they are now."""
        return await self._inner.by_key(keys)

    async def acknowledge(self, cursor: str | None) -> None:
        """Drain the rows of the pages up to this cursor (None: of all that were read), whose records are done."""
        done = [page for page in self._read if cursor is None or page[0] <= int(cursor)]
        if not done:
            return
        async with self._store.db.write() as tx:
            await inbox.drained(tx, [row for _, rows in done for row in rows], self._store.clock.now())
        self._read = [page for page in self._read if page not in done]

    async def _rows(self, after: int) -> list[inbox.Waiting]:
        """Waiting rows about at most a page of different records, or a little more."""
        rows: list[inbox.Waiting] = []
        about: set[str] = set()
        while len(about) < _PAGE:
            more = await inbox.waiting(self._store.db, *self._where, _ROWS, after=rows[-1].id if rows else after)
            for row in more:
                rows.append(row)
                about.add(row.object_id)
                if len(about) >= _PAGE:
                    break
            if len(more) < _ROWS:
                break
        return rows
