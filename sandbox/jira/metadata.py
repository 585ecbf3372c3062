"""What the site has: projects, types, fields, the screens for creating, priorities, resolutions, statuses."""

from __future__ import annotations

from typing import Any

from sandbox.jira.dispatch import PAGING, Call, Operation, Reply, paged, query
from sandbox.jira.errors import classic, problem, unmodelled
from sandbox.jira.masters import CATEGORIES, CUSTOM, PRIORITIES, RESOLUTIONS, FieldDef, Project
from sandbox.jira.store import Issue

_MULTI = frozenset({"labels", "multiselect"})


def projects(call: Call) -> Reply:
    """Projects that are not archived, by page."""
    known = call.tenant.projects.values() if call.tenant.may("BROWSE_PROJECTS") else ()
    wanted = (call.argument("query") or "").lower()
    action = call.argument("action") or "view"
    if action not in ("view", "browse", "edit", "create"):
        raise classic(400, [f"The action '{action}' is not known."])
    if action == "create" and not call.tenant.may("CREATE_ISSUES"):
        known = ()
    keys, ids = call.arguments("keys"), call.arguments("id")
    found = [
        one
        for one in known
        if not one.archived
        and (wanted in one.key.lower() or wanted in one.name.lower())
        and (not keys or one.key in keys)
        and (not ids or one.id in ids)
    ]
    shown = [listed_project(call, one) for one in sorted(found, key=lambda one: one.key)]
    page = paged(shown, call, 100)
    call.points = 1 + len(page["values"])
    return Reply(page)


def listed_project(call: Call, project: Project) -> dict[str, Any]:
    """A project in a list of projects."""
    style = "next-gen" if project.team_managed else "classic"
    shown = call.writer().project(project) | {"style": style, "isPrivate": False}
    return shown | ({"archived": True} if project.archived else {})


def project(call: Call) -> Reply:
    """One project with its types and lead."""
    found = call.tenant.project_named(call.path["project"])
    writer = call.writer()
    types = [writer.type(call.tenant.types[one]) for one in found.types]
    more = {"description": "", "issueTypes": types, "components": [], "versions": [], "roles": {}}
    lead = {"lead": writer.user(found.lead)} if found.lead else {}
    call.points = 2
    return Reply(listed_project(call, found) | more | lead | {"assigneeType": "UNASSIGNED"})


def project_statuses(call: Call) -> Reply:
    """The statuses of each type of a project."""
    found = call.tenant.project_named(call.path["project"])
    writer = call.writer()
    statuses = [writer.status(call.tenant.statuses[one]) for one in found.statuses]
    types = [call.tenant.types[one] for one in found.types]
    return Reply(
        [
            {
                "self": f"{call.base}/issuetype/{one.id}",
                "id": one.id,
                "name": one.name,
                "subtask": False,
                "statuses": statuses,
            }
            for one in types
        ]
    )


def project_types(call: Call) -> Reply:
    """The types of a project."""
    number = call.number("projectId", -1)
    found = next((one for one in call.tenant.projects.values() if one.id == str(number)), None)
    if number == -1:
        raise classic(400, ["projectId is required."])
    if found is None:
        raise classic(404, [f"No project could be found with id '{number}'."])
    writer = call.writer()
    return Reply([writer.type(call.tenant.types[one]) for one in found.types])


def types(call: Call) -> Reply:
    """Every type of the site."""
    writer = call.writer()
    return Reply([writer.type(one) for one in call.tenant.types.values()])


def fields(call: Call) -> Reply:
    """Every field, system and custom."""
    return Reply([_field(call, one) for one in call.tenant.fields.values()])


def _field(call: Call, field: FieldDef) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": field.id,
        "key": field.id,
        "name": field.name,
        "custom": field.custom is not None,
        "orderable": field.set_by_people,
        "navigable": field.id != "comment",
        "searchable": field.searcher is not None,
        "clauseNames": list(field.clauses),
        "schema": field.schema(),
    }
    if field.project is not None:
        shown["scope"] = {"type": "PROJECT", "project": {"id": call.tenant.projects[field.project].id}}
    return shown


def field_search(call: Call) -> Reply:
    """Fields by page; only those that are not one project's own."""
    kinds = set(call.arguments("type")) or {"custom", "system"}
    if kinds - {"custom", "system"}:
        raise classic(400, ["The type must be custom or system."])
    ids, wanted = call.arguments("id"), (call.argument("query") or "").lower()
    expand = set(call.arguments("expand"))
    if strangers := expand - {"searcherKey", "isLocked", "screensCount", "key", "lastUsed"}:
        raise unmodelled(f"expand={sorted(strangers)[0]}")
    found = [
        one
        for one in call.tenant.fields.values()
        if one.project is None
        and ("custom" if one.custom else "system") in kinds
        and (not ids or one.id in ids)
        and wanted in one.name.lower()
    ]
    return Reply(paged([_searched(call, one, expand) for one in found], call, 50))


