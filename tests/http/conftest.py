"""Small stand-ins for a server and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from ml_connector.clock import ManualClock
from ml_connector.http.client import HttpClient
from ml_connector.http.limits import Limits

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Server:
    """Answers in the order told: a response, an exception to raise, or a function of the request; the last repeats."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            response: httpx.Response = answer(request)
            return response
        # A fresh object each time: a response can be read only once.
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def server_of() -> type[Server]:
    return Server


@pytest.fixture
def client_of(clock: ManualClock) -> Callable[..., HttpClient]:
    def build(server: Any, *, limits: Limits | None = None, **extra: Any) -> HttpClient:
        transport = server if isinstance(server, httpx.AsyncBaseTransport) else httpx.MockTransport(server)
        shown = limits or Limits(concurrency=4, per_second=20, attempts=3, total_s=100, timeout_s=30)
        return HttpClient("acme", "acme-1", "https://acme.example", shown, clock=clock, transport=transport, **extra)

    return build
