"""Looks up what the settings name in both tenants, so that a wrong field or status is found when connecting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from ml_connector.errors import AuthenticationError, ConnectorError
from ml_connector.pairs.qad_jira.decisions import decision_fields
from ml_connector.pairs.qad_jira.mapping import COST_CODE
from ml_connector.pairs.qad_jira.settings import QadJiraSettings, Slots
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.validate import field_report
from ml_connector.systems.ping import PingCheck
from ml_connector.systems.qad.ports import QadRest

Check = Callable[[], Awaitable[list[PingCheck]]]
_PLAIN = ("string", "option")
_AGAIN = "try again; if it stays so, check the rights of the login and the tenant's settings"


async def check_settings(qad: QadRest, jira: JiraClient, settings: QadJiraSettings) -> list[PingCheck]:
    """One check per thing that a setting names; never raises for a tenant's fault, stops when a login is refused."""
    checks: dict[str, Check] = {
        "fields": lambda: _fields(jira, settings),
        "statuses": lambda: _statuses(jira, settings),
        "resolutions": lambda: _resolutions(jira, settings),
        "priorities": lambda: _priorities(jira, settings),
        "assignees": lambda: _assignees(jira, settings),
        "slots": lambda: _slots(qad, settings),
    }
    found: list[PingCheck] = []
    for name, check in checks.items():
        try:
            found += await check()
        except AuthenticationError as error:
            return [*found, PingCheck(name, False, error.message, "enter the login again")]
        except ConnectorError as error:
            found.append(PingCheck(name, False, error.message, _AGAIN))
    return found


async def _fields(jira: JiraClient, settings: QadJiraSettings) -> list[PingCheck]:
    """Which mapped fields can be filled in, and why others cannot; deciding fields only have to be readable."""
    wanted = {f"issues.fields.{name}": field for name, field in settings.issues.fields.items()}
    report = await field_report(jira, settings.jira, wanted)
    wrong = [
        PingCheck(one.name, False, f"{one.field_id}: {one.why}", "put it on the project's screens, or drop the mapping")
        for one in report
        # While there is no issue to look at, nobody knows whether a field can be edited.
        if not one.can_create or one.can_edit is False
    ]
    fields = {one.id: one for one in await jira.fields()}
    code = settings.issues.fields.get("cost_code", "")
    if code in fields and decision_fields(settings).get(COST_CODE) and fields[code].schema_type not in _PLAIN:
        # Anything else shows another spelling than was written, which looks like a buyer's choice.
        text = f"{code}: a cost code that travels both ways needs a text field or a select list"
        wrong.append(PingCheck("issues.fields.cost_code", False, text, "map another field, or empty the slots"))
    known = set(fields)
    wrong += [
        PingCheck(f"decisions: {name}", False, f"{field} does not exist", "correct its id")
        for name, field in decision_fields(settings).items()
        if field not in known
    ]
    return wrong or [PingCheck("fields", True, f"{len(wanted)} mapped fields can be set")]


async def _statuses(jira: JiraClient, settings: QadJiraSettings) -> list[PingCheck]:
    rules = settings.issues
    wanted = {
        "issues.cleared_status": rules.cleared_status,
        "issues.returned_status": rules.returned_status,
        **{f"decisions.statuses: {one}": one for one in settings.decisions.statuses},
    }
    if not any(wanted.values()):
        return []
    known = {text.casefold() for one in await jira.statuses(settings.jira.project) for text in (one.id, one.name)}
    return _unknown("statuses", wanted.items(), known, "use the name or id of a status of the project")


async def _resolutions(jira: JiraClient, settings: QadJiraSettings) -> list[PingCheck]:
    """A release hangs on the exact name of a resolution, or of a status where issues have none."""
    wanted = {f"decisions.release_on: {one}": one for one in settings.decisions.release_on}
    wanted["issues.cleared_resolution"] = settings.issues.cleared_resolution
    if not any(wanted.values()):
        return []
    names = {one.name.casefold() for one in await jira.resolutions()}
    names |= {one.name.casefold() for one in await jira.statuses(settings.jira.project)}
    return _unknown("resolutions", wanted.items(), names, "use the exact name of a resolution of the site")


async def _priorities(jira: JiraClient, settings: QadJiraSettings) -> list[PingCheck]:
    wanted = {f"issues.priorities[{n}]": rule.priority for n, rule in enumerate(settings.issues.priorities)}
    if not wanted:
        return []
    known = {text.casefold() for one in await jira.priorities() for text in (one.id, one.name)}
    return _unknown("priorities", wanted.items(), known, "use the name or id of a priority of the site")


async def _assignees(jira: JiraClient, settings: QadJiraSettings) -> list[PingCheck]:
    remedy = "use the account id of somebody who may be assigned issues of the project"
    return [
        PingCheck(f"issues.assignees[{name}]", False, f"{account} cannot be assigned", remedy)
        for name, account in settings.issues.assignees.items()
        if not await jira.assignable(settings.jira.project, account)
    ] or ([PingCheck("assignees", True, "all can be assigned")] if settings.issues.assignees else [])


async def _slots(qad: QadRest, settings: QadJiraSettings) -> list[PingCheck]:
    """Whether QAD's records have the members that decisions go to, and nothing else needs them."""
    found: list[PingCheck] = []
    token = qad.client.resource("supplierInvoice").fields.get("token", "")
    places: tuple[tuple[Literal["invoice", "order"], Slots], ...] = (
        ("invoice", settings.decisions.invoice),
        ("order", settings.decisions.order),
    )
    for about, slots in places:
        for name, wire in slots.used.items():
            place = f"decisions.{about}.{name}"
            if about == "invoice" and wire == token:
                found.append(PingCheck(place, False, f"{wire} holds the connector's token", "choose another member"))
            elif problem := await qad.slot_problem(about, wire):
                found.append(PingCheck(place, False, problem, "choose a member that the tenant has"))
    return found or [PingCheck("slots", True, "QAD has every member that decisions go to")]


def _unknown(what: str, wanted: Iterable[tuple[str, str]], known: set[str], remedy: str) -> list[PingCheck]:
    wrong = [
        PingCheck(place, False, f"{value} does not exist", remedy)
        for place, value in wanted
        if value and value.casefold() not in known
    ]
    return wrong or [PingCheck(what, True, f"all {what} exist")]
