"""Overlays: what a person changed about a record for its replay, laid over what the source shows.

An overlay keeps the source's value that it replaced. It ends, with a notice in the audit trail, as soon as the source
shows another value there: whoever corrects the source has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import orjson

from ml_connector.domain.records import Unreadable
from ml_connector.errors import ConfigurationError
from ml_connector.store import overlays
from ml_connector.store.audit import AuditEvent
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.run import SyncRun
from ml_connector.sync.seams import Route
from ml_connector.sync.work import Work


async def applied(run: SyncRun, route: Route[Any], works: list[Work[Any]]) -> list[Work[Any]]:
    """Records as a person wants them replayed; overlays that the source has overtaken end here."""
    read = [work for work in works if work.record is not None]
    if not read or not route.editable or not await overlays.any_at_all(run.store.db):
        return works
    ids = {work.key: run.row_id(route, work.key) for work in read}
    found = await overlays.load(run.store.db, ids.values())
    ended = []
    for work in read:
        row = ids[work.key]
        if row in found:
            ended += [(row, work.key, path) for path in _lay_over(run, route, work, row, found[row])]
    if ended:
        async with run.transaction() as tx:
            for row, key, path in ended:
                await overlays.drop(tx, row, path)
                notice = AuditEvent("overlay_ended", str(run.external_id(route, key)), {"field": path})
                await run.store.audit.append(tx, run.chain, [notice])
    return works


def _lay_over(run: SyncRun, route: Route[Any], work: Work[Any], row: str, sealed: dict[str, bytes]) -> list[str]:
    """Change the record in place of the work; the paths whose overlay is over."""
    document = route.records.dump_python(work.record, mode="json")
    ended = []
    for path, blob in sorted(sealed.items()):
        one = orjson.loads(run.store.keys.open(blob, about=_about(row, path)))
        holder, name = _place(document, path)
        if holder is None or holder[name] != one["replaced"]:
            ended.append(path)
        else:
            holder[name] = one["value"]
    work.record = route.records.validate_python(document)
    return ended


async def lay(run: SyncRun, route: Route[Any], row: LedgerRow, edits: dict[str, str], *, by: str) -> None:
    """Keep edits of a record for its replays; ConfigurationError names the field that cannot be edited."""
    if row.posted or row.in_doubt:
        stands = f"was posted as {row.target_id}" if row.posted else "may have been posted; that is settled first"
        raise ConfigurationError(f"{row.label} {stands}, so it cannot be edited; correct it in one of the systems")
    key = row.external_id.split(":", 2)[2]
    record = (await route.source.by_key([key])).get(key)
    if record is None or isinstance(record, Unreadable):
        raise ConfigurationError(f"{row.label} cannot be read from its source, so it cannot be edited")
    document = route.records.dump_python(record, mode="json")
    kept: list[tuple[str, bytes | None]] = []
    for path, value in edits.items():
        holder, name = _place(document, path) if _editable(route, path) else (None, "")
        if holder is None:
            allowed = ", ".join(sorted(route.editable))
            raise ConfigurationError(f"{path} of {row.label} cannot be edited; these can: {allowed}")
        content = orjson.dumps({"value": value, "replaced": holder[name]})
        sealed = run.store.keys.seal(content, about=_about(row.id, path), schema="overlay", version=1)
        # What the source says itself needs no overlay: this is how an edit is taken back.
        kept.append((path, None if holder[name] == value else sealed))
        holder[name] = value
    _check(route, document, row)
    async with run.transaction() as tx:
        for path, blob in kept:
            if blob is None:
                await overlays.drop(tx, row.id, path)
            else:
                await overlays.put(run.store.db, tx, row=row.id, path=path, blob=blob, now=run.now)
        about = {"record": row.label, "fields": sorted(edits), "by": by}
        edited = AuditEvent("edited_for_replay", row.external_id, about, detail=dict(edits))
        await run.store.audit.append(tx, run.chain, [edited])


def _check(route: Route[Any], document: Any, row: LedgerRow) -> None:
    try:
        route.records.validate_python(document)
    except ValueError as error:
        raise ConfigurationError(f"the edited {row.label} is no valid record any more") from error


def _editable(route: Route[Any], path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in route.editable)


def _place(document: Any, path: str) -> tuple[Any, str]:
    """The object and the member that a path such as `lines.1.po_number` names; a list's items go by their number."""
    *parents, name = path.split(".")
    holder: Any = document
    for part in parents:
        if isinstance(holder, Sequence) and not isinstance(holder, str):
            holder = next((one for one in holder if str(one.get("number")) == part), None)
        elif isinstance(holder, dict):
            holder = holder.get(part)
        else:
            holder = None
        if holder is None:
            return None, ""
    return (holder, name) if isinstance(holder, dict) and name in holder else (None, "")


def _about(row: str, path: str) -> str:
    return f"{row}/overlay/{path}"
