"""The four steps of a page and the chain that joins them; the flows run the same steps as cached tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.records import Unreadable
from ml_connector.errors import AuthenticationError, ConnectorError, LeaseLostError
from ml_connector.store import ledger, marks, pages
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync import overlays
from ml_connector.sync.asking import ask
from ml_connector.sync.doubt import settle
from ml_connector.sync.judging import judge
from ml_connector.sync.lanes import in_turn
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Acknowledging, Route
from ml_connector.sync.work import Page, Work
from ml_connector.sync.writing import write_all

# Pages of what earlier runs left: everything that is due, only the writes whose effect nobody knows, or one record.
DUE, DOUBT, RECORD = "due", "doubt", "record/"


class Steps(Protocol):
    """The steps as callables on handles, so that a flow can put tasks in their place."""

    def streams(self, route: str) -> tuple[str, ...]:
        """The streams of a route in the order they are read."""
        ...

    async def fetch(self, route: str, number: int, kind: str, cursor: str | None) -> Page:
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

    async def leave(self, page: Page) -> None:
        """The page is done: count its outcomes, which add up to what was read."""
        ...

    async def advance(self, route: str, reached: Mapping[str, str]) -> None:
        """Move the high-water marks of a route's streams, last of all."""
        ...


async def chain(steps: Steps, route: str, *, kinds: Sequence[str] | None = None) -> list[Page]:
    """Take a route page by page: open doubts, what its streams show, then what else earlier runs left."""
    done: list[Page] = []
    reached: dict[str, str] = {}
    for kind in (DOUBT, *steps.streams(route), DUE) if kinds is None else kinds:
        cursor: str | None = None
        while True:
            page = await steps.fetch(route, len(done), kind, cursor)
            cursor = page.cursor
            for step in (steps.match_check, steps.dedupe, steps.write):
                # A page that no record goes on from needs no further step.
                page = await step(page) if page.pending else page
            await steps.leave(page)
            done.append(page)
            if page.mark:
                reached[kind] = page.mark
            if page.last:
                break
    await steps.advance(route, reached)
    return done


async def each_route(routes: Iterable[str], take: Callable[[str], Awaitable[object]]) -> ConnectorError | None:
    """Take the routes in business order; one that cannot be taken keeps no other back. The first failure, if any."""
    failed: ConnectorError | None = None
    for route in routes:
        try:
            await take(route)
        except (AuthenticationError, LeaseLostError):
            raise
        except ConnectorError as error:
            failed = failed or error
    return failed


