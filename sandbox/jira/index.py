"""The search index: it knows issues as they were a while ago, and finds tokens of short texts without a scan."""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.jira.store import Issue

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

_WORD = re.compile(r"\w+")
SHORT_TEXTS = frozenset({"text", "readonly"})


def tokens(text: str) -> list[str]:
    """The words that a text is found by; everything that is no letter or digit parts them."""
    return [word for one in _WORD.findall(text.lower()) for word in one.split("_") if word]


class Index:
    """What search sees: changes arrive after the lag, new issues may come and go for a while."""

    def __init__(self, tenant: JiraTenant) -> None:
        self._tenant = tenant
        self._pending: list[tuple[datetime, int, Issue]] = []
        self._seen: dict[int, Issue] = {}
        self._first_seen: dict[int, datetime] = {}
        self._words: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self._puts = 0
        self._searches = 0

    def put(self, issue: Issue) -> None:
        """Let search know of an issue as it stands now, after the lag."""
        self._puts += 1
        due = self._tenant.clock.now() + timedelta(seconds=self._tenant.options.index_lag_s)
        heapq.heappush(self._pending, (due, self._puts, issue.snapshot()))

    def drop(self, issue: Issue) -> None:
        """Forget a deleted issue; its change that was still to come is ignored."""
        self._unlist(self._seen.pop(issue.id, None))

    def look(self, reconciled: Iterable[int] = ()) -> dict[int, Issue]:
        """Every issue that search sees now; reconciled ones as they really stand."""
        now = self._settle()
        self._searches += 1
        flap = self._tenant.options.index_flap_s
        seen = self._seen
        if flap and self._searches % 2 == 0:
            edge = now - timedelta(seconds=flap)
            seen = {number: one for number, one in seen.items() if self._first_seen[number] <= edge}
        fresh = {number: one for number in reconciled if (one := self._tenant.issues.number(number)) is not None}
        return {**seen, **fresh} if fresh else seen

    def with_word(self, field: str, word: str) -> set[int]:
        """Issues whose short text has had this word; the reader compares again."""
        return self._words.get((field, word), set())

    def _settle(self) -> datetime:
        now = self._tenant.clock.now()
        while self._pending and self._pending[0][0] <= now:
            due, _, issue = heapq.heappop(self._pending)
            if self._tenant.issues.number(issue.id) is None:
                continue
            self._unlist(self._seen.get(issue.id))
            self._seen[issue.id] = issue
            self._first_seen.setdefault(issue.id, due)
            for key in self._keys(issue):
                self._words[key].add(issue.id)
        return now

    def _unlist(self, issue: Issue | None) -> None:
        for key in self._keys(issue) if issue is not None else ():
            self._words[key].discard(issue.id if issue is not None else 0)

    def _keys(self, issue: Issue) -> list[tuple[str, str]]:
        keys: list[tuple[str, str]] = []
        for name, value in issue.fields.items():
            if isinstance(value, str) and self._tenant.fields[name].kind in SHORT_TEXTS:
                keys += [(name, word) for word in tokens(value)]
        return keys


def in_order(issues: Iterable[Issue], key: Any, *, descending: bool) -> list[Issue]:
    """Sorted by a key that may be None; None comes last going up and first going down."""
    return sorted(
        issues, key=lambda one: ((value := key(one)) is None, value if value is not None else 0), reverse=descending
    )
