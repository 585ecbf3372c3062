"""`make bench`: the engine, alone and through Prefect, beside a bare httpx loop that makes the same requests.

All go over real HTTP to stand-in tenants in processes of their own. Read the ratios; the absolute numbers belong to
the machine, and so do the tenants' own limits, which both sides share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import bulk, report, tenants
from benchmarks.rounds import Bench
from benchmarks.scenes import PAIRS, scene_of
from benchmarks.tables import Numbers
from deployments.home import Home
from deployments.stack import Plan, running
from ml_connector.settings import Settings

LATENCY_S = 0.05
QUICK = 500
# Of a pair that writes many records at once the short rounds have more of them.
SMALL = {"coupa_qad": 1_000, "qad_jira": 2_000}
IDLE = 100


async def measure(pair: str, options: argparse.Namespace) -> Numbers:
    """Every round that was asked for, told about as it ends."""
    scene = scene_of(pair)
    numbers = Numbers(pair, scene.noun)
    with TemporaryDirectory() as folder, tenants.started(scene) as both:
        home = Home.open(Settings(home=Path(folder), database_url="", keys_file=None, audit_folder=None))
        async with running(home, Plan(worker_limit=0), shows=lambda _: nullcontext()) as stack:
            bench = Bench(both, stack)
            small = options.small or SMALL[pair]
            for size, rounds in _plan(options, small):
                for number in range(rounds):
                    _progress(f"{size} {scene.noun}, round {number + 1} of {rounds}")
                    numbers.rounds.setdefault(size, []).append(await bench.round(size))
            if not options.quick and pair == "coupa_qad":
                _progress(f"{small} {scene.noun} at {LATENCY_S * 1000:g} ms latency")
                numbers.slow = await bench.round(small, delay_s=LATENCY_S)
            if pair == "qad_jira":
                await _bulk(bench, numbers, QUICK if options.quick else small)
            _progress("time by layer")
            numbers.layers = await bench.layers("prefect", QUICK if options.quick else small)
            if not options.quick:
                numbers.alone = await bench.layers("engine", small)
    return numbers


async def measure_webhooks(numbers: Numbers, options: argparse.Namespace) -> None:
    """How fast deliveries are accepted, and how long until they have an effect."""
    from benchmarks import webhooks

    _progress("deliveries accepted")
    numbers.accepted = await webhooks.accepted()
    _progress(f"deliveries effective, {options.effects} times with each runner")
    numbers.effects = asdict(await webhooks.effective(options.effects))


async def _bulk(bench: Bench, numbers: Numbers, size: int) -> None:
    _progress(f"{size} {numbers.noun} and a lost answer")
    numbers.unclear = await bulk.unclear(bench, size)
    _progress("nothing to do in either direction")
    numbers.idle = await bulk.idle(bench, IDLE)


def _plan(options: argparse.Namespace, small: int) -> list[tuple[int, int]]:
    if options.quick:
        return [(QUICK, 1)]
    return [(small, options.rounds), (options.large, options.large_rounds)]


def _progress(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed beside a bare httpx loop.")
    parser.add_argument("--pair", choices=(*PAIRS, "all"), default="all", help="which pair is measured")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} records, one round, no latency")
    parser.add_argument("--small", type=int, default=0, metavar="N", help="records of the short rounds")
    parser.add_argument("--large", type=int, default=20_000, metavar="N", help="records of the long round")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="short rounds; the median is shown")
    parser.add_argument("--large-rounds", type=int, default=1, metavar="N", help="long rounds")
    parser.add_argument("--webhooks", action="store_true", help="webhooks alone: accepted, and effective in QAD")
    parser.add_argument("--effects", type=int, default=20, metavar="N", help="webhooks whose effect is waited for")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there as well")
    return parser.parse_args(arguments)


async def _measured(options: argparse.Namespace) -> list[Numbers]:
    if options.webhooks:
        numbers = Numbers("qad_jira", scene_of("qad_jira").noun)
        await measure_webhooks(numbers, options)
        return [numbers]
    return [await measure(pair, options) for pair in PAIRS if options.pair in (pair, "all")]


def main() -> None:
    """Measure, print, and write the JSON file if one is wanted."""
    options = parse()
    found = asyncio.run(_measured(options))
    sys.stdout.write("\n".join(report.text(one) for one in found))
    if options.json:
        content = {one.pair: report.plain(one) for one in found}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
