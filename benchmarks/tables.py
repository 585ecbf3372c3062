"""The design's table of numbers per pair: floor, goal, and what was reached."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rounds import Round
from benchmarks.scenes import Json

COUPA_PAGE = 50
FLOOR_SINGLE, GOAL_SINGLE = 0.65, 0.85
# Share of bare from so many records on: floor and goal.
BULK = {0: (0.15, 0.25), 20_000: (0.20, 0.35)}
FLOOR_LATENCY, GOAL_LATENCY = 0.95, 1.0
FLOOR_CALLS, FLOOR_MEMORY = 1.1, 1.2
FLOOR_JIRA_CALLS, GOAL_JIRA_CALLS = 0.055, 0.05
FLOOR_ACCEPTED_MS, GOAL_ACCEPTED_MS = 10.0, 5.0
# Seconds until a webhook's effect shows, per runner: floor and goal.
EFFECTIVE = {"make up": (5.0, 3.0), "process worker": (10.0, 10.0)}
Row = tuple[str, str, str, str]


@dataclass
class Numbers:
    """Everything that was measured of a pair; `bulk` and what is about webhooks is of one pair alone."""

    pair: str
    noun: str
    rounds: dict[int, list[Round]] = field(default_factory=dict)
    slow: Round | None = None
    layers: dict[str, float] = field(default_factory=dict)
    alone: dict[str, float] = field(default_factory=dict)
    unclear: Json = field(default_factory=dict)
    idle: Json = field(default_factory=dict)
    accepted: Json = field(default_factory=dict)
    effects: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)


def table(numbers: Numbers) -> list[Row]:
    """Row by row: what is measured, floor, goal, reached."""
    rows: list[Row] = []
    if numbers.rounds:
        rows += _bulk(numbers) if numbers.pair == "qad_jira" else _single(numbers)
        rows += [*_latency(numbers), *_memory(numbers)]
        if not numbers.idle:
            rows.append(_idle(numbers.rounds[min(numbers.rounds)][-1]))
    return [*rows, *_idle_both(numbers.idle), *_webhooks(numbers)]


def least(pair: str, size: int) -> float | None:
    """Calls per record when nothing is asked twice: a post, an exported mark, and lists of fifty; None: not told."""
    return 2 + (math.ceil(size / COUPA_PAGE)) / size if pair == "coupa_qad" else None


def median(rounds: list[Round], value: Callable[[Round], float]) -> float:
    """The median of a value over rounds."""
    return statistics.median(value(one) for one in rounds)


def ratio(rounds: list[Round], name: str) -> float:
    """A contender's median share of the bare loop's speed."""
    return median(rounds, lambda one: one.ratio(name))


def calls(rounds: list[Round], system: str = "") -> float:
    """Calls per record of the engine, to one system or to both."""
    return median(rounds, lambda one: one.calls("engine", system) / one.size)


def peak_mb(rounds: list[Round]) -> float:
    """The most memory that the flow process had."""
    return median(rounds, lambda one: one.prefect["peak_mb"])


def _single(numbers: Numbers) -> list[Row]:
    ratios = [ratio(one, "prefect") for one in numbers.rounds.values()]
    largest = max(numbers.rounds)
    times = calls(numbers.rounds[largest]) / (least(numbers.pair, largest) or 1)
    return [
        (
            "single writes, share of bare (Prefect)",
            f"{FLOOR_SINGLE}",
            f"{GOAL_SINGLE}",
            _judged(" / ".join(f"{one:.2f}" for one in ratios), min(ratios) >= FLOOR_SINGLE),
        ),
        ("calls per record, times the least", f"{FLOOR_CALLS}", "1", _judged(f"{times:.3f}", times <= FLOOR_CALLS)),
    ]


def _bulk(numbers: Numbers) -> list[Row]:
    rows: list[Row] = []
    for size, rounds in numbers.rounds.items():
        floor, goal = BULK[max(one for one in BULK if one <= size)]
        for label, name in (("Prefect", "prefect"), ("engine alone", "engine")):
            reached = ratio(rounds, name)
            shown = _judged(f"{reached:.2f}", reached >= floor)
            rows.append((f"bulk of {size}, share of bare ({label})", f"{floor}", f"{goal}", shown))
        rows.append(_jira_calls(f"Jira calls per record, {size}", calls(rounds, "jira"), size))
        rows.append((f"QAD calls per record, {size}", "-", "-", f"{calls(rounds, 'qad'):.3f}"))
    if one := numbers.unclear:
        label = f"Jira calls per record, {one['size']}, a lost bulk answer"
        rows.append(_jira_calls(label, one["calls"]["jira"] / one["size"], one["size"]))
    return rows


def _jira_calls(label: str, reached: float, size: int) -> Row:
    # What a run asks once counts for nothing among thousands of records, and for much among a few hundred.
    shown = f"{reached:.4f}" if size < 1_000 else _judged(f"{reached:.4f}", reached <= FLOOR_JIRA_CALLS)
    return label, f"{FLOOR_JIRA_CALLS}", f"{GOAL_JIRA_CALLS}", shown


def _latency(numbers: Numbers) -> list[Row]:
    if numbers.slow is None:
        return []
    reached = numbers.slow.ratio("prefect")
    shown = _judged(f"{reached:.2f}", reached >= FLOOR_LATENCY)
    return [("at 50 ms latency, share of bare", f"{FLOOR_LATENCY}", f"{GOAL_LATENCY}", shown)]


def _memory(numbers: Numbers) -> list[Row]:
    smallest, largest = min(numbers.rounds), max(numbers.rounds)
    if smallest == largest:
        return []
    small, large = peak_mb(numbers.rounds[smallest]), peak_mb(numbers.rounds[largest])
    shown = _judged(f"{small:.0f} -> {large:.0f} MB", large <= FLOOR_MEMORY * small)
    return [(f"memory, {smallest} to {largest} records", "+20 %", "flat", shown)]


def _idle(one: Round) -> Row:
    # Through Prefect the auth task proves both logins before anything is read.
    streams, found, alone = int(one.engine["streams"]), one.calls("idle"), one.calls("engine_idle")
    shown = f"{found} through Prefect, {alone} by the engine alone"
    return "nothing to do, calls", f"{streams}", f"{streams}", _judged(shown, found <= streams)


def _idle_both(idle: Json) -> list[Row]:
    rows: list[Row] = []
    for when in ("at once", "later") if idle else ():
        for name, found in idle[when].items():
            streams = idle["streams"][name]
            shown = ", ".join(f"{system} {count}" for system, count in found.items())
            label = f"nothing to do, {name}, {when} ({idle['size']})"
            rows.append((label, f"{streams}", f"{streams}", _judged(shown, sum(found.values()) <= streams)))
    return rows


def _webhooks(numbers: Numbers) -> list[Row]:
    rows: list[Row] = []
    for senders, one in numbers.accepted.items():
        shown = f"p50 {one['p50']:.1f} ms, p95 {one['p95']:.1f} ms, {one['per_second']:.0f}/s"
        # So many senders at once wait for each other; what they wait says how many there are.
        shown = _judged(shown, senders != "1" or one["p50"] < FLOOR_ACCEPTED_MS)
        label = f"webhook accepted, {senders} at once"
        rows.append((label, f"{FLOOR_ACCEPTED_MS:g} ms", f"{GOAL_ACCEPTED_MS:g} ms", shown))
    for runner, took in numbers.effects.get("shown", {}).items():
        floor, goal = EFFECTIVE[runner]
        middle = statistics.median(took)
        shown = _judged(f"{middle:.1f} s ({min(took):.1f} to {max(took):.1f})", middle < floor)
        rows.append((f"webhook effective, {runner}", f"{floor:g} s", f"{goal:g} s", shown))
    return rows


def _judged(shown: str, reached: Any) -> str:
    return shown if reached else f"{shown} BELOW FLOOR"
