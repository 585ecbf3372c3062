"""`connect` and `ping`: set up a connection between two tenants, and try one that is set up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from deployments import connecting, server
from deployments.app import app
from deployments.home import Home
from deployments.output import JsonOption, progress, show_facts, show_json, show_rows
from deployments.tenancies import Side, lone_side
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.pairs.base import read_settings, refuse_overlap
from ml_connector.store.tenants import ConnectionRow, State
from ml_connector.systems.ping import PingReport

_COLUMNS = ("check", "result", "message", "remedy")
_LISTED = ("connection", "state", "pair", "settings_version", "blocks", "tenants")


@app.command()
def connect(
    pair: Annotated[str, typer.Argument(help="The two systems, such as coupa_qad.")] = "",
    name: Annotated[str, typer.Argument(help="What to call the connection, such as acme.")] = "",
    source_block: Annotated[str, typer.Option(help="Credentials block of the source, as coupa-credentials/acme.")] = "",
    target_block: Annotated[str, typer.Option(help="Credentials block of the target, as qad-credentials/acme.")] = "",
    settings: Annotated[Path | None, typer.Option(help="Settings of the connection, a YAML file.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether these are the right tenants.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Prove both logins, show who we are there, and store the connection; again with new settings to change them."""
    pair, name = _asked(pair, "PAIR"), _asked(name, "NAME")
    connecting.directions_of(pair)
    connecting.check_name(name)
    blocks = (_asked(source_block, "--source-block"), _asked(target_block, "--target-block"))
    path = settings or Path(_asked("", "--settings"))
    model = connecting.settings_of(pair, connecting.read_file(path), about=f"connection {name}")
    home = Home.open()
    server.find(home)
    with server.told():
        asyncio.run(_connect(name, pair, blocks, model, yes=yes, as_json=as_json))


@app.command()
def ping(
    name: Annotated[str, typer.Argument(help="A connection, or a block such as qad-credentials/acme.")],
    settings: Annotated[
        Path | None, typer.Option(help="With a block: its settings, a YAML file as for connect.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Try a refused login once more: it was put right in the system itself.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Log in, check what we may see there, and name exactly what is wrong; exit code 1 when anything is."""
    given = connecting.read_file(settings) if settings else {}
    home = Home.open()
    server.find(home)
    with server.told():
        reports = asyncio.run(_ping(name, given, again=again))
    _show(reports, as_json=as_json)
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command()
def connections(as_json: JsonOption = False) -> None:
    """All connections: their pair, tenants, blocks, settings version and state."""
    Home.open()
    rows = [
        {
            "connection": row.name,
            "state": row.state,
            "pair": row.pair,
            "settings_version": row.settings_version,
            "blocks": f"{row.source_block}, {row.target_block}",
            "tenants": f"{row.source_tenant}, {row.target_tenant}",
        }
        for row in asyncio.run(_all())
    ]
    show_rows(rows, _LISTED, as_json=as_json, title="connections")


@app.command()
def pause(name: Annotated[str, typer.Argument(help="The connection.")]) -> None:
    """Stop a connection: its runs do nothing, `deploy` takes its deployments away, another may take its records."""
    _set_state(name, "paused")


@app.command()
def resume(name: Annotated[str, typer.Argument(help="The connection.")]) -> None:
    """Make a paused connection active again; run `deploy` afterwards."""
    _set_state(name, "active")


def _set_state(name: str, state: State) -> None:
    Home.open()
    asyncio.run(_put_state(name, state))
    show_facts({"connection": name, "state": state, "next": "ml-connector deploy"}, as_json=False)


async def _all() -> list[ConnectionRow]:
    async with Installation.open() as installation:
        return list(await installation.connections.list())


async def _put_state(name: str, state: State) -> None:
    async with Installation.open() as installation:
        row = await installation.connections.get(name)
        if state == "active":
            direction = connecting.directions_of(row.pair)[0]
            own = read_settings(direction.settings, row)
            await refuse_overlap(installation, direction, own, name=name, source_tenant=row.source_tenant)
        await installation.connections.set_state(name, state)


async def _connect(name: str, pair: str, blocks: tuple[str, str], settings: Any, *, yes: bool, as_json: bool) -> None:
    logins = await _logins(blocks)
    wanted = connecting.describe(name, pair, blocks, logins, settings)
    async with Installation.open() as installation:
        await connecting.refuse_overlap(installation, wanted)
        reports = await _tried(installation, [wanted.source, wanted.target])
        if not all(report.ok for report in reports):
            _show(reports, as_json=as_json)
            raise typer.Exit(1)
        facts = {
            "connection": name,
            "source": f"{wanted.source.system} {wanted.source.identity}, as {reports[0].who}",
            "target": f"{wanted.target.system} {wanted.target.identity}, as {reports[1].who}",
        }
        facts |= {f"look at {check.name}": check.message for one in reports for check in one.checks if check.remedy}
        if not yes:
            show_facts(facts, as_json=False)
            if not typer.confirm("Are these the right tenants?", err=True):
                raise typer.Exit(1)
        row = await connecting.save(installation, wanted)
    told = {"settings_version": row.settings_version, "next": "ml-connector deploy"}
    show_facts({**facts, **told} if yes else told, as_json=as_json)


async def _ping(name: str, given: dict[str, Any], *, again: bool) -> list[PingReport]:
    async with Installation.open() as installation:
        if "/" in name:
            login = (await _logins((name, name)))[0]
            return await _tried(installation, [lone_side(name, login, given)], again=again)
        if given:
            raise ConfigurationError("--settings goes with a block; a connection has settings of its own")
        row = await installation.connections.get(name)
        logins = await _logins((row.source_block, row.target_block))
        return await _tried(installation, connecting.sides_of(row, logins), again=again)


async def _tried(installation: Installation, sides: Sequence[Side], *, again: bool = False) -> list[PingReport]:
    reports = []
    for side in sides:
        if again:
            await installation.vault.forget(installation.slot(side.block, side.login))
        with progress(f"Trying {side.system} with block {side.block}"):
            reports.append(await side.ping(installation))
    return reports


async def _logins(blocks: tuple[str, str]) -> tuple[Any, Any]:
    from tasks.runtime import load_block

    found = {name: await load_block(name) for name in dict.fromkeys(blocks)}
    for name, block in found.items():
        if not hasattr(block, "login"):
            raise ConfigurationError(f"block {name} is a {type(block).__name__}, which holds no login of ours")
    return found[blocks[0]].login(), found[blocks[1]].login()


def _show(reports: Sequence[PingReport], *, as_json: bool) -> None:
    if as_json:
        show_json([_as_json(report) for report in reports])
        return
    for report in reports:
        rows = [
            {"check": one.name, "result": "ok" if one.ok else "wrong", "message": one.message, "remedy": one.remedy}
            for one in report.checks
        ]
        show_rows(rows, _COLUMNS, as_json=False, title=f"{report.system}: {report.who}")


def _as_json(report: PingReport) -> dict[str, Any]:
    checks = [{"name": one.name, "ok": one.ok, "message": one.message, "remedy": one.remedy} for one in report.checks]
    return {"system": report.system, "ok": report.ok, "who": report.who, "checks": checks}


def _asked(value: str, what: str) -> str:
    """The value, or what a person types for it; a script that left it out is told so."""
    if value:
        return value
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what} is missing")
    answer: str = typer.prompt(what.lstrip("-").replace("-", " "), err=True)
    return answer.strip()
