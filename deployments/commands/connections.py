"""`connect` and `ping`: set up a connection between two tenants, and try one that is set up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from deployments import connecting, server
from deployments.app import app
from deployments.asking import ask, choose
from deployments.block_forms import KINDS, Given
from deployments.consent import REDIRECT_PORT, Dance
from deployments.home import Home
from deployments.jira_logins import JIRA
from deployments.output import JsonOption, show_facts, show_rows
from deployments.setting_up import Draft, LoginDraft, new_connection, new_login
from deployments.tenancies import Side, lone_side
from deployments.trying import load_logins, show_reports, start_again, try_pair, try_sides
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.pairs.base import read_settings, refuse_overlap
from ml_connector.store.tenants import ConnectionRow, State
from ml_connector.systems.ping import PingReport

Answer = TypeVar("Answer")
_LISTED = ("connection", "state", "pair", "settings_version", "blocks", "tenants")


@app.command()
def connect(
    pair: Annotated[str, typer.Argument(help=f"A pair such as coupa_qad, or one system: {', '.join(KINDS)}.")] = "",
    name: Annotated[str, typer.Argument(help="What to call the connection or the block, such as acme.")] = "",
    source_block: Annotated[str, typer.Option(help="Credentials block of the source, as coupa-credentials/acme.")] = "",
    target_block: Annotated[str, typer.Option(help="Credentials block of the target, as qad-credentials/acme.")] = "",
    settings: Annotated[Path | None, typer.Option(help="Settings of the connection, a YAML file.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="With a system: an answer beforehand, as base_url=https://...; repeatable.")
    ] = None,
    secret_file: Annotated[Path | None, typer.Option(help="With a system: a file that holds its secret.")] = None,
    site: Annotated[str, typer.Option(help="With jira: the site's address, as https://acme.atlassian.net.")] = "",
    redirect_port: Annotated[
        int, typer.Option(help="With jira: port of the callback URL that the OAuth app names.")
    ] = REDIRECT_PORT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="With jira: open the page of consent, or only show it.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: right tenants, replace the block.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Set up a login (connect SYSTEM NAME) or a connection (connect PAIR NAME); nothing is stored unless it works.

    What is not given is asked for. A connection set up again with new settings has them changed.
    """
    offered = [*connecting.pairs(), *KINDS]
    pair = pair or choose("What to set up", offered, "PAIR")
    if pair in KINDS:
        _refuse(source_block or target_block, "--source-block and --target-block go with a pair")
        _refuse(site and pair != JIRA, "--site goes with jira")
        given = Given.read(field or (), secret_file)
        dance = Dance(redirect_port, browser)
        run = new_login(LoginDraft(pair, name, given, _read(settings), site, dance), yes=yes, as_json=as_json)
    else:
        _refuse(field or secret_file or site, "--field, --secret-file and --site go with a system, as: connect coupa")
        connecting.directions_of(pair)
        name = connecting.check_name(name or ask("name of the connection", "NAME"))
        draft = Draft(pair, name, source_block, target_block, _read(settings) if settings else None)
        draft.refuse_gaps()
        run = new_connection(draft, yes=yes, as_json=as_json)
    _with_server(run)


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
    """Log in, check what we may see there, and name exactly what is wrong; exit code 1 when anything is.

    What stood still because the login was refused starts again when it works.
    """
    reports = _with_server(_ping(name, _read(settings), again=again))
    show_reports(reports, as_json=as_json)
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


async def _ping(name: str, given: dict[str, Any], *, again: bool) -> list[PingReport]:
    async with Installation.open() as installation:
        if "/" in name:
            sides: Sequence[Side] = [lone_side(name, (await load_logins((name, name)))[0], given)]
            reports = await try_sides(installation, sides, again=again)
        else:
            if given:
                raise ConfigurationError("--settings goes with a block; a connection has settings of its own")
            row = await installation.connections.get(name)
            wanted = connecting.as_stored(row, await load_logins((row.source_block, row.target_block)))
            sides = (wanted.source, wanted.target)
            reports = await try_pair(installation, wanted, again=again)
        works = [side.block for side, report in zip(sides, reports, strict=False) if report.ok]
        await start_again(installation, works)
    return reports


def _with_server(work: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        server.find(Home.open())
    except ConfigurationError:
        work.close()
        raise
    with server.told():
        return asyncio.run(work)


def _read(settings: Path | None) -> dict[str, Any]:
    return connecting.read_file(settings) if settings else {}


def _refuse(given: object, why: str) -> None:
    if given:
        raise ConfigurationError(why)
