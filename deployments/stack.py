"""Everything that runs on one desk, for the length of a block: Prefect server, worker, receiver, stand-in tenants."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from deployments import processes
from deployments.home import Home, child_environment, client_environment, environment
from deployments.output import progress
from deployments.processes import LOOPBACK, Child, ProcessError

POOL = "ml-connector"
WORKER = "ml-connector"
SYSTEMS = ("coupa", "qad", "jira")
# Upper bounds, in seconds; a slow machine needs a third of them.
SERVER_START = 90.0
WORKER_START = 60.0
SANDBOX_START = 30.0
RECEIVER_START = 30.0
REGISTRATION = 90.0
BUSY_SERVER = 30.0
WORKER_GRACE = 15.0  # a flow run in the middle of a page may finish it

Progress = Callable[[str], AbstractContextManager[None]]
Prepare = Callable[["Stack"], Awaitable[None]]


@dataclass(frozen=True)
class SandboxPlan:
    """One stand-in tenant to start: its system, a preferred port (0: any) and the named seeds to load."""

    system: str
    port: int = 0
    seeds: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """What to run: the server always; a worker for at most `worker_limit` runs at once (0: none); sandboxes.

    `receiver_port` is the preferred port of the webhook receiver (0: any, None: no receiver).
    """

    server_port: int = 0
    worker_limit: int = 4
    receiver_port: int | None = None
    sandboxes: Sequence[SandboxPlan] = ()
    blocks: str = "blocks"  # the module whose block types are registered; empty: none


@dataclass
class Stack:
    """What runs, and how to reach it."""

    home: Home
    api_url: str
    receiver: str = ""
    sandboxes: dict[str, str] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)

    @property
    def ui_url(self) -> str:
        """Where the Prefect UI is."""
        return self.api_url.removesuffix("/api")

    @property
    def environment(self) -> dict[str, str]:
        """Settings for whoever talks to this server; set them before Prefect is imported."""
        return client_environment(self.home, self.api_url)

    def api(self) -> httpx.AsyncClient:
        """A logged-in client of the server's HTTP API; its paths are relative, such as `work_pools/`."""
        login = (self.home.login.user, self.home.login.password)
        return httpx.AsyncClient(base_url=f"{self.api_url}/", auth=login, trust_env=False, timeout=30.0)

    async def watch(self) -> None:
        """Wait until any of the processes ends by itself, which is a ProcessError."""
        waiting = {asyncio.create_task(child.ended()): child for child in self.children}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        first = waiting[done.pop()]
        raise first.failure(f"ended with code {first.exit_code}")


@asynccontextmanager
async def running(
    home: Home, plan: Plan, *, prepare: Prepare | None = None, shows: Progress = progress
) -> AsyncIterator[Stack]:
    """The planned processes, ready; `prepare` deploys flows as soon as the server answers.

    Raises ConfigurationError when another process has this home, ProcessError when something does not start.
    """
    async with AsyncExitStack() as exits:
        exits.enter_context(home.held())
        tenants = [(item, await _start_sandbox(exits, home, item)) for item in plan.sandboxes]
        stack = await _start_server(exits, home, plan.server_port, shows)
        for item, child in tenants:
            stack.sandboxes[item.system] = await _sandbox_url(child)
            stack.children.append(child)
        if plan.receiver_port is not None:
            with shows("Starting the webhook receiver"):
                await _start_receiver(exits, stack, plan.receiver_port)
        # The worker starts while blocks and deployments are made: it asks for work, and there is none yet.
        ready = await _start_worker(exits, stack, plan.worker_limit) if plan.worker_limit else None
        if plan.blocks:
            with shows("Registering block types"):
                await register_blocks(stack, plan.blocks)
        if prepare is not None:
            with shows("Creating deployments"):
                await prepare(stack)
        if ready is not None:
            with shows("Starting the worker"):
                await ready()
        yield stack


@asynccontextmanager
async def running_sandboxes(home: Home, plans: Sequence[SandboxPlan]) -> AsyncIterator[Stack]:
    """Stand-in tenants alone; the stack has no server, so its `api_url` is empty."""
    async with AsyncExitStack() as exits:
        stack = Stack(home, api_url="")
        stack.children += [await _start_sandbox(exits, home, item) for item in plans]
        for item, child in zip(plans, stack.children, strict=True):
            stack.sandboxes[item.system] = await _sandbox_url(child)
        yield stack


async def register_blocks(stack: Stack, module: str) -> None:
    """Make the block types of a module known to the server, so that its forms show them."""
    await processes.run(
        "register-blocks",
        _prefect("block", "register", "-m", module),
        environment=child_environment(stack.environment),
        logs=stack.home.logs,
        within=REGISTRATION,
    )


async def ensure_pool(stack: Stack, limit: int) -> None:
    """Create the work pool or set its limit; a pool without one starts everything it finds and drowns the server."""
    wanted = {"name": POOL, "type": "process", "concurrency_limit": limit}
    answer = await _ask(stack, "POST", "work_pools/", wanted)
    if answer.status_code == httpx.codes.CONFLICT:
        answer = await _ask(stack, "PATCH", f"work_pools/{POOL}", {"concurrency_limit": limit})
    if answer.is_error:
        raise ProcessError(f"the Prefect server refused to set up the work pool: HTTP {answer.status_code}")


