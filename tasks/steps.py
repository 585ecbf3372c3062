"""The five steps of every direction as cached Prefect tasks: they take names and handles, never records or secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import task

from ml_connector.sync.steps import chain, each_route
from ml_connector.sync.work import Page
from tasks.artifacts import show_progress
from tasks.caching import RESUME, SEALED, SealedJSONSerializer
from tasks.runtime import ActiveRun, active, session_of

__all__ = ["SealedJSONSerializer", "auth", "dedupe", "fetch", "match_check", "run_route", "run_routes", "write"]

_CACHED: dict[str, Any] = {"cache_policy": RESUME, "result_serializer": SEALED, "persist_result": True}


@task(name="auth", task_run_name="auth {connection}", **_CACHED)
async def auth(connection: str, direction: str) -> dict[str, str]:
    """Prove both logins; returns who we are in each system, never a token."""
    found: dict[str, str] = await session_of(connection, direction).prove()
    return found


@task(name="fetch", task_run_name="fetch {route} page {number}", **_CACHED)
async def fetch(connection: str, direction: str, route: str, number: int, kind: str, cursor: str | None) -> Page:
    """Read one page and keep it sealed in the store."""
    return await active(connection, direction).fetch(route, number, kind, cursor)


@task(name="match_check", task_run_name="match_check {page.route} page {page.number}", **_CACHED)
async def match_check(connection: str, direction: str, page: Page) -> Page:
    """Judge a page's records against ledger and preconditions; held and rejected ones leave here."""
    return await active(connection, direction).match_check(page)


@task(name="dedupe", task_run_name="dedupe {page.route} page {page.number}", **_CACHED)
async def dedupe(connection: str, direction: str, page: Page) -> Page:
    """Ask the target about the records that are ready; what it has already leaves here."""
    return await active(connection, direction).dedupe(page)


@task(name="write", task_run_name="write {page.route} page {page.number}", **_CACHED)
async def write(connection: str, direction: str, page: Page) -> Page:
    """Intend, write and confirm what is left of a page."""
    return await active(connection, direction).write(page)


class _TaskSteps:
    """The chain's steps, each as its task."""

    def __init__(self, run: ActiveRun) -> None:
        self._run = run
        self._names = (run.connection, run.direction)

    def streams(self, route: str) -> tuple[str, ...]:
        return active(*self._names).streams(route)

    async def fetch(self, route: str, number: int, kind: str, cursor: str | None) -> Page:
        return await fetch(*self._names, route, number, kind, cursor)

    async def match_check(self, page: Page) -> Page:
        return await match_check(*self._names, page)

    async def dedupe(self, page: Page) -> Page:
        return await dedupe(*self._names, page)

    async def write(self, page: Page) -> Page:
        return await write(*self._names, page)

    async def leave(self, page: Page) -> None:
        await active(*self._names).leave(page)
        self._run.count([page])
        await show_progress(self._run, page)

    async def advance(self, route: str, reached: Mapping[str, str]) -> None:
        await active(*self._names).advance(route, reached)


async def run_routes(run: ActiveRun, *, kinds: Sequence[str] | None = None) -> None:
    """Take every route of the direction in business order, page by page; every record leaves with one outcome.

    What kept a route from being taken fails the run when it is closed, after its outcomes were shown.
    """

    async def take(route: str) -> None:
        await run_route(run, route, kinds=kinds)

    run.failed = await each_route(run.routes, take)


async def run_route(run: ActiveRun, route: str, *, kinds: Sequence[str] | None = None) -> None:
    """Take one route page by page; every record leaves with one outcome."""
    if run.busy:
        return
    await auth(run.connection, run.direction)
    await chain(_TaskSteps(run), route, kinds=kinds)
