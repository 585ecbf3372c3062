"""Webhooks: how long the receiver takes to accept a delivery, and how long until its effect shows in QAD."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import logging
import os
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from benchmarks.engine import connect
from benchmarks.qad_jira import APPROVAL, SCENE
from benchmarks.quiet import Quiet
from benchmarks.scenes import NAME, Json
from deployments import deploying, ingress, launching, processes, rehearsal, server
from deployments.home import Home, child_environment
from deployments.stack import POOL, Plan, SandboxPlan, Stack, ensure_pool, running
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from ml_connector.store.ingresses import Subscription

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

SECRET = "a secret of the benchmark alone"
DELIVERIES, SENDERS = 2_000, (1, 32)
WARM_UP = 50
# How often a worker asks for work, in seconds; 0 is the desk's own, which asks each second and starts runs quickly.
RUNNERS = {"make up": 0, "process worker": 10}
PATIENCE_S = 120.0
LOOK_S = 0.05
_LENGTH = re.compile(rb"(?i)content-length: *([0-9]+)")


@dataclass
class Effects:
    """Seconds from a person's change in Jira to each step of its way, per runner."""

    shown: dict[str, list[float]] = field(default_factory=dict)
    created: dict[str, list[float]] = field(default_factory=dict)
    started: dict[str, list[float]] = field(default_factory=dict)


async def accepted(count: int = DELIVERIES) -> Json:
    """Milliseconds from a delivery's first byte to its answer, with one sender and with many at once."""
    found: Json = {}
    async with _desk(Plan(worker_limit=0, receiver_port=0)) as (stack, _):
        receiver = next(child for child in stack.children if child.name == "webhook-receiver")
        numbers = itertools.count(1)
        await _send(stack.receiver, 1, itertools.islice(numbers, WARM_UP))
        for senders in SENDERS:
            began, cpu, quiet = time.perf_counter(), _cpu_of(receiver.pid), Quiet()
            took = sorted(await _send(stack.receiver, senders, itertools.islice(numbers, count)))
            found[str(senders)] = {
                "p50": statistics.median(took) * 1000,
                "p95": took[int(len(took) * 0.95)] * 1000,
                "per_second": count / (time.perf_counter() - began),
                "receiver_cpu_ms": (_cpu_of(receiver.pid) - cpu) / count * 1000,
                "foreign": quiet.foreign(),
            }
    return found


async def effective(rounds: int = 20, runners: dict[str, int] | None = None) -> Effects:
    """A person approves an issue, `rounds` times: how long until QAD shows it."""
    found = Effects()
    # Each runner has a server of its own, and Prefect goes on telling the former one what blocks were loaded.
    logging.getLogger("prefect._internal.concurrency").setLevel(logging.CRITICAL)
    for runner, asks_every_s in (runners or RUNNERS).items():
        sandboxes = [SandboxPlan(system, seeds=["base"]) for system in SCENE.systems]
        plan = Plan(worker_limit=0 if asks_every_s else 4, receiver_port=0, sandboxes=sandboxes)
        async with _desk(plan) as (stack, client), _worker(stack, asks_every_s):
            issues = await _issues(stack, client, rounds)
            for number, issue in enumerate(issues):
                # Whatever asks at intervals is met at another moment each time.
                await asyncio.sleep(0.37 * (number % 7))
                for name, seconds in (await _effect(stack, client, issue)).items():
                    getattr(found, name).setdefault(runner, []).append(seconds)
    return found


async def _effect(stack: Stack, client: PrefectClient, issue: Json) -> dict[str, float]:
    since, began = datetime.now(UTC), time.perf_counter()
    change = {"issue": issue["id"], "fields": {APPROVAL: {"value": "Approved"}}}
    await rehearsal.admin(stack, "jira", "do/set_fields", change)
    while not await _shows(stack, issue["key"]):
        if time.perf_counter() - began > PATIENCE_S:
            raise SystemExit(f"benchmark: {issue['key']} was approved, and QAD does not show it")
        await asyncio.sleep(LOOK_S)
    found = {"shown": time.perf_counter() - began}
    runs = [run for run in await _at_rest(client) if run.created and run.created > since]
    if runs:
        first = min(runs, key=lambda run: run.created)
        found["created"] = (first.created - since).total_seconds()
        found["started"] = ((first.start_time or first.created) - since).total_seconds()
    return found


async def _shows(stack: Stack, key: str) -> bool:
    rows = await rehearsal.admin(stack, "qad", "state/supplierInvoices")
    slots = SCENE.settings["decisions"]["invoice"]
    return any(row[slots["issue_key"]] == key and row[slots["approval"]] == "Approved" for row in rows)


