"""Which Prefect server a command talks to: the one the environment names, else the one that runs from this home."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import httpx

from deployments.home import Home, client_environment
from ml_connector.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

_ADDRESS = "server-address"


@contextmanager
def announced(home: Home) -> Iterator[None]:
    """Take the address of the home's server back at the end of the block, however it ends."""
    try:
        yield
    finally:
        (home.root / _ADDRESS).unlink(missing_ok=True)


def announce(home: Home, api_url: str) -> None:
    """Leave the address of the server that runs from this home, for commands in other terminals."""
    (home.root / _ADDRESS).write_text(api_url + "\n", encoding="utf-8")


def announced_address(home: Home) -> str:
    """The address of the server that runs from this home; empty when none does."""
    address = home.root / _ADDRESS
    return address.read_text(encoding="utf-8").strip() if address.exists() else ""


def address() -> str:
    """The address of the server that was settled on."""
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value()).rstrip("/")


def use(environment: Mapping[str, str]) -> None:
    """Talk to the server that these settings name, also when Prefect has been imported before."""
    os.environ.update(environment)
    _quiet()
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()


def find(home: Home) -> None:
    """Settle on a server: `PREFECT_API_URL`, the one announced in the home, or that of the Prefect profile."""
    _quiet()
    if os.environ.get("PREFECT_API_URL"):
        return
    if own := announced_address(home):
        use(client_environment(home, own))
        return
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise ConfigurationError(
            f"no Prefect server runs from {home.root} and PREFECT_API_URL is not set; "
            "start one with `ml-connector up`, or name yours (and PREFECT_API_AUTH_STRING, its login)"
        )


def endpoint(home: Home) -> tuple[str, str]:
    """Address and login of the server, for whoever talks to it without Prefect's client."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url.rstrip("/"), os.environ.get("PREFECT_API_AUTH_STRING", "")
    if own := announced_address(home):
        return own, home.login.auth_string
    find(home)
    from prefect.settings import PREFECT_API_AUTH_STRING

    login = PREFECT_API_AUTH_STRING.value()
    return address(), login.get_secret_value() if login else ""


def _quiet() -> None:
    """A command's own words are its output; what Prefect notes about itself belongs into the logs of its processes."""
    os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
    for name in ("prefect", "EventsWorker", "APILogWorker"):
        logging.getLogger(name).setLevel(logging.ERROR)


@asynccontextmanager
async def api() -> AsyncIterator[PrefectClient]:
    """A client of the chosen server; what the server or the way to it refuses is one line."""
    from prefect.client.orchestration import get_client

    with told():
        async with get_client() as client:
            yield client


@contextmanager
def told() -> Iterator[None]:
    """Turn what went wrong between us and the Prefect server into one line with a remedy."""
    from prefect.settings import PREFECT_API_URL

    where = f"the Prefect server at {PREFECT_API_URL.value()}"
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status == httpx.codes.UNAUTHORIZED:
            remedy = "set PREFECT_API_AUTH_STRING to user:password"
            raise ConfigurationError(f"{where} refuses the login; {remedy}") from None
        raise TransientError(f"{where} answered HTTP {status} to {error.request.url.path}") from None
    except (httpx.TransportError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "Failed to reach API" not in str(error):
            raise
        raise TransientError(f"{where} does not answer; is it running, and is PREFECT_API_URL right?") from None
