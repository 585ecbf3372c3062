"""Which OAuth scopes each call needs: the classic ones, or all of the granular ones (without their `:jira`)."""

from __future__ import annotations

from collections.abc import Collection

CLASSIC = frozenset(
    {"read:jira-work", "write:jira-work", "read:jira-user", "manage:jira-webhook", "manage:jira-configuration"}
)
OFFLINE = "offline_access"

# verb and address: (classic, granular)
_NEEDED: dict[str, tuple[str, str]] = {
    "GET /comment/{comment}/properties": (
        "read:jira-work",
        "read:comment.property",
    ),
    "GET /comment/{comment}/properties/{key}": (
        "read:jira-work",
        "read:comment.property",
    ),
    "PUT /comment/{comment}/properties/{key}": (
        "write:jira-work",
        "write:comment.property",
    ),
    "GET /field": (
        "read:jira-work",
        "read:avatar read:field-configuration read:field read:project-category read:project",
    ),
    "GET /field/search": (
        "read:jira-work",
        "read:field-configuration read:field",
    ),
    "POST /issue": (
        "write:jira-work",
        "read:issue write:attachment write:comment.property write:comment write:issue",
    ),
    "POST /issue/bulk": (
        "write:jira-work",
        "read:issue write:attachment write:comment.property write:comment write:issue",
    ),
    "POST /issue/bulkfetch": (
        "read:jira-work",
        (
            "read:avatar read:field-configuration read:issue-meta read:issue-security-level read:issue.changelog "
            "read:issue.vote read:issue read:status read:user"
        ),
    ),
    "GET /issue/createmeta/{project}/issuetypes": (
        "read:jira-work",
        "read:avatar read:field-configuration read:issue-meta",
    ),
    "GET /issue/createmeta/{project}/issuetypes/{type}": (
        "read:jira-work",
        "read:avatar read:field-configuration read:issue-meta",
    ),
    "DELETE /issue/{issue}": (
        "write:jira-work",
        "delete:issue",
    ),
    "GET /issue/{issue}": (
        "read:jira-work",
        (
            "read:avatar read:field-configuration read:issue-meta read:issue-security-level read:issue.changelog "
            "read:issue.vote read:issue read:status read:user"
        ),
    ),
    "PUT /issue/{issue}": (
        "write:jira-work",
        "write:issue",
    ),
    "PUT /issue/{issue}/assignee": (
        "write:jira-work",
        "write:issue",
    ),
    "GET /issue/{issue}/changelog": (
        "read:jira-work",
        "read:avatar read:issue-meta read:issue.changelog",
    ),
    "GET /issue/{issue}/comment": (
        "read:jira-work",
        "read:avatar read:comment.property read:comment read:group read:project-role read:project read:user",
    ),
    "POST /issue/{issue}/comment": (
        "write:jira-work",
        (
            "read:avatar read:comment.property read:comment read:group read:project-role read:project read:user "
            "write:comment"
        ),
    ),
    "DELETE /issue/{issue}/comment/{id}": (
        "write:jira-work",
        "delete:comment.property delete:comment",
    ),
    "GET /issue/{issue}/comment/{id}": (
        "read:jira-work",
        "read:avatar read:comment.property read:comment read:group read:project-role read:project read:user",
    ),
    "PUT /issue/{issue}/comment/{id}": (
        "write:jira-work",
        (
            "read:avatar read:comment.property read:comment read:group read:project-role read:project read:user "
            "write:comment"
        ),
    ),
    "GET /issue/{issue}/editmeta": (
        "read:jira-work",
        "read:field-configuration read:issue-meta",
    ),
    "GET /issue/{issue}/properties": (
        "read:jira-work",
        "read:issue.property",
    ),
    "DELETE /issue/{issue}/properties/{key}": (
        "write:jira-work",
        "delete:issue.property",
    ),
    "GET /issue/{issue}/properties/{key}": (
        "read:jira-work",
        "read:issue.property",
    ),
    "PUT /issue/{issue}/properties/{key}": (
        "write:jira-work",
        "write:issue.property",
    ),
    "DELETE /issue/{issue}/remotelink": (
        "write:jira-work",
        "delete:issue.remote-link write:issue",
    ),
    "GET /issue/{issue}/remotelink": (
        "read:jira-work",
        "read:issue.remote-link read:status",
    ),
    "POST /issue/{issue}/remotelink": (
        "write:jira-work",
        "read:issue.remote-link write:issue.remote-link write:issue",
    ),
    "DELETE /issue/{issue}/remotelink/{link}": (
        "write:jira-work",
        "delete:issue.remote-link write:issue",
    ),
    "GET /issue/{issue}/remotelink/{link}": (
        "read:jira-work",
        "read:issue.remote-link read:status",
    ),
    "GET /issue/{issue}/transitions": (
        "read:jira-work",
        "read:field-configuration read:issue.transition read:status",
    ),
    "POST /issue/{issue}/transitions": (
        "write:jira-work",
        "write:issue.property write:issue",
    ),
    "GET /issuetype": (
        "read:jira-work",
        "read:avatar read:issue-type read:project-category read:project",
    ),
    "GET /issuetype/project": (
        "read:jira-work",
        "read:avatar read:issue-type read:project-category read:project",
    ),
    "POST /jql/match": (
        "read:jira-work",
        "read:issue-details",
    ),
    "POST /jql/parse": (
        "read:jira-work",
        "read:field read:jql validate:jql",
    ),
    "GET /mypermissions": (
        "read:jira-work",
        "read:permission",
    ),
    "GET /myself": (
        "read:jira-user",
        "read:application-role read:avatar read:group read:user",
    ),
    "GET /priority": (
        "read:jira-work",
        "read:priority",
    ),
    "GET /project/search": (
        "read:jira-work",
        (
            "read:application-role read:avatar read:group read:issue-type-hierarchy read:issue-type "
            "read:project-category read:project-version read:project.component read:project.property read:project "
            "read:user"
        ),
    ),
    "GET /project/{project}": (
        "read:jira-work",
        (
            "read:application-role read:avatar read:group read:issue-type-hierarchy read:issue-type "
            "read:project-category read:project-version read:project.component read:project.property read:project "
            "read:user"
        ),
    ),
    "GET /project/{project}/statuses": (
        "read:jira-work",
        "read:issue-status read:issue-type read:status",
    ),
    "GET /resolution": (
        "read:jira-work",
        "read:resolution",
    ),
    "POST /search/approximate-count": (
        "read:jira-work",
        "read:field.default-value read:field.option read:field read:group read:issue-details",
    ),
    "GET /search/jql": (
        "read:jira-work",
        "read:audit-log read:avatar read:field-configuration read:issue-details read:issue-meta",
    ),
    "POST /search/jql": (
        "read:jira-work",
        "read:field.default-value read:field.option read:field read:group read:issue-details",
    ),
    "GET /serverInfo": (
        "",
        "",
    ),
    "GET /status": (
        "read:jira-work",
        "read:status",
    ),
    "GET /statuscategory": (
        "read:jira-work",
        "read:status",
    ),
    "GET /user": (
        "read:jira-user",
        "read:application-role read:avatar read:group read:user",
    ),
    "GET /user/assignable/search": (
        "read:jira-user",
        "read:application-role read:avatar read:group read:issue read:project read:user",
    ),
    "GET /user/search": (
        "read:jira-user",
        "read:application-role read:avatar read:group read:user.property read:user",
    ),
    "DELETE /webhook": (
        "read:jira-work manage:jira-webhook",
        "delete:webhook",
    ),
    "GET /webhook": (
        "read:jira-work manage:jira-webhook",
        "read:jql read:webhook",
    ),
    "POST /webhook": (
        "read:jira-work manage:jira-webhook",
        "read:field read:project write:webhook",
    ),
    "GET /webhook/failed": (
        "read:jira-work manage:jira-webhook",
        (
            "read:comment.property read:epic:jira-software read:group read:issue-details read:issue-type "
            "read:project-role read:webhook"
        ),
    ),
    "PUT /webhook/refresh": (
        "read:jira-work manage:jira-webhook",
        "read:webhook write:webhook",
    ),
}
_CLASSIC = {call: frozenset(classic.split()) for call, (classic, _) in _NEEDED.items()}
_GRANULAR = {
    call: frozenset(one if one.count(":") > 1 else f"{one}:jira" for one in fine.split())
    for call, (_, fine) in _NEEDED.items()
}
KNOWN = CLASSIC.union({OFFLINE}, *_GRANULAR.values())


def allows(scopes: Collection[str], call: str) -> bool:
    """Whether a token with these scopes may make the call; raises KeyError for a call without an entry."""
    held = frozenset(scopes)
    if _CLASSIC[call] <= held:
        return True
    return bool(_GRANULAR[call]) and _GRANULAR[call] <= held
