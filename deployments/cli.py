"""Entry point of the `ml-connector` command: collects the commands and turns errors into one clear line."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import deployments.commands
from deployments.app import app
from deployments.output import say
from ml_connector.errors import ConnectorError

FAILED = 2


def main() -> None:
    """Run the command line; anything a user can act on is a line on stderr and exit code 2, never a traceback."""
    try:
        load_commands()
        app()
    except ConnectorError as error:
        say(f"ml-connector: {error}")
        sys.exit(FAILED)


def load_commands() -> None:
    """Import every module of deployments.commands, in the order of their names."""
    for module in sorted(pkgutil.iter_modules(deployments.commands.__path__), key=lambda found: found.name):
        importlib.import_module(f"deployments.commands.{module.name}")


if __name__ == "__main__":
    main()
