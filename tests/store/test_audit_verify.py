"""The offline verifier finds every kind of tampering, and nothing in a trail left alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, delete, insert, select, text, update
from sqlalchemy.sql import Executable

from ml_connector.store.audit_history import empty_details, history
from ml_connector.store.audit_verify import VerifyReport, verify
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.schema import audit, audit_head
from tests.store.trail import CHAIN, Trail, event


def at(seq: int, chain: str = CHAIN) -> tuple[ColumnElement[bool], ...]:
    return audit.c.chain == chain, audit.c.seq == seq


async def test_an_empty_trail_is_whole(trail: Trail) -> None:
    assert await trail.verify() == VerifyReport({}, [])


async def test_a_trail_left_alone_is_whole(trail: Trail) -> None:
    await trail.fill(3)
    await trail.append(*(event(number) for number in range(4, 8)))
    await trail.fill(2, chain="admin")
    report = await trail.verify()
    assert report.ok
    assert report.problems == []
    assert report.chains == {CHAIN: 7, "admin": 2}


async def test_a_long_trail_is_read_in_batches(trail: Trail) -> None:
    await trail.append(*(event(number) for number in range(2500)))
    await trail.append(*(event(number) for number in range(2500)), chain="other")
    assert await trail.verify() == VerifyReport({CHAIN: 2500, "other": 2500}, [])


TAMPERINGS: dict[str, tuple[Callable[[], list[Executable]], str]] = {
    "kind": (lambda: [update(audit).where(*at(3)).values(kind="rejected")], "event 3 was changed"),
    "record": (lambda: [update(audit).where(*at(3)).values(external_id="AAAA:invoice:9")], "event 3 was changed"),
    "data": (lambda: [update(audit).where(*at(3)).values(data={"invoice": "INV-9"})], "event 3 was changed"),
    "time": (lambda: [update(audit).where(*at(3)).values(at=datetime(2024, 1, 1, tzinfo=UTC))], "event 3 was changed"),
    "digest": (lambda: [update(audit).where(*at(3)).values(digest="0" * 64)], "event 3 was changed"),
    "signature": (lambda: [update(audit).where(*at(3)).values(mac="0" * 64)], "event 3 was changed"),
    "link": (lambda: [update(audit).where(*at(3)).values(previous="0" * 64)], "event 3 does not follow"),
    "detail": (lambda: [update(audit).where(*at(3)).values(blob=b"x" * 80)], "event 3: its detail does not open"),
    "detail of another event": (
        lambda: [
            update(audit).where(*at(3)).values(blob=select(audit.c.blob).where(*at(4)).scalar_subquery()),
        ],
        "event 3: its detail does not open",
    ),
    "detail removed": (lambda: [update(audit).where(*at(3)).values(blob=None)], "detail of event 3 was removed"),
    "removed": (lambda: [delete(audit).where(*at(3))], "missing before event 4: 3"),
    "several removed": (
        lambda: [delete(audit).where(audit.c.chain == CHAIN, audit.c.seq.in_([2, 3, 4]))],
        "missing before event 5: 2 to 4",
    ),
    "first removed": (lambda: [delete(audit).where(*at(1))], "missing before event 2: 1"),
    "removed and closed up": (
        lambda: [
            delete(audit).where(*at(3)),
            *(update(audit).where(*at(seq)).values(seq=seq - 1) for seq in (4, 5, 6)),
            update(audit_head).values(seq=5),
        ],
        "event 3 does not follow",
    ),
    "swapped": (
        lambda: [
            update(audit).where(*at(3)).values(seq=99),
            update(audit).where(*at(4)).values(seq=3),
            update(audit).where(*at(99)).values(seq=4),
        ],
        "event 4 was changed",
    ),
    "inserted at the end": (
        lambda: [
            insert(audit).from_select(
                [column.name for column in audit.c],
                select(audit).where(*at(6)).with_only_columns(audit.c.chain, audit.c.seq + 1, *list(audit.c)[2:]),
            )
        ],
        "event 7 was changed or inserted",
    ),
    "inserted at the end with its head": (
        lambda: [
            insert(audit).from_select(
                [column.name for column in audit.c],
                select(audit).where(*at(6)).with_only_columns(audit.c.chain, audit.c.seq + 1, *list(audit.c)[2:]),
            ),
            update(audit_head).values(seq=7),
        ],
        "event 7 was changed or inserted",
    ),
    "cut off": (lambda: [delete(audit).where(*at(6))], "events 6 to 6 are missing at the end"),
    "emptied": (lambda: [delete(audit)], "events 1 to 6 are missing at the end"),
    "head removed": (lambda: [delete(audit_head)], "its head names event 0"),
    "chain copied under another name": (
        lambda: [
            insert(audit).from_select(
                [column.name for column in audit.c],
                select(text("'copy'"), *list(audit.c)[1:]),
            )
        ],
        "copy: event 1 was changed or inserted",
    ),
}


@pytest.mark.parametrize("kind", TAMPERINGS)
async def test_every_kind_of_tampering_is_found(trail: Trail, kind: str) -> None:
    await trail.fill(6)
    assert (await trail.verify()).ok
    statements, expected = TAMPERINGS[kind]
    await trail.tamper(*statements())
    report = await trail.verify()
    assert not report.ok
    assert [line for line in report.problems if expected in line], report.problems


async def test_one_changed_event_is_one_problem(trail: Trail) -> None:
    await trail.fill(6)
    await trail.tamper(update(audit).where(*at(3)).values(kind="rejected"))
    assert (await trail.verify()).problems == [f"{CHAIN}: event 3 was changed or inserted: its signature does not fit"]


async def test_a_column_overwritten_with_garbage_is_found(sqlite_db: Database, keys: Keys, tmp_path: Path) -> None:
    trail = Trail(sqlite_db, keys, tmp_path)
    await trail.fill(2)
    await trail.tamper(text("UPDATE audit SET data = '{' WHERE seq = 2"))
    assert "overwritten" in (await trail.verify()).problems[0]


async def test_another_installations_key_signs_nothing(trail: Trail) -> None:
    await trail.fill(1)
    report = await verify(trail.db, Keys.generate(), trail.folder)
    assert "event 1 was changed or inserted" in report.problems[0]


async def test_details_emptied_by_retention_break_nothing(trail: Trail) -> None:
    await trail.fill(6)
    before = datetime(2025, 3, 1, 12, 4, tzinfo=UTC)
    assert await empty_details(trail.db, trail.keys, trail.clock, before) == 3
    assert await empty_details(trail.db, trail.keys, trail.clock, before) == 0
    assert await trail.verify() == VerifyReport({CHAIN: 6, "admin": 1}, [])
    past = await history(trail.db, trail.keys, "AAAA:invoice:1")
    assert [(event.detail, event.emptied, event.data["invoice"]) for event in past] == [(None, True, "INV-1")]


async def test_a_detail_removed_by_hand_after_retention_is_found(trail: Trail) -> None:
    await trail.fill(6)
    await empty_details(trail.db, trail.keys, trail.clock, datetime(2025, 3, 1, 12, 4, tzinfo=UTC))
    await trail.tamper(update(audit).where(*at(5)).values(blob=None))
    assert (await trail.verify()).problems == [f"{CHAIN}: the detail of event 5 was removed, not by retention"]


async def test_a_new_data_key_breaks_nothing(trail: Trail) -> None:
    await trail.fill(2)
    trail.keys.add_data_key()
    await trail.fill(2)
    assert await trail.verify() == VerifyReport({CHAIN: 4}, [])
    assert len(await history(trail.db, trail.keys, "AAAA:invoice:1")) == 2