class EngineSteps:
    """The steps without Prefect around them."""

    def __init__(self, run: SyncRun) -> None:
        self.run = run

    def streams(self, route: str) -> tuple[str, ...]:
        """The streams of a route in the order they are read."""
        return tuple(one.stream for one in self.run.routes[route].sources)

    async def fetch(self, route: str, number: int, kind: str, cursor: str | None) -> Page:
        """Read a page; the handle says where it lies, where the next one starts and how far its stream has come."""
        run, plan = self.run, self.run.routes[route]
        await run.lease.keep()
        mark = ""
        if kind in (DUE, DOUBT):
            works, next_cursor = await self._due(plan, cursor, in_doubt_only=kind == DOUBT)
        elif kind.startswith(RECORD):
            one = await ledger.load(run.store.db, [kind.removeprefix(RECORD)])
            works, next_cursor = await self._owed(plan, list(one.values())), None
        else:
            works, next_cursor, mark = await self._stream(plan, kind, cursor)
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
            mark=mark,
        )
        await self._remember(page, works)
        return self._keep(page, "fetched", works)

    async def match_check(self, page: Page) -> Page:
        """Judge a page's records; those that are held, rejected, skipped or unchanged leave here."""
        works = self._take(page)
        if works is None:
            return page
        judged = await judge(self.run, self.run.routes[page.route], works)
        page = page.counted(judged.left, dropped=judged.dropped)
        return self._keep(page, "checked", judged.ready + judged.unfinished)

    async def dedupe(self, page: Page) -> Page:
        """Ask the target about the records that are ready; what is there already leaves here."""
        works = self._take(page)
        if works is None:
            return page
        asked = await ask(self.run, self.run.routes[page.route], [one for one in works if one.decision is not None])
        unfinished = [work for work in works if work.decision is None]
        return self._keep(page.counted(asked.left), "fresh", asked.fresh + asked.unfinished + unfinished)

    async def write(self, page: Page) -> Page:
        """Write what is ready and finish what is not; every record of the page has its outcome afterwards."""
        plan = self.run.routes[page.route]
        works = self._take(page)
        outcomes: list[Outcome] = []
        if works is None:
            # Read and judged by another process or under another lease: a cached result is a hint, so all is done anew.
            page = page.model_copy(update={"counts": {}, "dropped": 0})
            works, outcomes, dropped = await self._again(plan, await self._remembered(page))
            page = page.counted((), dropped=dropped)
        outcomes += await self._finish(plan, works)
        return self._keep(page.counted(outcomes), "written", [])

    async def leave(self, page: Page) -> None:
        """Every record that was read has left with one outcome, or was decided on another page of the run."""
        if page.pending or sum(page.counts.values()) + page.dropped != page.size:
            raise RuntimeError(f"page {page.id} of {page.size} records ended with outcomes {page.counts}")
        source = next((one for one in self.run.routes[page.route].sources if one.stream == page.kind), None)
        if isinstance(source, Acknowledging):
            # A page taken up by another process was not read here: what it came from waits for the next run.
            await source.acknowledge(None)

    async def advance(self, route: str, reached: Mapping[str, str]) -> None:
        """Move the high-water marks of a route's streams; they only go forward."""
        if not reached:
            return
        run, plan = self.run, self.run.routes[route]
        async with run.transaction() as tx:
            for stream, value in reached.items():
                where = (run.connection, plan.mark_of(stream))
                await marks.advance(run.store.db, tx, where=where, value=value, now=run.now)

    # ---- reading

    async def _due(
        self, route: Route[Any], cursor: str | None, *, in_doubt_only: bool
    ) -> tuple[list[Work[Any]], str | None]:
        run = self.run
        rows = await ledger.due(
            run.store.db,
            connection=run.connection,
            direction=run.direction,
            tenants=(run.source_tenant, run.target_tenant),
            route=route.name,
            settings_version=run.settings_version,
            now=run.started,
            run=run.id,
            in_doubt_only=in_doubt_only,
            after=cursor or "",
            limit=run.page_size,
        )
        return await self._owed(route, rows), rows[-1].id if len(rows) == run.page_size else None

    async def _owed(self, route: Route[Any], rows: Sequence[LedgerRow]) -> list[Work[Any]]:
        """Records as they are now; in doubt the target is asked first, and the source when the answer is clear."""
        rows = [ledger.aligned(row, [effect.name for effect in route.effects]) for row in rows]
        works = await self._read(route, [_key(row.external_id) for row in rows if not row.in_doubt])
        return works + [Work(key=_key(row.external_id), record=None, row=row) for row in rows if row.in_doubt]

    async def _read(self, route: Route[Any], keys: Sequence[str]) -> list[Work[Any]]:
        if not keys:
            return []
        found = await route.source.by_key(list(keys))
        return await overlays.applied(self.run, route, [_as_work(key, found.get(key)) for key in keys])

    async def _stream(
        self, route: Route[Any], stream: str, cursor: str | None
    ) -> tuple[list[Work[Any]], str | None, str]:
        source = next(one for one in route.sources if one.stream == stream)
        since = await marks.get_mark(self.run.store.db, self.run.connection, route.mark_of(stream))
        # A record that is read twice for one page counts once, as it was read last.
        works: dict[str, Work[Any]] = {}
        mark, next_cursor = "", None
        async for batch in source.pages(cursor, since):
            works |= {key: Work(key=key, record=one) for one in batch.records for key in (route.key(one),)}
            works |= {one.key: _as_work(one.key, one) for one in batch.unreadable}
            mark = batch.mark or mark
            if len(works) >= self.run.page_size:
                next_cursor = batch.cursor
                break
        return await overlays.applied(self.run, route, list(works.values())), next_cursor, mark

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
            clear += more
            if dropped:
                raise RuntimeError("a settled record was dropped")
        return outcomes + await self._in_waves(route, clear)

    async def _in_waves(self, route: Route[Any], works: list[Work[Any]]) -> list[Outcome]:
        """Write who may go; who had to wait is asked about again, because the one before may be the same document."""
        outcomes: list[Outcome] = []
        waited = False
        while works:
            now, works = in_turn(self.run, route, works)
            if waited:
                asked = await ask(self.run, route, now)
                outcomes += asked.left
                now = asked.fresh + asked.unfinished
            await write_all(self.run, route, now)
            outcomes += [work.known.outcome for work in now if not _suspect(work)]
            # An edit between our read and the mark would leave every query, so these are read once more.
            more, left, _ = await self._again(route, [work for work in now if _suspect(work)], drop_seen=False)
            outcomes += left
            works, waited = works + more, True
        return outcomes

    # ---- keeping

    async def _attach(self, route: Route[Any], works: Sequence[Work[Any]]) -> None:
        """Give records that come from the store their ledger rows."""
        bare = [work for work in works if work.row is None]
        rows = await self.run.rows(route, (work.key for work in bare))
        for work in bare:
            work.row = rows.get(work.key)

    def _keep(self, page: Page, stage: Any, works: list[Work[Any]]) -> Page:
        """Leave what goes on to the next step in this process."""
        self.run.cache.put(page.where, works)
        return page.model_copy(update={"stage": stage, "pending": len(works)})

    def _take(self, page: Page) -> list[Work[Any]] | None:
        """What the step before left; None when that was another process or another lease."""
        self.run.page = page.id
        works = self.run.cache.take(page.where)
        if not page.pending:
            return []
        return works if page.epoch == self.run.lease.epoch else None

    async def _remember(self, page: Page, works: Sequence[Work[Any]]) -> None:
        """Seal the page's keys: a retry reads these records anew, whatever their stream shows by then."""
        if not works:
            return
        run = self.run
        content = orjson.dumps([work.key for work in works])
        blob = run.store.keys.seal(content, about=_about(page), schema=page.route, version=1)
        async with run.transaction() as tx:
            await pages.put(run.store.db, tx, where=(*page.where, "fetched"), blob=blob, now=run.now)

    async def _remembered(self, page: Page) -> list[Work[Any]]:
        if not page.size:
            return []
        blob = await pages.get(self.run.store.db, (*page.where, "fetched"))
        if blob is None:
            raise RuntimeError(f"page {page.id} was swept; start a new run")
        return [Work(key=key, record=None) for key in orjson.loads(self.run.store.keys.open(blob, about=_about(page)))]


def _suspect(work: Work[Any]) -> bool:
    return work.reread and work.known.complete and work.known.outcome is not Outcome.REJECTED


def _about(page: Page) -> str:
    return "/".join(map(str, page.where))


def _key(external_id: str) -> str:
    return external_id.split(":", 2)[2]


def _as_work(key: str, found: Any) -> Work[Any]:
    if found is None:
        return Work(key=key, record=None, problem="missing")
    if isinstance(found, Unreadable):
        return Work(key=key, record=None, problem="unreadable", path=found.path)
    return Work(key=key, record=found)
