"""`doubt` and `replay`: what a person decides about single records."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from deployments import server
from deployments.app import app
from deployments.home import Home
from deployments.output import JsonOption, progress, say, show_facts, show_rows
from ml_connector.domain.outcomes import Outcome
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.store import ledger
from ml_connector.store.ledger import DONE, LedgerRow

RecordArgument = Annotated[str, typer.Argument(help="Document number, external id, id in the target, or token.")]
ConnectionOption = Annotated[str | None, typer.Option("--connection", help="Only this connection's records.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 when the run failed.")]

_COLUMNS = ("record", "effect", "in_doubt_since", "external_id", "connection", "direction")


class _RecordFirst(TyperGroup):
    """A group whose first word may be a record: `replay INV-1` is `replay record INV-1`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["record", *args]
        return super().parse_args(ctx, args)


doubt = typer.Typer(help="Writes that may have taken effect: which they are, and settling one by hand.")
replay = typer.Typer(cls=_RecordFirst, help="One held or rejected record again: `replay RECORD`, `replay edit RECORD`.")
app.add_typer(doubt, name="doubt", no_args_is_help=True)
app.add_typer(replay, name="replay", no_args_is_help=True)


@doubt.command(name="list")
def doubts(connection: ConnectionOption = None, as_json: JsonOption = False) -> None:
    """Every write whose effect nobody knows yet; each run asks the target about them by itself."""
    Home.open()
    rows = asyncio.run(_doubts(connection))
    if not rows and not as_json:
        say("None.")
        return
    show_rows([_doubtful(row) for row in rows], _COLUMNS, as_json=as_json)


@doubt.command()
def settle(
    record: RecordArgument,
    written: Annotated[str, typer.Option(help="It was written: its id in the target, as you see it there.")] = "",
    absent: Annotated[bool, typer.Option("--absent", help="Nothing was written; it is sent again.")] = False,
    connection: ConnectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what you have seen in the target. `--absent` counts only when the time for a late effect is over."""
    if bool(written) is absent:
        raise ConfigurationError("say either --written ID or --absent")
    home = Home.open()
    server.find(home)
    with server.told():
        told = asyncio.run(_settle(record, connection, None if absent else written))
    show_facts(told, as_json=as_json)


@replay.command(name="record")
def replay_record(
    record: RecordArgument,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="Its document was deleted in the target: make it again.")
    ] = False,
    connection: ConnectionOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge a held or rejected record anew and write what is still missing of it; nothing is ever written twice."""
    home = Home.open()
    server.find(home)
    with server.told():
        ok = asyncio.run(_replay(record, connection, {}, recreate=recreate, wait=wait, as_json=as_json))
    if not ok:
        raise typer.Exit(1)


@replay.command()
def edit(
    record: RecordArgument,
    changes: Annotated[list[str], typer.Argument(help="FIELD=VALUE, such as lines.1.po_number=PO100001; repeatable.")],
    connection: ConnectionOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replay a record with another value in a field; the edit ends when the source changes that field itself."""
    edits = dict(_change(one) for one in changes)
    home = Home.open()
    server.find(home)
    with server.told():
        ok = asyncio.run(_replay(record, connection, edits, recreate=False, wait=wait, as_json=as_json))
    if not ok:
        raise typer.Exit(1)


def _change(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not equals or not field:
        raise ConfigurationError(f"{text}: write FIELD=VALUE, such as lines.1.po_number=PO100001")
    return field, value


async def _doubts(connection: str | None) -> list[LedgerRow]:
    async with Installation.open() as installation:
        if connection is not None:
            await installation.connections.get(connection)
        waiting = list(Outcome)
        rows = await ledger.listing(installation.store.db, outcomes=waiting, connection=connection)
        return [row for row in rows if row.in_doubt]


def _doubtful(row: LedgerRow) -> dict[str, object]:
    one = row.in_doubt
    since = one.doubt_since if one else None
    return {
        "record": row.label,
        "effect": one.name if one else "",
        "in_doubt_since": f"{since:%Y-%m-%d %H:%M} UTC" if since else "its run may still be at work",
        "external_id": row.external_id,
        "connection": row.connection,
        "direction": row.direction,
    }


async def _settle(record: str, connection: str | None, written: str | None) -> dict[str, object]:
    from deployments import repairing

    async with Installation.open() as installation:
        row = await repairing.find_row(installation, record, connection)
        after = await repairing.settle(installation, row, written=written)
    return {
        "record": after.label,
        "effect": row.in_doubt.name if row.in_doubt else "",
        "settled": "absent" if written is None else f"written as {written}",
        "next": _what_follows(after, absent=written is None),
    }


def _what_follows(row: LedgerRow, *, absent: bool) -> str:
    """The outcome would not tell it: a record whose last steps are still to be written counts as in doubt till then."""
    if absent:
        return "the next run sends it again"
    rest = ", ".join(one.name for one in row.effects if one.state != DONE)
    return f"the next run writes the rest of it: {rest}" if rest else "nothing: all of it is written"


async def _replay(
    record: str, connection: str | None, edits: dict[str, str], *, recreate: bool, wait: bool, as_json: bool
) -> bool:
    from deployments import launching, repairing

    async with Installation.open() as installation, server.api() as client:
        row = await repairing.find_row(installation, record, connection)
        if edits:
            await repairing.edit(installation, row, edits)
        started = await repairing.start_replay(client, row, recreate=recreate)
        if not wait:
            show_facts({"record": row.label, "flow_run": started}, as_json=as_json)
            return True
        with progress(f"Replaying {row.label}"):
            ended = await launching.wait(installation, client, started)
        after = await repairing.find_row(installation, row.external_id, row.connection)
    told = {"record": after.label, "outcome": after.outcome.value, "why": "; ".join(one.text for one in after.reasons)}
    show_facts(told | {"state": ended.state, "message": ended.message}, as_json=as_json)
    return ended.ok
