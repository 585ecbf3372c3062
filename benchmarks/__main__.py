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
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report, tenants
from benchmarks.rounds import Bench
from deployments.home import Home
from deployments.stack import Plan, running
from ml_connector.settings import Settings

LATENCY_S = 0.05


async def measure(options: argparse.Namespace) -> report.Numbers:
    """Every round that was asked for, told about as it ends."""
    with TemporaryDirectory() as folder, tenants.started() as both:
        home = Home.open(Settings(home=Path(folder), database_url="", keys_file=None, audit_folder=None))
        async with running(home, Plan(worker_limit=0), shows=lambda _: nullcontext()) as stack:
            bench = Bench(both, stack)
            numbers = report.Numbers()
            for size, rounds in _plan(options):
                for number in range(rounds):
                    _progress(f"{size} invoices, round {number + 1} of {rounds}")
                    numbers.rounds.setdefault(size, []).append(await bench.round(size))
            if not options.quick:
                _progress(f"{options.small} invoices at {LATENCY_S * 1000:g} ms latency")
                numbers.slow = await bench.round(options.small, delay_s=LATENCY_S)
            _progress("time by layer")
            numbers.layers = await bench.layers(500 if options.quick else options.small)
    return numbers


def _plan(options: argparse.Namespace) -> list[tuple[int, int]]:
    if options.quick:
        return [(500, 1)]
    return [(options.small, options.rounds), (options.large, options.large_rounds)]


def _progress(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed beside a bare httpx loop.")
    parser.add_argument("--quick", action="store_true", help="500 invoices, one round, no latency")
    parser.add_argument("--small", type=int, default=1_000, metavar="N", help="invoices of the short rounds")
    parser.add_argument("--large", type=int, default=20_000, metavar="N", help="invoices of the long round")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="short rounds; the median is shown")
    parser.add_argument("--large-rounds", type=int, default=1, metavar="N", help="long rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there as well")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, print, and write the JSON file if one is wanted."""
    options = parse()
    numbers = asyncio.run(measure(options))
    sys.stdout.write(report.text(numbers))
    if options.json:
        options.json.write_text(json.dumps(report.plain(numbers), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
