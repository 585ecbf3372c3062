"""The receiver over HTTP: `POST /webhooks/{system}/{ingress}` and `GET /health`. Answers say nothing but a word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ml_connector.errors import ContractError, SignatureError, TransientError
from ml_connector.webhooks.receiver import Receiver

# A sender that takes longer to say what it has to say is not worth a place.
READ_S = 30.0

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """The body is larger than this ingress takes."""


class _UnfinishedError(Exception):
    """The body did not come to its end."""


def build(receiver: Receiver) -> Starlette:
    """The ASGI application; while its lifespan lasts it also repeats wakes that nobody has answered."""

    async def deliver(request: Request) -> Response:
        return await _guarded(receiver, request)

    async def health(_request: Request) -> Response:
        return _say(200, "ok") if await receiver.healthy() else _say(503, "unavailable")

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(receiver.alarm.keep())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await receiver.close()

    routes = [
        Route("/webhooks/{system}/{ingress}", deliver, methods=["POST"]),
        Route("/health", health, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused}, lifespan=lifespan)


async def _guarded(receiver: Receiver, request: Request) -> Response:
    """Every delivery gets an answer: what goes wrong here is ours, so that the sender comes again."""
    try:
        return await _deliver(receiver, request)
    except SignatureError:
        return _say(401, "unauthorized")
    except ContractError:
        return _say(400, "malformed")
    except TransientError:
        return _say(503, "unavailable")
    except _TooLargeError:
        return _say(413, "too_large")
    except (TimeoutError, ClientDisconnect, _UnfinishedError):
        return _say(408, "unfinished")
    except Exception as error:
        # Its text may quote what was delivered.
        _log.error("a delivery could not be taken: %s", type(error).__name__)
        return _say(503, "unavailable")


async def _deliver(receiver: Receiver, request: Request) -> Response:
    door = await receiver.find(request.path_params["system"], request.path_params["ingress"])
    if door is None:
        return _say(404, "unknown")
    async with asyncio.timeout(READ_S):
        body = await _body(request, receiver.most_bytes(door))
    return _say(202, await receiver.accept(door, request.headers, body))


async def _body(request: Request, most: int) -> bytes:
    """The raw body, never more of it than is allowed."""
    announced = request.headers.get("content-length", "")
    if announced and not (announced.isascii() and announced.isdecimal()):
        raise ContractError("Content-Length: no number")
    # Compared by its length first: Python takes its time with a number of a million digits.
    if len(announced) > 18 or (announced and int(announced) > most):
        raise _TooLargeError
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _TooLargeError
        parts.append(part)
    if announced and size < int(announced):
        raise _UnfinishedError
    return b"".join(parts)


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 503
    words = {404: "unknown", 405: "not_allowed"}
    return _say(status, words.get(status, "refused"), error.headers if isinstance(error, HTTPException) else None)


def _say(status: int, word: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"status": word}, status_code=status, headers=headers)
