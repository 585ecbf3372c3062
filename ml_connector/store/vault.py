"""The token vault: rotating tokens, encrypted, renewed by one process at a time and stored before anyone uses them.

It also remembers which logins were definitely refused, so that no run tries them again before a person has acted.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import uuid4

import orjson
from sqlalchemy import Row, case, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.clock import Clock
from ml_connector.errors import AuthenticationError, ConfigurationError, TransientError
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import vault

T = TypeVar("T")

# A renewal takes one call to a token endpoint; whoever holds the lease longer than this is taken for dead.
LEASE_S = 60.0
# Longer than the lease, so that the heir of a dead refresher still gets its turn.
WAIT_S = 75.0
POLL_S = (0.1, 0.5)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One refresher's claim on a slot, and the version of the slot that it has read."""

    slot: str
    owner: str
    version: int


class Vault(Generic[T]):
    """Keeps one token per slot; `encode` and `decode` turn it into JSON and back."""

    def __init__(
        self,
        db: Database,
        keys: Keys,
        clock: Clock,
        *,
        encode: Callable[[T], Mapping[str, Any]],
        decode: Callable[[Mapping[str, Any]], T],
    ) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock
        self._encode = encode
        self._decode = decode

    async def load(self, slot: str) -> T | None:
        """The stored token, if there is one."""
        async with self._db.read() as tx:
            row = await _row(tx, slot)
        return self._token(slot, row)

    async def renew(self, slot: str, stale: T | None, mint: Callable[[T | None], Awaitable[T]]) -> T:
        """A token other than `stale`: the one another process has stored meanwhile, else a newly minted one.

        Raises AuthenticationError when the login is or becomes denied, TransientError when no turn came in 75 s.
        """
        owner = uuid4().hex
        give_up = self._clock.monotonic() + WAIT_S
        while True:
            row, mine = await self._try_claim(slot, owner, stale)
            _refuse_denied(slot, row)
            token = self._token(slot, row)
            if mine:
                return await self._mint(_Turn(slot, owner, row.version), token, mint)
            if token is not None and not self._same(token, stale):
                return token
            if self._clock.monotonic() >= give_up:
                raise TransientError(f"the token of {slot} is being renewed elsewhere and did not arrive in time")
            await self._clock.sleep(random.uniform(*POLL_S))

    async def deny(self, slot: str, reason: str) -> None:
        """Note that the system definitely refused this login."""
        now = self._clock.now()
        noted = {"denied_at": now, "denied_reason": reason, "updated_at": now}
        statement = self._db.insert(vault).values(slot=slot, **noted)
        async with self._db.write() as tx:
            await tx.execute(statement.on_conflict_do_update(index_elements=[vault.c.slot], set_=noted))

    async def check_allowed(self, slot: str) -> None:
        """AuthenticationError when the login was refused and nobody has mended it since."""
        async with self._db.read() as tx:
            row = await _row(tx, slot)
        _refuse_denied(slot, row)

    async def forget(self, slot: str) -> None:
        """Drop token and refusal: a person has entered the login anew. A renewal under way will not be stored."""
        # The row stays with a higher version, so that a late refresher cannot mistake it for the one it has read.
        async with self._db.write() as tx:
            await tx.execute(
                update(vault)
                .where(vault.c.slot == slot)
                .values(
                    blob=null(),
                    denied_at=null(),
                    denied_reason=null(),
                    renew_owner=null(),
                    renew_until=null(),
                    version=vault.c.version + 1,
                    updated_at=self._clock.now(),
                )
            )

    async def reseal(self) -> int:
        """Encrypt every stored token with the newest key; returns how many there are."""
        async with self._db.write() as tx:
            rows = (await tx.execute(select(vault).where(vault.c.blob.is_not(None)).with_for_update())).all()
            for row in rows:
                blob = self._keys.ring.encrypt(self._keys.open_token(row.blob))
                await tx.execute(update(vault).where(vault.c.slot == row.slot).values(blob=blob))
        return len(rows)

    async def _try_claim(self, slot: str, owner: str, stale: T | None) -> tuple[Row[Any], bool]:
        """The slot as it is now, and whether the renewal is ours."""
        now = self._clock.now()
        async with self._db.read() as tx:
            row = await _row(tx, slot)
        if row is not None and not self._claimable(slot, row, stale, now):
            return row, False
        async with self._db.write() as tx:
            if row is None:
                first = self._db.insert(vault).values(slot=slot, updated_at=now)
                await tx.execute(first.on_conflict_do_nothing())
            row = (await tx.execute(select(vault).where(vault.c.slot == slot).with_for_update())).one()
            if not self._claimable(slot, row, stale, now):
                return row, False
            until = now + timedelta(seconds=LEASE_S)
            mine = update(vault).where(vault.c.slot == slot).values(renew_owner=owner, renew_until=until)
            await tx.execute(mine)
        return row, True

    def _claimable(self, slot: str, row: Row[Any], stale: T | None, now: datetime) -> bool:
        if row.denied_at is not None or (row.renew_owner is not None and row.renew_until > now):
            return False
        token = self._token(slot, row)
        return token is None or self._same(token, stale)

    async def _mint(self, turn: _Turn, token: T | None, mint: Callable[[T | None], Awaitable[T]]) -> T:
        try:
            fresh = await mint(token)
        except AuthenticationError as refusal:
            return await self._refused(turn, refusal)
        except BaseException:
            async with self._db.write() as tx:
                await _release(tx, turn)
            raise
        return await self._store(turn, fresh)

    async def _store(self, turn: _Turn, fresh: T) -> T:
        """Keep a minted token, even when the lease ran out meanwhile: it may be the only one that still works."""
        ours = vault.c.renew_owner == turn.owner
        statement = (
            update(vault)
            .where(vault.c.slot == turn.slot, vault.c.version == turn.version)
            .values(
                blob=self._keys.ring.encrypt(self._packed(fresh, turn.slot)),
                version=turn.version + 1,
                denied_at=null(),
                denied_reason=null(),
                renew_owner=case((ours, null()), else_=vault.c.renew_owner),
                renew_until=case((ours, null()), else_=vault.c.renew_until),
                updated_at=self._clock.now(),
            )
        )
        async with self._db.write() as tx:
            if (await tx.execute(statement)).rowcount == 1:
                return fresh
            await _release(tx, turn)
            other = self._token(turn.slot, await _row(tx, turn.slot))
        if other is None:
            raise TransientError(f"the login of {turn.slot} was changed while its token was renewed; try again")
        return other

    async def _refused(self, turn: _Turn, refusal: AuthenticationError) -> T:
        """Deny the login while the lease is still held, so that no waiting process tries the same password again."""
        slot = vault.c.slot == turn.slot
        async with self._db.write() as tx:
            row = (await tx.execute(select(vault).where(slot).with_for_update())).one()
            await _release(tx, turn)
            if row.version == turn.version:
                now = self._clock.now()
                noted = {"denied_at": now, "denied_reason": refusal.message, "updated_at": now}
                await tx.execute(update(vault).where(slot).values(noted))
        # A refresher that was taken for dead may have stored its token: the refusal then concerned the old one.
        other = self._token(turn.slot, row) if row.version != turn.version else None
        if other is None:
            raise refusal
        return other

    def _token(self, slot: str, row: Row[Any] | None) -> T | None:
        if row is None or row.blob is None:
            return None
        try:
            content = orjson.loads(self._keys.open_token(row.blob))
        except ConfigurationError as error:
            raise ConfigurationError(
                f"the stored token of {slot} cannot be used: {error.message}, or connect this login again"
            ) from None
        if content["slot"] != slot:
            raise ConfigurationError(f"the stored token of {slot} belongs to another login; connect this login again")
        return self._decode(content["token"])

    def _packed(self, token: T, slot: str = "") -> bytes:
        return orjson.dumps({"slot": slot, "token": dict(self._encode(token))}, option=orjson.OPT_SORT_KEYS)

    def _same(self, token: T, stale: T | None) -> bool:
        return stale is not None and self._packed(token) == self._packed(stale)


async def _row(tx: AsyncConnection, slot: str) -> Row[Any] | None:
    return (await tx.execute(select(vault).where(vault.c.slot == slot))).first()


async def _release(tx: AsyncConnection, turn: _Turn) -> None:
    await tx.execute(
        update(vault)
        .where(vault.c.slot == turn.slot, vault.c.renew_owner == turn.owner)
        .values(renew_owner=null(), renew_until=null())
    )


def _refuse_denied(slot: str, row: Row[Any] | None) -> None:
    if row is not None and row.denied_at is not None:
        raise AuthenticationError(
            f"the login of {slot} was refused on {row.denied_at:%Y-%m-%d %H:%M} UTC ({row.denied_reason}); "
            "it is not tried again before a person has entered a working one"
        )
