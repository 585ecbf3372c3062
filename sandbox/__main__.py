"""Starts a stand-in tenant: python -m sandbox coupa|qad|jira [--port N] [--seed NAME] [--option KEY=VALUE]...

Seed `story` is the base with the invoices, orders and receipts of the story on top; `exceptions` of QAD is the base
with invoices that fail the match or are held, and an order whose goods are late.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from sandbox import story
from sandbox.kit import jsontext
from sandbox.kit.app import Tenant, UnknownRecord, seed_by_name
from sandbox.kit.serve import serve

SYSTEMS = ("coupa", "qad", "jira")
BASE = "base"
# What is made when it is loaded, over the base: its days follow the calendar.
STORIES: dict[tuple[str, str], Callable[[], story.Json]] = {
    ("coupa", "story"): story.coupa,
    ("qad", "story"): story.qad,
    ("jira", "story"): story.jira,
    ("qad", "exceptions"): story.qad_exceptions,
}


def option(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; the value is JSON when it parses as JSON, else plain text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def load(tenant: Tenant, names: Sequence[str]) -> None:
    """Load seeds, each once; stories come last, over the base that they are made for. Raises UnknownRecord."""
    told = [name for name in dict.fromkeys(names) if (tenant.name, name) in STORIES]
    for name in dict.fromkeys([*([BASE] if told else []), *names]):
        if name not in told:
            seed_by_name(tenant, name)
    for name in told:
        # As a call would bring it: every amount with its own digits.
        tenant.seed(jsontext.loads(jsontext.dumps(STORIES[tenant.name, name]())))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Serve a stand-in tenant on loopback.")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--seed", action="append", default=[], help="named seed to load, may be repeated")
    parser.add_argument("--option", type=option, action="append", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args(arguments)
    create = importlib.import_module(f"sandbox.{chosen.system}.app").create
    try:
        app = create(options=dict(chosen.option))
        load(app.state.tenant, chosen.seed)
        serve(app, host=chosen.host, port=chosen.port)
    except (UnknownRecord, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
