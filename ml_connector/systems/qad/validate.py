"""The connection test: proves login, workspace, names and the token's slot on the tenant itself before any flow runs.

QAD publishes no contract for these names (README, "names"), so nothing is believed that the tenant does not show.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ml_connector.domain.keys import TOKEN_LENGTH
from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    PermissionDeniedError,
)
from ml_connector.systems.ping import PingCheck, PingReport
from ml_connector.systems.qad.browse import Filter
from ml_connector.systems.qad.client import QadClient
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.masters import NOBODY
from ml_connector.systems.qad.models import EntityField
from ml_connector.systems.qad.needs import Need, needs_of


async def ping(client: QadClient, *, streams: Collection[str] = ()) -> PingReport:
    """Try everything the ports rely on; never raises for a tenant's fault, and stops where more tries could lock it.

    `streams` names the record types that are read as streams as well, e.g. `supplierPayment`.
    """
    who = f"{client.who} in workspace {client.tenant.workspace_id or '(default)'}"
    checks = [await _login(client)]
    if checks[0].ok:
        checks.append(await _workspace(client))
    if checks[-1].ok:
        for found in await side_by_side(
            lambda need: _resource(client, need), needs_of(client.tenant, streams), client.tenant.limits.concurrency
        ):
            checks += found
        checks.append(await _slot(client))
        if client.tenant.paths.swagger_url:
            checks.append(await _description(client, streams))
    return PingReport(SYSTEM, all(check.ok for check in checks), who, tuple(checks))


async def _login(client: QadClient) -> PingCheck:
    try:
        rules = await client.security_control()
    except PermissionDeniedError:
        return PingCheck("login", True, "logged in; the session rules are not open to this user, which is no harm")
    except AuthenticationError as error:
        remedy = "enter user name, password and client id (or client secret) again; nobody tries again before that"
        return PingCheck("login", False, error.message, remedy)
    except ConfigurationError as error:
        remedy = "enter host and context root as the browser shows them, e.g. https://host/clouderp"
        return PingCheck("login", False, error.message, remedy)
    except ConnectorError as error:
        remedy = f"check that {client.http.base_url} is the tenant's own address and can be reached from here"
        return PingCheck("login", False, error.message, remedy)
    idle = rules.get("timeoutMinutes")
    return PingCheck("login", True, f"logged in; idle sessions end after {idle} minutes" if idle else "logged in")


async def _workspace(client: QadClient) -> PingCheck:
    tenant = client.tenant
    name = tenant.workspace_id or "(the user's default)"
    try:
        await client.sample("supplier", [Filter("number", "eq", NOBODY)])
    except PermissionDeniedError:
        return await _why_denied(client, name)
    except ConnectorError:
        pass  # The names are wrong or the list is down: the check of that resource says which.
    if tenant.workspace_id and tenant.workspace_id != f"{tenant.domain}_{tenant.entity}":
        text = f"workspace {name} is open; it is not named after domain {tenant.domain} and entity {tenant.entity}"
        return PingCheck("workspace", True, text, "check that domain and entity are those of the workspace")
    return PingCheck("workspace", True, f"workspace {name} is open")


async def _why_denied(client: QadClient, name: str) -> PingCheck:
    try:
        await client.metadata(client.resource("supplier").view_uri)
    except ConnectorError:
        text = f"workspace {name} is unknown to QAD or closed to this user"
        return PingCheck("workspace", False, text, "correct workspace_id (DOMAIN_ENTITY) or open it to the user")
    return PingCheck("workspace", False, "the user has no right to list suppliers", "grant the role that may read them")


async def _resource(client: QadClient, need: Need) -> list[PingCheck]:
    listed, browse = await _browse(client, need)
    if not need.entity:
        return [browse]
    described, entity = await _entity(client, need)
    missing = [name for name in need.reads if not _either(client, need, name, listed, described)]
    if browse.ok and entity.ok and missing:
        fields = ", ".join(client.resource(need.resource).fields[name] for name in missing)
        text = f"neither list nor entity has {fields}"
        return [browse, PingCheck(entity.name, False, text, f"set resources.{need.resource}.fields")]
    return [browse, entity]


async def _browse(client: QadClient, need: Need) -> tuple[frozenset[str], PingCheck]:
    name, resource = f"list {need.resource}", client.resource(need.resource)
    try:
        fields = await client.browse_fields(resource.browse)
    except ConnectorError as error:
        return frozenset(), PingCheck(name, False, error.message, "open browse descriptions to the user")
    if not fields:
        text = f"browse {resource.browse} is unknown to this tenant"
        return fields, PingCheck(name, False, text, f"set resources.{need.resource}.browse")
    missing = [wire for wire in map(resource.row_name, (*need.filters, *need.rows)) if wire not in fields]
    if missing:
        text = f"browse {resource.browse} has no field {', '.join(missing)}"
        return fields, PingCheck(name, False, text, f"set resources.{need.resource}.fields to this tenant's names")
    return fields, PingCheck(name, True, f"{len(need.filters) + len(need.rows)} fields found")


async def _entity(client: QadClient, need: Need) -> tuple[Mapping[str, EntityField], PingCheck]:
    name, resource = f"entity {need.resource}", client.resource(need.resource)
    try:
        found = await client.metadata(resource.view_uri)
    except ConnectorError as error:
        return {}, PingCheck(name, False, error.message, "open entity descriptions to the user")
    if found is None:
        text = f"entity {resource.view_uri} is unknown to this tenant"
        return {}, PingCheck(name, False, text, f"set resources.{need.resource}.view_uri and .path")
    members = {field.json_name: field for field in found}
    missing = [resource.fields[one] for one in need.writes if one != "token" and resource.fields[one] not in members]
    if missing:
        text = f"entity {resource.view_uri} has no member {', '.join(missing)}"
        return members, PingCheck(name, False, text, f"set resources.{need.resource}.fields to this tenant's names")
    return members, PingCheck(name, True, f"{len(members)} members described")


def _either(
    client: QadClient, need: Need, name: str, listed: frozenset[str], described: Mapping[str, EntityField]
) -> bool:
    resource = client.resource(need.resource)
    return resource.row_name(name) in listed or resource.fields[name] in described


async def _slot(client: QadClient) -> PingCheck:
    """The token's slot must exist, hold the whole token and be searchable, else nothing could be recognised as ours."""
    settings, resource = client.tenant.invoice, client.resource("supplierInvoice")
    slot = settings.external_id_slot
    remedy = f"choose another invoice.external_id_slot with at least {TOKEN_LENGTH} characters that the list shows"
    try:
        members = {field.json_name: field for field in await client.metadata(resource.view_uri) or ()}
        if slot not in members:
            return PingCheck("token slot", False, f"supplier invoices have no member {slot}", remedy)
        length = members[slot].max_length or settings.external_id_length
        if not length:
            text = f"QAD does not tell how long {slot} is"
            return PingCheck("token slot", False, text, "ask QAD's administrator and set invoice.external_id_length")
        if length < TOKEN_LENGTH:
            text = f"{slot} holds {length} characters, {TOKEN_LENGTH} are needed"
            return PingCheck("token slot", False, text, remedy)
        rows = await client.sample("supplierInvoice", [Filter("token", "eq", NOBODY)])
    except ConnectorError as error:
        return PingCheck("token slot", False, f"the list cannot be searched by {slot}: {error.message}", remedy)
    if len(rows):
        return PingCheck("token slot", False, f"the list ignores a condition on {slot}", remedy)
    return PingCheck("token slot", True, f"{slot} holds {length} characters and can be searched")


