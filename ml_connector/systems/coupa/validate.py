"""The connection test: logs in, reads one thing of each kind and says exactly what is wrong and what mends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from zoneinfo import ZoneInfo

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    ContractError,
    PermissionDeniedError,
    TransientError,
)
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.config import CoupaCredentialsData
from ml_connector.systems.coupa.errors import SCOPES
from ml_connector.systems.ping import PingCheck, PingReport

# A document that no tenant has, so that the read costs nothing and only the right to it is tried.
NOBODY = "no-such-record"
SAMPLE = 10
# What only some connections write.
MASTERS = ("suppliers", "lookup_values")
Read = Callable[[], Awaitable[object]]


async def ping(client: CoupaClient, credentials: CoupaCredentialsData, *, bare: bool = False) -> PingReport:
    """Try login, rights, write scopes, custom fields and integration; never raises for a tenant's fault.

    `bare` is a login without any settings: what only these can say is told and not judged.
    """
    login = await _login(client)
    checks = [login]
    if login.ok:
        reads = [await _readable(name, read) for name, read in _reads(client).items()]
        checks += [*reads, *_write_scopes(client, credentials)]
        if all(one.ok for one in reads):
            checks += await _settings(client, bare=bare)
    ok = all(one.ok for one in checks)
    return PingReport("coupa", ok, client.identity, tuple(checks))


async def _login(client: CoupaClient) -> PingCheck:
    try:
        found = await client.currencies(limit=1)
    except PermissionDeniedError as error:
        return PingCheck("login", False, error.message, f"tick {SCOPES['currencies'][0]} on the client in Coupa")
    except AuthenticationError as error:
        return PingCheck("login", False, error.message, "enter client_id and client_secret again as Coupa shows them")
    except ConfigurationError as error:
        return PingCheck("login", False, error.message, "correct the setting the message names")
    except (TransientError, ContractError) as error:
        remedy = f"check that {client.http.base_url} is the instance's own address and can be reached from here"
        return PingCheck("login", False, error.message, remedy)
    return PingCheck("login", True, f"logged in; currency {found[0].code or '?'} read" if found else "logged in")


def _reads(client: CoupaClient) -> dict[str, Read]:
    reads: dict[str, Read] = {
        "invoices": lambda: client.invoices(limit=1),
        "purchase_orders": lambda: client.purchase_orders([NOBODY]),
        "suppliers": lambda: client.suppliers([NOBODY]),
    }
    if _reports_inside(client):
        reads["history_records"] = lambda: client.history_records("InvoiceHeader", [0])
    return reads


async def _readable(resource: str, read: Read) -> PingCheck:
    name = f"read {resource}"
    try:
        await read()
    except PermissionDeniedError as error:
        remedy = f"tick {SCOPES[resource][0]} on the client in Coupa and add it to scopes"
        return PingCheck(name, False, error.message, remedy)
    except ConnectorError as error:
        return PingCheck(name, False, error.message, f"check the path of {resource} in the tenant settings")
    return PingCheck(name, True, "allowed")


def _write_scopes(client: CoupaClient, credentials: CoupaCredentialsData) -> list[PingCheck]:
    """Writing cannot be tried without writing, but a scope that is not asked for is certainly missing."""
    needed = ["invoices", "history_records"] if _reports_inside(client) else ["invoices"]
    if not credentials.scopes:
        return []
    missing = [SCOPES[name][1] for name in needed if SCOPES[name][1] not in credentials.scopes]
    if missing:
        listed = ", ".join(missing)
        remedy = f"tick {listed} on the client in Coupa and add it to scopes"
        return [PingCheck("write scopes", False, f"{listed} not among scopes", remedy)]
    return [PingCheck("write scopes", True, "asked for"), *_master_scopes(credentials)]


def _master_scopes(credentials: CoupaCredentialsData) -> list[PingCheck]:
    """A warning only: a connection that keeps no masters up to date can do without."""
    missing = [SCOPES[name][1] for name in MASTERS if SCOPES[name][1] not in credentials.scopes]
    if not missing:
        return []
    listed = ", ".join(missing)
    message = f"warning: {listed} not among scopes, so suppliers or lookup values cannot be written"
    remedy = f"if they are to be written, tick {listed} on the client in Coupa and add it to scopes"
    return [PingCheck("write scopes of masters", True, message, remedy)]


async def _settings(client: CoupaClient, *, bare: bool) -> list[PingCheck]:
    try:
        checks = [*await _integration(client), *await _custom_fields(client), *await _time_zone(client, bare=bare)]
        return [*checks, await _csv_export(client)]
    except ConnectorError as error:
        return [PingCheck("settings", False, error.message, "try again; if it stays so, check the tenant settings")]


async def _integration(client: CoupaClient) -> list[PingCheck]:
    if not _reports_inside(client):
        return []
    code = client.tenant.integration_code
    if code and await client.integrations(code):
        return [PingCheck("integration", True, f"integration {code} exists")]
    message = f"integration {code} is not set up in Coupa" if code else "integration_code is empty"
    remedy = "set up the integration in Coupa and enter its code, or choose monitoring none or custom_field"
    return [PingCheck("integration", False, message, remedy)]


async def _custom_fields(client: CoupaClient) -> list[PingCheck]:
    names = client.tenant.custom_fields
    if not names:
        return []
    sample = [one.id for one in await client.invoices(limit=SAMPLE)]
    if not sample:
        return [PingCheck("custom fields", True, "not checked: no invoice is visible yet")]
    shown = {name for values in (await client.custom_fields(sample, names)).values() for name in values}
    missing = [name for name in names if name.replace("_", "-") not in shown]
    if missing:
        message = f"no custom field {', '.join(missing)} on {len(sample)} invoices"
        return [PingCheck("custom fields", False, message, "enter the API name as set up in Coupa, or clear it")]
    return [PingCheck("custom fields", True, f"{', '.join(names)} found")]


async def _time_zone(client: CoupaClient, *, bare: bool) -> list[PingCheck]:
    """A warning only: Coupa shows instants in the company's zone, and payment dates are sent as midnight there."""
    shown = await client.shown_instant()
    if shown is None:
        return []
    if bare:
        told = f"Coupa shows times at {shown:%z}; a connection's coupa.time_zone must be a zone that has this offset"
        return [PingCheck("time zone", True, told)]
    zone = client.tenant.time_zone
    ours = shown.astimezone(ZoneInfo(zone))
    if shown.utcoffset() == ours.utcoffset():
        return [PingCheck("time zone", True, f"Coupa shows times as {zone} does")]
    message = f"warning: Coupa shows times at {shown:%z}, time_zone {zone} is at {ours:%z}"
    return [PingCheck("time zone", True, message, "set time_zone to the company's, or payments get the wrong date")]


async def _csv_export(client: CoupaClient) -> PingCheck:
    """A warning only: an instance that exports by CSV marks invoices itself (README: Surprises, "CSV export")."""
    waiting = await client.invoices(statuses=["approved"], exported=False, limit=1)
    if not waiting and await client.invoices(statuses=["approved"], exported=True, limit=1):
        return PingCheck(
            "invoices to fetch",
            True,
            "warning: every approved invoice is already marked exported",
            "if this is not because all were sent before, switch off Coupa's own CSV export of invoices",
        )
    return PingCheck("invoices to fetch", True, "approved invoices wait" if waiting else "none waits now")


def _reports_inside(client: CoupaClient) -> bool:
    return client.tenant.monitoring in {"history", "full"}
