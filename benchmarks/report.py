"""What the rounds say: a few lines for a reader, and the design's table with what was reached."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import Any

from benchmarks.quiet import MOST
from benchmarks.rounds import Round
from benchmarks.tables import Numbers, Row, calls, least, median, peak_mb, ratio, table

_STEPS = (("created", "a run is planned"), ("started", "it runs"), ("shown", "QAD shows it"))


def plain(numbers: Numbers) -> dict[str, Any]:
    """The same as JSON."""
    return asdict(numbers) | {"table": table(numbers)}


def text(numbers: Numbers) -> str:
    """The report."""
    lines: list[str] = [numbers.pair]
    for size, rounds in numbers.rounds.items():
        lines += _size(numbers, size, rounds)
    if numbers.slow:
        lines += ["", f"{numbers.slow.size} {numbers.noun} at 50 ms latency: {_speeds([numbers.slow])}"]
    for label, layers in (("through Prefect", numbers.layers), ("engine alone", numbers.alone)):
        if layers:
            lines += ["", f"time by layer, {label} (a look each 2 ms; waits and work never overlap):"]
            lines += [f"  {share:6.1%}  {name}" for name, share in layers.items()]
    lines += [*_effects(numbers), *_disturbed(numbers)]
    header = f"{'':52} {'floor':>12} {'goal':>12}  reached"
    lines += ["", header, *(_row(row) for row in table(numbers))]
    return "\n".join(lines) + "\n"


def _size(numbers: Numbers, size: int, rounds: list[Round]) -> list[str]:
    idle, alone = rounds[-1].idle, rounds[-1].engine_idle
    fewest = least(numbers.pair, size)
    told = ", ".join(f"{name} {calls(rounds, name):.4f}" for name in rounds[-1].engine["calls"])
    possible = f", the least possible {fewest:.3f}" if fewest else ""
    return [
        "",
        f"{size} {numbers.noun}, 8 connections per system, median of {len(rounds)}: {_speeds(rounds)}",
        f"  calls per record {calls(rounds):.3f} ({told}){possible}; the first run ever of a connection asks for each "
        "token as well",
        f"  processor time per record: {_cpu(rounds)}",
        f"  flow process at its peak: {peak_mb(rounds):.0f} MB",
        f"  nothing to do, through Prefect: {_calls(idle)} calls, {idle['seconds']:.2f} s; engine alone: "
        f"{_calls(alone)} calls, {alone['seconds']:.2f} s",
    ]


def _effects(numbers: Numbers) -> list[str]:
    lines: list[str] = []
    for runner in numbers.effects.get("shown", {}):
        steps = [
            f"{label} after {statistics.median(took):.1f} s"
            for name, label in _STEPS
            if (took := numbers.effects[name].get(runner, []))
        ]
        count = len(numbers.effects["shown"][runner])
        lines += ["", f"a person's change in Jira, {runner}, median of {count}: {', '.join(steps)}"]
    return lines


def _disturbed(numbers: Numbers) -> list[str]:
    every = [one for rounds in numbers.rounds.values() for one in rounds] + ([numbers.slow] if numbers.slow else [])
    most = max([one.foreign for one in every] + [one["foreign"] for one in numbers.accepted.values()], default=0.0)
    if most <= MOST:
        return []
    return ["", f"THE RATIOS ARE NOT TO BE TRUSTED: other programs kept up to {most:.1f} processors busy meanwhile."]


def _speeds(rounds: list[Round]) -> str:
    told = [f"bare loop {median(rounds, lambda one: one.speed('bare')):.0f} records/s"]
    for label, name in (("engine alone", "engine"), ("through Prefect", "prefect")):
        speed = statistics.median(one.speed(name) for one in rounds)
        told.append(f"{label} {speed:.0f} ({ratio(rounds, name):.2f})")
    return ", ".join(told)


def _cpu(rounds: list[Round]) -> str:
    shown = (("bare", "bare"), ("engine", "engine"), ("Prefect", "prefect"))
    parts = []
    for label, name in shown:
        spent = statistics.median(getattr(one, name)["cpu"] / one.size * 1000 for one in rounds)
        parts.append(f"{label} {spent:.2f} ms")
    return ", ".join(parts)


def _calls(step: dict[str, Any]) -> int:
    return sum(step["calls"].values())


def _row(row: Row) -> str:
    return f"{row[0]:52} {row[1]:>12} {row[2]:>12}  {row[3]}"
