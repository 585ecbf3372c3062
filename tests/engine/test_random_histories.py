"""Random histories: whatever happens in whatever order, nothing is lost, doubled, stale or stuck when all is mended.

`ML_CONNECTOR_HISTORIES=1200` tells that many, `ML_CONNECTOR_HISTORY=17` tells history 17 alone; a failing one is shown
as a list of steps and then made as short as it can be while it still fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.histories import History
from tests.engine.history_evidence import collect
from tests.engine.history_oracle import judge
from tests.engine.history_player import Player
from tests.engine.history_seeds import open_world
from tests.engine.history_store import Store
from tests.engine.history_teller import tell

USUAL = 100
ALONE = os.environ.get("ML_CONNECTOR_HISTORY", "")
SEEDS = [int(ALONE)] if ALONE else list(range(int(os.environ.get("ML_CONNECTOR_HISTORIES", USUAL))))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Store]:
    """One file for all histories, one after another."""
    yield Store(tmp_path_factory.mktemp("histories"), sqlite_template)


async def _wrong(history: History, store: Store) -> list[str]:
    """What the oracle finds wrong after a history."""
    player = Player(history, await open_world(history, store))
    await player.play()
    wrong = judge(await collect(player))
    await store.engine.dispose()
    return wrong


async def _shortest(history: History, store: Store) -> tuple[History, list[str]]:
    """Leave out step after step as long as something is still wrong."""
    wrong = await _wrong(history, store)
    place = len(history.steps)
    while place > 0:
        place -= 1
        shorter = history.without(place)
        if still := await _wrong(shorter, store):
            history, wrong = shorter, still
    return history, wrong


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_any_history_both_systems_agree(seed: int, store: Store) -> None:
    history = tell(seed)
    wrong = await _wrong(history, store)
    if wrong:
        short, left = await _shortest(history, store)
        pytest.fail("\n".join([str(history), *wrong, "", "the shortest that fails:", str(short), *left]), pytrace=False)
