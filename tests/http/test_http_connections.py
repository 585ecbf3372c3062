"""Over real sockets: connections are kept, replaced, encrypted, and their end is never mistaken for an answer."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ml_connector.errors import TransientError, UnknownOutcomeError
from ml_connector.http import transport
from ml_connector.http.client import HttpClient
from ml_connector.http.limits import Limits

Head = dict[str, str]
Answer = Callable[[Head, bytes], bytes | None]
LIMITS = Limits(concurrency=4, per_second=1000, timeout_s=5, attempts=1)


def plain(content: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class Server:
    """Answers by a function; None cuts the connection instead."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while line := await reader.readline():
                head = {":path": line.decode().split()[1]}
                while text := (await reader.readline()).decode().strip():
                    name, _, value = text.partition(":")
                    head[name.lower()] = value.strip()
                given = self._answer(head, await reader.readexactly(int(head.get("content-length", "0"))))
                if given is None:
                    return
                writer.write(given)
                await writer.drain()
        finally:
            self.open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        for writer in list(self.open):
            writer.close()


@asynccontextmanager
async def client_of(
    answer: Answer, *, tls: ssl.SSLContext | None = None, limits: Limits = LIMITS
) -> AsyncIterator[tuple[HttpClient, Server]]:
    server = Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    async with HttpClient("acme", "a", f"http{'s' if tls else ''}://127.0.0.1:{port}", limits) as client:
        yield client, server
    listening.close()
    await until(lambda: not server.open)
    await listening.wait_closed()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 - what is waited for happens in the loop itself, and tells nobody
            await asyncio.sleep(0.001)


async def write(client: HttpClient, body: bytes = b"{}") -> httpx.Response:
    return await client.write("POST", "/x", operation="x", external_id="c:x:1", json=body)


async def read(client: HttpClient) -> httpx.Response:
    return await client.read("GET", "/x", operation="x")


async def test_calls_one_after_another_share_a_connection() -> None:
    async with client_of(lambda head, body: plain(body)) as (client, server):
        for number in range(20):
            assert (await write(client, b"%d" % number)).content == b"%d" % number
    assert server.connections == 1


async def test_calls_side_by_side_have_a_connection_each() -> None:
    async with client_of(lambda head, body: plain(body)) as (client, server):
        answers = await asyncio.gather(*(write(client, b"%d" % number) for number in range(40)))
    assert [int(one.content) for one in answers] == list(range(40))
    assert server.connections == LIMITS.concurrency


async def test_large_bodies_arrive_whole_both_ways() -> None:
    sent = bytes(range(256)) * 16_384
    async with client_of(lambda head, body: plain(body)) as (client, _):
        assert (await write(client, sent)).content == sent


async def test_an_idle_connection_that_ended_is_replaced_before_a_write() -> None:
    async with client_of(lambda head, body: plain(b"{}")) as (client, server):
        await write(client)
        server.hang_up()
        await until(lambda: not server.open)
        await asyncio.sleep(0.01)
        assert (await write(client)).status_code == 200
    assert server.connections == 2


async def test_a_connection_cut_before_the_answer_leaves_a_write_in_doubt() -> None:
    async with client_of(lambda head, body: None) as (client, _):
        with pytest.raises(UnknownOutcomeError):
            await write(client)


async def test_a_connection_cut_within_the_answer_leaves_a_write_in_doubt() -> None:
    cut = plain(b"{}").replace(b"Content-Length: 2", b"Content-Length: 9")

    def answer(head: Head, body: bytes) -> bytes | None:
        server.hang_up_soon()
        return cut

    class Cutting(Server):
        def hang_up_soon(self) -> None:
            asyncio.get_running_loop().call_later(0.02, self.hang_up)

    server = Cutting(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with HttpClient("acme", "a", f"http://127.0.0.1:{port}", LIMITS) as client:
        with pytest.raises(UnknownOutcomeError, match="RemoteProtocolError"):
            await write(client)
    listening.close()
    await until(lambda: not server.open)
    await listening.wait_closed()


async def test_nobody_who_listens_means_that_nothing_was_sent() -> None:
    listening = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    async with HttpClient("acme", "a", f"http://127.0.0.1:{port}", LIMITS) as client:
        with pytest.raises(TransientError, match="not sent: ConnectError"):
            await write(client)


async def test_packed_answers_are_unpacked() -> None:
    packed = plain(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")
    async with client_of(lambda head, body: packed) as (client, _):
        assert (await read(client)).json() == {"a": 1}


async def test_cookies_go_back_where_they_came_from() -> None:
    seen: list[str] = []

    def answer(head: Head, body: bytes) -> bytes:
        seen.append(head.get("cookie", ""))
        return plain(b"{}", "Set-Cookie: JSESSIONID=abc; Path=/")

    async with client_of(answer) as (client, _):
        await read(client)
        await read(client)
    assert seen == ["", "JSESSIONID=abc"]


async def test_an_encrypted_connection_needs_a_certificate_that_we_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_side, certificate = _certificate(tmp_path, "127.0.0.1")
    async with client_of(lambda head, body: plain(body), tls=server_side) as (client, _):
        with pytest.raises(TransientError, match="not sent: ConnectError"):
            await write(client)
    monkeypatch.setattr(transport, "_tls", lambda: ssl.create_default_context(cafile=certificate))
    sent = bytes(range(256)) * 4_096
    async with client_of(lambda head, body: plain(body), tls=server_side) as (client, server):
        assert (await write(client, sent)).content == sent
        assert (await write(client)).status_code == 200
        assert server.connections == 1


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server_side, certificate = _certificate(tmp_path, "127.0.0.2")
    monkeypatch.setattr(transport, "_tls", lambda: ssl.create_default_context(cafile=certificate))
    async with client_of(lambda head, body: plain(body), tls=server_side) as (client, _):
        with pytest.raises(TransientError, match="not sent: ConnectError"):
            await write(client)


def _certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path
