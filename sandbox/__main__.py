"""Starts a stand-in tenant: python -m sandbox coupa|qad [--port N] [--seed NAME] [--option KEY=VALUE]..."""

from __future__ import annotations

import argparse
import importlib
import json
from typing import Any

from sandbox.kit.app import UnknownRecord, seed_by_name
from sandbox.kit.serve import serve

SYSTEMS = ("coupa", "qad")


def option(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; the value is JSON when it parses as JSON, else plain text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


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
        for name in chosen.seed:
            seed_by_name(app.state.tenant, name)
        serve(app, host=chosen.host, port=chosen.port)
    except (UnknownRecord, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
