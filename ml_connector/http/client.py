"""One HTTP client per tenant: reads are retried, writes only when they provably did nothing, all else is doubt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ml_connector.clock import Clock, SystemClock
from ml_connector.errors import (
    ConnectorError,
    ContractError,
    RateLimitedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.http.budget import Budget, Unlimited
from ml_connector.http.json import dumps
from ml_connector.http.limits import Limits
from ml_connector.http.redact import quieten_transport_logs, redact
from ml_connector.http.retry import retried, retry_after
from ml_connector.http.tokens import TokenAuth
from ml_connector.http.transport import Connections, Gate
from ml_connector.http.urls import join

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Failure = TypeVar("Failure", bound=ConnectorError)
Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


def default_user_agent() -> str:
    """Product name and version."""
    try:
        return f"ml-connector/{metadata.version('ml-connector')}"
    except metadata.PackageNotFoundError:
        return "ml-connector"


class HttpClient:
    """Talks to one tenant of one system; create it once and keep it."""

    def __init__(
        self,
        system: str,
        tenant: str,
        base_url: str,
        limits: Limits,
        *,
        auth: httpx.Auth | None = None,
        budget: Budget | None = None,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
        user_agent: str | None = None,
        deadline: Callable[[], float] | None = None,
    ) -> None:
        quieten_transport_logs()
        self.system = system
        self.tenant = tenant
        self.base_url = base_url.rstrip("/")
        self.limits = limits
        self.clock = clock or SystemClock()
        self.ignored_fields: Counter[str] = Counter()
        self._auth = auth
        self._deadline = deadline
        self._turn = asyncio.Semaphore(limits.concurrency)
        inner = transport or Connections(limits.concurrency)
        self._gate = Gate(inner, budget or Unlimited(), self.clock, limits)
        self._http = httpx.AsyncClient(
            transport=self._gate,
            headers={"User-Agent": user_agent or default_user_agent(), **(headers or {})},
            timeout=_timeouts(limits),
            follow_redirects=False,
        )

    @property
    def calls(self) -> int:
        """Requests sent so far, logins included."""
        return self._gate.calls

    async def logged_in(self) -> bool:
        """Whether the tenant has accepted our login and it is still good; AuthenticationError when it is denied."""
        return isinstance(self._auth, TokenAuth) and await self._auth.logged_in()

    def use_auth(self, auth: httpx.Auth) -> None:
        """Set the login, for logins that send their own requests through this client."""
        self._auth = auth

    def note_ignored(self, name: str) -> None:
        """Count an answer member that no model reads, named `Model.member`."""
        self.ignored_fields[name] += 1

    async def read(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        params: Params | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        external_id: str = "",
    ) -> httpx.Response:
        """Ask; retried on transport trouble, 429, 500 and 502-504, then TransientError or RateLimitedError.

        Any other status below 500 is returned for the system to judge, except redirects (ContractError). `json` is for
        questions that a system wants by POST although they change nothing.
        """
        about = _About(self.system, operation, external_id)
        body = None if json is None else dumps(json)

        async def attempt() -> httpx.Response:
            request = self._request(method, path, params=params, headers=headers, body=body)
            try:
                response = await self._send(request)
            except httpx.HTTPError as error:
                raise about.error(TransientError, f"no answer: {_told(error)}") from error
            if response.status_code == 429 or response.status_code in (500, 502, 503, 504):
                raise self._unavailable(response, about)
            return response

        response = await retried(attempt, self.limits, self.clock)
        if response.status_code >= 500:
            raise about.error(TransientError, f"HTTP {response.status_code}")
        return _no_redirect(response, about)

    async def write(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        external_id: str,
        params: Params | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Change something; retried only while nothing can have happened (no connection, 429).

        A lost or unreadable reply and any 5xx is UnknownOutcomeError at once. With a deadline no attempt begins
        later than one attempt's time before it: LeaseLostError, and nothing was sent. Statuses below 500 are
        returned for the system to judge, except redirects (ContractError). `json` is bytes or a JSON-like object.
        """
        about = _About(self.system, operation, external_id)
        body = None if json is None else json if isinstance(json, bytes) else dumps(json)

        async def attempt() -> httpx.Response:
            request = self._request(method, path, params=params, headers=headers, body=body)
            if self._deadline is not None:
                request.extensions["latest_start"] = self._deadline() - self.limits.timeout_s
            try:
                response = await self._send(request)
            except _NEVER_SENT as error:
                raise about.error(TransientError, f"not sent: {_told(error)}") from error
            except httpx.HTTPError as error:
                raise about.error(UnknownOutcomeError, f"the reply was lost: {_told(error)}") from error
            if response.status_code == 429:
                raise self._unavailable(response, about)
            return response

        response = await retried(attempt, self.limits, self.clock)
        if response.status_code >= 500:
            raise about.error(UnknownOutcomeError, f"HTTP {response.status_code}")
        return _no_redirect(response, about)

    async def send_raw(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        auth: httpx.Auth | None = None,
    ) -> httpx.Response:
        """One attempt without the tenant's login, for logins themselves; no answer or a 429 is a TransientError.

        Every other status is returned, except redirects (ContractError). It takes no turn among the client's
        concurrent calls, because the call that needs the login already holds one.
        """
        about = _About(self.system, operation, "")
        body = None if json is None else json if isinstance(json, bytes) else dumps(json)
        request = self._request(method, path, params=params, headers=headers, body=body, form=form)
        try:
            response = await self._http.send(request, auth=auth)
        except httpx.HTTPError as error:
            raise about.error(TransientError, f"no answer: {_told(error)}") from error
        if response.status_code == 429:
            raise self._unavailable(response, about)
        return _no_redirect(response, about)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        async with self._turn:
            return await self._http.send(request, auth=self._auth)

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Request:
        sent = dict(headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        pairs = list(params.items() if isinstance(params, Mapping) else params or ())
        # One address in one go: httpx would take it apart once more for the parameters.
        url = httpx.URL(join(self.base_url, path) + (f"?{httpx.QueryParams(pairs)}" if pairs else ""))
        return self._http.build_request(method, url, headers=sent, content=body, data=form)

    def _unavailable(self, response: httpx.Response, about: _About) -> TransientError:
        pause = retry_after(response, self.clock.now())
        if response.status_code == 429 or pause is not None:
            text = f"HTTP {response.status_code}: the system asks for a pause"
            return RateLimitedError(
                text, retry_after=pause, system=about.system, operation=about.operation, external_id=about.external_id
            )
        return about.error(TransientError, f"HTTP {response.status_code}")


class _About:
    """What an error says about the call it belongs to."""

    __slots__ = ("external_id", "operation", "system")

    def __init__(self, system: str, operation: str, external_id: str) -> None:
        self.system = system
        self.operation = operation
        self.external_id = external_id

    def error(self, kind: type[Failure], message: str) -> Failure:
        return kind(message, system=self.system, operation=self.operation, external_id=self.external_id)


def _timeouts(limits: Limits) -> httpx.Timeout:
    # Waiting for a connection ends before the attempt does, so it is never mistaken for a lost reply.
    connect = min(limits.connect_timeout_s, limits.timeout_s * 0.4)
    return httpx.Timeout(limits.timeout_s, connect=connect, pool=limits.timeout_s * 0.4)


def _no_redirect(response: httpx.Response, about: _About) -> httpx.Response:
    # A tenant's host must not send our credentials elsewhere.
    if 300 <= response.status_code < 400:
        raise about.error(ContractError, f"HTTP {response.status_code}: redirects are not followed")
    return response


def _told(error: httpx.HTTPError) -> str:
    text = redact(str(error))
    return f"{type(error).__name__} {text}".strip()
