"""`doctor`: is this installation whole, and if not, what mends it?"""

from __future__ import annotations

import asyncio

import typer

from deployments import server
from deployments.app import app
from deployments.doctor import all_right, local_checks
from deployments.home import Home
from deployments.output import JsonOption, progress, show_json, show_rows
from ml_connector.errors import ConfigurationError
from ml_connector.settings import Settings
from ml_connector.systems.ping import PingCheck

_COLUMNS = ("check", "result", "message", "remedy")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check keys, store, server, worker, deployments, clock, audit and logins; exit code 1 when anything is wrong."""
    with progress("Looking at everything"):
        checks = asyncio.run(_checks())
    rows = [
        {"check": one.name, "result": "ok" if one.ok else "wrong", "message": one.message, "remedy": one.remedy}
        for one in checks
    ]
    if as_json:
        show_json({"ok": all_right(checks), "checks": rows})
    else:
        show_rows(rows, _COLUMNS, as_json=False)
    if not all_right(checks):
        raise typer.Exit(1)


async def _checks() -> list[PingCheck]:
    settings = Settings()
    checks = await local_checks(settings)
    # A home that is not whole is not opened: opening makes what is missing, and doctor changes nothing.
    if not all(one.ok for one in checks if one.name in ("home", "keys", "database", "keys open the store")):
        return checks
    try:
        home = Home.open(settings)
        server.find(home)
    except ConfigurationError as error:
        return [*checks, PingCheck("server", False, error.message, "mend what the message names, then again")]
    from deployments.doctor_server import server_checks

    return checks + await server_checks(home, server.address())
