"""One contender of a round, run as a process of its own: the engine alone, a flow run of Prefect, or the bare loop.

It gets ready, says so, and works each time its parent says go; one JSON line per step tells seconds and memory.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Step = Callable[[], Awaitable[dict[str, Any]]]


async def serve(steps: list[Step]) -> None:
    """Take the steps one by one, each when a line arrives, and report on it."""
    _tell({})
    for step in steps:
        await asyncio.to_thread(sys.stdin.readline)
        cpu, started = time.process_time(), time.perf_counter()
        found = await step()
        took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        _tell(took | {"peak_mb": peak_mb()} | found)


def peak_mb() -> float:
    """The most memory that this process has had so far (resident set, in MB)."""
    status = Path("/proc/self/status")
    if status.exists():
        # The counter of getrusage also knows what the parent had when it started us.
        line = next(one for one in status.read_text(encoding="ascii").splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _tell(found: dict[str, Any]) -> None:
    sys.stdout.write("contender " + json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the contender that the first argument names; the second is its job as JSON."""
    kind, job = sys.argv[1], json.loads(sys.argv[2])
    if kind == "bare":
        from benchmarks import bare as contender
    elif kind == "engine":
        from benchmarks import engine as contender  # type: ignore[no-redef]
    else:
        from benchmarks import through_prefect as contender  # type: ignore[no-redef]
    asyncio.run(contender.contend(job))


if __name__ == "__main__":
    main()
