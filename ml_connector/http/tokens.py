"""Access tokens: kept in one place per credential, renewed by one refresher at a time, used by every request."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import httpx

from ml_connector.clock import Clock
from ml_connector.errors import AuthenticationError

YOUNG_TOKEN_PAUSE_S = 5.0
# How long a request may rely on this process's copy of token and permission before the store is asked again.
COPY_LIFE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One access token with its life; the secret parts are left out of its repr."""

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    minted_at: datetime
    expires_at: datetime
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


Mint = Callable[[Token | None], Awaitable[Token]]


class TokenStore(Protocol):
    """Where tokens live between calls and processes; a slot is one credential."""

    async def load(self, slot: str) -> Token | None:
        """The stored token, fresh or not."""
        ...

    async def renew(self, slot: str, stale: Token | None, mint: Mint) -> Token:
        """A token other than `stale`: the stored one if somebody renewed it, else a minted one, stored before used.

        An AuthenticationError of `mint` denies the slot while the turn is still held: nobody who waits tries again.
        """
        ...

    async def deny(self, slot: str, reason: str) -> None:
        """Note a definite refusal: nobody logs in with this credential before a person has mended it."""
        ...

    async def check_allowed(self, slot: str) -> None:
        """Raise AuthenticationError when the credential was denied."""
        ...


class MemoryTokenStore:
    """A token store of one process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._denied: dict[str, str] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def load(self, slot: str) -> Token | None:
        """The stored token, fresh or not."""
        return self._tokens.get(slot)

    async def renew(self, slot: str, stale: Token | None, mint: Mint) -> Token:
        """A token other than `stale`, minted by one caller while the others wait for it."""
        async with self._turns[slot]:
            current = self._tokens.get(slot)
            if current is not None and current != stale:
                return current
            await self.check_allowed(slot)
            try:
                token = await mint(current)
            except AuthenticationError as error:
                await self.deny(slot, error.message)
                raise
            self._tokens[slot] = token
            return token

    async def deny(self, slot: str, reason: str) -> None:
        """Note a definite refusal."""
        self._denied[slot] = reason

    async def check_allowed(self, slot: str) -> None:
        """Raise AuthenticationError when the credential was denied."""
        if reason := self._denied.get(slot):
            raise AuthenticationError(reason)


class TokenAuth(httpx.Auth):
    """Sends the token of a slot; on 401 it renews once, or first waits when the token is too young to be accepted.

    `young_retry_s` is the age in seconds below which a 401 may only mean "not active yet". The last 401 goes to
    the caller, who decides what it means.
    """

    def __init__(
        self,
        store: TokenStore,
        slot: str,
        *,
        mint: Mint,
        clock: Clock,
        fresh_for: Callable[[Token, datetime], bool],
        header: str = "Authorization",
        prefix: str = "Bearer ",
        young_retry_s: float = 0,
    ) -> None:
        self._store = store
        self._slot = slot
        self._mint = mint
        self._clock = clock
        self._fresh_for = fresh_for
        self._header = header
        self._prefix = prefix
        self._young_retry_s = young_retry_s
        self._copy: Token | None = None
        self._copied_at = 0.0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refused: the engine is asynchronous throughout."""
        raise RuntimeError("TokenAuth works with httpx.AsyncClient only")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with the current token; at most one wait for a young token and one renewal."""
        token = await self._current()
        renewed = waited = False
        while True:
            request.headers[self._header] = self._prefix + token.access
            response = yield request
            if response.status_code != 401 or waited:
                return
            if self._young(token):
                waited = True
                await self._clock.sleep(YOUNG_TOKEN_PAUSE_S)
            elif renewed:
                return
            else:
                renewed = True
                token = await self._renew(token)

    async def logged_in(self) -> bool:
        """Whether a login that worked is still good, without asking anybody; AuthenticationError when it is denied."""
        await self._store.check_allowed(self._slot)
        token = await self._store.load(self._slot)
        return token is not None and self._fresh_for(token, self._clock.now())

    async def _current(self) -> Token:
        copy, now = self._copy, self._clock.now()
        recent = self._clock.monotonic() - self._copied_at < COPY_LIFE_S
        if copy is not None and recent and self._fresh_for(copy, now):
            return copy
        await self._store.check_allowed(self._slot)
        token = await self._store.load(self._slot)
        if token is not None and self._fresh_for(token, now):
            return self._copied(token)
        return await self._renew(token)

    async def _renew(self, stale: Token | None) -> Token:
        self._copy = None
        return self._copied(await self._store.renew(self._slot, stale, self._mint))

    def _copied(self, token: Token) -> Token:
        self._copy, self._copied_at = token, self._clock.monotonic()
        return token

    def _young(self, token: Token) -> bool:
        age = (self._clock.now() - token.minted_at).total_seconds()
        return age < self._young_retry_s
