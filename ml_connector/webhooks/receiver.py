"""Takes one delivery: verify, read, find whom it concerns, keep it, wake them. What is refused leaves no trace."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import text

from ml_connector.domain.deliveries import Event
from ml_connector.errors import ContractError, SignatureError
from ml_connector.store.inbox import BODY, Arrival
from ml_connector.store.ingresses import Ingresses
from ml_connector.sync.run import Store
from ml_connector.webhooks.alarm import Alarm
from ml_connector.webhooks.commits import Commits
from ml_connector.webhooks.directory import Directory, Door
from ml_connector.webhooks.senders import SENDERS
from ml_connector.webhooks.wake import Waker

Answer = Literal["accepted", "duplicate", "ignored"]

# The column takes 120; a drained row known by its body gets its id appended.
_LONGEST_ID = 100


class Receiver:
    """The receiver of one installation, without any HTTP around it."""

    def __init__(self, store: Store, waker: Waker) -> None:
        self._store = store
        self._directory = Directory(Ingresses(store.db, store.keys, store.audit, store.clock))
        self.alarm = Alarm(store.db, store.clock, waker)
        self._commits = Commits(store.db, store.clock, self.alarm.rouse)

    async def find(self, system: str, name: str) -> Door | None:
        """The door with this address, or None."""
        return await self._directory.find(system, name) if system in SENDERS else None

    def most_bytes(self, door: Door) -> int:
        """How large a delivery may be here; the option `max_bytes` of the ingress changes it."""
        return int(door.ingress.options.get("max_bytes") or SENDERS[door.ingress.system].most_bytes)

    async def accept(self, door: Door, headers: Mapping[str, str], body: bytes) -> Answer:
        """Keep a delivery once for everybody whom it concerns.

        Raises SignatureError for one that is not proven or another tenant's, ContractError for one that cannot be
        understood or is a late repeat, TransientError when it cannot be kept now.
        """
        now = self._store.clock.now()
        door = await self._verified(door, headers, body, now)
        event = self._read(door, headers, body, now)
        if event.topic not in SENDERS[door.ingress.system].topics or not event.object_id:
            return "ignored"
        rows = _rows(door, event, body, now)
        if not rows:
            # The webhook may have been registered a moment ago.
            again = await self._directory.find_now(door.ingress.system, door.ingress.name)
            rows = _rows(again, event, body, now) if again else []
        if not rows:
            return "ignored"
        return "accepted" if await self._commits.put(rows) else "duplicate"

    async def healthy(self) -> bool:
        """Whether the store can be reached."""
        try:
            async with self._store.db.read() as tx:
                await tx.execute(text("SELECT 1"))
        except Exception:
            return False
        return True

    async def close(self) -> None:
        """Finish what was taken and drop what only had to be told."""
        await self._commits.settled()
        await self.alarm.close()

    async def _verified(self, door: Door, headers: Mapping[str, str], body: bytes, now: datetime) -> Door:
        """The door whose secret fits: the remembered one, else the one of this moment."""
        try:
            return _verify(door, headers, body, now)
        except SignatureError:
            again = await self._directory.find_now(door.ingress.system, door.ingress.name)
            if again is None or again.ingress == door.ingress:
                raise
        return _verify(again, headers, body, now)

    def _read(self, door: Door, headers: Mapping[str, str], body: bytes, now: datetime) -> Event:
        sender, ingress = SENDERS[door.ingress.system], door.ingress
        event = sender.read(body, headers, options=ingress.options)
        mine = str(ingress.options.get("site") or "").lower()
        if ingress.kind != "dynamic" and mine and event.site and event.site != mine:
            raise SignatureError("the delivery is another tenant's", system=ingress.system, operation="route webhook")
        if sender.most_age and event.sent_at and abs(now - event.sent_at) > sender.most_age:
            raise ContractError("timestamp: too far from now", system=ingress.system, operation="read webhook")
        return event


def _verify(door: Door, headers: Mapping[str, str], body: bytes, now: datetime) -> Door:
    ingress = door.ingress
    SENDERS[ingress.system].verify(
        ingress.kind, headers, body, secrets=ingress.secrets, options=ingress.options, now=now
    )
    return door


def _rows(door: Door, event: Event, body: bytes, now: datetime) -> Sequence[Arrival]:
    """One row per direction that the delivery concerns, however many of its webhooks matched."""
    if door.ingress.kind == "dynamic":
        mine = [one for one in door.subscriptions if one.site == event.site and one.webhook in event.webhooks]
    else:
        mine = [one for one in door.subscriptions if not one.site and not one.webhook]
    delivery = _delivery(event, body) if mine else ""
    return [
        Arrival(connection, direction, door.ingress.name, delivery, event.topic, event.object_id, now)
        for connection, direction in sorted({(one.connection, one.direction) for one in mine})
    ]


def _delivery(event: Event, body: bytes) -> str:
    """What a repeat is known by: the sender's id of the delivery, or what is in it."""
    own = event.delivery
    if not own:
        return BODY + hashlib.sha256(body).hexdigest()
    if len(own) > _LONGEST_ID or not own.isprintable() or own.startswith((BODY, "id:")):
        return "id:" + hashlib.sha256(own.encode()).hexdigest()
    return own
