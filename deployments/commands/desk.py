"""`up` and `sandbox`: what keeps running on one desk until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.app import app
from deployments.home import Home
from deployments.output import JsonOption, say, show_facts
from deployments.stack import SYSTEMS, Plan, SandboxPlan, running_sandboxes, seeds_of
from deployments.up import until_interrupted
from deployments.up import up as keep_up
from ml_connector.errors import ConfigurationError

# Preferred, not demanded: a taken port is replaced by a free one.
SERVER_PORT = 4200
SANDBOX_PORTS = {"coupa": 4211, "qad": 4212}

SeedOption = Annotated[
    list[str] | None, typer.Option("--seed", help="Seed to load: SYSTEM=NAME, or NAME for every system; repeatable.")
]


@app.command()
def up(
    seed: SeedOption = None,
    port: Annotated[int, typer.Option(help="Preferred port of the Prefect server.")] = SERVER_PORT,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at once.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Keep server, UI, worker and stand-in tenants running; Ctrl-C ends them."""
    plan = Plan(server_port=port, worker_limit=limit, sandboxes=_plans(SYSTEMS, seed))
    until_interrupted(keep_up(Home.open(), plan, as_json=as_json))


@app.command()
def sandbox(
    systems: Annotated[list[str] | None, typer.Argument(help="Which stand-in tenants; all when none is named.")] = None,
    seed: SeedOption = None,
    port: Annotated[int, typer.Option(help="Preferred port, when one system is named.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Start stand-in tenants alone; Ctrl-C ends them."""
    plans = _plans(systems or SYSTEMS, seed, port)
    until_interrupted(_keep_sandboxes(Home.open(), plans, as_json=as_json))


async def _keep_sandboxes(home: Home, plans: list[SandboxPlan], *, as_json: bool) -> None:
    async with running_sandboxes(home, plans) as stack:
        show_facts(dict(stack.sandboxes), as_json=as_json)
        say("Ctrl-C ends them.")
        await stack.watch()


def _plans(systems: list[str] | tuple[str, ...], seed: list[str] | None, port: int = 0) -> list[SandboxPlan]:
    seeds = seeds_of(seed or [])
    for system in (*systems, *seeds):
        if system not in SYSTEMS:
            raise ConfigurationError(f"there is no sandbox for {system}; there are: {', '.join(SYSTEMS)}")
    if port and len(systems) != 1:
        raise ConfigurationError("--port goes with exactly one system")
    return [SandboxPlan(system, port or SANDBOX_PORTS[system], seeds[system]) for system in systems]
