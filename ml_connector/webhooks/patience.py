"""Connections that say nothing, or never finish saying what they want, do not keep a place for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Within this time, twice it at most, a connection has come to the end of a request's head, or it is closed.
HEAD_S = 10.0


class PatientProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, which by itself waits without end for the first request and for slow headers."""

    _look_again: asyncio.TimerHandle | None = None
    # The request that was answered last when somebody looked; `self` stands for one that was under way.
    _idle_since: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected: look after them from here on."""
        super().connection_made(transport)
        self._look_again = self.loop.call_later(HEAD_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        if self._look_again is not None:
            self._look_again.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close a connection on which nothing was asked since the last look; an open request has limits of its own."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._idle_since is self.cycle:
            self.transport.close()
            return
        self._idle_since = self.cycle if idle else self
        self._look_again = self.loop.call_later(HEAD_S, self._look)
