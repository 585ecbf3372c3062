"""What happens in the site, told in the older interface's shapes to the webhooks that asked for it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.jira.render import Renderer
from sandbox.jira.store import Change, Comment, Issue

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

Json = dict[str, Any]
KEPT = 5_000


@dataclass(frozen=True)
class Event:
    """One thing that happened; `body` writes its payload for a site address."""

    name: str
    issue: Issue
    account: str
    body: Callable[[str], Json]
    changed: frozenset[str] = field(default_factory=frozenset)
    property_key: str | None = None


class Events:
    """Counts what happens and hands it to the webhooks."""

    def __init__(self, tenant: JiraTenant) -> None:
        self._tenant = tenant
        self.told: Counter[str] = Counter()
        self.kept: deque[Json] = deque(maxlen=KEPT)

    def created(self, issue: Issue, account: str) -> None:
        """An issue came to be."""
        self._issue_event("jira:issue_created", "issue_created", issue, account)

    def updated(self, issue: Issue, change: Change) -> None:
        """Fields or the status of an issue changed."""
        items = [one.shown() for one in change.items]
        more = {"changelog": {"id": str(change.id), "items": items}}
        changed = frozenset(one.field_id for one in change.items)
        name = "issue_generic" if "status" in changed else "issue_updated"
        self._issue_event("jira:issue_updated", name, issue, change.author, more=more, changed=changed)

    def moved(self, issue: Issue, before: str, account: str) -> None:
        """An issue went to another project."""
        item = {"field": "Key", "fieldtype": "jira", "fieldId": "issuekey", "from": None, "fromString": before}
        items = [item | {"to": None, "toString": issue.key}]
        more = {"changelog": {"id": str(self._tenant.next_id("change")), "items": items}}
        changed = frozenset({"issuekey", "project"})
        self._issue_event("jira:issue_updated", "issue_moved", issue, account, more=more, changed=changed)

    def deleted(self, issue: Issue, account: str) -> None:
        """An issue is gone."""
        self._issue_event("jira:issue_deleted", "issue_deleted", issue, account)

    def commented(self, issue: Issue, comment: Comment, account: str) -> None:
        """Somebody wrote a comment."""
        self._comment_event("comment_created", issue, comment, account)

    def comment_changed(self, issue: Issue, comment: Comment, account: str) -> None:
        """Somebody rewrote a comment."""
        self._comment_event("comment_updated", issue, comment, account)

    def comment_deleted(self, issue: Issue, comment: Comment, account: str) -> None:
        """Somebody took a comment away."""
        self._comment_event("comment_deleted", issue, comment, account)

    def property_set(self, issue: Issue, key: str, account: str) -> None:
        """A property of an issue was set."""
        self._property_event("issue_property_set", issue, key, account)

    def property_deleted(self, issue: Issue, key: str, account: str) -> None:
        """A property of an issue was taken away."""
        self._property_event("issue_property_deleted", issue, key, account)

    def _issue_event(
        self,
        name: str,
        kind: str,
        issue: Issue,
        account: str,
        *,
        more: Json | None = None,
        changed: frozenset[str] = frozenset(),
    ) -> None:
        seen = issue.snapshot()

        def body(site: str) -> Json:
            writer = self._writer(site)
            head = self._head(name) | {"issue_event_type_name": kind, "user": writer.user(account)}
            return head | {"issue": writer.issue(seen, ["*all"])} | (more or {})

        self._tell(Event(name, seen, account, body, changed))

    def _comment_event(self, name: str, issue: Issue, comment: Comment, account: str) -> None:
        seen = issue.snapshot()

        def body(site: str) -> Json:
            writer = self._writer(site)
            partial = writer.issue(seen, ["summary", "issuetype", "project", "assignee", "priority", "status"])
            return self._head(name) | {"comment": writer.comment(seen, comment), "issue": partial}

        self._tell(Event(name, seen, account, body))

    def _property_event(self, name: str, issue: Issue, key: str, account: str) -> None:
        seen = issue.snapshot()

        def body(site: str) -> Json:
            writer = self._writer(site)
            held = {"key": key, "value": seen.properties.get(key)}
            return self._head(name) | {"property": held, "issue": writer.issue(seen, ["id", "key"])}

        self._tell(Event(name, seen, account, body, property_key=key))

    def _writer(self, site: str) -> Renderer:
        return Renderer(self._tenant, site, version=2, emails=False)

    def _head(self, name: str) -> Json:
        return {"timestamp": int(self._tenant.clock.now().timestamp() * 1000), "webhookEvent": name}

    def _tell(self, event: Event) -> None:
        self.told[event.name] += 1
        self.kept.append({"event": event.name, "issue": event.issue.key, "account": event.account})
        self._tenant.hooks.tell(event)


def remembered(tenant: JiraTenant) -> Iterable[Json]:
    """What happened lately, oldest first."""
    return tenant.events.kept
