"""What `connect` and `ping` know of each system: its logins, its settings, who a tenant is and how it is tried."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from ml_connector.errors import ConfigurationError
from ml_connector.http.models import first_problem
from ml_connector.http.tokens import TokenStore
from ml_connector.http.urls import check_base_url
from ml_connector.installation import Installation
from ml_connector.systems.coupa import client as coupa_client
from ml_connector.systems.coupa import validate as coupa_validate
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.config import CoupaCredentialsData, CoupaTenant
from ml_connector.systems.jira import client as jira_client
from ml_connector.systems.jira import validate as jira_validate
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JIRA_LOGINS, JiraOAuthLogin, JiraTenant
from ml_connector.systems.ping import PingCheck, PingReport
from ml_connector.systems.qad import client as qad_client
from ml_connector.systems.qad import validate as qad_validate
from ml_connector.systems.qad.config import QAD_LOGINS, QadTenant
from ml_connector.systems.qad.ports import QadRest


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a connection: its block, the login in it, and the settings of its tenant (`bare`: none were given).

    `tokens` holds those of a login that is only tried; otherwise they are in the installation's vault.
    """

    system: str
    block: str
    login: Any
    tenant: Any
    bare: bool = False
    tokens: TokenStore | None = None

    @property
    def identity(self) -> str:
        """Which tenant this is, whatever its block or connection is called."""
        return SYSTEMS[self.system].identity(self)

    @property
    def by_consent(self) -> bool:
        """Whether the login rests on a consent: its token, once dropped, comes back only when a person consents."""
        return isinstance(self.login, JiraOAuthLogin)

    async def ping(self, installation: Installation) -> PingReport:
        """Try the login and everything that the ports rely on."""
        return await SYSTEMS[self.system].ping(installation, self)

    def port(self, installation: Installation) -> AbstractAsyncContextManager[Any]:
        """The tenant, opened for questions: Coupa's client, QAD's port."""
        return SYSTEMS[self.system].port(installation, self)


@dataclass(frozen=True, slots=True)
class System:
    """The kinds of login of a system, its settings with those that a block alone is tried with, and what to ask it."""

    logins: tuple[type[BaseModel], ...]
    tenant: type[BaseModel]
    bare: Mapping[str, Any]
    identity: Callable[[Side], str]
    ping: Callable[[Installation, Side], Awaitable[PingReport]]
    port: Callable[[Installation, Side], AbstractAsyncContextManager[Any]]


def system_of(login: object) -> str:
    """The system that a login belongs to."""
    for name, system in SYSTEMS.items():
        if isinstance(login, system.logins):
            return name
    raise ConfigurationError(f"{type(login).__name__} is a login of no system we know; there are: {', '.join(SYSTEMS)}")


def side(system: str, block: str, login: Any, tenant: object) -> Side:
    """One end of a connection, refused when the block holds another system's login."""
    if system_of(login) != system:
        raise ConfigurationError(f"block {block} holds a login of {system_of(login)}, but {system} is needed here")
    return Side(system, block, login, tenant)


def lone_side(block: str, login: Any, settings: Mapping[str, Any]) -> Side:
    """A block without a connection; what it cannot know has a stand-in, because the tests ask the tenant for names."""
    name = system_of(login)
    system = SYSTEMS[name]
    try:
        tenant = system.tenant.model_validate({**system.bare, **settings.get(name, {})})
    except ValidationError as error:
        raise ConfigurationError(f"settings of {name}: {first_problem(error)}") from None
    return Side(name, block, login, tenant, bare=not settings)


def _coupa_identity(end: Side) -> str:
    return _where(end)[0]


def _qad_identity(end: Side) -> str:
    # One host may carry a test and a live environment under different context roots.
    host, root = _where(end)
    return f"{host}{root} {end.tenant.domain}/{end.tenant.entity}"


def _jira_identity(end: Side) -> str:
    # A classic API token knows the site by its address alone.
    if end.login.cloud_id:
        return str(end.login.cloud_id)
    return urlsplit(check_base_url(end.login.site_url, tenant=end.block, allow_private=end.tenant.allow_private)).netloc


def _where(end: Side) -> tuple[str, str]:
    address = check_base_url(end.login.base_url, tenant=end.block, allow_private=end.tenant.allow_private)
    parts = urlsplit(address)
    return parts.netloc, parts.path


@asynccontextmanager
async def _open_coupa(installation: Installation, end: Side) -> AsyncIterator[CoupaClient]:
    client = coupa_client.open_client(
        end.login,
        end.tenant,
        name=end.block,
        store=end.tokens or installation.vault,
        slot=installation.slot(end.block, end.login),
        clock=installation.store.clock,
    )
    try:
        yield client
    finally:
        await client.http.aclose()


@asynccontextmanager
async def _open_qad(installation: Installation, end: Side) -> AsyncIterator[QadRest]:
    async with qad_client.open_client(
        end.login,
        end.tenant,
        name=end.block,
        store=end.tokens or installation.vault,
        slot=installation.slot(end.block, end.login),
        clock=installation.store.clock,
    ) as client:
        yield QadRest(client)


@asynccontextmanager
async def _open_jira(installation: Installation, end: Side) -> AsyncIterator[JiraClient]:
    async with jira_client.open_client(
        end.login,
        end.tenant,
        name=end.block,
        store=end.tokens or installation.vault,
        slot=installation.slot(end.block, end.login),
        clock=installation.store.clock,
    ) as client:
        yield client


async def _ping_coupa(installation: Installation, end: Side) -> PingReport:
    async with _open_coupa(installation, end) as client:
        return await coupa_validate.ping(client, end.login, bare=end.bare)


async def _ping_qad(installation: Installation, end: Side) -> PingReport:
    async with _open_qad(installation, end) as port:
        return await qad_validate.ping(port.client)


async def _ping_jira(installation: Installation, end: Side) -> PingReport:
    async with _open_jira(installation, end) as client:
        return await jira_validate.ping(client, end.login, bare=end.bare)


async def _check_coupa_qad(coupa: CoupaClient, qad: QadRest, settings: Any) -> Sequence[PingCheck]:
    from ml_connector.pairs.coupa_qad.validate import check_settings

    found: Sequence[PingCheck] = await check_settings(coupa, qad, settings)
    return found


async def _check_qad_jira(qad: QadRest, jira: JiraClient, settings: Any) -> Sequence[PingCheck]:
    from ml_connector.pairs.qad_jira.validate import check_settings

    found: Sequence[PingCheck] = await check_settings(qad, jira, settings)
    return found


SYSTEMS: dict[str, System] = {
    "coupa": System((CoupaCredentialsData,), CoupaTenant, {}, _coupa_identity, _ping_coupa, _open_coupa),
    "qad": System(QAD_LOGINS, QadTenant, {"domain": "", "entity": ""}, _qad_identity, _ping_qad, _open_qad),
    "jira": System(JIRA_LOGINS, JiraTenant, {}, _jira_identity, _ping_jira, _open_jira),
}
# What a pair asks of its own settings, with what both ends have opened: does what they name exist there?
PAIR_CHECKS: dict[str, Callable[[Any, Any, Any], Awaitable[Sequence[PingCheck]]]] = {
    "coupa_qad": _check_coupa_qad,
    "qad_jira": _check_qad_jira,
}
