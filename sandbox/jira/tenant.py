"""The state of the site: its masters and issues, its switches, and what really took effect."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import ValidationError

from sandbox.jira import actions, seeding, truth
from sandbox.jira.auth import Tokens
from sandbox.jira.errors import classic, no_issue
from sandbox.jira.events import Events
from sandbox.jira.hooks import Hooks
from sandbox.jira.index import Index
from sandbox.jira.limits import Limits
from sandbox.jira.masters import SYSTEM_FIELDS, FieldDef, IssueType, Project, Status, User
from sandbox.jira.options import Options
from sandbox.jira.store import Issue, Issues
from sandbox.kit.app import Action, BadRequest, Document, UnknownRecord
from sandbox.kit.clock import Clock
from sandbox.kit.deliveries import Deliveries

API_ACCOUNT = "712020:connector-0001"
SERVICE_ACCOUNT = "712020:service-0002"
CONSENTER = "712020:manager-0003"
FIRST_IDS = {"issue": 10_000, "comment": 10_100, "change": 10_200, "link": 10_300, "webhook": 1_000, "admin_webhook": 1}
PERMISSIONS = (
    "BROWSE_PROJECTS",
    "CREATE_ISSUES",
    "EDIT_ISSUES",
    "DELETE_ISSUES",
    "TRANSITION_ISSUES",
    "ADD_COMMENTS",
    "EDIT_OWN_COMMENTS",
    "DELETE_OWN_COMMENTS",
    "ASSIGN_ISSUES",
    "ASSIGNABLE_USER",
    "LINK_ISSUES",
    "MODIFY_REPORTER",
    "USER_PICKER",
    "ADMINISTER",
    "ADMINISTER_PROJECTS",
)


class JiraTenant:
    """One Jira Cloud site in memory."""

    name = "jira"
    api_account = API_ACCOUNT
    service_account = SERVICE_ACCOUNT
    consenter = CONSENTER

    def __init__(self, clock: Clock, options: dict[str, Any]) -> None:
        self.clock = clock
        self.options = Options()
        self.tokens = Tokens(clock)
        self.deliveries = Deliveries(clock)
        self.limits = Limits(clock)
        self.actions: dict[str, Action] = actions.table(self)
        self.site = "http://127.0.0.1"
        self.reset()
        self.change_options(options)

    def reset(self) -> None:
        """Forget every record and every count; apps, tokens and switches stay."""
        self.fields: dict[str, FieldDef] = {one.id: one for one in SYSTEM_FIELDS}
        self.users: dict[str, User] = {
            API_ACCOUNT: User(API_ACCOUNT, "ML Connector", self.options.email),
            SERVICE_ACCOUNT: User(SERVICE_ACCOUNT, "ML Connector service", kind="app", assignable=False),
            CONSENTER: User(CONSENTER, "AP Manager", "ap.manager@acme.example"),
        }
        self.types: dict[str, IssueType] = {}
        self.statuses: dict[str, Status] = {}
        self.projects: dict[str, Project] = {}
        self.issues = Issues()
        self.index = Index(self)
        self.hooks = Hooks(self)
        self.events = Events(self)
        self.ids = dict(FIRST_IDS)
        self.refused: set[str] = set()
        self.hidden: set[int] = set()
        self.limits.clear()
        self.deliveries.clear()
        self.done: dict[str, Counter[str]] = {name: Counter() for name in truth.COUNTED}

    def change_options(self, changes: dict[str, Any]) -> None:
        """Set some switches; raises BadRequest for an unknown one or a bad value."""
        current = self.options.model_dump() | changes
        try:
            self.options = Options.model_validate(current)
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise BadRequest(f"bad option: {reasons}") from error
        self.deliveries.duplicate = self.options.webhook_duplicate
        self.deliveries.shuffle = self.options.webhook_shuffle
        self.deliveries.delay_s = self.options.webhook_delay_s

    def next_id(self, kind: str) -> int:
        """The next number of a kind."""
        number = self.ids[kind]
        self.ids[kind] += 1
        return number

    def may(self, permission: str) -> bool:
        """Whether the integration has a permission."""
        if permission == "ADMINISTER":
            return self.options.administrator
        return permission not in self.refused

    def issue(self, id_or_key: str) -> Issue:
        """The issue with this id or key; raises ApiError 404."""
        found = self.issues.find(id_or_key)
        if found is None or not self.sees(found):
            raise no_issue()
        return found

    def sees(self, issue: Issue) -> bool:
        """Whether the integration may see an issue at all."""
        return issue.id not in self.hidden and self.may("BROWSE_PROJECTS")

    def writable(self, id_or_key: str, permission: str) -> Issue:
        """The issue with this id or key, if it may be changed so; raises ApiError."""
        issue = self.issue(id_or_key)
        if issue.project.archived:
            raise classic(400, ["Issues of an archived project cannot be changed."])
        if not self.may(permission):
            raise classic(403, [f"You do not have the permission {permission} for this issue."])
        return issue

    def project_of(self, given: dict[str, Any]) -> Project | None:
        """The project that {id} or {key} names."""
        if "id" in given:
            return next((one for one in self.projects.values() if one.id == given["id"]), None)
        return self.projects.get(given.get("key", ""))

    def project_named(self, id_or_key: str) -> Project:
        """The project with this id or key; raises ApiError 404."""
        found = self.projects.get(id_or_key) or self.project_of({"id": id_or_key})
        if found is None or not self.may("BROWSE_PROJECTS"):
            raise classic(404, [f"No project could be found with key '{id_or_key}'."])
        return found

    def count(self, what: str, issue: Issue) -> None:
        """Note that an API call took effect on an issue."""
        self.done[what][truth.token_of(issue) or issue.key] += 1

    def seed(self, document: Document) -> Document:
        """Add records; raises BadRequest for what cannot be understood."""
        return seeding.seed(self, document)

    def state(self, collection: str) -> list[Document]:
        """Raw records of a collection."""
        listed = truth.collections(self)
        if collection not in listed:
            raise UnknownRecord(f"no collection {collection}; there are {sorted(listed)}")
        return listed[collection]()

    def truth(self) -> Document:
        """Counters of what really took effect."""
        return truth.tell(self)
