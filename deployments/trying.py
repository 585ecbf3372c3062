"""Trying logins: every check of both tenants and of the pair's own settings, shown with the remedy of what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from deployments import connecting, server
from deployments.output import progress, say, show_json, show_rows
from deployments.tenancies import PAIR_CHECKS, Side
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.systems.ping import PingReport

_COLUMNS = ("check", "result", "message", "remedy")


async def try_sides(installation: Installation, sides: Sequence[Side], *, again: bool = False) -> list[PingReport]:
    """Try each login and what the ports rely on; `again` tries one that was refused before once more.

    A consent is not forgotten for that: when it was refused, only a new one helps.
    """
    reports = []
    for side in sides:
        if again and not side.by_consent:
            await installation.vault.forget(installation.slot(side.block, side.login))
        with progress(f"Trying {side.system} with block {side.block}"):
            reports.append(await side.ping(installation))
    return reports


async def try_pair(
    installation: Installation, wanted: connecting.Wanted, *, again: bool = False
) -> list[PingReport]:
    """Both ends, and when they are in order what the pair itself asks of its settings."""
    sides = (wanted.source, wanted.target)
    reports = await try_sides(installation, sides, again=again)
    check = PAIR_CHECKS.get(wanted.pair)
    if check is None or not all(report.ok for report in reports):
        return reports
    with progress("Checking the settings against both tenants"):
        async with AsyncExitStack() as stack:
            source, target = [await stack.enter_async_context(side.port(installation)) for side in sides]
            checks = tuple(await check(source, target, wanted.settings))
    ok = all(one.ok for one in checks)
    return [*reports, PingReport(wanted.pair, ok, f"settings of {wanted.name}", checks)]


async def load_logins(blocks: tuple[str, str]) -> tuple[Any, Any]:
    """The logins in two blocks, which may be the same one."""
    from tasks.runtime import load_block

    found = {name: await load_block(name) for name in dict.fromkeys(blocks)}
    for name, block in found.items():
        if not hasattr(block, "login"):
            raise ConfigurationError(
                f"block {name} is a {type(block).__name__}, which holds no login of ours"
            )
    return found[blocks[0]].login(), found[blocks[1]].login()


async def start_again(installation: Installation, blocks: Sequence[str]) -> None:
    """These logins work: the schedules that were stopped for them run again, and a person is told of it."""
    from tasks.logins import release

    async with server.api() as client:
        started = await release(installation, client, blocks)
    if started:
        say(f"Schedules run again: {', '.join(started)}")


def show_reports(reports: Sequence[PingReport], *, as_json: bool) -> None:
    """A table per tenant, or everything as JSON."""
    if as_json:
        show_json([_as_json(report) for report in reports])
        return
    for report in reports:
        rows = [
            {"check": one.name, "result": "ok" if one.ok else "wrong", "message": one.message, "remedy": one.remedy}
            for one in report.checks
        ]
        show_rows(rows, _COLUMNS, as_json=False, title=f"{report.system}: {report.who}")


def _as_json(report: PingReport) -> dict[str, Any]:
    checks = [{"name": one.name, "ok": one.ok, "message": one.message, "remedy": one.remedy} for one in report.checks]
    return {"system": report.system, "ok": report.ok, "who": report.who, "checks": checks}
