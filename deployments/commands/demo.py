"""`demo`: plays the whole story in a folder of its own, which each start makes anew."""

from __future__ import annotations

import fcntl
import shutil
import time
from pathlib import Path

import typer

from deployments.app import app
from deployments.home import Home
from deployments.output import JsonOption, show_json
from deployments.up import until_interrupted
from ml_connector.errors import ConfigurationError
from ml_connector.settings import Settings

_MARK = "made-by-ml-connector-demo"


@app.command()
def demo(as_json: JsonOption = False) -> None:
    """Play a story of invoices and issues against stand-in tenants, and prove that nothing was lost or doubled."""
    from deployments.demo import play
    from deployments.demo_stage import Teller

    began = time.monotonic()
    folder = fresh_folder(Settings().home / "demo")
    # Given here, these win over the environment: no other installation's store, keys or checkpoints are touched.
    home = Home.open(Settings(home=folder, database_url="", keys_file=None, audit_folder=None))
    teller = Teller(quiet=as_json)
    until_interrupted(play(home, teller))
    seconds = time.monotonic() - began
    if as_json:
        show_json({"ok": teller.ok, "runs": teller.runs, "proof": teller.proof, "seconds": round(seconds, 1)})
    elif teller.finished:
        _sum_up(teller.ok, folder, seconds)
    if not teller.ok:
        raise typer.Exit(1)


def fresh_folder(folder: Path) -> Path:
    """The demo's folder, empty; ConfigurationError when a demo runs there or when it is somebody else's."""
    folder = folder.expanduser().absolute()
    if folder.exists():
        if not (folder / _MARK).is_file():
            raise ConfigurationError(f"{folder} was not made by the demo and is not replaced; set ML_CONNECTOR_HOME")
        _refuse_running(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    (folder / _MARK).write_text("`ml-connector demo` replaces this folder at each start.\n", encoding="utf-8")
    return folder


def _refuse_running(folder: Path) -> None:
    with (folder / "server.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"a demo runs in {folder} already; wait for its end") from None


def _sum_up(ok: bool, folder: Path, seconds: float) -> None:
    typer.echo()
    if ok:
        typer.echo(f"All as told, in {seconds:.0f} s: 5 invoices posted and 3 payments told, each once;")
        typer.echo("2 invoices held, 2 for a person, 0 lost. 4 issues made in Jira; of 3 decisions there QAD took 2,")
        typer.echo("each written once, and refused 1, which the person was told.")
    else:
        typer.echo(f"Something differs from the story (see DIFFERS above); logs: {folder / 'logs'}")
    typer.echo(f"State and logs stay in {folder} until the next demo.")
    typer.echo("Next: `make up` keeps all of it running to look at in the Prefect UI; README.md tells how to connect")
    typer.echo("your first real tenant.")
