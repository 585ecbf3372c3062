"""`webhooks`: runs the receiver, and makes, shows and changes the addresses that it listens to."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from deployments import ingress, server
from deployments.app import app
from deployments.asking import agreed
from deployments.block_forms import Given
from deployments.home import Home
from deployments.output import JsonOption, say, show_facts, show_rows
from ml_connector.errors import ConfigurationError, ConnectorError
from ml_connector.installation import Installation
from ml_connector.pairs.base import read_settings
from ml_connector.settings import Settings
from ml_connector.webhooks.serve import HOST, PORT, serve
from ml_connector.webhooks.wake import PrefectWaker

NameArgument = Annotated[str, typer.Argument(help="The ingress.")]

_LISTED = ("ingress", "system", "kind", "address", "wakes", "secrets", "webhooks_end")

webhooks = typer.Typer(help="The receiver of webhooks: run it, and say who may send what to whom.")
app.add_typer(webhooks, name="webhooks")


@webhooks.callback(invoke_without_command=True)
def receive(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another machine's proxy needs one it can reach.")
    ] = HOST,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = PORT,
) -> None:
    """Receive webhooks until Ctrl-C; deliveries start the run that they concern. Put a proxy with TLS before it."""
    if context.invoked_subcommand is not None:
        return
    home = Home.open()
    url, login = server.endpoint(home)
    with ingress.receiver_announced(home):
        asyncio.run(_receive(home, host, port, PrefectWaker(url, login)))


@webhooks.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call the ingress; it is part of the address.")],
    system: Annotated[str, typer.Option(help="Who sends: jira or coupa.")],
    connection: Annotated[str, typer.Option(help="Which connection is to be woken.")],
    kind: Annotated[
        str, typer.Option(help="admin: entered in Jira's settings; dynamic: registered by the OAuth app; coupa.")
    ] = "",
    public_url: Annotated[
        str, typer.Option(help="How the outside world reaches the receiver, as https://hooks.acme.com.")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="How the sender signs, as header=X-Signature; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an address for a sender, with a secret that is shown this once, and say what to enter where."""
    kind = kind or (system if system == "coupa" else "")
    draft = ingress.Draft(name, system, kind, connection, public_url, Given.read(option or (), None).fields).checked()
    server.find(Home.open())
    with server.told():
        facts = asyncio.run(_add(draft))
    show_facts(facts, as_json=as_json)


@webhooks.command(name="list")
def list_all(as_json: JsonOption = False) -> None:
    """All addresses: who sends to them, whom they wake, how many secrets are valid, when the webhooks end."""
    Home.open()
    rows = asyncio.run(_rows())
    if not rows and not as_json:
        say("None.")
        return
    show_rows(rows, _LISTED, as_json=as_json)


@webhooks.command()
def rotate(name: NameArgument, as_json: JsonOption = False) -> None:
    """Add a new secret, shown this once; the former one stays valid until `drop-secret`."""
    Home.open()
    secret = asyncio.run(_rotate(name))
    follows = f"enter it at the sender, then: ml-connector webhooks drop-secret {name}"
    show_facts({"ingress": name, "secret": secret, "next": follows}, as_json=as_json)


@webhooks.command(name="drop-secret")
def drop_secret(name: NameArgument) -> None:
    """Let only the newest secret be valid."""
    Home.open()
    asyncio.run(_drop(name))
    show_facts({"ingress": name, "secrets": 1}, as_json=False)


@webhooks.command()
def remove(name: NameArgument, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Close an address for good; remove the webhook at its sender, too."""
    Home.open()
    if not agreed(f"Deliveries to {name} will be answered with 404. Remove it?", yes=yes):
        raise typer.Exit(1)
    asyncio.run(_remove(name))
    follows = "remove the webhook at its sender; one that an OAuth app has registered ends within 30 days"
    show_facts({"ingress": name, "done": "removed", "next": follows}, as_json=False)


async def _receive(home: Home, host: str, port: int, waker: PrefectWaker) -> None:
    def ready(url: str) -> None:
        ingress.announce_receiver(home, url)
        say(f"Webhooks are received at {url}/webhooks/...; Ctrl-C ends it.")

    try:
        await serve(Settings(), host, port, waker, ready=ready)
    finally:
        await waker.close()


async def _add(draft: ingress.Draft) -> dict[str, Any]:
    from deployments.trying import load_logins

    async with Installation.open() as installation:
        row = await installation.connections.get(draft.connection)
        systems = ingress.systems_of(row)
        if draft.system not in systems:
            raise ConfigurationError(f"connection {row.name} joins {' and '.join(systems)}, not {draft.system}")
        logins = dict(zip(systems, await load_logins((row.source_block, row.target_block)), strict=True))
        facts = await ingress.add(installation, draft, logins)
        if draft.kind == "dynamic":
            facts |= await _register(installation, draft, logins["jira"])
    return facts


async def _register(installation: Installation, draft: ingress.Draft, login: Any) -> dict[str, str]:
    """Register the webhook at once; what does not work now is tried again by the daily run."""
    from flows.renew_jira_webhooks import renew

    row = await installation.connections.get(draft.connection)
    settings = read_settings(ingress.settings_model(row), row)
    try:
        renewed = await renew(installation, row, settings, login)
    except ConnectorError as error:
        return {"webhook": f"not registered yet: {error}", "next": "renew-jira-webhooks tries again daily"}
    told = {"webhook": "; ".join((*renewed.done, *renewed.problems)) or "registered already"}
    if settings.jira.webhook != "dynamic":
        told["next"] = f"set jira.webhook to dynamic in the settings of {row.name}, so that it is renewed daily"
    return told


async def _rows() -> list[dict[str, Any]]:
    async with Installation.open() as installation:
        doors = ingress.doors_of(installation)
        subscriptions = await doors.subscriptions()
        return [ingress.row_of(door, subscriptions) for door in await doors.list()]


async def _rotate(name: str) -> str:
    async with Installation.open() as installation:
        return await ingress.new_secret(ingress.doors_of(installation), name)


async def _drop(name: str) -> None:
    async with Installation.open() as installation:
        await ingress.doors_of(installation).drop_old_secrets(name)


async def _remove(name: str) -> None:
    async with Installation.open() as installation:
        await ingress.doors_of(installation).remove(name)
