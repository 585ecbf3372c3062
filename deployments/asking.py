"""Questions to the person at the terminal; a script that left an answer out is told so in one line instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from ml_connector.errors import ConfigurationError


def somebody_there() -> bool:
    """Whether there is a person who can answer."""
    return sys.stdin.isatty()


def ask(what: str, option: str = "", *, default: str | None = None, hidden: bool = False) -> str:
    """What a person types; without one the default, or a ConfigurationError that names the option left out."""
    if not somebody_there():
        if default is None:
            raise ConfigurationError(f"{option or what} is missing")
        return default
    answer: Any = typer.prompt(what, default=default, hide_input=hidden, err=True, show_default=bool(default))
    return str(answer).strip()


def choose(what: str, offered: Sequence[str], option: str = "") -> str:
    """One of the offered values, by its number or its name; asked again until it is one of them."""
    if not somebody_there():
        raise ConfigurationError(f"{option or what} is missing; there is: {', '.join(offered)}")
    for number, value in enumerate(offered, 1):
        typer.echo(f"  {number}  {value}", err=True)
    while True:
        answer = ask(what, option, default=offered[0])
        if answer in offered:
            return answer
        if answer.isdecimal() and 1 <= int(answer) <= len(offered):
            return offered[int(answer) - 1]
        typer.echo(f"  please a number from 1 to {len(offered)}", err=True)


def agreed(question: str, *, yes: bool, option: str = "--yes") -> bool:
    """Whether a person agrees; `yes` was said on the command line, and a script that did not say it is refused."""
    if yes:
        return True
    if not somebody_there():
        raise ConfigurationError(f"{question} Say so with {option}")
    return bool(typer.confirm(question, err=True))
