"""The systems that can tell us something, and what the receiver needs to know of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from ml_connector.domain.deliveries import Event
from ml_connector.systems.coupa import webhook as coupa
from ml_connector.systems.jira import webhook as jira


class Verify(Protocol):
    """SignatureError unless one of the secrets signed the delivery."""

    def __call__(
        self,
        kind: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        secrets: Sequence[str],
        options: Mapping[str, Any],
        now: datetime,
    ) -> None: ...


class Read(Protocol):
    """The event of a verified delivery; ContractError when it cannot be understood."""

    def __call__(
        self, body: bytes, headers: Mapping[str, str], *, options: Mapping[str, Any] | None = None
    ) -> Event: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """How a system's deliveries are proven and read; `most_age` is how old an event may be, None: any age."""

    kinds: tuple[str, ...]
    topics: frozenset[str]
    most_bytes: int
    most_age: timedelta | None
    verify: Verify
    read: Read


SENDERS: Mapping[str, Sender] = {
    "coupa": Sender(coupa.KINDS, coupa.TOPICS, coupa.MOST_BYTES, coupa.MOST_AGE, coupa.verify, coupa.read),
    "jira": Sender(jira.KINDS, jira.TOPICS, jira.MOST_BYTES, jira.MOST_AGE, jira.verify, jira.read),
}
