"""Tells Prefect that a direction has news: one event without content per wake, over Prefect's HTTP API.

Nothing is lost when Prefect does not hear it: the flag in the store stays up and is told again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import httpx

from ml_connector.errors import ConfigurationError, TransientError

EVENT = "ml-connector.wake"
TIMEOUT_S = 5.0


class Waker(Protocol):
    """Starts a direction's run, somehow."""

    async def wake(self, connection: str, direction: str) -> None:
        """Say once that a direction has news; TransientError when nobody heard it."""
        ...


class PrefectWaker:
    """Emits the event that the direction's automation waits for."""

    def __init__(self, api_url: str, auth_string: str = "", client: httpx.AsyncClient | None = None) -> None:
        self._url = f"{api_url.rstrip('/')}/events"
        user, _, password = auth_string.partition(":")
        self._auth = httpx.BasicAuth(user, password) if auth_string else httpx.Auth()
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def wake(self, connection: str, direction: str) -> None:
        """Emit one event; TransientError when Prefect is away or refuses it."""
        event = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": EVENT,
            "resource": {
                "prefect.resource.id": resource_id(connection, direction),
                "prefect.resource.name": f"{connection} {direction}",
            },
            "related": [],
            "payload": {},
        }
        try:
            answer = await self._client.post(self._url, json=[event], auth=self._auth)
        except httpx.InvalidURL:
            raise ConfigurationError("the address of Prefect's API is not a valid one; set PREFECT_API_URL") from None
        except httpx.HTTPError as error:
            raise TransientError(f"Prefect cannot be reached: {type(error).__name__}", system="prefect") from None
        if not answer.is_success:
            raise TransientError(f"Prefect answered HTTP {answer.status_code}", system="prefect")

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()


def resource_id(connection: str, direction: str) -> str:
    """What the event is about, and what the direction's automation matches."""
    return f"ml-connector.{connection}.{direction}"
