"""The desk: server, UI, worker, webhook receiver and stand-in tenants, kept running until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

from deployments.home import Home
from deployments.output import say, show_facts
from deployments.stack import Plan, Prepare, Stack, running


async def up(
    home: Home, plan: Plan, *, deploy_all: Prepare | None = None, hint: str = "", as_json: bool = False
) -> None:
    """Start everything, say where it is, and stay until it is interrupted; ProcessError when a process ends by itself.

    `deploy_all` runs once the server answers; this process then has the Prefect settings it needs. `hint` is told
    after the addresses.
    """

    async def prepare(stack: Stack) -> None:
        os.environ.update(stack.environment)
        if deploy_all is not None:
            await deploy_all(stack)

    async with running(home, plan, prepare=prepare if deploy_all else None) as stack:
        show_facts(addresses(stack), as_json=as_json)
        for line in (hint, "Ctrl-C ends all of it."):
            if line:
                say(line)
        await stack.watch()


def addresses(stack: Stack) -> dict[str, str]:
    """What a person needs to look around."""
    return {
        "prefect_ui": stack.ui_url,
        "login": stack.home.login.auth_string,
        **({"webhooks": stack.receiver} if stack.receiver else {}),
        **{f"sandbox_{system}": url for system, url in stack.sandboxes.items()},
        "state_and_logs": str(stack.home.root),
    }


def until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or to the first SIGINT or SIGTERM, after which the work cleans up; later ones are ignored."""
    asyncio.run(_until_interrupted(work))


async def _until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            say("\nEnding, a moment ...")
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await task
    except asyncio.CancelledError:
        if not interrupted:
            raise
