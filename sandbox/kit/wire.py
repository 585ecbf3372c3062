"""The server's side of a TCP connection, reachable for faults: lets a rule reset or cut a live connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

Ends = tuple[Any, Any]
_open: dict[Ends, asyncio.Transport] = {}


class ResettableProtocol(H11Protocol):
    """HTTP/1.1 that registers its connection by both ends, so that a fault can find it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the new connection."""
        super().connection_made(transport)
        _open[(self.client, self.server)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection that has ended."""
        _open.pop((self.client, self.server), None)
        super().connection_lost(exc)


def connection_of(scope: Scope) -> asyncio.Transport | None:
    """The live connection a call came in on; None when the app is called in process."""
    client, server = scope.get("client"), scope.get("server")
    return _open.get((tuple(client) if client else None, tuple(server) if server else None))


def reset(transport: asyncio.Transport) -> None:
    """End the connection with a TCP reset, dropping whatever was not sent yet."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Linger of zero seconds: the kernel sends RST instead of an orderly FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
