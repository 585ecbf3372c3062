"""What a Jira site is made of: projects, types, fields, screens, statuses, rights; read when connecting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ml_connector.errors import ContractError, PermissionDeniedError
from ml_connector.systems.jira.calls import JiraCalls, lots, rows_of
from ml_connector.systems.jira.errors import About
from ml_connector.systems.jira.models import CreateField, IssueType, JiraField, Named, Project, Status

PERMISSIONS = (
    "BROWSE_PROJECTS",
    "CREATE_ISSUES",
    "EDIT_ISSUES",
    "TRANSITION_ISSUES",
    "ADD_COMMENTS",
    "ASSIGN_ISSUES",
    "LINK_ISSUES",
)
# Kind of field -> how Jira indexes it, where it does not say so itself (README: External ids).
SEARCHERS = {
    "textfield": "textsearcher",
    "textarea": "textsearcher",
    "readonlyfield": "textsearcher",
    "url": "exacttextsearcher",
    "labels": "labelsearcher",
    "float": "exactnumber",
}
MAX_IDS = 20


class CatalogueCalls(JiraCalls):
    """The questions about how a site is set up."""

    async def jql_problems(self, queries: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """What Jira finds wrong with each query, as strictly as it can judge; empty where it is right."""
        about = About("check queries")
        answer = await self._ask("/jql/parse", {"queries": list(queries)}, about, [("validation", "strict")])
        rows = rows_of(answer, ("queries",), about)
        if len(rows) != len(queries):
            raise about.error(ContractError, f"queries: {len(rows)} judged, {len(queries)} asked")
        found: dict[str, tuple[str, ...]] = {}
        for number, (query, row) in enumerate(zip(queries, rows, strict=True)):
            if not isinstance(row, Mapping):
                raise about.error(ContractError, f"queries.{number}: not an object")
            found[query] = tuple(str(text) for text in row.get("errors") or ())
        return found

    async def fields(self) -> tuple[JiraField, ...]:
        """Every field of the site that the account can see."""
        about = About("list fields")
        return self._read(JiraField, await self._list("/field", about), about)

    async def field_searchers(self, ids: Iterable[str]) -> dict[str, str]:
        """How Jira indexes these fields, by field id; where it does not say, what is usual for the kind of field."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, str] = {}
        for lot in lots(wanted, MAX_IDS):
            found |= await self._told_searchers(lot)
        if left := [one for one in wanted if not found.get(one)]:
            usual = {one.id: SEARCHERS.get(one.schema_custom or one.id, "") for one in await self.fields()}
            found |= {one: usual.get(one, "") for one in left}
        return {one: found[one] for one in wanted if found.get(one)}

    async def create_fields(self, project: str, issue_type_id: str) -> dict[str, CreateField]:
        """The fields on the create screen of a project (key or id) and issue type, by field id."""
        about = About("read create screen")
        path = f"/issue/createmeta/{project}/issuetypes/{issue_type_id}"
        rows = await self._pages(path, about, ("fields", "results"))
        found = self._read(CreateField, rows, about)
        return {one.field_id or one.key: one for one in found}

    async def edit_fields(self, issue_id: str) -> frozenset[str]:
        """Ids of the fields that can be edited on an issue."""
        about = About("read edit screen", external_id=issue_id, one_record=True)
        answer = await self._get(f"/issue/{issue_id}/editmeta", about)
        fields = answer.get("fields") if isinstance(answer, Mapping) else None
        if not isinstance(fields, Mapping):
            raise about.error(ContractError, "fields: missing or not an object")
        return frozenset(str(name) for name in fields)

    async def issue_types(self, project: str) -> tuple[IssueType, ...]:
        """The issue types that can be created in a project (key or id)."""
        about = About("list issue types")
        path = f"/issue/createmeta/{project}/issuetypes"
        rows = await self._pages(path, about, ("issueTypes", "createMetaIssueType"))
        return self._read(IssueType, rows, about)

    async def projects(self, query: str = "", *, action: str = "create") -> tuple[Project, ...]:
        """The projects in which the account may do something: create, edit, browse or view."""
        about = About("list projects")
        params = [("action", action), *([("query", query)] if query else [])]
        return self._read(Project, await self._pages("/project/search", about, ("values",), params), about)

    async def permissions(self, project: str, names: Sequence[str] = PERMISSIONS) -> dict[str, bool]:
        """Which of these rights the account has in a project (key), by name."""
        about = About("read permissions")
        params = [("projectKey", project), ("permissions", ",".join(names))]
        answer = await self._get("/mypermissions", about, params)
        told = answer.get("permissions") if isinstance(answer, Mapping) else None
        if not isinstance(told, Mapping):
            raise about.error(ContractError, "permissions: missing or not an object")
        rights = {name: told.get(name) for name in names}
        return {name: isinstance(one, Mapping) and one.get("havePermission") is True for name, one in rights.items()}

    async def statuses(self, project: str) -> tuple[Status, ...]:
        """The statuses that issues of a project (key or id) can have, each once, with the issue types that have it."""
        about = About("list statuses")
        found: dict[str, Status] = {}
        for row in await self._list(f"/project/{project}/statuses", about):
            name = str(row.get("name") or "") if isinstance(row, Mapping) else ""
            for one in self._read(Status, rows_of(row, ("statuses",), about), about):
                known = found.get(one.id, one)
                found[one.id] = known.model_copy(update={"issue_types": (*known.issue_types, name)})
        return tuple(found.values())

    async def resolutions(self) -> tuple[Named, ...]:
        """The resolutions of the site."""
        about = About("list resolutions")
        return self._read(Named, await self._list("/resolution", about), about)

    async def priorities(self) -> tuple[Named, ...]:
        """The priorities of the site."""
        about = About("list priorities")
        return self._read(Named, await self._list("/priority", about), about)

    async def assignable(self, project: str, account_id: str) -> bool:
        """Whether issues of a project (key) can be assigned to an account."""
        params = [("project", project), ("accountId", account_id)]
        rows = await self._list("/user/assignable/search", About("check assignee"), params)
        return any(isinstance(row, Mapping) and row.get("accountId") == account_id for row in rows)

    async def _told_searchers(self, ids: Sequence[str]) -> dict[str, str]:
        about = About("read searchers")
        params = [("type", "custom"), *(("id", one) for one in ids), ("expand", "searcherKey")]
        try:
            rows = await self._pages("/field/search", about, ("values",), params)
        except PermissionDeniedError:
            return {}  # some sites show this to administrators only
        found = [row for row in rows if isinstance(row, Mapping)]
        return {str(row.get("id")): str(row.get("searcherKey") or "").rpartition(":")[2] for row in found}
