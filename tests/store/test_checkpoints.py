"""Signed checkpoints outside the store: what was cut off together with its traces still shows."""

from __future__ import annotations

import orjson
import pytest
from sqlalchemy import delete, select, update

from ml_connector.store.audit_verify import VerifyReport
from ml_connector.store.schema import audit, audit_head
from tests.store.trail import CHAIN, Trail


async def test_a_trail_cut_off_together_with_its_head_is_found_by_a_checkpoint(trail: Trail) -> None:
    await trail.fill(3)
    async with trail.db.read() as tx:
        head = (await tx.execute(select(audit_head))).one()
    await trail.fill(3)
    await trail.checkpoint()
    assert (await trail.verify()).ok
    await trail.tamper(
        delete(audit).where(audit.c.chain == CHAIN, audit.c.seq > 3),
        update(audit_head).where(audit_head.c.chain == CHAIN).values(seq=head.seq, mac=head.mac),
    )
    expected = f"{CHAIN}: event 6 is gone or is not the one that checkpoint 1 names"
    assert (await trail.verify()).problems == [expected]


async def test_a_whole_chain_removed_with_its_head_is_found_by_a_checkpoint(trail: Trail) -> None:
    await trail.fill(3)
    await trail.checkpoint()
    await trail.tamper(
        delete(audit).where(audit.c.chain == CHAIN), delete(audit_head).where(audit_head.c.chain == CHAIN)
    )
    assert len((await trail.verify()).problems) == 1


async def test_checkpoints_follow_each_other_and_the_trail_stays_whole(trail: Trail) -> None:
    for _ in range(3):
        await trail.fill(2)
        await trail.checkpoint()
    assert [path.name for path in sorted(trail.folder.iterdir())] == [f"checkpoint-00000{n}.json" for n in (1, 2, 3)]
    assert await trail.verify() == VerifyReport({CHAIN: 6, "admin": 3}, [])


async def test_a_changed_checkpoint_is_found(trail: Trail) -> None:
    await trail.fill(2)
    path = await trail.checkpoint()
    content = orjson.loads(path.read_bytes())
    content["heads"][CHAIN][0] = 1
    path.write_bytes(orjson.dumps(content))
    assert "checkpoint-000001.json: was changed" in (await trail.verify()).problems[0]


@pytest.mark.parametrize("garbage", [b"", b"{}", b"[]", b'{"mac": "x"}', b'{"mac": 1}'])
async def test_an_unreadable_checkpoint_is_found(trail: Trail, garbage: bytes) -> None:
    (await trail.checkpoint()).write_bytes(garbage)
    assert "checkpoint-000001.json: was changed" in (await trail.verify()).problems[0]


@pytest.mark.parametrize(
    ("removed", "expected"), [(1, "before it is missing"), (2, "before it is missing"), (3, "3 was written")]
)
async def test_a_removed_checkpoint_is_found(trail: Trail, removed: int, expected: str) -> None:
    for _ in range(3):
        await trail.fill(1)
        await trail.checkpoint()
    (trail.folder / f"checkpoint-00000{removed}.json").unlink()
    problems = (await trail.verify()).problems
    assert len(problems) == 1
    assert expected in problems[0]
