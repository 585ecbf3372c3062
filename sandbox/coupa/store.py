"""The tenant's records in memory: tables in id order with equality indexes, and ids that count up."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

Record = dict[str, Any]

# First free ids, far enough apart to tell records of different kinds from one another.
_FIRST_IDS = {"invoice": 4001, "purchase-order": 2401, "order-line": 1301, "supplier": 101, "integration-run": 901}
_NATURAL_KEYS = ("code", "item-number", "number", "name")
_SHARED_PARTS = frozenset({"uom", "item", "tax-code", "country", "named", "commodity", "shipping-term", "user"})


class Ids:
    """Hands out ids per model, never one that was given by hand."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._shared: dict[tuple[str, str], int] = {}

    def of(self, model: str, record: Record) -> int:
        """The record's own id, or the next free one; shared parts keep one id per code or name."""
        given = record.get("id")
        if isinstance(given, int):
            self._next[model] = max(self._peek(model), given + 1)
            return given
        natural = next((str(record[key]) for key in _NATURAL_KEYS if record.get(key)), None)
        if model not in _SHARED_PARTS or natural is None:
            return self._take(model)
        if (model, natural) not in self._shared:
            self._shared[model, natural] = self._take(model)
        return self._shared[model, natural]

    def _peek(self, model: str) -> int:
        return self._next.get(model, _FIRST_IDS.get(model, 1))

    def _take(self, model: str) -> int:
        number = self._peek(model)
        self._next[model] = number + 1
        return number


class Table:
    """The records of one collection, in id order."""

    def __init__(self, indexed: Iterable[str] = ()) -> None:
        self._records: dict[int, Record] = {}
        self._order: list[int] = []
        self._index: dict[str, dict[str, list[int]]] = {name: defaultdict(list) for name in indexed}

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Record]:
        return self.after(0)

    def add(self, record: Record) -> Record:
        """Store a new record, or another version of the one with the same id."""
        number = record["id"]
        if number not in self._records:
            insort(self._order, number)
        self._records[number] = record
        self.reindex(record)
        return record

    def remove(self, number: int) -> None:
        """Take a record away."""
        del self._records[number]
        self._order.remove(number)

    def reindex(self, record: Record) -> None:
        """Note the present values of indexed attributes; older ones stay, readers filter anyway."""
        for name, places in self._index.items():
            numbers = places[_folded(record.get(name))]
            if record["id"] not in numbers[-1:] and record["id"] not in numbers:
                insort(numbers, record["id"])

    def get(self, number: int) -> Record | None:
        """The record with this id."""
        return self._records.get(number)

    def after(self, number: int) -> Iterator[Record]:
        """Records with a larger id, in id order."""
        for found in self._order[bisect_right(self._order, number) :]:
            record = self._records.get(found)
            if record is not None:
                yield record

    def where(self, name: str, value: object) -> Iterator[Record]:
        """Records whose attribute equals the value (as text), in id order."""
        return (record for record in self.like(name, value) if str(record.get(name)) == str(value))

    def like(self, name: str, value: object) -> Iterator[Record]:
        """Records whose attribute equals the value but for case, in id order."""
        found: Iterable[Record | None] = self
        if name in self._index:
            found = (self._records.get(number) for number in self._index[name].get(_folded(value), ()))
        return (one for one in found if one is not None and _folded(one.get(name)) == _folded(value))

    def indexes(self, name: str) -> bool:
        """Whether equality on this attribute is looked up rather than scanned."""
        return name in self._index


def _folded(value: object) -> str:
    return str(value).lower()
