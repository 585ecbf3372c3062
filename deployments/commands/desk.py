"""`up` and `sandbox`: what keeps running on one desk until Ctrl-C."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from deployments import deploying, launching, rehearsal, server
from deployments.app import app
from deployments.home import Home
from deployments.output import JsonOption, say, show_facts
from deployments.stack import SYSTEMS, Plan, SandboxPlan, Stack, running_sandboxes, seeds_of
from deployments.up import until_interrupted
from deployments.up import up as keep_up
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.settings import Settings
from sandbox import story

# Preferred, not demanded: a taken port is replaced by a free one.
SERVER_PORT = 4200
RECEIVER_PORT = 8780
SANDBOX_PORTS = {"coupa": 4211, "qad": 4212, "jira": 4213}

SeedOption = Annotated[
    list[str] | None, typer.Option("--seed", help="Seed to load: SYSTEM=NAME, or NAME for every system; repeatable.")
]


@app.command()
def up(
    tenants: Annotated[
        bool,
        typer.Option("--tenants/--no-tenants", help="With the stand-in tenants and their connections, or bare."),
    ] = True,
    port: Annotated[int, typer.Option(help="Preferred port of the Prefect server.")] = SERVER_PORT,
    webhooks_port: Annotated[int, typer.Option(help="Preferred port of the webhook receiver.")] = RECEIVER_PORT,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at once.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Keep server, UI, worker, webhook receiver and stand-in tenants running; Ctrl-C ends them."""
    settings = Settings()
    # The stand-in desk has a folder of its own, so that a real installation never meets invented invoices.
    desk = Settings(home=settings.home / "up", database_url="", keys_file=None, audit_folder=None)
    home = Home.open(desk if tenants else settings)
    sandboxes = rehearsal.plans(SANDBOX_PORTS) if tenants else []
    plan = Plan(server_port=port, worker_limit=limit, receiver_port=webhooks_port, sandboxes=sandboxes)
    ready = _set_up if tenants else _bare
    command = shlex.quote(str(Path(sys.argv[0]).absolute()))
    hint = f"In another terminal: export ML_CONNECTOR_HOME={shlex.quote(str(home.root))}; {command} held"
    with server.announced(home):
        until_interrupted(keep_up(home, plan, deploy_all=ready, hint=hint if tenants else "", as_json=as_json))


async def _set_up(stack: Stack) -> None:
    await rehearsal.prepare(stack, scheduled=True)
    await rehearsal.admin(stack, "qad", "seed", story.qad_exceptions())
    async with Installation.open() as installation, server.api() as client:
        for connection in rehearsal.CONNECTIONS:
            for direction in await launching.directions(installation, connection):
                await launching.start(client, connection, direction)
    server.announce(stack.home, stack.api_url)


async def _bare(stack: Stack) -> None:
    server.use(stack.environment)
    async with Installation.open() as installation, server.api() as client:
        await deploying.deploy(installation, client)
    server.announce(stack.home, stack.api_url)


@app.command()
def sandbox(
    systems: Annotated[list[str] | None, typer.Argument(help="Which stand-in tenants; all when none is named.")] = None,
    seed: SeedOption = None,
    port: Annotated[int, typer.Option(help="Preferred port, when one system is named.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Start stand-in tenants alone and say how to log in there; Ctrl-C ends them.

    Seed `base` holds masters, `story` also the invoices, orders and receipts of the demo; with `--seed base
    --seed qad=exceptions` invoices of QAD are held or fail the match, and goods are late.
    """
    plans = _plans(systems or SYSTEMS, seed, port)
    until_interrupted(_keep_sandboxes(Home.open(), plans, as_json=as_json))


async def _keep_sandboxes(home: Home, plans: list[SandboxPlan], *, as_json: bool) -> None:
    async with running_sandboxes(home, plans) as stack:
        show_facts(_ways_in(stack.sandboxes, as_json=as_json), as_json=as_json)
        say("Ctrl-C ends them.")
        await stack.watch()


def _ways_in(sandboxes: Mapping[str, str], *, as_json: bool) -> dict[str, object]:
    """Address and login of each stand-in, a login as `connect SYSTEM --field` takes it."""
    logins = {system: rehearsal.login(system, url) for system, url in sandboxes.items()}
    if as_json:
        return {**sandboxes, "logins": logins}
    shown: dict[str, object] = {}
    for system, url in sandboxes.items():
        answers = " ".join(f"{name}={value}" for name, value in logins[system].items())
        shown |= {system: url, f"{system} login": answers}
    return shown


def _plans(systems: list[str] | tuple[str, ...], seed: list[str] | None, port: int = 0) -> list[SandboxPlan]:
    seeds = seeds_of(seed or [])
    for system in (*systems, *seeds):
        if system not in SYSTEMS:
            raise ConfigurationError(f"there is no sandbox for {system}; there are: {', '.join(SYSTEMS)}")
    if port and len(systems) != 1:
        raise ConfigurationError("--port goes with exactly one system")
    return [SandboxPlan(system, port or SANDBOX_PORTS[system], seeds[system]) for system in systems]
