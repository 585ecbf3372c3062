"""The audit trail: appended with the change it tells of, readable as one record's history and as an export."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.store.audit import AuditEvent
from ml_connector.store.audit_history import export, history
from ml_connector.store.audit_verify import VerifyReport
from ml_connector.store.schema import audit, ledger
from tests.store.trail import CANARY, CHAIN, Trail, event


async def _count(tx: AsyncConnection) -> int:
    return (await tx.execute(select(func.count()).select_from(audit))).scalar_one()


async def test_events_are_kept_with_the_callers_changes_or_not_at_all(trail: Trail) -> None:
    await trail.fill(1)
    with pytest.raises(ZeroDivisionError):
        async with trail.db.write() as tx:
            await trail.audit.append(tx, CHAIN, [event(2)])
            raise ZeroDivisionError
    async with trail.db.read() as tx:
        assert await _count(tx) == 1
    assert (await trail.verify()).ok


async def test_appending_nothing_leaves_no_chain(trail: Trail) -> None:
    await trail.append()
    assert await trail.verify() == VerifyReport({}, [])


async def test_writers_of_one_chain_wait_for_each_other(trail: Trail) -> None:
    await asyncio.gather(*(trail.append(event(2 * n), event(2 * n + 1)) for n in range(10)))
    assert await trail.verify() == VerifyReport({CHAIN: 20}, [])


async def test_shows_a_records_whole_history_with_details(trail: Trail) -> None:
    await trail.fill(3)
    await trail.append(AuditEvent("checked", "AAAA:invoice:2", {"code": "receipt_missing"}), chain="another")
    first, second = await history(trail.db, trail.keys, "AAAA:invoice:2")
    assert (first.chain, first.seq, first.kind, first.emptied) == (CHAIN, 2, "created", False)
    assert first.detail == {"supplier": CANARY, "total": "10.5", "lines": [{"price": "100"}]}
    assert (second.chain, second.kind, second.detail, second.emptied) == ("another", "checked", None, False)
    assert second.at - first.at == timedelta(minutes=1)


async def test_finds_a_history_by_the_label_of_the_record(trail: Trail) -> None:
    await trail.fill(2)
    instant = trail.clock.now()
    blanks: dict[str, Any] = {"String": "", "Text": "", "Integer": 0, "JSON": [], "Instant": instant, "Boolean": False}
    needed = [column for column in ledger.c if not column.nullable and column.server_default is None]
    row = {column.name: blanks[type(column.type).__name__] for column in needed}
    row |= {"external_id": "AAAA:invoice:1", "label": "INV-1"}
    await trail.tamper(insert(ledger).values(row))
    assert [event.external_id for event in await history(trail.db, trail.keys, "INV-1")] == ["AAAA:invoice:1"]
    assert await history(trail.db, trail.keys, "INV-7") == []


async def test_exports_the_trail_as_json_lines(trail: Trail) -> None:
    await trail.append(*(event(number) for number in range(1200)))
    await trail.fill(1, chain="other")
    lines = [orjson.loads(line) async for line in export(trail.db, trail.keys)]
    assert [(line["chain"], line["seq"]) for line in lines] == [*((CHAIN, n) for n in range(1, 1201)), ("other", 1)]
    assert CANARY not in str(lines)
    assert lines[1]["previous"] == lines[0]["mac"]
    opened = [orjson.loads(line) async for line in export(trail.db, trail.keys, chain="other", details=True)]
    assert [line["detail"]["supplier"] for line in opened] == [CANARY]


async def test_exports_a_period(trail: Trail) -> None:
    await trail.fill(5)
    since, until = datetime(2025, 3, 1, 12, 2, tzinfo=UTC), datetime(2025, 3, 1, 12, 4, tzinfo=UTC)
    lines = [orjson.loads(line) async for line in export(trail.db, trail.keys, since=since, until=until)]
    assert [line["seq"] for line in lines] == [2, 3]
