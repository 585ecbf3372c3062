"""What connecting a login of Jira finds out by itself: consent, the site among several, and its cloud id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployments.asking import choose
from deployments.consent import Dance, ask_for_consent
from ml_connector.errors import AuthenticationError, ConfigurationError, PermissionDeniedError, TransientError
from ml_connector.http.tokens import MemoryTokenStore, Mint, Token, TokenStore
from ml_connector.store.vault import Vault
from ml_connector.systems.jira.client import open_client
from ml_connector.systems.jira.config import JiraApiTokenLogin, JiraOAuthLogin, JiraServiceAccountLogin, JiraTenant
from ml_connector.systems.jira.consent import sites_of
from ml_connector.systems.jira.models import Site
from ml_connector.systems.jira.sites import chosen_site, cloud_id_at

JIRA = "jira"
# The kind of block whose login rests on a consent.
CONSENTED = "jira-oauth-credentials"
_TRIES = 5
_SLOT = "trial"


@dataclass(frozen=True, slots=True)
class Completed:
    """A block with everything that was found out, and the token of a consent, if one was given."""

    block: Any
    token: Token | None = None


async def complete(block: Any, *, site: str, dance: Dance) -> Completed:
    """Fill in what a person need not type; ConfigurationError or AuthenticationError when the login cannot be used."""
    login = block.login()
    if isinstance(login, JiraOAuthLogin):
        token = await ask_for_consent(login, dance)
        found = _choose(await sites_of(login, token), site or login.site_url)
        return Completed(_with(block, found.url, found.cloud_id), token)
    if login.cloud_id:
        return Completed(block)
    if isinstance(login, JiraServiceAccountLogin):
        return Completed(_with(block, login.site_url, await _cloud_id(login)))
    return Completed(_with(block, login.site_url, await _cloud_id_if_scoped(login)))


async def on_trial(slot: str, token: Token) -> TokenStore:
    """A store for the time in which nobody knows whether the login is worth keeping."""
    store = MemoryTokenStore()
    await store.renew(slot, None, _as_it_is(token))
    return store


async def keep_consent(vault: Vault[Token], slot: str, token: Token) -> None:
    """Put the first token of a consent into the vault, in place of what was there; a refusal is forgotten."""
    for _attempt in range(_TRIES):
        # A run that tries the former consent at this moment may be refused once more, and its note must not stay.
        await vault.forget(slot)
        try:
            if (await vault.renew(slot, None, _as_it_is(token))) == token:
                return
        except AuthenticationError:
            continue
    raise ConfigurationError("the consent could not be kept, because the login is in use; connect it again")


def _as_it_is(token: Token) -> Mint:
    async def mint(_current: Token | None) -> Token:
        return token

    return mint


def _choose(sites: tuple[Site, ...], wanted: str) -> Site:
    """The site that was named, the only one, or the one that a person chooses."""
    if wanted or len(sites) < 2:
        return chosen_site(sites, wanted)
    return chosen_site(sites, choose("Jira site", [one.url for one in sites], "--site"))


async def _cloud_id(login: JiraServiceAccountLogin) -> str:
    """The cloud id of the account's site: from the sites it reaches, else from the site itself."""
    try:
        async with _client(login) as client:
            return chosen_site(await client.sites(), login.site_url).cloud_id
    except PermissionDeniedError:
        return await cloud_id_at(login.site_url)


async def _cloud_id_if_scoped(login: JiraApiTokenLogin) -> str:
    """Empty for a classic token; a token with scopes is refused by the site itself and works at the gateway alone."""
    try:
        async with _client(login) as client:
            await client.myself()
            return ""
    except AuthenticationError:
        found = await cloud_id_at(login.site_url)
        try:
            async with _client(login.model_copy(update={"cloud_id": found})) as client:
                await client.myself()
                return found
        except AuthenticationError:
            problem = "neither as a classic token nor as one with scopes"
        except TransientError as silent:
            problem = f"and {login.api_url} cannot be asked whether it is one with scopes ({silent.message})"
        raise AuthenticationError(f"{login.site_url} does not take this address and token, {problem}") from None


def _client(login: Any) -> Any:
    return open_client(login, JiraTenant(), name=login.site_url, store=MemoryTokenStore(), slot=_SLOT)


def _with(block: Any, site_url: str, cloud_id: str) -> Any:
    return block.model_copy(update={"site_url": site_url, "cloud_id": cloud_id})
