"""`doctor`, the part that asks the Prefect server: is it safe, do its parts run, does it do what it is meant to do?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from deployments import server
from deployments.automations import zombie_automation
from deployments.deploying import all_of, denied_blocks
from deployments.doctor import is_private
from deployments.doctor_webhooks import webhook_checks
from deployments.home import Home
from deployments.planning import HOUSEKEEPING_S, plan
from deployments.processes import LOOPBACK
from deployments.stack import POOL
from ml_connector.errors import ConnectorError
from ml_connector.installation import Installation
from ml_connector.systems.ping import PingCheck
from tasks.tags import NEEDS_AUTH, owner_tag

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

# Settle times and leases rest on clocks that agree; the Date header tells whole seconds.
CLOCK_S = 5.0
_LOOPBACK = {LOOPBACK, "localhost", "::1"}
_RECORDER_BATCH = 100
_DEPLOY = "run: ml-connector deploy"


@dataclass(frozen=True, slots=True)
class _Server:
    """The server in use; `ours` when it was started from this home."""

    url: str
    home: Home
    ours: bool
    settings: dict[str, Any]


async def server_checks(home: Home, api_url: str) -> list[PingCheck]:
    """Everything that the server tells; a server that does not answer is the only line."""
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as http:
        try:
            before = datetime.now(UTC)
            health = await http.get(f"{api_url}/health")
            after = datetime.now(UTC)
            open_door = (await http.post(f"{api_url}/flows/filter", json={"limit": 1})).is_success
        except httpx.HTTPError as error:
            told = f"{api_url} does not answer: {type(error).__name__}"
            return [_wrong("server", told, "start it (ml-connector up), or correct PREFECT_API_URL")]
    checks = [_address(api_url, health), _door(open_door), _clock(health, before + (after - before) / 2)]
    try:
        async with Installation.open() as installation, server.api() as client:
            shown = (await client.request("GET", "/admin/settings")).json()
            own = server.announced_address(home) == api_url
            return [*checks, *_kept(_Server(api_url, home, own, shown)), *await _running(installation, client, home)]
    except ConnectorError as error:
        return [*checks, _wrong("server answers us", error.message, "mend what the message names, then again")]


def _address(api_url: str, health: httpx.Response) -> PingCheck:
    parts = urlsplit(api_url)
    if not health.is_success:
        return _wrong("server", f"{api_url} answers HTTP {health.status_code}", "look into its log, and restart it")
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        told = f"{api_url} is neither on this machine nor reached by https"
        return _wrong("server", told, "put a proxy with TLS before it: secrets cross this connection")
    return PingCheck("server", True, f"{api_url} answers")


def _door(open_door: bool) -> PingCheck:
    if open_door:
        remedy = "set PREFECT_SERVER_API_AUTH_STRING on the server: anybody who reaches it reads every secret"
        return _wrong("server login", "the server answers without a login", remedy)
    return PingCheck("server login", True, "the server asks for a login")


def _clock(health: httpx.Response, ours: datetime) -> PingCheck:
    try:
        theirs = parsedate_to_datetime(health.headers["date"])
    except (KeyError, ValueError):
        return PingCheck("clock", True, "not compared: the server names no time")
    # The header names the second that has begun, so on average it is half a second behind.
    apart = abs((ours - theirs).total_seconds() - 0.5)
    told = f"{max(0.0, apart - 0.5):.0f} s between this machine and the server"
    remedy = "let both machines follow a time server: settle times and leases rest on it"
    return PingCheck("clock", True, told) if apart <= CLOCK_S + 0.5 else _wrong("clock", told, remedy)


def _kept(one: _Server) -> list[PingCheck]:
    """How the server keeps what it is given; key and telemetry are asked of a server that we start alone."""
    services = one.settings.get("server", {}).get("services", {})
    batch = services.get("task_run_recorder", {}).get("batch_size")
    remedy = "set PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE=100 (and _READ_BATCH_SIZE) on the server"
    told = f"the server records {batch or '?'} task runs at once"
    tuned = batch is not None and batch >= _RECORDER_BATCH
    checks = [PingCheck("recorder", True, told) if tuned else _wrong("recorder", told, remedy)]
    if not one.ours:
        return checks
    return [*checks, _encryption_key(one.home.root), _telemetry(one.settings)]


def _encryption_key(root: Path) -> PingCheck:
    name, path, database = "encryption key", root / "prefect-encryption-key", root / "prefect" / "prefect.db"
    if not is_private(path):
        remedy = f"chmod 600 '{path}', or restore it from its backup"
        return _wrong(name, f"{path} is missing or open to others", remedy)
    if database.is_file():
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
            keys = store.execute("select count(*) from configuration where key = 'ENCRYPTION_KEY'").fetchone()[0]
        if keys:
            told = "the server keeps a key in the database that it encrypts"
            return _wrong(name, told, "start the server with ml-connector up, and save every block again")
    return PingCheck(name, True, "outside the server's database")


def _telemetry(settings: dict[str, Any]) -> PingCheck:
    if settings.get("server", {}).get("analytics_enabled"):
        return _wrong("telemetry", "the server sends telemetry", "set PREFECT_SERVER_ANALYTICS_ENABLED=false")
    return PingCheck("telemetry", True, "off")


async def _running(installation: Installation, client: PrefectClient, home: Home) -> list[PingCheck]:
    found = {one.name_in_full: one for one in await _deployed(installation, client)}
    checks = await _pool_and_worker(client)
    checks += await _deployments(installation, found)
    automation = await zombie_automation(client)
    checks.append(_automation(automation is not None, automation is not None and automation.enabled))
    checks += await webhook_checks(home, installation, client)
    return [*checks, *await _logins(installation, list(found.values()))]


@dataclass(frozen=True, slots=True)
class _Deployed:
    name_in_full: str
    is_: DeploymentResponse

    @property
    def stands_still(self) -> bool:
        """Whether its login was refused."""
        return NEEDS_AUTH in self.is_.tags

    @property
    def paused(self) -> bool:
        """Whether a person has paused it, or every schedule it has."""
        schedules = self.is_.schedules
        return self.is_.paused or (bool(schedules) and not any(one.active for one in schedules))


async def _deployed(installation: Installation, client: PrefectClient) -> list[_Deployed]:
    found = await all_of(client, owner_tag(installation))
    names = {flow: (await client.read_flow(flow)).name for flow in {one.flow_id for one in found}}
    return [_Deployed(f"{names[one.flow_id]}/{one.name}", one) for one in found]


async def _pool_and_worker(client: PrefectClient) -> list[PingCheck]:
    from prefect.client.schemas.objects import WorkerStatus
    from prefect.exceptions import ObjectNotFound

    try:
        pool = await client.read_work_pool(POOL)
    except ObjectNotFound:
        return [_wrong("work pool", f"there is no work pool {POOL}", _DEPLOY)]
    limit = pool.concurrency_limit
    limited = PingCheck("work pool", True, f"at most {limit} runs at once")
    if not limit:
        limited = _wrong("work pool", "it starts everything it finds, however much that is", f"{_DEPLOY} --limit 4")
    if pool.is_paused:
        limited = _wrong("work pool", "it is paused, so nothing runs", "resume it in the UI under Work Pools")
    alive = [one.name for one in await client.read_workers_for_work_pool(POOL) if one.status == WorkerStatus.ONLINE]
    if alive:
        return [limited, PingCheck("worker", True, f"alive: {', '.join(sorted(set(alive)))}")]
    remedy = f"ml-connector up keeps one, or start: prefect worker start --pool {POOL}"
    return [limited, _wrong("worker", "no worker is alive, so nothing runs", remedy)]


async def _deployments(installation: Installation, found: dict[str, _Deployed]) -> list[PingCheck]:
    planned = await plan(installation)
    sweep = next(one for one in planned if one.every_s == HOUSEKEEPING_S and not one.connection)
    names = {one.full_name for one in planned if one is not sweep}
    missing, extra = sorted(names - found.keys()), sorted(found.keys() - names - {one for one in found if _sweeps(one)})
    told = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"left over: {', '.join(extra)}"] * bool(extra)
    paused = sorted(name for name, one in found.items() if name in names and one.paused and not one.stands_still)
    checks = [_wrong("deployments", "; ".join(told), _DEPLOY)] if told else []
    if not told:
        checks = [PingCheck("deployments", True, f"{len(names)} agree with the connections")]
    if paused:
        # That is somebody's choice, so nothing is wrong; but whoever wonders why nothing runs reads it here.
        told_paused = f"by a person's choice: {', '.join(paused)}"
        checks.append(PingCheck("paused", True, told_paused, "resume them in the UI when they ought to run"))
    return [*checks, _sweep([one for name, one in found.items() if _sweeps(name)])]


def _sweeps(full_name: str) -> bool:
    return full_name.startswith("housekeeping/")


def _sweep(found: Sequence[_Deployed]) -> PingCheck:
    name = "results sweep"
    if not found:
        return _wrong(name, "nothing removes old results, and disks fill up", _DEPLOY)
    if all(one.paused or not one.is_.schedules for one in found):
        return _wrong(name, "housekeeping is paused, and disks fill up", "resume its schedule in the UI")
    return PingCheck(name, True, "housekeeping runs daily")


def _automation(present: bool, enabled: bool) -> PingCheck:
    name = "dead runs"
    if not present:
        return _wrong(name, "no automation ends runs whose host died: they stay Running for ever", _DEPLOY)
    if not enabled:
        return _wrong(name, "the automation that ends dead runs is off", "switch it on in the UI under Automations")
    return PingCheck(name, True, "runs without a heartbeat are ended")


async def _logins(installation: Installation, found: Sequence[_Deployed]) -> list[PingCheck]:
    """A line per connection that needs a login: refused in our store, or standing still on the server."""
    denied = set(await denied_blocks(installation))
    still = {str(one.is_.parameters.get("connection", "")) for one in found if one.stands_still}
    rows = [row for row in await installation.connections.list() if row.state == "active"]
    waiting = {row.name: sorted(denied & {row.source_block, row.target_block}) for row in rows}
    wrong = []
    for name, blocks in waiting.items():
        if not blocks and name not in still:
            continue
        told = f"refused: {', '.join(blocks)}" if blocks else "its schedules stand still, for a login that was refused"
        remedy = f"save the block with the right login or mend the user, then: ml-connector ping {name} --again"
        wrong.append(_wrong(f"login of {name}", told, remedy))
    return wrong or [PingCheck("logins", True, f"none of {len(rows)} connections waits for a login")]


def _wrong(name: str, message: str, remedy: str) -> PingCheck:
    return PingCheck(name, False, message, remedy)
