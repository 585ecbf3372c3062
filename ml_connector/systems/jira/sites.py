"""Which Jira sites a login reaches, and which cloud id a site has."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from ml_connector.clock import Clock
from ml_connector.errors import ConfigurationError, ContractError
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.http.urls import check_base_url
from ml_connector.systems.jira.auth import LOGIN_LIMITS
from ml_connector.systems.jira.calls import HEADERS, read_json
from ml_connector.systems.jira.errors import SYSTEM, About, check
from ml_connector.systems.jira.models import Site

SITES_PATH = "/oauth/token/accessible-resources"
ABOUT = About("list sites")


async def read_sites(http: HttpClient, *, auth: httpx.Auth | None = None, access: str = "") -> tuple[Site, ...]:
    """The Jira sites of a login, by its way of logging in or a bare access token; `http` stands at the gateway."""
    headers = {**HEADERS, **({"Authorization": f"Bearer {access}"} if access else {})}
    response = await http.send_raw("GET", SITES_PATH, operation=ABOUT.operation, headers=headers, auth=auth)
    rows = read_json(check(response, ABOUT), ABOUT)
    if not isinstance(rows, list):
        raise ABOUT.error(ContractError, "the answer is not a list")
    found = [Site.parse(row, http, ABOUT.operation) for row in rows]
    # One site comes once per product of Atlassian's; only those with a scope of Jira's are Jira.
    return tuple({one.cloud_id: one for one in found if any("jira" in scope for scope in one.scopes)}.values())


def chosen_site(sites: Sequence[Site], site_url: str = "") -> Site:
    """The site at that address, or the only one; ConfigurationError that lists them when it is not clear which."""
    listed = ", ".join(one.url for one in sites) or "none"
    if not sites:
        raise ConfigurationError("the login reaches no Jira site: consent again and choose a site", system=SYSTEM)
    if site_url:
        hits = [one for one in sites if same_site(one.url, site_url)]
        if not hits:
            raise ConfigurationError(f"the login does not reach {site_url}; it reaches {listed}", system=SYSTEM)
        return hits[0]
    if len(sites) > 1:
        raise ConfigurationError(f"the login reaches several sites, name one of them: {listed}", system=SYSTEM)
    return sites[0]


async def cloud_id_at(
    site_url: str,
    *,
    allow_private: bool = False,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> str:
    """The cloud id that a site tells anybody; ConfigurationError when there is no Jira site at that address."""
    base_url = check_base_url(site_url, tenant=site_url, allow_private=allow_private)
    async with HttpClient(SYSTEM, site_url, base_url, LOGIN_LIMITS, clock=clock, transport=transport) as http:
        response = await http.read("GET", "/_edge/tenant_info", operation="look up cloud id", headers=HEADERS)
        try:
            answer = loads(response.content) if response.status_code == 200 else {}
        except ContractError:
            answer = {}
    found = answer.get("cloudId") if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found:
        raise ConfigurationError(f"there is no Jira site at {base_url}: check the address", system=SYSTEM)
    return found


def same_site(one: str, other: str) -> bool:
    """Whether two addresses name the same site."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    return (parts.hostname or "").lower(), parts.port
