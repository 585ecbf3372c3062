"""`deploy` and `run`: make deployments of the connections, and start one by hand."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deployments import server
from deployments.app import app
from deployments.home import Home
from deployments.output import JsonOption, progress, say, show_facts, show_json, show_rows
from ml_connector.installation import Installation

_COLUMNS = ("connection", "direction", "deployment", "every", "done", "note")


@app.command()
def deploy(
    limit: Annotated[int | None, typer.Option(min=1, help="Flow runs at once in the work pool; 4 at first.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make one deployment per active connection and direction, and what serves them; those of removed ones go."""
    home = Home.open()
    server.find(home)
    with server.told():
        asyncio.run(_deploy(limit, as_json=as_json))


@app.command()
def run(
    connection: Annotated[str, typer.Argument(help="Name of the connection.")],
    direction: Annotated[str, typer.Argument(help="Which way; both, the source's first, when left out.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end, one way after the other; exit code 1 when one failed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a connection's deployments now: one direction, or all of them."""
    home = Home.open()
    server.find(home)
    with server.told():
        ok = asyncio.run(_run(connection, direction, wait=wait, as_json=as_json))
    if not ok:
        raise typer.Exit(1)


async def _deploy(limit: int | None, *, as_json: bool) -> None:
    from deployments.deploying import deploy as make
    from deployments.deploying import register_blocks

    async with Installation.open() as installation, server.api() as client:
        with progress("Registering block types"):
            await register_blocks()
        with progress("Making deployments"):
            rows = await make(installation, client, limit=limit)
    show_rows(rows, _COLUMNS, as_json=as_json)
    if not any(row["connection"] for row in rows):
        say("There is no active connection yet; set one up with: ml-connector connect")


async def _run(connection: str, direction: str, *, wait: bool, as_json: bool) -> bool:
    from deployments import launching

    runs = []
    async with Installation.open() as installation, server.api() as client:
        for way in await launching.directions(installation, connection, direction):
            ended = await launching.start(client, connection, way)
            if wait:
                with progress(f"Running {ended.name}"):
                    ended = await launching.wait(installation, client, ended.flow_run)
            runs.append(ended)
    if as_json and len(runs) > 1:
        show_json([one.facts() for one in runs])
    else:
        for one in runs:
            show_facts(one.facts(), as_json=as_json)
    return all(one.ok for one in runs)
