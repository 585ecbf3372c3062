"""Comments that say what changed: each change is told once, from what was last told, whatever happens on the way."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.engine.both_ways import A_TO_B, B_TO_A, BothWays, open_store
from tests.engine.both_ways_systems import Document, Trouble
from tests.engine.faults import COMMIT_FAULTS, Faults

_COMMITS = 9


@pytest.fixture
async def world(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[BothWays]:
    """Two documents on both sides; struck comments about "1-" are not written, those about "1+" are."""
    store = open_store(tmp_path / "store", sqlite_template)
    one = BothWays(store, comments=True)
    for key in ("1+", "1-"):
        one.a.documents[key] = Document(key, "x", Decimal(1))
    await _calm(one)
    yield one
    await store.engine.dispose()


async def _calm(world: BothWays) -> None:
    for _ in range(3):
        world.clock.advance(700)
        await world.run(A_TO_B)
        await world.run(B_TO_A)


def _amounts(world: BothWays, key: str) -> list[tuple[str, str]]:
    """From which amount to which each comment on a document leads."""
    told = world.told[f"B{key}"]
    assert len({one for one, _, _ in told}) == len(told), "no comment is written twice"
    return [(before.get("amount", ""), payload["amount"]) for _, before, payload in told]


def _change(world: BothWays, amount: int) -> None:
    for key in ("1+", "1-"):
        world.a.person(key, amount=Decimal(amount))


async def test_a_change_is_told_once_from_what_was_told_last(world: BothWays) -> None:
    assert _amounts(world, "1+") == [("", "1")]
    _change(world, 2)
    await _calm(world)
    _change(world, 3)
    await _calm(world)
    assert _amounts(world, "1+") == [("", "1"), ("1", "2"), ("2", "3")]


async def test_what_comes_from_the_other_side_is_told_like_any_change(world: BothWays) -> None:
    world.b.person("B1+", code="y")
    await world.run(B_TO_A)
    await _calm(world)
    _, before, payload = world.told["B1+"][-1]
    assert (before["code"], payload["code"]) == ("x", "y")
    assert len(world.told["B1+"]) == 2


@pytest.mark.parametrize("kind", ["lost", "killed"])
@pytest.mark.parametrize("effect", ["write", "note"])
async def test_a_struck_comment_is_told_once(world: BothWays, kind: str, effect: str) -> None:
    _change(world, 2)
    await world.run(A_TO_B, trouble=Trouble(kind, effect))
    await _calm(world)
    for key in ("1+", "1-"):
        assert _amounts(world, key) == [("", "1"), ("1", "2")]


@pytest.mark.parametrize("kind", ["lost", "killed"])
async def test_a_change_during_the_doubt_starts_from_what_was_really_told(world: BothWays, kind: str) -> None:
    _change(world, 2)
    await world.run(A_TO_B, trouble=Trouble(kind, "note"))
    _change(world, 3)
    await _calm(world)
    assert _amounts(world, "1+") == [("", "1"), ("1", "2"), ("2", "3")]
    assert _amounts(world, "1-") == [("", "1"), ("1", "3")]


async def test_a_change_taken_back_during_the_doubt_is_told_only_where_it_was_told(world: BothWays) -> None:
    _change(world, 2)
    await world.run(A_TO_B, trouble=Trouble("lost", "note"))
    _change(world, 1)
    await _calm(world)
    assert _amounts(world, "1+") == [("", "1"), ("1", "2"), ("2", "1")]
    assert [amount for _, amount in _amounts(world, "1-")][-1] == "1"


@pytest.mark.parametrize("kind", COMMIT_FAULTS)
async def test_a_crash_at_any_commit_neither_loses_nor_doubles_a_comment(world: BothWays, kind: str) -> None:
    struck = 0
    for at in range(1, _COMMITS + 1):
        _change(world, at + 1)
        faults = Faults(kind, at)
        await world.run(A_TO_B, faults=faults)
        struck += faults.struck
        for _ in range(2):
            world.clock.advance(700)
            await world.run(A_TO_B)
        amounts = ["", *map(str, range(1, at + 2))]
        assert _amounts(world, "1+") == list(itertools.pairwise(amounts)), f"{kind} {at}"
    assert struck >= 6