async def _ensure_quick_start(stack: Stack) -> None:
    """Let the worker start a flow run's process directly: by itself it first starts another one to prepare a folder.

    Our flows need no such folder, and a run that a delivery has woken starts seconds sooner.
    """
    template = (await _ask(stack, "GET", f"work_pools/{POOL}", None)).json()["base_job_template"]
    command = template["variables"]["properties"]["command"]
    wanted = shlex.join([sys.executable, "-P", "-m", "prefect.engine"])
    if command.get("default") != wanted:
        command["default"] = wanted
        await _ask(stack, "PATCH", f"work_pools/{POOL}", {"base_job_template": template})


async def _ask(stack: Stack, method: str, path: str, body: object) -> httpx.Response:
    """One call that may be repeated; a server on SQLite answers 503 while its own services hold the database."""
    patient = AsyncRetrying(
        retry=retry_if_result(lambda answer: answer.status_code == httpx.codes.SERVICE_UNAVAILABLE),
        stop=stop_after_delay(BUSY_SERVER),
        wait=wait_fixed(0.5),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    async with stack.api() as api:
        answer: httpx.Response = await patient(api.request, method, path, json=body)
    return answer


async def _start_server(exits: AsyncExitStack, home: Home, preferred_port: int, shows: Progress) -> Stack:
    port = processes.free_port(preferred_port)
    stack = Stack(home, f"http://{LOOPBACK}:{port}/api")
    with shows("Starting the Prefect server"):
        child = await exits.enter_async_context(
            processes.running(
                "prefect-server",
                _prefect("server", "start", "--host", LOOPBACK, "--port", str(port)),
                environment=child_environment(environment(home, stack.api_url)),
                logs=home.logs,
            )
        )
        await child.ready(processes.answers(f"{stack.api_url}/health"), within=SERVER_START)
    stack.children.append(child)
    return stack


async def _start_worker(exits: AsyncExitStack, stack: Stack, limit: int) -> Callable[[], Awaitable[None]]:
    """Start it; gives the wait for its first report to the server."""
    await ensure_pool(stack, limit)
    since = datetime.now(UTC)
    command = _prefect("worker", "start", "--pool", POOL, "--name", WORKER, "--type", "process")
    child = await exits.enter_async_context(
        processes.running(
            "prefect-worker",
            [*command, "--install-policy", "never"],
            environment=child_environment(stack.environment),
            logs=stack.home.logs,
            grace=WORKER_GRACE,
        )
    )
    stack.children.append(child)

    async def reported() -> bool:
        answer = await _ask(stack, "POST", f"work_pools/{POOL}/workers/filter", {})
        workers = answer.json() if answer.is_success else []
        beats = [worker["last_heartbeat_time"] for worker in workers if worker["name"] == WORKER]
        # A worker of an earlier start stays listed for a while.
        return any(beat and datetime.fromisoformat(beat) >= since for beat in beats)

    async def ready() -> None:
        await child.ready(reported, within=WORKER_START)
        await _ensure_quick_start(stack)

    return ready


async def _start_receiver(exits: AsyncExitStack, stack: Stack, preferred_port: int) -> None:
    port = processes.free_port(preferred_port)
    url = f"http://{LOOPBACK}:{port}"
    child = await exits.enter_async_context(
        processes.running(
            "webhook-receiver",
            [sys.executable, "-P", "-m", "deployments.cli", "webhooks", "--host", LOOPBACK, "--port", str(port)],
            environment=child_environment(stack.environment),
            logs=stack.home.logs,
        )
    )
    await child.ready(processes.answers(f"{url}/health"), within=RECEIVER_START)
    stack.receiver = url
    stack.children.append(child)


async def _start_sandbox(exits: AsyncExitStack, home: Home, plan: SandboxPlan) -> Child:
    port = processes.free_port(plan.port) if plan.port else 0
    seeds = [part for seed in plan.seeds for part in ("--seed", seed)]
    return await exits.enter_async_context(
        processes.running(
            f"sandbox-{plan.system}",
            [sys.executable, "-P", "-m", "sandbox", plan.system, "--port", str(port), *seeds],
            environment=child_environment({}),
            logs=home.logs,
        )
    )


async def _sandbox_url(child: Child) -> str:
    async def announced() -> bool:
        return bool(_announcement(child.log))

    await child.ready(announced, within=SANDBOX_START)
    return _announcement(child.log)


def _announcement(log: Path) -> str:
    """The address in the one JSON line that a sandbox writes when it is ready; empty before that."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        if line.startswith('{"sandbox"') and line.endswith("\n"):
            return str(json.loads(line)["url"])
    return ""


def _prefect(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "prefect", *arguments]


def seeds_of(text: Sequence[str]) -> Mapping[str, list[str]]:
    """Read `qad=base` or `base` (every system) into the seeds of each system."""
    seeds: dict[str, list[str]] = {system: [] for system in SYSTEMS}
    for item in text:
        system, equals, name = item.partition("=")
        for target in (system,) if equals else SYSTEMS:
            seeds.setdefault(target, []).append(name if equals else item)
    return seeds
