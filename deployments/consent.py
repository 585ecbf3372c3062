"""A person's consent at the browser: the address is shown and opened, the answer comes back to this machine alone.

The browser is sent to a page on the loopback address that lives for this one answer. Whatever reaches that page without
the state that was given out is turned away, and the wait goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import webbrowser
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from deployments.output import say
from deployments.processes import LOOPBACK
from ml_connector.errors import AuthenticationError, ConfigurationError, TransientError
from ml_connector.http.tokens import Token
from ml_connector.systems.jira import consent
from ml_connector.systems.jira.config import JiraOAuthLogin

REDIRECT_PORT = 8787
PATIENCE_S = 300.0
PATH = "/callback"
_REQUEST_S = 10.0
_LONGEST = 16 * 1024
_HEADERS = (
    "Content-Type: text/html; charset=utf-8",
    "Cache-Control: no-store",
    "Content-Security-Policy: default-src 'none'",
    "Referrer-Policy: no-referrer",
    "Connection: close",
)


@dataclass(frozen=True, slots=True)
class Dance:
    """How to ask: the port that the app's callback address names, whether to open a browser, how long to wait."""

    port: int = REDIRECT_PORT
    browser: bool = True
    patience_s: float = PATIENCE_S

    @property
    def redirect_uri(self) -> str:
        """The callback address that must be registered with the app."""
        return f"http://{LOOPBACK}:{self.port}{PATH}"


async def ask_for_consent(login: JiraOAuthLogin, dance: Dance) -> Token:
    """Have a person consent in the browser; the first token.

    AuthenticationError when the person refuses, TransientError when nobody answers in time.
    """
    state = consent.new_state()
    url = consent.authorize_url(login, dance.redirect_uri, state)
    async with _page(dance, state) as answer:
        await _show(url, dance)
        try:
            query = await asyncio.wait_for(answer, dance.patience_s)
        except TimeoutError:
            minutes = dance.patience_s / 60
            raise TransientError(f"nobody has consented within {minutes:g} minutes; start again") from None
    return await consent.exchange(login, consent.read_answer(query, state), dance.redirect_uri)


async def _show(url: str, dance: Dance) -> None:
    say(f"Consent is asked for at\n  {url}\nThe app must have the callback URL {dance.redirect_uri}")
    if dance.browser and await asyncio.to_thread(open_browser, url):
        say("The page has been opened in your browser.")
        return
    tunnel = f"ssh -L {dance.port}:{LOOPBACK}:{dance.port} ..."
    say(f"Open it in a browser on this machine; from another one first: {tunnel}")


def open_browser(url: str) -> bool:
    """Whether a browser could be started."""
    with contextlib.suppress(webbrowser.Error):
        return webbrowser.open(url)
    return False


@asynccontextmanager
async def _page(dance: Dance, state: str) -> AsyncIterator[asyncio.Future[Mapping[str, str]]]:
    """The page that the browser comes back to; the answer is what it was called with."""
    answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_REQUEST_S):
                status, text = _judge(await _target(reader), state, answer)
                writer.write(_response(status, text))
                await writer.drain()

    try:
        server = await asyncio.start_server(respond, LOOPBACK, dance.port, limit=_LONGEST)
    except OSError as error:
        raise ConfigurationError(
            f"port {dance.port} of this machine is taken ({error.strerror}); give the app another callback URL and "
            "name its port with --redirect-port"
        ) from None
    try:
        yield answer
        # The page that says so must have left before the listener goes.
        await asyncio.sleep(0)
    finally:
        server.close()
        await server.wait_closed()


async def _target(reader: asyncio.StreamReader) -> str:
    """What a GET asks for; empty for anything else."""
    first = (await reader.readuntil(b"\r\n")).decode("latin-1").split()
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return first[1] if len(first) == 3 and first[0] == "GET" else ""


def _judge(target: str, state: str, answer: asyncio.Future[Mapping[str, str]]) -> tuple[str, str]:
    """What to say to a caller; the one with the right state answers the question, whatever it brings."""
    parts = urlsplit(target)
    if parts.path != PATH:
        return "404 Not Found", "There is nothing here."
    query = dict(parse_qsl(parts.query))
    try:
        consent.check_state(query.get("state", ""), state)
    except AuthenticationError:
        return "400 Bad Request", "This does not belong to the consent that is waited for."
    if not answer.done():
        answer.set_result(query)
    if "code" in query and "error" not in query:
        return "200 OK", "Thank you. You can close this window; the terminal goes on."
    return "200 OK", "Consent was not given. You can close this window; the terminal says more."


def _response(status: str, text: str) -> bytes:
    page = f"<!doctype html><html lang=en><title>ml-connector</title><p>{text}</p></html>\n"
    head = "\r\n".join((f"HTTP/1.1 {status}", *_HEADERS, f"Content-Length: {len(page)}"))
    return f"{head}\r\n\r\n{page}".encode()
