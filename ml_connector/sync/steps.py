"""The four steps of a page and the chain that joins them; the flows run the same steps as cached tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.records import Unreadable
from ml_connector.store import ledger, pages
from ml_connector.sync.asking import ask
from ml_connector.sync.doubt import settle
from ml_connector.sync.judging import judge
from ml_connector.sync.lanes import hold_twins, in_turn, note_open_lanes
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Route
from ml_connector.sync.work import Page, Stage, Work, pack, unpack
from ml_connector.sync.writing import write_all

Kind = Literal["due", "new"]


class Steps(Protocol):
    """The steps as callables on handles, so that a flow can put tasks in their place."""

    async def fetch(self, route: str, number: int, kind: Kind, cursor: str | None) -> Page:
        """Read one page."""
        ...

    async def match_check(self, page: Page) -> Page:
        """Judge its records."""
        ...

    async def dedupe(self, page: Page) -> Page:
        """Ask the target about those that are ready."""
        ...

    async def write(self, page: Page) -> Page:
        """Write what is left."""
        ...


async def chain(steps: Steps, route: str) -> list[Page]:
    """Take a route page by page: what we owe from earlier runs first, then what is new at the source."""
    done: list[Page] = []
    kinds: tuple[Kind, ...] = ("due", "new")
    for kind in kinds:
        cursor: str | None = None
        while True:
            page = await steps.fetch(route, len(done), kind, cursor)
            cursor = page.cursor
            page = await steps.match_check(page)
            page = await steps.dedupe(page)
            done.append(await steps.write(page))
            if page.last:
                break
    return done


class EngineSteps:
    """The steps without Prefect around them."""

    def __init__(self, run: SyncRun, started: datetime) -> None:
        self.run = run
        self.started = started

    async def fetch(self, route: str, number: int, kind: Kind, cursor: str | None) -> Page:
        """Read a page and keep it sealed; the handle says where it lies and where the next one starts."""
        run, plan = self.run, self.run.routes[route]
        await run.lease.keep()
        if kind == "due":
            works, next_cursor = await self._due(plan, cursor)
        else:
            works, next_cursor = await self._new(plan, cursor)
        page = Page(
            run=run.id,
            route=route,
            number=number,
            kind=kind,
            stage="fetched",
            size=len(works),
            cursor=next_cursor,
            last=next_cursor is None,
            epoch=run.lease.epoch,
        )
        return await self._keep(page, "fetched", works)

    async def match_check(self, page: Page) -> Page:
        """Judge a page's records; those that are held, rejected, skipped or unchanged leave here."""
        works = await self._take(page, "fetched")
        if self._old(page):
            return await self._keep(page, "checked", works)
        judged = await judge(self.run, self.run.routes[page.route], works)
        page = page.counted(judged.left, dropped=judged.dropped)
        return await self._keep(page, "checked", judged.ready + judged.unfinished)

    async def dedupe(self, page: Page) -> Page:
        """Ask the target about the records that are ready; what is there already leaves here."""
        run, plan = self.run, self.run.routes[page.route]
        works = await self._take(page, "checked")
        if self._old(page):
            return await self._keep(page, "fresh", works)
        await self._attach(plan, works)
        asked = await ask(run, plan, [work for work in works if work.decision is not None])
        unfinished = [work for work in works if work.decision is None]
        return await self._keep(page.counted(asked.left), "fresh", asked.fresh + asked.unfinished + unfinished)

    async def write(self, page: Page) -> Page:
        """Write what is ready and finish what is not; every record of the page has its outcome afterwards."""
        plan = self.run.routes[page.route]
        works = await self._take(page, "fresh")
        outcomes: list[Outcome] = []
        dropped = 0
        if self._old(page):
            # Read and judged before the lease that we hold now: a cached result is a hint, so everything is done anew.
            works, outcomes, dropped = await self._again(plan, works)
        else:
            await self._attach(plan, works)
        outcomes += await self._finish(plan, works)
        page = await self._keep(page.counted(outcomes, dropped=dropped), "written", [])
        if sum(page.counts.values()) + page.dropped != page.size:
            raise RuntimeError(f"page {page.id} of {page.size} records ended with outcomes {page.counts}")
        return page

    # ---- reading

    async def _due(self, route: Route[Any], cursor: str | None) -> tuple[list[Work[Any]], str | None]:
        run = self.run
        rows = await ledger.due(
            run.store.db,
            connection=run.connection,
            direction=run.direction,
            tenants=(run.source_tenant, run.target_tenant),
            route=route.name,
            settings_version=run.settings_version,
            now=self.started,
            after=cursor or "",
            limit=run.page_size,
        )
        rows = [ledger.aligned(row, [effect.name for effect in route.effects]) for row in rows]
        keys = [_key(row.external_id) for row in rows if not row.in_doubt]
        works = await self._read(route, keys)
        # In doubt the target is asked first, and the source only when the answer is clear.
        works += [Work(key=_key(row.external_id), record=None, row=row) for row in rows if row.in_doubt]
        return works, rows[-1].id if len(rows) == run.page_size else None

    async def _read(self, route: Route[Any], keys: Sequence[str]) -> list[Work[Any]]:
        if not keys:
            return []
        found = await route.source.by_key(list(keys))
        return [_as_work(route, key, found.get(key)) for key in keys]

    async def _new(self, route: Route[Any], cursor: str | None) -> tuple[list[Work[Any]], str | None]:
        works: list[Work[Any]] = []
        async for records, unreadable, next_cursor in route.source.pages(cursor):
            works += [Work(key=route.key(record), record=record) for record in records]
            works += [_as_work(route, one.key, one) for one in unreadable]
            if len(works) >= self.run.page_size:
                return works, next_cursor
        return works, None

    # ---- writing

    async def _again(
        self, route: Route[Any], works: list[Work[Any]], *, drop_seen: bool = True
    ) -> tuple[list[Work[Any]], list[Outcome], int]:
        """Read, judge and ask anew; records in doubt go on as they are."""
        await self._attach(route, works)
        doubtful = [work for work in works if work.row is not None and work.row.in_doubt]
        others = [work.key for work in works if work.row is None or not work.row.in_doubt]
        judged = await judge(self.run, route, await self._read(route, others), drop_seen=drop_seen)
        asked = await ask(self.run, route, judged.ready)
        return asked.fresh + asked.unfinished + judged.unfinished + doubtful, judged.left + asked.left, judged.dropped

    async def _finish(self, route: Route[Any], works: list[Work[Any]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        doubtful = [work for work in works if work.row is not None and work.row.in_doubt]
        clear = [work for work in works if work.row is None or not work.row.in_doubt]
        if doubtful:
            settled = await settle(self.run, route, doubtful)
            # Also where nothing is left to do: the source may have changed while nobody knew what was written.
            more, left, dropped = await self._again(route, settled.clear, drop_seen=False)
            outcomes += settled.left + left
            note_open_lanes(self.run, route, doubtful)
            clear += more
            if dropped:
                raise RuntimeError("a settled record was dropped")
        return outcomes + await self._in_waves(route, clear)

    async def _in_waves(self, route: Route[Any], works: list[Work[Any]]) -> list[Outcome]:
        """Write who may go; who had to wait is asked about again, because the one before may be the same document."""
        outcomes: list[Outcome] = []
        waited = False
        while works:
            works, waiting = await hold_twins(self.run, route, works)
            now, works = in_turn(self.run, route, works)
            outcomes += waiting
            if waited:
                asked = await ask(self.run, route, now)
                outcomes += asked.left
                now = asked.fresh + asked.unfinished
            await write_all(self.run, route, now)
            note_open_lanes(self.run, route, now)
            outcomes += [work.known.outcome for work in now if not _suspect(work)]
            # An edit between our read and the mark would leave every query, so these are read once more.
            more, left, _ = await self._again(route, [work for work in now if _suspect(work)], drop_seen=False)
            outcomes += left
            works, waited = works + more, True
        return outcomes

    # ---- keeping

    def _old(self, page: Page) -> bool:
        return page.epoch != self.run.lease.epoch

    async def _attach(self, route: Route[Any], works: Sequence[Work[Any]]) -> None:
        """Give records that come from the store their ledger rows."""
        bare = [work for work in works if work.row is None]
        rows = await self.run.rows(route, (work.key for work in bare))
        for work in bare:
            work.row = rows.get(work.key)
            if work.row is None and work.decision is not None:
                work.row = self.run.new_row(route, work)

    async def _keep(self, page: Page, stage: Stage, works: list[Work[Any]]) -> Page:
        """Seal what goes on to the next step; a page that nothing goes on from is not kept."""
        where, run = page.where(stage), self.run
        page = page.model_copy(update={"stage": stage, "pending": len(works)})
        if not works:
            return page
        blob = run.store.keys.seal(pack(works), about="/".join(map(str, where)), schema=page.route, version=1)
        async with run.transaction() as tx:
            await pages.put(run.store.db, tx, where=where, blob=blob, now=run.now)
        run.cache.put(where, works)
        return page

    async def _take(self, page: Page, stage: Stage) -> list[Work[Any]]:
        where = page.where(stage)
        self.run.page = page.id
        if not page.pending:
            return []
        works = self.run.cache.take(where)
        if works is None:
            blob = await pages.get(self.run.store.db, where)
            if blob is None:
                raise RuntimeError(f"page {page.id} was swept; start a new run")
            content = self.run.store.keys.open(blob, about="/".join(map(str, where)))
            works = unpack(content, self.run.routes[page.route].records)
        return works


def _suspect(work: Work[Any]) -> bool:
    return work.reread and work.known.complete and work.known.outcome is not Outcome.REJECTED


def _key(external_id: str) -> str:
    return external_id.split(":", 2)[2]


def _as_work(route: Route[Any], key: str, found: Any) -> Work[Any]:
    if found is None:
        return Work(key=key, record=None, problem="missing")
    if isinstance(found, Unreadable):
        return Work(key=key, record=None, problem="unreadable", path=found.path)
    return Work(key=key, record=found)
