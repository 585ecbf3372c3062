"""The journal of every call a tenant received, so that a test can count calls and look at their headers."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.kit.clock import Clock

ADMIN_PREFIX = "/_sandbox/"
ENTRY_KEY = "sandbox.journal_entry"
KEPT_ENTRIES = 50_000
_SHOWN = {"accept", "content-type", "content-length", "user-agent", "idempotency-key", "if-match", "host"}
_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization", "x-coupa-api-key"}
_SECRET_QUERY = re.compile(r"(?i)(^|&)([^&=]*(?:password|secret|token|assertion)[^&=]*)=[^&]*")


class Journal:
    """Keeps the newest calls with a running number; secrets never enter it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[dict[str, Any]] = deque(maxlen=KEPT_ENTRIES)
        self._last = 0

    @property
    def last(self) -> int:
        """Running number of the newest call."""
        return self._last

    def open(self, scope: Scope) -> dict[str, Any]:
        """Note a call that has just arrived; its status is filled in when it is answered."""
        self._last += 1
        query = scope.get("query_string", b"").decode("latin-1")
        entry: dict[str, Any] = {
            "n": self._last,
            "time": self._clock.now().isoformat(),
            "method": scope["method"],
            "path": scope["path"],
            "query": _SECRET_QUERY.sub(r"\1\2=***", query),
            "headers": _headers(scope),
            "status": None,
            "fault": None,
            "applied": None,
        }
        self._entries.append(entry)
        return entry

    def since(self, number: int) -> list[dict[str, Any]]:
        """Calls with a running number above the given one, oldest first."""
        return [entry for entry in self._entries if entry["n"] > number]

    def clear(self) -> None:
        """Forget the calls; the running number goes on."""
        self._entries.clear()


def _headers(scope: Scope) -> dict[str, str]:
    shown: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in _SECRET_HEADERS:
            scheme = raw_value.decode("latin-1").split(" ", 1)[0] if name.endswith("authorization") else ""
            shown[name] = f"{scheme} ***".strip()
        elif name in _SHOWN or name.startswith("x-"):
            shown[name] = raw_value.decode("latin-1")
    return shown


class JournalMiddleware:
    """Writes each non-admin call into the journal, with the status its client saw (None = no answer)."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call and note it."""
        if scope["type"] != "http" or scope["path"].startswith(ADMIN_PREFIX):
            await self._app(scope, receive, send)
            return
        entry = self._journal.open(scope)
        scope[ENTRY_KEY] = entry

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        await self._app(scope, receive, noting_send)
