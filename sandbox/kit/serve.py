"""Runs a tenant's application over real HTTP on loopback, by itself or for the length of a test."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from starlette.applications import Starlette

from sandbox.kit.wire import ResettableProtocol


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    addresses = {item[4][0] for item in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    if not all(ipaddress.ip_address(str(address).split("%")[0]).is_loopback for address in addresses):
        raise ValueError(f"a sandbox listens on loopback only, not on {host}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or else asyncio leaves Nagle on and every answer waits 40 ms for a delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _server(app: Starlette, on_ready: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        app,
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,  # seconds; a hung call must not keep the process alive
    )
    return _Server(config, on_ready)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT; prints one JSON line when ready; raises ValueError for a host beyond loopback."""
    listener = _listen(host, port)
    line = json.dumps({"sandbox": app.state.tenant.name, "url": _url(listener)})

    def announce() -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    asyncio.run(_serve_until_signal(_server(app, announce), listener))


async def _serve_until_signal(server: _Server, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, server)
    await server.serve(sockets=[listener])


def _stop(server: _Server) -> None:
    server.should_exit = True


@contextlib.asynccontextmanager
async def running(app: Starlette, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve the application in this event loop for the length of the block; gives its base URL."""
    listener = _listen(host, 0)
    ready = asyncio.Event()
    server = _server(app, ready.set)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.is_set():
            raise RuntimeError("the sandbox did not start")
        yield _url(listener)
    finally:
        waiting.cancel()
        _stop(server)
        await task
        listener.close()
