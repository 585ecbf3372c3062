"""What the rounds say: a few lines for a reader, and the design's table with what was reached."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.quiet import MOST
from benchmarks.rounds import Round

COUPA_PAGE = 50
FLOOR_RATIO, GOAL_RATIO = 0.65, 0.85
FLOOR_LATENCY, GOAL_LATENCY = 0.95, 1.0
FLOOR_CALLS, FLOOR_MEMORY = 1.1, 1.2
ELSEWHERE = "not in this pair"


@dataclass
class Numbers:
    """Everything that was measured."""

    rounds: dict[int, list[Round]] = field(default_factory=dict)
    slow: Round | None = None
    layers: dict[str, float] = field(default_factory=dict)


def plain(numbers: Numbers) -> dict[str, Any]:
    """The same as JSON."""
    return asdict(numbers) | {"table": _table(numbers)}


def text(numbers: Numbers) -> str:
    """The report."""
    lines: list[str] = []
    for size, rounds in numbers.rounds.items():
        lines += _size(size, rounds)
    if numbers.slow:
        lines += ["", f"{numbers.slow.size} invoices at 50 ms latency: {_speeds([numbers.slow])}"]
    lines += _disturbed(numbers)
    lines += ["", "time by layer, through Prefect (a look each 2 ms; waits and work never overlap):"]
    lines += [f"  {share:6.1%}  {name}" for name, share in numbers.layers.items()]
    header = f"{'':44} {'floor':>14} {'goal':>14}  reached"
    lines += ["", header, *(_row(row) for row in _table(numbers))]
    return "\n".join(lines).lstrip("\n") + "\n"


def _size(size: int, rounds: list[Round]) -> list[str]:
    peak = _median(rounds, lambda one: one.prefect["peak_mb"])
    idle, rest = rounds[-1].idle, rounds[-1].engine_idle
    alone = f"{rest['calls']} calls, {rest['seconds']:.2f} s"
    return [
        "",
        f"{size} invoices, single writes, 8 connections per system, median of {len(rounds)}: {_speeds(rounds)}",
        f"  calls per record {_calls(rounds):.3f}, the least possible {least(size):.3f}; the first run ever of a "
        "connection asks for each token as well",
        f"  processor time per record: {_cpu(rounds)}",
        f"  flow process at its peak: {peak:.0f} MB",
        f"  nothing to do, through Prefect: {idle['calls']} calls, {idle['seconds']:.2f} s; engine alone: {alone}",
    ]


def _disturbed(numbers: Numbers) -> list[str]:
    every = [one for rounds in numbers.rounds.values() for one in rounds] + ([numbers.slow] if numbers.slow else [])
    most = max(one.foreign for one in every)
    if most <= MOST:
        return []
    return ["", f"THE RATIOS ARE NOT TO BE TRUSTED: other programs kept up to {most:.1f} processors busy meanwhile."]


def _speeds(rounds: list[Round]) -> str:
    told = [f"bare loop {_median(rounds, lambda one: one.speed('bare')):.0f} records/s"]
    for label, name in (("engine alone", "engine"), ("through Prefect", "prefect")):
        speed = statistics.median(one.speed(name) for one in rounds)
        told.append(f"{label} {speed:.0f} ({_ratio(rounds, name):.2f})")
    return ", ".join(told)


def _cpu(rounds: list[Round]) -> str:
    shown = (("bare", "bare"), ("engine", "engine"), ("Prefect", "prefect"))
    parts = []
    for label, name in shown:
        spent = statistics.median(getattr(one, name)["cpu"] / one.size * 1000 for one in rounds)
        parts.append(f"{label} {spent:.2f} ms")
    return ", ".join(parts)


def least(size: int) -> float:
    """Calls per record when nothing is asked twice: a post, an exported mark, and lists of fifty."""
    return 2 + (math.ceil(size / COUPA_PAGE)) / size


def _calls(rounds: list[Round]) -> float:
    return _median(rounds, lambda one: one.engine["calls"] / one.size)


def _ratio(rounds: list[Round], name: str) -> float:
    return _median(rounds, lambda one: one.ratio(name))


def _median(rounds: list[Round], value: Callable[[Round], float]) -> float:
    return statistics.median(value(one) for one in rounds)


def _table(numbers: Numbers) -> list[tuple[str, str, str, str]]:
    """Section by section: what is measured, floor, goal, reached."""
    smallest, largest = min(numbers.rounds), max(numbers.rounds)
    small, large = numbers.rounds[smallest], numbers.rounds[largest]
    ratios = [_ratio(one, "prefect") for one in numbers.rounds.values()]
    calls = _calls(large) / least(largest)
    rows = [
        (
            "single writes, share of bare (Prefect)",
            f"{FLOOR_RATIO}",
            f"{GOAL_RATIO}",
            _judged(" / ".join(f"{one:.2f}" for one in ratios), min(ratios) >= FLOOR_RATIO),
        ),
        ("bulk", "0.15 / 0.20", "0.25 / 0.35", ELSEWHERE),
    ]
    if numbers.slow:
        ratio = numbers.slow.ratio("prefect")
        shown = _judged(f"{ratio:.2f}", ratio >= FLOOR_LATENCY)
        rows.append(("at 50 ms latency, share of bare", f"{FLOOR_LATENCY}", f"{GOAL_LATENCY}", shown))
    shown = _judged(f"{calls:.3f}", calls <= FLOOR_CALLS)
    rows.append(("calls per record, times the least", f"{FLOOR_CALLS}", "1", shown))
    if smallest != largest:
        flat = _memory(large) <= FLOOR_MEMORY * _memory(small)
        shown = _judged(f"{_memory(small):.0f} -> {_memory(large):.0f} MB", flat)
        rows.append((f"memory, {smallest} to {largest} records", "+20 %", "flat", shown))
    rows.append(("webhook accepted / effective", "10 ms / 5 s", "5 ms / 3 s", ELSEWHERE))
    return [*rows, _idle(small[-1])]


def _idle(one: Round) -> tuple[str, str, str, str]:
    # Through Prefect the auth task proves both logins before anything is read.
    streams, calls = int(one.engine["streams"]), int(one.idle["calls"])
    alone = int(one.engine_idle["calls"])
    reached = f"{calls} through Prefect, {alone} by the engine alone"
    return "nothing to do, calls", f"{streams}", f"{streams}", _judged(reached, calls <= streams)


def _memory(rounds: list[Round]) -> float:
    return _median(rounds, lambda one: one.prefect["peak_mb"])


def _judged(shown: str, reached: bool) -> str:
    return shown if reached else f"{shown} BELOW FLOOR"


def _row(row: tuple[str, str, str, str]) -> str:
    return f"{row[0]:44} {row[1]:>14} {row[2]:>14}  {row[3]}"
