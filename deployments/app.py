"""The `ml-connector` command line itself; each module in `deployments/commands` registers its commands on it."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="ml-connector",
    help="Keeps business systems in agreement: Coupa and QAD, QAD and Jira.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def ml_connector() -> None:
    """Keeps business systems in agreement: Coupa and QAD, QAD and Jira."""
