"""Fewer questions for many numbers: neighbours are asked for together, and questions run side by side, bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from ml_connector.systems.qad.browse import Filter

# A range may cover numbers nobody asked for; with larger gaps it would read more than it saves.
MAX_GAP = 4
_NUMBERED = re.compile(r"([^,]*?)([0-9]{1,18})")

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def neighbours(numbers: Iterable[str], *, most: int) -> list[tuple[str, ...]]:
    """Numbers in groups that lie close together (equal but for a running number of equal length), each group sorted.

    Within such a group the order of the texts is that of the running numbers in every collation.
    """
    series: dict[tuple[str, int], list[str]] = {}
    groups: list[tuple[str, ...]] = []
    for number in dict.fromkeys(numbers):
        parts = _NUMBERED.fullmatch(number)
        if parts is None:
            groups.append((number,))
        else:
            series.setdefault((parts[1], len(parts[2])), []).append(number)
    for (prefix, _), members in series.items():
        groups += _runs(sorted(members), len(prefix), most)
    return groups


def _runs(members: list[str], skip: int, most: int) -> list[tuple[str, ...]]:
    runs: list[list[str]] = []
    for member in members:
        near = runs and int(member[skip:]) - int(runs[-1][-1][skip:]) <= MAX_GAP
        if near and len(runs[-1]) < most:
            runs[-1].append(member)
        else:
            runs.append([member])
    return [tuple(run) for run in runs]


def among(name: str, group: Sequence[str]) -> list[Filter]:
    """The conditions that let exactly the span of a group through."""
    if len(group) == 1:
        return [Filter(name, "eq", group[0])]
    return [Filter(name, "ge", group[0]), Filter(name, "le", group[-1])]


async def side_by_side(work: Callable[[Item], Awaitable[Answer]], items: Sequence[Item], workers: int) -> list[Answer]:
    """The answers in the order of the items; a failure ends the others."""
    answers: dict[int, Answer] = {}
    waiting = iter(enumerate(items))

    async def worker() -> None:
        for index, item in waiting:
            answers[index] = await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(min(workers, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [answers[index] for index in range(len(items))]
