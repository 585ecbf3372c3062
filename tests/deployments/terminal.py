"""A desk with a server, a worker and both stand-in tenants, and a person at its command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deployments import asking, cli, server
from deployments.app import app
from deployments.home import Home
from deployments.stack import Plan, SandboxPlan, Stack, _ask, running
from ml_connector.settings import Settings
from tests.flows.desk import hand_in_what_is_noted, in_this_process

COUPA_SECRET = "coupa-demo-secret"
QAD_PASSWORD = "qad-demo-password"


@dataclass(frozen=True)
class Terminal:
    """Runs commands against the desk, in this process; `typed` are the lines that a person answers with."""

    stack: Stack

    async def run(self, *arguments: str, typed: list[str] | None = None) -> Result:
        """One command to its end; an error that a user can act on is the result's exception."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asking, "somebody_there", lambda: typed is not None)
            text = "".join(f"{line}\n" for line in typed or ())
            return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments), input=text))

    async def read(self, method: str, path: str, body: Any = None) -> Any:
        """What the server's API answers; on SQLite it is busy now and then, and is asked again."""
        answer = await _ask(self.stack, method, path, body)
        return answer.raise_for_status().json() if answer.content else None

    async def blocks(self) -> set[str]:
        """The names of all stored credentials blocks."""
        found = await self.read("POST", "block_documents/filter", {})
        return {f"{one['block_type']['slug']}/{one['name']}" for one in found}


@asynccontextmanager
async def terminal(
    folder: Path, systems: Sequence[str] = ("coupa", "qad"), *, receiver: bool = False
) -> AsyncIterator[Terminal]:
    """Start the desk with these stand-in tenants, and end it after the block."""
    cli.load_commands()
    home = Home.open(Settings(home=folder / "home"))
    sandboxes = [SandboxPlan(system, seeds=["base"]) for system in systems]
    plan = Plan(worker_limit=2, receiver_port=0 if receiver else None, sandboxes=sandboxes)
    with server.announced(home):
        async with running(home, plan, shows=lambda _: nullcontext()) as stack:
            server.announce(home, stack.api_url)
            with in_this_process(stack), pytest.MonkeyPatch.context() as patch:
                patch.setenv("COLUMNS", "250")
                yield Terminal(stack)
                await hand_in_what_is_noted()
