"""Tables of records with what QAD keeps beside each: change stamps, lock hash, order of change, visibility."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.kit.clock import Clock
from sandbox.qad.metadata import Resource
from sandbox.qad.values import Record

Key = tuple[Any, ...]


@dataclass
class Row:
    """One stored record and its bookkeeping."""

    record: Record
    changed: int = 0  # running number of the last change over the whole tenant
    concurrency_hash: str = ""
    visible_from: datetime | None = None


@dataclass
class Stamp:
    """Who changes a record now, and the server's local time of it."""

    user: str
    moment: datetime


@dataclass
class Table:
    """All records of one resource."""

    resource: Resource
    next_change: Callable[[], int]
    rows: dict[Key, Row] = field(default_factory=dict)

    def key(self, record: Record) -> Key:
        """The primary key of a record."""
        return tuple(record[name] for name in self.resource.keys)

    def find(self, *key: Any) -> Row | None:
        """The row of a key, or None."""
        return self.rows.get(key)

    def records(self) -> Iterator[Record]:
        """Every record, least recently changed first."""
        return (row.record for row in self.rows.values())

    def put(self, record: Record, stamp: Stamp, *, visible_from: datetime | None = None) -> Row:
        """Insert or replace a record and stamp it."""
        key = self.key(record)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(record, visible_from=visible_from)
        row.record = record
        self.touch(row, stamp)
        return row

    def touch(self, row: Row, stamp: Stamp) -> None:
        """Note a change: new stamps, new lock hash, and the row moves to the front of its browses."""
        row.changed = self.next_change()
        key = self.key(row.record)
        self.rows[key] = self.rows.pop(key)  # the dictionary stays in order of change
        midnight = stamp.moment.replace(hour=0, minute=0, second=0, microsecond=0)
        row.record["lastModifiedDate"] = stamp.moment.date()
        row.record["lastModifiedTime"] = int((stamp.moment - midnight) / timedelta(seconds=1))
        row.record["lastModifiedUser"] = stamp.user[:20]
        text = f"{self.resource.name}|{key}|{row.changed}"
        row.concurrency_hash = hashlib.sha256(text.encode()).hexdigest()[:16]

    def visible(self, clock: Clock) -> Iterator[Row]:
        """Rows a reader sees now, last changed first: browses are not sorted, so a change shifts what follows."""
        now = clock.now()
        return (row for row in reversed(self.rows.values()) if row.visible_from is None or row.visible_from <= now)

    def find_visible(self, clock: Clock, key: Key) -> Row | None:
        """The row of a key if a reader sees it by now."""
        row = self.rows.get(key)
        hidden = row is not None and row.visible_from is not None and row.visible_from > clock.now()
        return None if hidden else row


def clone(record: Record) -> Record:
    """A copy that shares nothing with the stored record."""
    return copy.deepcopy(record)
