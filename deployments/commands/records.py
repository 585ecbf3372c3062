"""`held`, `rejected` and `audit`: what waits for time or for a person, and what happened to one record."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from deployments.app import app
from deployments.home import Home
from deployments.output import JsonOption, progress, say, show_facts, show_json, show_rows
from ml_connector.domain.outcomes import Outcome
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.store import ledger
from ml_connector.store.audit_history import PastEvent, history
from ml_connector.store.audit_verify import VerifyReport, verify
from ml_connector.store.checkpoints import write_checkpoint
from ml_connector.store.ledger import LedgerRow

ConnectionOption = Annotated[str | None, typer.Option("--connection", help="Only this connection's records.")]

audit = typer.Typer(help="The audit trail: one record's history, the proof that it is whole, signed checkpoints.")
app.add_typer(audit, name="audit", no_args_is_help=True)

_COLUMNS = ("record", "outcome", "since", "why", "next_look", "target", "connection")
_CLEAR = ("record", "outcome", "reasons")
# Between these two a write may have taken effect, which the record says as long as it is so: no news in its history.
_STEPS = ("intended", "written")


@app.command()
def held(connection: ConnectionOption = None, as_json: JsonOption = False) -> None:
    """Records that wait: for a receipt or an order, or for a clear answer about a write."""
    _list((Outcome.HELD, Outcome.IN_DOUBT), connection, as_json=as_json)


@app.command()
def rejected(connection: ConnectionOption = None, as_json: JsonOption = False) -> None:
    """Records that a person has to look at."""
    _list((Outcome.REJECTED,), connection, as_json=as_json)


@audit.command()
def show(
    record: Annotated[str, typer.Argument(help="Document number, external id, id in the target, or token.")],
    as_json: JsonOption = False,
) -> None:
    """Everything that happened to a record, oldest first, with the sealed details opened.

    To an invoice belong its payments and its correction.
    """
    Home.open()
    names, events = asyncio.run(_history(record))
    if as_json:
        show_json([_event(one, names[one.external_id]) for one in events])
        return
    for external_id, name in names.items():
        typer.echo(external_id if name == external_id else f"{name}: {external_id}")
    for one in events:
        _print(one, names[one.external_id])


@audit.command(name="verify")
def verify_trail(as_json: JsonOption = False) -> None:
    """Prove that no event was changed, removed or added; exit code 1 and a line per problem when one was."""
    Home.open()
    with progress("Verifying the audit trail"):
        report = asyncio.run(_verify())
    if as_json:
        show_json({"ok": report.ok, "chains": report.chains, "problems": report.problems})
    else:
        for problem in report.problems:
            typer.echo(problem)
        if report.ok:
            typer.echo(f"The trail is whole: {sum(report.chains.values())} events in {len(report.chains)} chains.")
    if not report.ok:
        raise typer.Exit(1)


@audit.command()
def checkpoint(as_json: JsonOption = False) -> None:
    """Sign the present ends of all chains into a file outside the store."""
    Home.open()
    path = asyncio.run(_checkpoint())
    show_facts({"checkpoint": path}, as_json=as_json)


def _list(outcomes: tuple[Outcome, ...], connection: str | None, *, as_json: bool) -> None:
    Home.open()
    rows = asyncio.run(_rows(outcomes, connection))
    if not rows and not as_json:
        say("None.")
        return
    show_rows([_waiting(row, as_json=as_json) for row in rows], _COLUMNS, as_json=as_json)


async def _rows(outcomes: tuple[Outcome, ...], connection: str | None) -> list[LedgerRow]:
    async with Installation.open() as installation:
        if connection is not None:
            await installation.connections.get(connection)
        return await ledger.listing(installation.store.db, outcomes=outcomes, connection=connection)


def _waiting(row: LedgerRow, *, as_json: bool) -> Mapping[str, object]:
    shown: dict[str, object] = {
        "record": row.label,
        "outcome": row.outcome.value,
        "since": row.since if as_json else f"{row.since:%Y-%m-%d %H:%M} UTC",
        "why": "; ".join(one.text for one in row.reasons),
        "next_look": _next_look(row),
        "target": row.target_id,
        "connection": row.connection,
    }
    if as_json:
        shown |= {
            "external_id": row.external_id,
            "token": row.token,
            "reasons": [{"code": one.code, "params": dict(one.params)} for one in row.reasons],
            "due_at": row.due_at,
        }
    return shown


def _next_look(row: LedgerRow) -> str:
    """Held rows come up by themselves; a rejected one when it changes in its source."""
    if row.due_at is None:
        return "when it changes"
    return "next run" if row.due_at <= datetime.now(UTC) else f"{row.due_at:%Y-%m-%d %H:%M} UTC or later"


async def _history(record: str) -> tuple[dict[str, str], list[PastEvent]]:
    """What to call each external id, and the events of all of them in the order of time."""
    async with Installation.open() as installation:
        store = installation.store
        labels = {row.external_id: row.label for row in await ledger.related(store.db, record)}
        events = [one for name in labels or [record] for one in await history(store.db, store.keys, name)]
    if not events:
        raise ConfigurationError(f"nothing is known of {record}; name it by number, external id, target id or token")
    events.sort(key=lambda one: (one.at, one.chain, one.seq))
    found = {one.external_id: labels.get(one.external_id, one.external_id) for one in events}
    shared = {label for label, times in Counter(found.values()).items() if times > 1}
    return {key: key if label in shared else label for key, label in found.items()}, events


async def _verify() -> VerifyReport:
    async with Installation.open() as installation:
        store = installation.store
        return await verify(store.db, store.keys, installation.settings.checkpoints)


async def _checkpoint() -> Path:
    async with Installation.open() as installation:
        store = installation.store
        return await write_checkpoint(store.db, store.keys, installation.settings.checkpoints, store.clock)


def _event(one: PastEvent, name: str) -> dict[str, Any]:
    return {
        "record": name,
        "at": one.at,
        "chain": one.chain,
        "seq": one.seq,
        "event": one.kind,
        "external_id": one.external_id,
        "data": one.data,
        "detail": one.detail,
        "detail_emptied": one.emptied,
    }


def _print(one: PastEvent, record: str) -> None:
    rest = {name: value for name, value in one.data.items() if name not in _CLEAR}
    said = [record, *(f"{name} {value}" for name, value in rest.items())]
    if one.kind not in _STEPS:
        said += [_reason(reason) for reason in one.data.get("reasons", [])]
    typer.echo(f"  {one.at:%Y-%m-%d %H:%M:%S} UTC  {one.kind:<14} {'; '.join(part for part in said if part)}")
    if one.emptied:
        typer.echo("      (details were removed by retention)")
    for name, value in (one.detail or {}).items():
        typer.echo(f"      {name}: {value}")


def _reason(reason: Mapping[str, str]) -> str:
    from ml_connector.domain.reasons import TEXTS, Reason

    code, params = reason["code"], {name: value for name, value in reason.items() if name != "code"}
    return Reason(code, params).text if code in TEXTS else code
