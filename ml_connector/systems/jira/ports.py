"""The stream that is read from Jira: issues of the project that changed lately, as people left them.

README: Searching. The index lags and its answers shift, so each look reaches back behind the last change seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Generic, TypeVar

from ml_connector.domain.issues import IssueState
from ml_connector.domain.records import Unreadable
from ml_connector.errors import ContractError, RecordRejectedError
from ml_connector.sync.seams import Batch
from ml_connector.systems.jira import jql
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.documents import plain, token_in
from ml_connector.systems.jira.errors import SYSTEM
from ml_connector.systems.jira.models import ChangeSeen, Issue, category_of

R = TypeVar("R")
_MOVED_AT = "statuscategorychangedate"
# Jira need not stamp a change and its entry in the history at the same millisecond.
_STAMPING = timedelta(seconds=2)
STATE_FIELDS = ("status", "resolution", "assignee", "updated", _MOVED_AT)
_MINUTE = 60
_DAY = 24 * 60


def issue_state(fields: Mapping[str, str]) -> Callable[[Issue], IssueState]:
    """Reads an issue with these custom fields (our name -> field id); ContractError names what cannot be read."""

    def read(issue: Issue) -> IssueState:
        status, updated = issue.fields.get("status"), issue.updated
        if not isinstance(status, Mapping) or not status.get("id"):
            raise ContractError("fields.status: missing or malformed", system=SYSTEM)
        if updated is None:
            raise ContractError("fields.updated: missing or no instant", system=SYSTEM)
        return IssueState(
            key=issue.id,
            issue_key=issue.key,
            status_id=str(status["id"]),
            status=str(status.get("name") or ""),
            category=category_of(status),
            resolution=plain(issue.fields.get("resolution")),
            fields={name: plain(issue.fields.get(field)) for name, field in fields.items()},
            updated=updated,
            assignee=plain(issue.fields.get("assignee")),
            moved_at=plain(issue.fields.get(_MOVED_AT)),
        )

    return read


class ChangedIssues(Generic[R]):
    """Source: issues of the project by the time of their last change, whoever made it.

    `fields` are custom fields to read (our name -> field id). Before there is a mark the stream reaches back
    `first_load_days`. `to_record` makes a record of an issue, an `IssueState` unless told otherwise; ContractError from
    it makes the issue unreadable. So is one without our property: an id alone is no proof, because another site, or the
    same one after it was set up anew, has other issues under the same ids.
    """

    stream = "jira.issues"

    def __init__(
        self,
        client: JiraClient,
        tenant: JiraTenant,
        *,
        fields: Mapping[str, str],
        first_load_days: int = 90,
        to_record: Callable[[Issue], Any] | None = None,
    ) -> None:
        self._client = client
        self._tenant = tenant
        self._fields = [*STATE_FIELDS, *fields.values()]
        self._first_load_days = first_load_days
        self._to_record = to_record or issue_state(fields)
        self._reading: _Reading | None = None
        self._read: dict[str, str] = {}

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[Any]]:
        """Page by page, oldest change first. The mark comes with an empty last batch, once everything was shown.

        A read goes on where it stopped; in another process, where that is not known, it begins anew.
        """
        reading = self._reading
        if reading is None or start != reading.cursor or since != reading.since:
            reading = self._reading = _Reading(since, self._pages(since))
        while True:
            # From a read that broke off nothing can go on.
            self._reading = None
            page = await anext(reading.pages, None)
            if page is None:
                break
            self._reading = reading
            if fresh := reading.unseen(page):
                # The index may show an issue as it was some minutes ago, so it only says where to look.
                issues = await self._fetched([issue.id for issue in fresh if not self._newer(issue)])
                found = [self._record(issues[issue.id]) for issue in fresh if issue.id in issues]
                good = [one for one in found if not isinstance(one, Unreadable)]
                yield Batch(good, [one for one in found if isinstance(one, Unreadable)], reading.cursor)
        if reading.mark > (since or ""):
            yield Batch((), (), reading.cursor, reading.mark)

    async def by_key(self, keys: Sequence[str]) -> Mapping[str, R | Unreadable]:
        """The issues with these ids as they are now, never from the index; one that is not found is left out."""
        issues = await self._fetched([key for key in keys if key.isdecimal()])
        self._read |= {issue_id: _mark(issue) for issue_id, issue in issues.items()}
        return {issue_id: self._record(issue) for issue_id, issue in issues.items()}

    async def _fetched(self, ids: Sequence[str]) -> Mapping[str, Issue]:
        if not ids:
            return {}
        fetched = await self._client.bulk_fetch(ids, fields=self._fields, properties=[self._tenant.property_key])
        return fetched.issues

    def _newer(self, issue: Issue) -> bool:
        """Whether this run has read the issue by its id as it is shown now, or later: a delivery was quicker."""
        return bool(mark := _mark(issue)) and self._read.get(issue.id, "") >= mark

    def _pages(self, since: str | None) -> AsyncIterator[list[Issue]]:
        query = jql.changed_within(self._tenant.project, self._tenant.token_field, self._minutes(since))
        return self._client.search(query, fields=self._fields, properties=[self._tenant.property_key])

    def _minutes(self, since: str | None) -> int:
        """How far back to look. A relative time is reckoned by Jira's clock, so that ours need not agree with it."""
        if since is None:
            return self._first_load_days * _DAY
        elapsed = self._client.http.clock.now() - datetime.fromisoformat(since)
        # What the index did not show yet at the last look must not fall behind this one.
        overlap = max(self._tenant.poll_overlap_minutes, ceil(self._tenant.settle_s / _MINUTE))
        return max(0, ceil(elapsed.total_seconds() / _MINUTE)) + overlap

    def _record(self, issue: Issue) -> Any:
        if not token_in(issue, self._tenant.property_key):
            return Unreadable(issue.id, f"properties.{self._tenant.property_key}: missing")
        try:
            return self._to_record(issue)
        except (ContractError, ValueError) as error:
            return Unreadable(issue.id, error.message if isinstance(error, ContractError) else "cannot be read")


