"""Faults by rule: lost answers, resets, late effects, refusals and broken bodies, before or after the effect."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.kit import jsontext, wire
from sandbox.kit.clock import Clock
from sandbox.kit.requests import ADMIN_PREFIX, ENTRY_KEY
from sandbox.kit.rules import KINDS, ArmedRule, FaultRule, Kind

__all__ = ["KINDS", "ConnectionAborted", "ConnectionHung", "FaultMiddleware", "FaultRule", "Faults", "Kind"]

LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head>"
    "<body><form method='post'><input name='user'><input name='password' type='password'></form></body></html>"
)


class ConnectionAborted(ConnectionError):
    """The connection ended without a whole answer; raised only when the app is called in process."""


class ConnectionHung(ConnectionAborted):
    """The answer never comes; raised at once in process, where no client could give up waiting."""


@dataclass(eq=False)
class _Late:
    due: float
    scope: Scope
    body: bytes


@dataclass
class _Answer:
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


class Faults:
    """The armed rules of one tenant, and the calls whose effect is still to come."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.late: list[_Late] = []
        self._armed: list[ArmedRule] = []

    def add(self, rule: FaultRule) -> None:
        """Arm a rule; rules are asked in the order they were added and the first that hits decides."""
        self._armed.append(ArmedRule(rule))

    def clear(self) -> None:
        """Disarm every rule; late effects already under way still happen."""
        self._armed.clear()

    def describe(self) -> list[dict[str, Any]]:
        """The rules with how many calls each let pass and hit."""
        return [{**armed.rule.model_dump(), "passed": armed.passed, "hit": armed.hit} for armed in self._armed]

    def take(self, method: str, target: str) -> FaultRule | None:
        """The rule that hits this call, if any."""
        return next((armed.rule for armed in self._armed if armed.takes(method, target)), None)


class FaultMiddleware:
    """Stands before a tenant's routes and lets the armed rules spoil calls; admin calls are never hit."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call, spoiled if a rule hits it; late effects that are due come first."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._apply_due()
        if scope["path"].startswith(ADMIN_PREFIX):
            await self._app(scope, receive, send)
            await self._apply_due()  # an advanced clock shows its late effects before the next call
            return
        query = scope.get("query_string", b"").decode("latin-1")
        rule = self._faults.take(scope["method"], scope["path"] + (f"?{query}" if query else ""))
        if rule is None:
            await self._app(scope, receive, send)
        else:
            await self._spoil(rule, scope, receive, send)

    async def _spoil(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        _note(scope, fault=rule.kind, applied=False)
        body = await _read(receive)
        match rule.kind:
            case "slow":
                await self._faults.clock.sleep(rule.seconds)
                _note(scope, applied=True)
                await self._app(scope, _replay(body, receive), send)
            case "reset_before":
                await _abort(scope, receive)
            case "hang_before":
                await _hang(scope, receive)
            case "late" | "late_hang":
                self._later(rule.seconds, scope, body)
                await (_abort if rule.kind == "late" else _hang)(scope, receive)
            case "reset_after":
                await self._apply(scope, body)
                await _abort(scope, receive)
            case "hang_after":
                await self._apply(scope, body)
                await _hang(scope, receive)
            case "truncated":
                await _cut_off(await self._apply(scope, body), scope, receive, send)
            case _:
                await _send(send, await self._spoiled_answer(rule, scope, body))

    async def _spoiled_answer(self, rule: FaultRule, scope: Scope, body: bytes) -> _Answer:
        match rule.kind:
            case "status":
                return _given(rule)
            case "html":
                text = rule.body if isinstance(rule.body, str) else LOGIN_PAGE
                return _Answer(200, [(b"content-type", b"text/html; charset=utf-8")], text.encode())
            case "status_after":
                await self._apply(scope, body)
                return _given(rule)
            case _:
                true = await self._apply(scope, body)
                half = true.body[: len(true.body) // 2] or b'{"'
                return _Answer(200, [(b"content-type", b"application/json")], half)

    async def _apply(self, scope: Scope, body: bytes) -> _Answer:
        answer = _Answer()
        await self._app(scope, _replay(body, None), answer.take)
        _note(scope, applied=True)
        return answer

    def _later(self, seconds: float, scope: Scope, body: bytes) -> None:
        self._faults.late.append(_Late(self._faults.clock.elapsed() + seconds, dict(scope), body))
        task = asyncio.get_running_loop().create_task(self._wait_and_apply(seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_and_apply(self, seconds: float) -> None:
        await self._faults.clock.sleep(seconds)
        await self._apply_due()

    async def _apply_due(self) -> None:
        now = self._faults.clock.elapsed()
        for late in [late for late in self._faults.late if late.due <= now]:
            if late in self._faults.late:  # another task may have taken it while we applied the one before
                self._faults.late.remove(late)
                await self._apply(late.scope, late.body)


def _note(scope: Scope, **facts: object) -> None:
    entry = scope.get(ENTRY_KEY)
    if entry is not None:
        entry.update(facts)


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body


def _replay(body: bytes, after: Receive | None) -> Receive:
    first = True

    async def receive() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await after() if after is not None else {"type": "http.disconnect"}

    return receive


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _abort(scope: Scope, receive: Receive) -> None:
    connection = wire.connection_of(scope)
    if connection is None:
        raise ConnectionAborted("the connection was reset")
    wire.reset(connection)
    await _until_gone(receive)


async def _hang(scope: Scope, receive: Receive) -> None:
    if wire.connection_of(scope) is None:
        raise ConnectionHung("no answer will come")
    await _until_gone(receive)


async def _cut_off(answer: _Answer, scope: Scope, receive: Receive, send: Send) -> None:
    half = answer.body[: max(1, len(answer.body) // 2)] or b"{"
    length = (b"content-length", str(max(len(answer.body), 2)).encode())
    headers = [pair for pair in answer.headers if pair[0].lower() != b"content-length"]
    await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": half, "more_body": True})
    connection = wire.connection_of(scope)
    if connection is None:
        raise ConnectionAborted("the answer was cut off")
    connection.close()  # an orderly close lets the half that was sent arrive
    await _until_gone(receive)


def _given(rule: FaultRule) -> _Answer:
    if rule.body is None:
        kind, text = b"text/plain; charset=utf-8", b""
    elif isinstance(rule.body, str):
        kind, text = b"text/plain; charset=utf-8", rule.body.encode()
    else:
        kind, text = b"application/json", jsontext.dumps(rule.body)
    extra = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in rule.headers.items()]
    named = {name for name, _ in extra}
    headers = [(b"content-type", kind)] if b"content-type" not in named else []
    return _Answer(rule.status, [*headers, *extra], text)


async def _send(send: Send, answer: _Answer) -> None:
    headers = [pair for pair in answer.headers if pair[0].lower() != b"content-length"]
    length = (b"content-length", str(len(answer.body)).encode())
    await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": answer.body})
