"""The whole desk once, for real: a server with a login and its key outside the database, limited pool, and the rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.home import Home
from deployments.processes import ProcessError, answers
from deployments.stack import POOL, Plan, SandboxPlan, Stack, ensure_pool, running, running_sandboxes
from deployments.up import addresses
from ml_connector.settings import Settings


class Steps:
    """Collects the progress lines."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self.seen.append(what)
        yield


class Scripted(Stack):
    """A server that gives the answers it was told to, one per call."""

    def __init__(self, home: Home, statuses: list[int]) -> None:
        super().__init__(home, "http://127.0.0.1:1/api")
        self.statuses, self.calls = statuses, list[str]()

    def api(self) -> httpx.AsyncClient:
        def answer(request: httpx.Request) -> httpx.Response:
            self.calls.append(request.method)
            return httpx.Response(self.statuses.pop(0))

        return httpx.AsyncClient(base_url=f"{self.api_url}/", transport=httpx.MockTransport(answer))


async def test_the_desk_is_safe_limited_and_ends_cleanly(tmp_path: Path) -> None:
    home = Home.open(Settings(home=tmp_path / "a home"))
    steps = Steps()
    sandboxes = [SandboxPlan("qad", seeds=["base"])]
    plan = Plan(worker_limit=3, receiver_port=0, sandboxes=sandboxes, blocks="prefect.blocks.system")
    async with running(home, plan, prepare=_prepared(steps), shows=steps) as stack:
        await _nobody_gets_in_without_the_login(stack)
        pool = await _read(stack, f"work_pools/{POOL}")
        assert (pool["type"], pool["concurrency_limit"]) == ("process", 3)
        # A run's process is started directly, or a woken run would begin seconds later.
        variables = pool["base_job_template"]["variables"]["properties"]
        assert variables["command"]["default"].endswith("-m prefect.engine")
        await ensure_pool(stack, 5)
        assert (await _read(stack, f"work_pools/{POOL}"))["concurrency_limit"] == 5
        assert (await _read(stack, "block_types/slug/secret"))["name"] == "Secret"
        assert await answers(f"{stack.sandboxes['qad']}/_sandbox/health")()
        assert await answers(f"{stack.receiver}/health")()
        assert {home.login.auth_string, stack.receiver} <= set(addresses(stack).values())
    assert [child.exit_code is not None for child in stack.children] == [True] * 4
    assert await answers(f"{stack.api_url}/health")() is False
    assert await answers(f"{stack.receiver}/health")() is False
    assert steps.seen == [
        "Starting the Prefect server",
        "Starting the webhook receiver",
        "Registering block types",
        "Creating deployments",
        "prepared",
        "Starting the worker",
    ]
    _no_key_lies_in_the_database(home)
    _no_secret_lies_in_the_logs(home)


async def test_a_process_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    home = Home.open(Settings(home=tmp_path / "home"))
    async with running_sandboxes(home, [SandboxPlan("coupa"), SandboxPlan("qad")]) as stack:
        await stack.children[1].stop()
        with pytest.raises(ProcessError, match="sandbox-qad ended with code"):
            await stack.watch()
    assert await answers(f"{stack.sandboxes['coupa']}/_sandbox/health")() is False


def _prepared(steps: Steps) -> Any:
    async def prepare(stack: Stack) -> None:
        await _read(stack, "admin/version")
        steps.seen.append("prepared")

    return prepare


async def _read(stack: Stack, path: str) -> Any:
    async with stack.api() as api:
        return (await api.get(path)).raise_for_status().json()


async def _nobody_gets_in_without_the_login(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=f"{stack.api_url}/", trust_env=False) as stranger:
        for auth in (None, ("connector", "guess")):
            answer = await stranger.post("block_documents/filter", json={"include_secrets": True}, auth=auth)
            assert answer.status_code == httpx.codes.UNAUTHORIZED


def _no_key_lies_in_the_database(home: Home) -> None:
    with sqlite3.connect(home.root / "prefect" / "prefect.db") as database:
        keys = [row[0] for row in database.execute("select key from configuration")]
    database.close()
    assert "ENCRYPTION_KEY" not in keys


def _no_secret_lies_in_the_logs(home: Home) -> None:
    key = (home.root / "prefect-encryption-key").read_text().strip()
    for log in home.logs.glob("*.log"):
        text = log.read_text(errors="replace")
        assert home.login.password not in text
        assert key not in text


async def test_a_server_whose_database_is_busy_is_asked_again(tmp_path: Path) -> None:
    stack = Scripted(Home.open(Settings(home=tmp_path / "home")), [503, 409, 503, 204])
    await ensure_pool(stack, 3)
    assert stack.calls == ["POST", "POST", "PATCH", "PATCH"]


async def test_a_server_that_refuses_the_pool_is_an_error_a_user_can_read(tmp_path: Path) -> None:
    stack = Scripted(Home.open(Settings(home=tmp_path / "home")), [401])
    with pytest.raises(ProcessError, match="refused to set up the work pool: HTTP 401"):
        await ensure_pool(stack, 3)
