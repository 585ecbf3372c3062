"""A field that travels both ways: whoever changed it is heard, nobody is overwritten, and it comes to rest.

`ML_CONNECTOR_BOTH_WAYS=500` plays that many plans by chance, `ML_CONNECTOR_BOTH_WAYS_ALL=4` every plan of that length
(up to 6) with at most one strike, for everything that people may do meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.engine.both_ways import A_TO_B, B_TO_A, BothWays, open_store
from tests.engine.both_ways_search import MOST_DOCUMENTS, Plan, Played, chance_plan, plans
from tests.engine.both_ways_systems import Document, Trouble
from tests.engine.history_store import Store

ALL = int(os.environ.get("ML_CONNECTOR_BOTH_WAYS_ALL", "0"))
SEEDS = range(int(os.environ.get("ML_CONNECTOR_BOTH_WAYS", "12")))
_EVERY = 10**6


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Store:
    """One file for all worlds: statements are compiled once."""
    return open_store(tmp_path_factory.mktemp("both_ways"), sqlite_template)


@pytest.fixture
async def store(file: Store) -> AsyncIterator[Store]:
    """The store in the loop of one test."""
    yield file
    await file.engine.dispose()


@pytest.fixture
async def world(store: Store) -> BothWays:
    """One document on both sides, agreed on code x and amount 1."""
    one = BothWays(store)
    await _in_line(one)
    return one


async def _in_line(world: BothWays, key: str = "1") -> None:
    world.a.documents[key] = Document(key, "x", Decimal(1))
    await world.run(A_TO_B)
    await world.run(B_TO_A)


def _a(world: BothWays, key: str = "1", **members: object) -> None:
    world.a.person(key, **members)


def _b(world: BothWays, key: str = "1", **members: object) -> None:
    world.b.person(f"B{key}", **members)


def _codes(world: BothWays, key: str = "1") -> tuple[str, str]:
    return world.a.documents[key].code, world.b.documents[f"B{key}"].code


async def _reasons(world: BothWays) -> list[tuple[str, str]]:
    """Outcome and reasons of both rows."""
    rows = await world.rows()
    return [(row.outcome.value, " ".join(one.code for one in row.reasons)) for row in rows.values()]


async def _both(world: BothWays, rounds: int = 1, *, seconds: float = 0) -> None:
    for _ in range(rounds):
        world.clock.advance(seconds)
        await world.run(A_TO_B)
        await world.run(B_TO_A)


async def _rest(world: BothWays) -> None:
    """Two further rounds of both directions write nothing."""
    writes = len(world.a.writes), len(world.b.writes)
    await _both(world, 2, seconds=700)
    assert (len(world.a.writes), len(world.b.writes)) == writes
    assert not world.a.vain + world.b.vain


async def test_a_code_chosen_in_b_survives_a_new_amount_of_a(world: BothWays) -> None:
    _b(world, code="y")
    _a(world, amount=Decimal(2))
    await world.run(A_TO_B)
    assert _codes(world) == ("x", "y")
    assert world.b.documents["B1"].amount == 2
    await world.run(B_TO_A)
    assert _codes(world) == ("y", "y")
    await _rest(world)


async def test_a_new_code_of_a_leaves_alone_what_others_made_of_the_amount(world: BothWays) -> None:
    _b(world, amount=Decimal(7))
    _a(world, code="y")
    await _both(world)
    assert world.b.documents["B1"] == Document("B1", "y", Decimal(7), world.b.documents["B1"].mark)
    await _rest(world)


@pytest.mark.parametrize("between", [(), (A_TO_B,), (B_TO_A,), (A_TO_B, B_TO_A)])
async def test_a_code_that_b_changed_and_a_changes_back_travels(world: BothWays, between: tuple[str, ...]) -> None:
    _b(world, code="y")
    await world.run(B_TO_A)
    assert _codes(world) == ("y", "y")
    for direction in between:
        await world.run(direction)
    _a(world, code="x")
    await _both(world)
    assert _codes(world) == ("x", "x")
    await _rest(world)


@pytest.mark.parametrize("between", [(), (A_TO_B,), (B_TO_A,), (A_TO_B, B_TO_A)])
async def test_a_code_that_a_changed_and_b_changes_back_travels(world: BothWays, between: tuple[str, ...]) -> None:
    _b(world, code="z")
    await world.run(B_TO_A)
    _a(world, code="y")
    await world.run(A_TO_B)
    for direction in between:
        await world.run(direction)
    _b(world, code="z")
    await _both(world)
    assert _codes(world) == ("z", "z")
    await _rest(world)


async def test_the_same_value_on_both_sides_is_agreed_without_a_write(world: BothWays) -> None:
    _a(world, code="y")
    _b(world, code="y")
    writes = len(world.a.writes), len(world.b.writes)
    await _both(world)
    assert (len(world.a.writes), len(world.b.writes)) == writes
    assert set((await world.agreed_on((await world.rows()).values())).values()) == {"y"}
    await _rest(world)


@pytest.mark.parametrize(
    ("person", "chosen", "result"), [(_a, "z", "z"), (_b, "y", "y"), (_a, "x", "z"), (_b, "x", "y")]
)
async def test_different_values_wait_until_people_settle_them(
    world: BothWays, person: Callable[..., None], chosen: str, result: str
) -> None:
    _a(world, code="y")
    _b(world, code="z")
    await _both(world, 2)
    assert _codes(world) == ("y", "z")
    assert await _reasons(world) == [("held", "conflict")] * 2
    person(world, code=chosen)
    await _both(world, 2)
    assert _codes(world) == (result, result)
    assert not [one for one in await _reasons(world) if one[0] == "held"]
    await _rest(world)


async def test_the_same_content_once_more_is_another_write(world: BothWays) -> None:
    _a(world, code="y")
    _b(world, code="z")
    await world.run(A_TO_B)
    _a(world, code="x")
    await world.run(B_TO_A)
    assert _codes(world) == ("z", "z")
    _a(world, code="x")
    await _both(world)
    assert _codes(world) == ("x", "x")
    await _rest(world)


@pytest.mark.parametrize("key", ["1+", "1-"])
@pytest.mark.parametrize("kind", ["lost", "killed"])
@pytest.mark.parametrize("side", ["a", "b"])
async def test_our_own_write_in_doubt_is_no_change_of_the_other_side(
    world: BothWays, side: str, kind: str, key: str
) -> None:
    await _in_line(world, key)
    person = _a if side == "a" else _b
    there, back = (A_TO_B, B_TO_A) if side == "a" else (B_TO_A, A_TO_B)
    person(world, key, code="y")
    await world.run(there, trouble=Trouble(kind, "write"))
    person(world, key, code="x")
    await world.run(back)
    await _both(world, 3, seconds=700)
    assert _codes(world, key) == ("x", "x")
    await _rest(world)


async def test_a_code_chosen_before_we_know_of_our_create_travels(store: Store) -> None:
    world = BothWays(store)
    world.a.documents["1+"] = Document("1+", "x", Decimal(1))
    await world.run(A_TO_B, trouble=Trouble("lost", "write"))
    _b(world, "1+", code="y")
    await _both(world, 3, seconds=700)
    assert _codes(world, "1+") == ("y", "y")
    await _rest(world)


def _fail(wrong: Iterable[str]) -> None:
    told = sorted(set(wrong), key=len)
    if told:
        pytest.fail("\n".join([f"{len(told)} are wrong, the shortest first:", *told[:12]]), pytrace=False)


async def _wrong(plan: Plan, store: Store, most: int = MOST_DOCUMENTS) -> list[str]:
    played = Played(plan, store, most=most)
    await played.play()
    return await played.wrong()


@pytest.mark.parametrize("seed", SEEDS)
async def test_whoever_changed_it_is_heard(seed: int, store: Store) -> None:
    _fail(await _wrong(chance_plan(seed), store))


async def test_whoever_changed_it_is_heard_in_every_short_plan(store: Store) -> None:
    wrong: list[str] = []
    for plan in plans(ALL or 1, strikes=None if ALL else ("lost",)):
        wrong += await _wrong(plan, store, _EVERY)
    _fail(wrong)