async def _description(client: QadClient, streams: Collection[str]) -> PingCheck:
    """The tenant's own API description, where the settings name one."""
    name, tenant = "api description", client.tenant
    try:
        paths = (await client.api_description()).get("paths")
    except ConnectorError as error:
        return PingCheck(name, False, error.message, "correct paths.swagger_url or leave it empty")
    if not isinstance(paths, Mapping):
        return PingCheck(name, False, "paths: is missing from the description", "correct paths.swagger_url")
    used = [(tenant.paths.browses, "get")]
    for need in needs_of(tenant, streams):
        if need.entity:
            path = f"{tenant.paths.api_erp}/{client.resource(need.resource).path}"
            used += [(path, "get")] + ([(path, "post")] if need.writes else [])
    missing = [f"{verb.upper()} {path}" for path, verb in used if not _described(paths, path, verb)]
    if missing:
        return PingCheck(name, False, f"not described: {', '.join(missing)}", "correct paths and resources")
    return PingCheck(name, True, f"{len(used)} operations described")


def _described(paths: Mapping[str, object], path: str, verb: str) -> bool:
    wanted = path.strip("/")
    for known, verbs in paths.items():
        # A base path may stand on either side, so the shorter has to be the end of the longer.
        shown = known.strip("/")
        if (shown.endswith(wanted) or wanted.endswith(f"/{shown}")) and isinstance(verbs, Mapping) and verb in verbs:
            return True
    return False