def _searched(call: Call, field: FieldDef, expand: set[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": field.id, "name": field.name, "schema": field.schema(), "description": ""}
    if "key" in expand:
        shown["key"] = field.id
    if "searcherKey" in expand and field.searcher:
        shown["searcherKey"] = CUSTOM + field.searcher if field.custom else field.searcher
    if "isLocked" in expand:
        shown["isLocked"] = False
    if "screensCount" in expand:
        screens = [one for project in call.tenant.projects.values() for one in (project.create, project.edit)]
        shown["screensCount"] = sum(1 for one in screens if any(field.id in held for held in one.values()))
    return shown


def create_types(call: Call) -> Reply:
    """The types that can be created in a project."""
    found = call.tenant.project_named(call.path["project"])
    writer = call.writer()
    usable = found.types if call.tenant.may("CREATE_ISSUES") and not found.archived else ()
    return Reply(_meta_page(call, "issueTypes", [writer.type(call.tenant.types[one]) for one in usable]))


def create_fields(call: Call) -> Reply:
    """The fields on the create screen of a type."""
    found = call.tenant.project_named(call.path["project"])
    type_ = call.path["type"]
    if type_ not in found.types:
        raise classic(400, ["The issue type selected is invalid."])
    required = {"summary", *found.required}
    names = ["project", "issuetype", *found.create[type_]]
    shown = [
        {"fieldId": name}
        | described(
            call, found, call.tenant.fields[name], required=name in required or name in ("project", "issuetype")
        )
        for name in names
    ]
    return Reply(_meta_page(call, "fields", shown))


def _meta_page(call: Call, name: str, values: list[Any]) -> dict[str, Any]:
    start, size = call.window(200)
    if size < 1:
        raise problem(400, "Bad Request", "maxResults must be positive")
    return {name: values[start : start + size], "startAt": start, "maxResults": size, "total": len(values)}


def edit_fields(call: Call, issue: Issue) -> dict[str, Any]:
    """The fields on the edit screen of an issue."""
    required = {"summary", *issue.project.required}
    return {
        name: described(call, issue.project, call.tenant.fields[name], required=name in required)
        for name in issue.project.edit[issue.type]
    }


def edit_meta(call: Call) -> Reply:
    """What can be edited in an issue."""
    return Reply({"fields": edit_fields(call, call.issue())})


def described(call: Call, project: Project, field: FieldDef, *, required: bool) -> dict[str, Any]:
    """A field on a screen, with the values that it can take."""
    operations = ["add", "set", "remove"] if field.kind in _MULTI else ["set"]
    shown: dict[str, Any] = {
        "required": required,
        "schema": field.schema(),
        "name": field.name,
        "key": field.id,
        "hasDefaultValue": field.id in ("priority", "reporter"),
        "operations": operations,
    }
    writer = call.writer()
    match field.kind:
        case "select" | "multiselect":
            shown["allowedValues"] = [writer.option(field, key) for key, _ in field.options]
        case "priority":
            shown["allowedValues"] = [writer.priority(key) for key in PRIORITIES]
        case "resolution":
            shown["allowedValues"] = [writer.resolution(key) for key in RESOLUTIONS]
        case "project":
            shown["allowedValues"] = [writer.project(project)]
        case "issuetype":
            shown["allowedValues"] = [writer.type(call.tenant.types[one]) for one in project.types]
        case "user":
            shown["autoCompleteUrl"] = f"{call.base}/user/assignable/search?project={project.key}&query="
    return shown


def priorities(call: Call) -> Reply:
    """Every priority."""
    return Reply([call.writer().priority(one) | {"description": "", "statusColor": "#777777"} for one in PRIORITIES])


def resolutions(call: Call) -> Reply:
    """Every resolution."""
    return Reply([call.writer().resolution(one) for one in RESOLUTIONS])


def statuses(call: Call) -> Reply:
    """Every status."""
    return Reply([call.writer().status(one) for one in call.tenant.statuses.values()])


def categories(call: Call) -> Reply:
    """Every status category."""
    return Reply([call.writer().category(one) for one in CATEGORIES])


def server(call: Call) -> Reply:
    """What the site says of itself."""
    return Reply(
        {
            "baseUrl": call.site,
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100_300,
            "buildDate": "2026-01-01T00:00:00.000+0000",
            "serverTime": call.writer().at(call.tenant.clock.now()),
            "scmInfo": "0",
            "serverTitle": "Jira",
        }
    )


OPERATIONS = [
    Operation(
        "GET",
        "/project/search",
        projects,
        query(*PAGING, "query", "action", "keys", "id", "orderBy", "expand", "status", "typeKey"),
        anonymous={"maxResults": 50, "startAt": 0, "total": 0, "isLast": True, "values": []},
        also_v2=True,
    ),
    Operation("GET", "/project/{project}", project, query("expand", "properties"), also_v2=True),
    Operation("GET", "/project/{project}/statuses", project_statuses, also_v2=True),
    Operation("GET", "/issuetype/project", project_types, query("projectId", "level")),
    Operation("GET", "/issuetype", types, anonymous=[], also_v2=True),
    Operation("GET", "/field", fields, anonymous=[], also_v2=True),
    Operation("GET", "/field/search", field_search, query(*PAGING, "type", "id", "query", "expand", "orderBy")),
    Operation("GET", "/issue/createmeta/{project}/issuetypes", create_types, query(*PAGING), also_v2=True),
    Operation("GET", "/issue/createmeta/{project}/issuetypes/{type}", create_fields, query(*PAGING), also_v2=True),
    Operation("GET", "/issue/{issue}/editmeta", edit_meta, also_v2=True),
    Operation("GET", "/priority", priorities, also_v2=True),
    Operation("GET", "/resolution", resolutions, also_v2=True),
    Operation("GET", "/status", statuses, also_v2=True),
    Operation("GET", "/statuscategory", categories, also_v2=True),
    Operation("GET", "/serverInfo", server, also_v2=True),
]
