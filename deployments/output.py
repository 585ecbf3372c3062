"""What the commands show: tables or JSON on stdout, progress on stderr, so that a pipe gets data alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

Row = Mapping[str, object]


def show_rows(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool, title: str = "") -> None:
    """Print rows as a table of the named columns, or whole as a JSON list."""
    if as_json:
        show_json(list(rows))
        return
    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        # Text, not markup: a document number may contain brackets.
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    Console(soft_wrap=False).print(table)


def show_facts(facts: Row, *, as_json: bool) -> None:
    """Print one thing's facts, a line each, or as a JSON object."""
    if as_json:
        show_json(facts)
        return
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_cell(value)}")


def show_json(value: object) -> None:
    """Print one JSON document; amounts, dates and ids become strings, so no digit is lost."""
    typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Tell the person at the terminal something that is not data."""
    typer.echo(text, err=True)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show that something is under way, then how long it took; a plain line when nobody watches."""
    console = Console(stderr=True)
    began = time.monotonic()
    if console.is_terminal:
        with console.status(Text(what)):
            yield
    else:
        say(f"{what} ...")
        yield
    console.print(Text(f"{what}: {time.monotonic() - began:.1f} s"), soft_wrap=True)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if not isinstance(value, tuple) else list(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