class _Reading:
    """One read of the changes: where it stands, what it has shown, and the latest change in it."""

    def __init__(self, since: str | None, pages: AsyncIterator[list[Issue]]) -> None:
        self.since = since
        self.pages = pages
        self.cursor = ""
        self.mark = ""
        self._shown: set[tuple[str, str]] = set()

    def unseen(self, page: Sequence[Issue]) -> list[Issue]:
        """The issues of a page that were not shown in this version; rows shift while people work."""
        fresh = []
        for issue in page:
            version = (issue.id, str(issue.fields.get("updated")))
            if version not in self._shown:
                self._shown.add(version)
                fresh.append(issue)
        self.mark = max([self.mark, *(_mark(issue) for issue in fresh)])
        self.cursor = f"{len(self._shown)}"
        return fresh


def _mark(issue: Issue) -> str:
    """An instant of fixed width, so that text order is time order; empty where the issue shows none."""
    try:
        moment = issue.updated
    except ValueError:
        return ""
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else ""


async def told_since_decided(client: JiraClient, one: IssueState, *, by_status: bool = False) -> bool:
    """Whether people were told something new on an issue after it was decided (README: Changes).

    Decided is what gave it its resolution or its category, or with `by_status` its very status. Jira's own history has
    the order, so no clock of ours is compared. Whoever edits the description tells something: the account that we had
    then may be another one by now. An issue that cannot be read, or whose history does not show how it was decided, may
    show anything.
    """
    try:
        changes = await client.changes(one.key)
    except RecordRejectedError:
        return True
    decided = max((n for n, change in enumerate(changes) if _decides(change, one, by_status)), default=None)
    moves = [change.new_value("status")[0] for change in changes if "status" in change.fields]
    if moves and moves[-1] != one.status_id:
        # It has been moved on since it was read.
        return True
    return decided is None or any("description" in change.fields for change in changes[decided + 1 :])


def _decides(change: ChangeSeen, one: IssueState, by_status: bool) -> bool:
    if one.resolution and change.new_value("resolution")[1] == one.resolution:
        return True
    if "status" not in change.fields:
        return False
    if by_status:
        return change.new_value("status")[0] == one.status_id
    # What moves an issue within its category, a rule that archives say, decides nothing.
    try:
        moment = datetime.fromisoformat(one.moved_at)
    except ValueError:
        return True
    return change.created is None or change.created <= moment + _STAMPING