async def _at_rest(client: PrefectClient) -> list[Any]:
    """All flow runs, when the last one has ended."""
    while True:
        runs = await client.read_flow_runs(limit=200)
        if all(run.state is not None and run.state.is_final() for run in runs):
            return list(runs)
        await asyncio.sleep(LOOK_S)


async def _issues(stack: Stack, client: PrefectClient, count: int) -> list[Json]:
    """So many issues, each made from an exception in QAD; both directions have run once."""
    hook = {"name": NAME, "url": f"{stack.receiver}/webhooks/jira/{NAME}", "secret": SECRET}
    SCENE.seed(lambda system, content: _put(stack, system, content), range(1, count + 1))
    async with Installation.open() as one:
        for direction in (SCENE.direction, SCENE.back):
            started = await launching.start(client, NAME, direction)
            ended = await launching.wait(one, client, started.flow_run, within=PATIENCE_S)
            if not ended.ok:
                raise SystemExit(f"benchmark: {ended.name} ended {ended.state}: {ended.message}")
    events = ["jira:issue_created", "jira:issue_updated"]
    await rehearsal.admin(stack, "jira", "do/add_admin_webhook", hook | {"events": events})
    made: list[Json] = await rehearsal.admin(stack, "jira", "state/issues")
    return made


def _put(stack: Stack, system: str, content: Json) -> None:
    url = f"{stack.sandboxes[system]}/_sandbox/seed"
    httpx.post(url, json=content, trust_env=False, timeout=60).raise_for_status()


@asynccontextmanager
async def _desk(plan: Plan) -> AsyncIterator[tuple[Stack, PrefectClient]]:
    """Server, receiver and what else is planned, with the connection and a door for Jira's deliveries."""

    async def prepare(stack: Stack) -> None:
        server.use(stack.environment)
        urls = stack.sandboxes or dict.fromkeys(SCENE.systems, "http://127.0.0.1:9")
        await ensure_pool(stack, 4)
        async with Installation.open() as one, server.api() as client:
            await SCENE.blocks(urls)
            await connect(one, SCENE)
            doors = ingress.doors_of(one)
            await doors.create(NAME, system="jira", kind="admin", secrets=[SECRET], options={"site": "127.0.0.1"})
            await doors.subscribe(NAME, NAME, [Subscription(NAME, SCENE.back)])
            await deploying.deploy(one, client, scheduled=False)

    with TemporaryDirectory() as folder:
        home = Home.open(Settings(home=Path(folder), database_url="", keys_file=None, audit_folder=None))
        async with running(home, plan, prepare=prepare, shows=lambda _: nullcontext()) as stack, server.api() as client:
            yield stack, client


@asynccontextmanager
async def _worker(stack: Stack, asks_every_s: int) -> AsyncIterator[None]:
    """Prefect's process worker as it is without our settings; none when the desk has its own."""
    if not asks_every_s:
        yield
        return
    command = ["-P", "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    ours = stack.environment | {"PREFECT_WORKER_QUERY_SECONDS": str(asks_every_s)}
    async with processes.running(
        "plain-worker",
        [sys.executable, *command, "--install-policy", "never"],
        environment=child_environment(ours),
        logs=stack.home.logs,
    ):
        yield


async def _send(url: str, senders: int, numbers: Iterator[int]) -> list[float]:
    """Deliveries by so many senders, each of which waits for its answer; the seconds that each took."""
    took: list[float] = []
    parts = urlsplit(url)

    async def sender() -> None:
        # No client library: its own work would be measured as the receiver's.
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for number in numbers:
            request = _request(number, parts.netloc)
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(_LENGTH.search(head)[1]))  # type: ignore[index]
            took.append(time.perf_counter() - began)
            if not head.startswith(b"HTTP/1.1 202 "):
                raise SystemExit(f"benchmark: the receiver answered {head.splitlines()[0]!r}")
        writer.close()

    await asyncio.gather(*(sender() for _ in range(senders)))
    return took


def _request(number: int, host: str) -> bytes:
    body = _delivery(number)
    lines = [
        f"POST /webhooks/jira/{NAME} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Hub-Signature: sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}",
        f"X-Atlassian-Webhook-Identifier: bench-{number}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _cpu_of(process: int) -> float:
    """Processor seconds of a process; 0 where the system does not tell."""
    path = Path(f"/proc/{process}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return sum(int(one) for one in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def _delivery(number: int) -> bytes:
    """A change of one of two hundred issues, as long as Jira's are."""
    issue = 10_000 + number % 200
    fields = {f"customfield_{10_000 + place}": "x" * 40 for place in range(60)}
    content = {
        "timestamp": time.time_ns() // 1_000_000,
        "webhookEvent": "jira:issue_updated",
        "issue": {"id": str(issue), "self": f"http://127.0.0.1/rest/api/2/{issue}", "key": "AP-1", "fields": fields},
    }
    return json.dumps(content).encode()
