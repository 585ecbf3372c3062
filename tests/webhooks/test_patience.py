"""Connections that keep a place without asking for anything are closed; requests under way are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from ml_connector.webhooks import patience
from ml_connector.webhooks.patience import PatientProtocol

HEAD_S = 0.2
ASKED = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n"


async def _answers_late(scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.sleep(3 * HEAD_S if scope["path"] == "/late" else 0)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(patience, "HEAD_S", HEAD_S)
    config = uvicorn.Config(_answers_late, http=PatientProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: PatientProtocol(config, state, {}), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def _ended(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes."""
    try:
        return await asyncio.wait_for(reader.read(), 20 * HEAD_S)
    except ConnectionResetError:
        return b""


async def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await _ended(reader) == b""
    writer.close()


async def test_a_head_that_never_ends_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nX-Long: ")

    async def drip() -> None:
        while not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(HEAD_S / 10)

    dripping = asyncio.create_task(drip())
    assert await _ended(reader) == b""
    dripping.cancel()
    writer.close()


async def test_a_connection_that_asks_for_nothing_more_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASKED)
    assert (await _ended(reader)).startswith(b"HTTP/1.1 204")
    writer.close()


async def test_a_request_under_way_is_answered_however_long_it_takes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASKED.replace(b"POST / ", b"POST /late "))
    assert (await _ended(reader)).startswith(b"HTTP/1.1 204")
    writer.close()


async def test_a_connection_that_goes_on_asking_stays(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(12):
        writer.write(ASKED)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        await asyncio.sleep(HEAD_S / 4)
    writer.close()
