"""The connection test: logs in, looks at the project as a run would, and says what is wrong and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    PermissionDeniedError,
)
from ml_connector.systems.jira.auth import CONSENT_DAYS, WARN_AFTER_DAYS
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import WEBHOOK_SCOPE, JiraApiTokenLogin, JiraLogin, JiraOAuthLogin, JiraTenant
from ml_connector.systems.jira.errors import SYSTEM
from ml_connector.systems.jira.jql import carrying, changed_within, operator_for, quote
from ml_connector.systems.jira.models import IssueType, JiraField
from ml_connector.systems.jira.sites import same_site
from ml_connector.systems.ping import PingCheck, PingReport

NEEDED = {
    "BROWSE_PROJECTS": "see issues",
    "CREATE_ISSUES": "create issues",
    "EDIT_ISSUES": "edit issues",
    "TRANSITION_ISSUES": "move issues through the workflow",
    "ADD_COMMENTS": "add comments",
}
USEFUL = {"ASSIGN_ISSUES": "assign issues", "LINK_ISSUES": "link issues to the document"}
# Kinds of field that hold a bare token; a URL field would refuse it, a long text is a document.
TOKEN_KINDS = {"textfield": "short text", "readonlyfield": "read-only text"}
# As long and as alike as a real token, so that the query is judged as a run would ask it.
SAMPLE_TOKEN = "MLCN234567ABCDEFGHIJ"
WARN_DAYS_BEFORE = 30
_REST = "try again; if it stays so, check the jira settings of the connection"


@dataclass(frozen=True, slots=True)
class FieldReport:
    """Whether a mapped field can be set; `can_edit` is None while the project has no issue to look at."""

    name: str
    field_id: str
    can_create: bool
    can_edit: bool | None
    why: str = ""


async def ping(client: JiraClient, login: JiraLogin, *, bare: bool = False) -> PingReport:
    """Try login, site, rights, issue type and token field; never raises for a tenant's fault.

    `bare` is a login without any settings, so that nothing about a project is judged.
    """
    first, who = await _login(client)
    checks = [first]
    if first.ok:
        checks += [*await _site(client, login), *await _expiry(client, login)]
        checks += [] if bare else [*_webhook(client.tenant, login), *await _project(client)]
    return PingReport(SYSTEM, all(one.ok for one in checks), who, tuple(checks))


async def field_report(client: JiraClient, tenant: JiraTenant, wanted: Mapping[str, str]) -> list[FieldReport]:
    """For each wanted field, by the name that the settings give it, whether it can be set in the tenant's project.

    ConfigurationError when the project has no such issue type.
    """
    kind = await _issue_type(client, tenant)
    screen = await client.create_fields(tenant.project, kind.id)
    known = {one.id: one for one in await client.fields()}
    editable = await _editable(client, tenant)
    found = []
    for name, field_id in wanted.items():
        can_create, can_edit = field_id in screen, None if editable is None else field_id in editable
        why = _why(field_id, known.get(field_id), can_create=can_create, can_edit=can_edit)
        found.append(FieldReport(name, field_id, can_create, can_edit, why))
    return found


async def _login(client: JiraClient) -> tuple[PingCheck, str]:
    try:
        me = await client.myself()
    except PermissionDeniedError as error:
        return PingCheck("login", False, error.message, "add read:jira-user to the scopes and connect again"), ""
    except AuthenticationError as error:
        return PingCheck("login", False, error.message, "connect this login again"), ""
    except ConfigurationError as error:
        return PingCheck("login", False, error.message, "correct the setting the message names"), ""
    except ConnectorError as error:
        remedy = f"check that {client.site_url or client.http.base_url} is the site's address and can be reached"
        return PingCheck("login", False, error.message, remedy), ""
    who = f"{me.account_id} at {client.site_url or client.http.base_url}"
    if not me.active:
        return PingCheck("login", False, "the account is not active", "activate it in Atlassian's administration"), who
    return PingCheck("login", True, f"logged in as {me.display_name or me.account_id}"), who


async def _site(client: JiraClient, login: JiraLogin) -> list[PingCheck]:
    """The cloud id must belong to the site that people see, or issues would land elsewhere than links lead to."""
    if not login.cloud_id or not client.site_url:
        return []
    try:
        if isinstance(login, JiraApiTokenLogin):
            belongs = await client.cloud_id() == login.cloud_id
        else:
            hits = [one for one in await client.sites() if one.cloud_id == login.cloud_id]
            belongs = any(same_site(one.url, client.site_url) for one in hits)
    except ConnectorError as error:
        return [PingCheck("site", True, f"warning: not checked: {error.message}")]
    if belongs:
        return [PingCheck("site", True, f"cloud id and {client.site_url} belong together")]
    message = f"cloud_id {login.cloud_id} is not that of {client.site_url}"
    return [PingCheck("site", False, message, "connect again and choose the site, or clear cloud_id")]


async def _expiry(client: JiraClient, login: JiraLogin) -> list[PingCheck]:
    """Warnings only: an access that ends soon still works today."""
    if isinstance(login, JiraApiTokenLogin):
        if login.expires_on is None:
            told = "warning: expires_on is empty, so nobody is warned before the token ends"
            return [PingCheck("token expiry", True, told, "enter the day that Atlassian shows beside the token")]
        left = (login.expires_on - client.http.clock.now().date()).days
        if left < 0:
            message = f"the token ended on {login.expires_on}"
            return [PingCheck("token expiry", False, message, "make a new token, enter it and its last day")]
        soon = "warning: " if left <= WARN_DAYS_BEFORE else ""
        remedy = "make a new token and enter it" if soon else ""
        return [PingCheck("token expiry", True, f"{soon}the token ends on {login.expires_on}, in {left} days", remedy)]
    if not isinstance(login, JiraOAuthLogin):
        return []
    age = await client.consent_age_days()
    if age is None:
        return []
    left = CONSENT_DAYS - age
    if age >= WARN_AFTER_DAYS:
        message = f"warning: consent is {age} days old and ends in {max(left, 0)} days however much it is used"
        return [PingCheck("consent", True, message, "connect this login again before that")]
    return [PingCheck("consent", True, f"given {age} days ago, good for {left} more days")]


def _webhook(tenant: JiraTenant, login: JiraLogin) -> list[PingCheck]:
    if tenant.webhook != "dynamic":
        told = "polling only" if tenant.webhook == "none" else "admin webhook, entered in Jira's settings"
        return [PingCheck("webhook", True, told)]
    if not isinstance(login, JiraOAuthLogin):
        message = "only an OAuth app can register dynamic webhooks"
        return [PingCheck("webhook", False, message, "choose webhook admin or none, or connect an OAuth app")]
    if WEBHOOK_SCOPE not in login.scopes:
        message = f"{WEBHOOK_SCOPE} is not among the scopes"
        return [PingCheck("webhook", False, message, f"add {WEBHOOK_SCOPE} to the app and the scopes, connect again")]
    return [PingCheck("webhook", True, "the OAuth app may register webhooks")]


async def _project(client: JiraClient) -> list[PingCheck]:
    tenant = client.tenant
    empty = [name for name in ("project", "issue_type", "token_field") if not getattr(tenant, name)]
    if empty:
        return [PingCheck("settings", False, f"{', '.join(empty)} empty", "fill in the jira settings")]
    try:
        rights = await _rights(client)
        if not rights[0].ok:
            return rights
        kind = await _issue_type(client, tenant)
        return [
            *rights,
            PingCheck("issue type", True, f"{kind.name} can be created"),
            *await _token_field(client, kind),
        ]
    except ConfigurationError as error:
        return [PingCheck("settings", False, error.message, "correct the setting the message names")]
    except ConnectorError as error:
        return [PingCheck("settings", False, f"{error.operation}: {error.message}", _REST)]


async def _rights(client: JiraClient) -> list[PingCheck]:
    project = client.tenant.project
    try:
        has = await client.permissions(project, (*NEEDED, *USEFUL))
    except PermissionDeniedError as error:
        return [PingCheck("permissions", False, error.message, "add read:jira-work to the scopes and connect again")]
    except ConnectorError as error:
        message = f"project {project} is not visible: {error.message}"
        return [PingCheck("permissions", False, message, "check the project's key and that the account may see it")]
    if missing := [f"{name} ({does})" for name, does in NEEDED.items() if not has[name]]:
        message = f"in {project} the account lacks {', '.join(missing)}"
        return [PingCheck("permissions", False, message, "give the account a role in the project that has them")]
    found = [PingCheck("permissions", True, f"the account may do its work in {project}")]
    if missing := [f"{name} ({does})" for name, does in USEFUL.items() if not has[name]]:
        message = f"warning: in {project} the account lacks {', '.join(missing)}"
        found.append(PingCheck("more permissions", True, message, "give them if the connection is to do that"))
    return found


async def _issue_type(client: JiraClient, tenant: JiraTenant) -> IssueType:
    kinds = await client.issue_types(tenant.project)
    for one in kinds:
        if one.name.casefold() == tenant.issue_type.casefold():
            return one
    listed = ", ".join(one.name for one in kinds) or "none"
    message = f"issue_type: project {tenant.project} has no {tenant.issue_type}; it has {listed}"
    raise ConfigurationError(message, system=SYSTEM)


async def _token_field(client: JiraClient, kind: IssueType) -> list[PingCheck]:
    field_id = client.tenant.token_field
    field = next((one for one in await client.fields() if one.id == field_id), None)
    if field is None:
        message = f"token_field: {field_id} does not exist or is hidden from the account"
        return [PingCheck("token field", False, message, "make a short text field in Jira and enter its id")]
    shape = TOKEN_KINDS.get(field.schema_custom)
    if shape is None:
        message = f"token_field: {field.name} is of kind {field.schema_custom or field.schema_type}"
        return [PingCheck("token field", False, message, "choose a field of kind short text")]
    searcher = (await client.field_searchers([field_id])).get(field_id, "")
    try:
        operator = operator_for(searcher)
    except ConfigurationError as error:
        return [PingCheck("token field", False, error.message, "give the field a text search template in Jira")]
    told = f"{field.name} is a {shape}, searched by {operator}"
    return [
        PingCheck("token field", True, told),
        await _on_screen(client, kind, field),
        await _queries(client, searcher),
    ]


async def _on_screen(client: JiraClient, kind: IssueType, field: JiraField) -> PingCheck:
    project = client.tenant.project
    if field.id in await client.create_fields(project, kind.id):
        return PingCheck("create screen", True, f"{field.name} is on the create screen")
    message = f"{field.name} is not on the create screen of {kind.name} in {project}"
    return PingCheck("create screen", False, message, "put the field on the screen that creates these issues")


async def _queries(client: JiraClient, searcher: str) -> PingCheck:
    """Search answers a wrong query with nothing instead of an error, so that a strict judge is asked (README)."""
    tenant = client.tenant
    ours = carrying(tenant.token_field, [SAMPLE_TOKEN], searcher)
    polled = changed_within(tenant.project, tenant.token_field, tenant.poll_overlap_minutes)
    judged = await client.jql_problems([*ours, polled])
    problems = list(dict.fromkeys(text for texts in judged.values() for text in texts))
    if problems:
        message = f"Jira refuses our queries: {'; '.join(problems)[:400]}"
        return PingCheck("queries", False, message, "check project and token_field")
    return PingCheck("queries", True, "Jira understands our queries")


async def _editable(client: JiraClient, tenant: JiraTenant) -> frozenset[str] | None:
    """What can be edited on some issue of that kind; None when there is none to look at."""
    query = f"project = {quote(tenant.project)} AND issuetype = {quote(tenant.issue_type)} ORDER BY created DESC"
    try:
        async with aclosing(client.search(query, fields=["summary"], page_size=1)) as pages:
            async for page in pages:
                return await client.edit_fields(page[0].id) if page else None
    except ConnectorError:
        return None
    return None


def _why(field_id: str, field: JiraField | None, *, can_create: bool, can_edit: bool | None) -> str:
    if can_create and can_edit is not False:
        return ""
    if field is None:
        return f"{field_id} does not exist or is hidden from the account"
    if field.scope and not can_create and not can_edit:
        return f"{field.name} belongs to the team-managed project {field.scope} alone or is not on this one's screens"
    missing = [name for name, there in (("create", can_create), ("edit", can_edit)) if there is False]
    return f"{field.name} is not on the {' and '.join(missing)} screen"
