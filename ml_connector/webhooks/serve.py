"""Runs the receiver as a process of its own, until it is asked to end; deliveries that it has begun are finished."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from ml_connector.errors import ConfigurationError
from ml_connector.http.urls import LOOPBACK_HOSTS
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from ml_connector.webhooks.app import build
from ml_connector.webhooks.patience import PatientProtocol
from ml_connector.webhooks.receiver import Receiver
from ml_connector.webhooks.wake import Waker

HOST = "127.0.0.1"
PORT = 8780
# Seconds that open requests get to finish when the receiver ends.
GRACE_S = 10
# More connections than this at once are answered 503 before they are read.
_MOST_AT_ONCE = 500
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


async def serve(
    settings: Settings | None,
    host: str,
    port: int,
    waker: Waker,
    *,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Receive until SIGTERM or SIGINT; port 0 takes a free one, and `ready` learns the address.

    ConfigurationError when the address is not ours to listen on.
    """
    if host not in LOOPBACK_HOSTS:
        _log.warning("the webhook receiver listens on %s without TLS; let a proxy stand before it", host)
    with contextlib.closing(_listen(host, port)) as listener:
        async with Installation.open(settings) as installation:
            server = _Server(_config(Receiver(installation.store, waker)), ready or _announce)
            await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Says where it listens, and ends without passing the signal on: the store is closed after it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and sockets:
            self._ready(_url(sockets[0]))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        # Asked a second time, it does not wait for open requests.
        self.force_exit = self.should_exit
        self.should_exit = True


def _config(receiver: Receiver) -> uvicorn.Config:
    return uvicorn.Config(
        build(receiver),
        http=PatientProtocol,
        lifespan="on",
        ws="none",
        # An access log would show tokens of careless senders in its addresses.
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=GRACE_S,
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Named as TCP, or else asyncio leaves Nagle on and answers wait for a delayed acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigurationError(f"{host} is not an address of this machine: {error.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        problem = f"the webhook receiver cannot listen on {host}:{port}: {error.strerror}; choose another port"
        raise ConfigurationError(problem) from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(url: str) -> None:
    _log.info("the webhook receiver listens on %s", url)
