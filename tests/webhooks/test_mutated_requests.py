"""Ten thousand valid deliveries, each damaged somewhere: none gets in unless what is signed was left as it was."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ml_connector.webhooks.app import build
from tests.webhooks.senders import Desk, admin, coupa, dynamic, issue_event

SEEDS = range(10)
PER_SEED = 1000


@dataclass(frozen=True)
class Raw:
    """A request as it goes over the wire."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    kind: str

    @property
    def signed(self) -> tuple[Any, ...]:
        """What its sender has signed, and where it was sent."""
        if self.kind != "dynamic":
            return self.method, self.path, self.body
        tokens = [value for name, value in self.headers if name == b"authorization"]
        claims = tokens[0].partition(b" ")[2].strip().rpartition(b".")[0] if tokens else b""
        return self.method, self.path, claims


def raw(request: tuple[str, dict[str, str], bytes], kind: str) -> Raw:
    path, headers, body = request
    named = {**headers, "Content-Length": str(len(body)), "Content-Type": "application/json"}
    return Raw("POST", path, tuple((k.lower().encode(), v.encode()) for k, v in named.items()), body, kind)


def valid(number: int) -> Raw:
    kind = ("admin", "coupa", "dynamic")[number % 3]
    if kind == "admin":
        return raw(admin(issue_event(10_000 + number), delivery=f"d-{number}"), kind)
    if kind == "dynamic":
        return raw(dynamic(issue_event(10_000 + number, matchedWebhookIds=[1]), delivery=f"d-{number}"), kind)
    return raw(coupa({"event_type": "invoice.updated", "id": f"evt_{number}", "object": {"id": number}}), kind)


def flipped(chance: random.Random, text: bytes) -> bytes:
    """The same bytes with one of them changed, gone, doubled, or with a piece missing or added."""
    place = chance.randrange(len(text) + 1)
    how = chance.randrange(5)
    if how == 0 and place < len(text):
        return text[:place] + bytes([text[place] ^ (1 << chance.randrange(8))]) + text[place + 1 :]
    if how == 1:
        return text[:place] + text[place + 1 :]
    if how == 2:
        return text[:place] + bytes([chance.randrange(256)]) + text[place:]
    if how == 3:
        return text[:place]
    return text[place:] + text[:place]


def damage_body(chance: random.Random, request: Raw) -> Raw:
    # The token of a dynamic webhook says nothing about the body, so its body is left alone here.
    return (
        damage_header(chance, request)
        if request.kind == "dynamic"
        else replace(request, body=flipped(chance, request.body))
    )


def damage_header(chance: random.Random, request: Raw) -> Raw:
    headers = list(request.headers)
    place = chance.randrange(len(headers))
    name, value = headers[place]
    how = chance.randrange(5)
    if how == 0:
        del headers[place]
    elif how == 1:
        headers[place] = (flipped(chance, name).lower(), value)
    elif how == 2:
        headers.insert(chance.randrange(len(headers)), (name, flipped(chance, value)))
    else:
        headers[place] = (name, flipped(chance, value))
    return replace(request, headers=tuple(headers))


def damage_method(chance: random.Random, request: Raw) -> Raw:
    return replace(request, method=chance.choice(["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "POS", "post"]))


def damage_path(chance: random.Random, request: Raw) -> Raw:
    return replace(request, path="/" + flipped(chance, request.path.encode()).decode("latin-1").lstrip("/"))


def steal_signature(chance: random.Random, request: Raw) -> Raw:
    """The headers of another delivery, also of another kind, on this body."""
    return replace(request, headers=valid(chance.randrange(PER_SEED)).headers)


DAMAGES: tuple[Callable[[random.Random, Raw], Raw], ...] = (
    damage_body,
    damage_body,
    damage_header,
    damage_header,
    damage_method,
    damage_path,
    steal_signature,
)


async def send(app: Any, request: Raw) -> int:
    """Put a request into the application as a server would; returns the status."""
    statuses: list[int] = []
    waiting: list[dict[str, Any]] = [
        {"type": "http.request", "body": request.body, "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def answer(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode("latin-1"),
        "query_string": b"",
        "root_path": "",
        "headers": list(request.headers),
        "server": ("receiver", 80),
        "client": ("sender", 1),
    }
    await app(scope, receive, answer)
    return statuses[0]


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_that_was_changed_gets_in(desk: Desk, seed: int) -> None:
    chance = random.Random(seed)
    app = build(desk.receiver)
    seen: Counter[int] = Counter()
    taken = 0
    for number in range(PER_SEED):
        intact = valid(number)
        request = chance.choice(DAMAGES)(chance, intact)
        status = await send(app, request)
        seen[status] += 1
        assert status < 500, request
        if status == 202:
            assert request.signed == intact.signed, request
            taken += 1
    assert len(await desk.rows()) <= taken
    # The damage is real, and not all of one sort.
    assert seen[401] > PER_SEED / 5
    assert min(seen[400], seen[404], seen[405], taken) > 0


async def test_the_same_requests_get_in_when_nothing_is_changed(desk: Desk) -> None:
    app = build(desk.receiver)
    assert {await send(app, valid(number)) for number in range(60)} == {202}
    assert len(await desk.rows()) == 60
