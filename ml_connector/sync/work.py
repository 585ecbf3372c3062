"""The records of one page on their way through a run.

A page lives in the process that works on it; the store keeps only its keys, because whoever takes it up later must
read and judge it anew anyway.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict

from ml_connector.domain.outcomes import Decision, Outcome
from ml_connector.domain.reasons import Reason
from ml_connector.store.ledger import LedgerRow

R = TypeVar("R")
Stage = Literal["fetched", "checked", "fresh", "written"]
Problem = Literal["", "missing", "unreadable"]



class Page(BaseModel):
    """The handle that tasks pass on: where a page lies, never what is in it.

    `kind` is the stream it was read from, or what it owes to earlier runs. `counts` are the outcomes of the records
    that left the page so far, `dropped` those that another page of the run had already, `pending` how many go on to
    the next step. `epoch` is the lease under which the page was read, so that a later one knows it as old. `mark` is
    the stream's high-water mark once the page is done.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    route: str
    number: int
    kind: str
    stage: Stage
    size: int
    pending: int = 0
    cursor: str | None = None
    last: bool = False
    epoch: int = 0
    dropped: int = 0
    mark: str = ""
    counts: dict[str, int] = {}

    @property
    def id(self) -> str:
        """Names the page within its run."""
        return f"{self.route}/{self.number}"

    def counted(self, outcomes: Iterable[Outcome], *, dropped: int = 0) -> Page:
        """The handle with the outcomes of records that leave now."""
        counts = Counter(self.counts) + Counter(outcome.value for outcome in outcomes)
        return self.model_copy(update={"counts": dict(counts), "dropped": self.dropped + dropped})

    @property
    def where(self) -> tuple[str, str, int]:
        """Where the page is kept."""
        return self.run, self.route, self.number


@dataclass(slots=True)
class Work(Generic[R]):
    """One record in a page: as read, with its ledger row and the check's decision once there are any.

    `documents` are those mapped from it so far, `changed` names what of the first one the target shows differently
    and we write, `apart` what it shows differently and others have set.
    `held` keeps reasons and age of the hold that a write attempt replaces for the moment; `reread` says that the
    source may have changed since it was read, `updates` that its document was there before.
    """

    key: str
    record: R | None
    problem: Problem = ""
    path: str = ""
    row: LedgerRow | None = None
    decision: Decision | None = None
    held: tuple[tuple[Reason, ...], datetime] | None = None
    reread: bool = False
    updates: bool = False
    changed: tuple[str, ...] = ()
    apart: frozenset[str] = frozenset()
    documents: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    @property
    def known(self) -> LedgerRow:
        """The ledger row, which every record has once it was judged."""
        if self.row is None:
            raise RuntimeError(f"record {self.key} was not judged")
        return self.row


def pack(work: Work[Any]) -> bytes:
    """A record as bytes to be sealed; its ledger row is not part of it."""
    content = {"key": work.key, "record": work.record, "problem": work.problem, "path": work.path}
    return orjson.dumps(content | {"decision": work.decision}, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot pack a {type(value).__name__}")


class PageCache:
    """Pages of this process, a few at a time."""

    def __init__(self, keep: int = 4) -> None:
        self._keep = keep
        self._pages: OrderedDict[tuple[str, str, int], list[Work[Any]]] = OrderedDict()

    def put(self, where: tuple[str, str, int], works: list[Work[Any]]) -> None:
        """Remember a page, forgetting the oldest."""
        self._pages[where] = works
        while len(self._pages) > self._keep:
            self._pages.popitem(last=False)

    def take(self, where: tuple[str, str, int]) -> list[Work[Any]] | None:
        """Hand a page out once; its records are about to change."""
        return self._pages.pop(where, None)
