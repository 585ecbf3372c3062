"""The stand-in tenants of a benchmark, each in a process of its own, and the documents in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from benchmarks.scenes import LOT, Json, Scene


class Tenants:
    """Both tenants of a pair over real HTTP; their time limits the connector and the bare loop alike."""

    def __init__(self, scene: Scene, urls: dict[str, str]) -> None:
        self.scene = scene
        self.urls = urls
        self._http = httpx.Client(timeout=300, trust_env=False)

    def reset(self) -> None:
        """Empty tenants with their masters alone."""
        for name in self.urls:
            self.ask(name, "reset", {})
            self.ask(name, "seed/base", {})

    def seed(self, first: int, count: int) -> None:
        """So many records with running numbers from `first`."""
        for start in range(first, first + count, LOT):
            self.scene.seed(self._put, range(start, min(start + LOT, first + count)))

    def slow_down(self, seconds: float) -> None:
        """Every call takes so much longer from now on."""
        for name in self.urls:
            self._http.delete(f"{self.urls[name]}/_sandbox/faults").raise_for_status()
            if seconds:
                self.ask(name, "faults", {"kind": "slow", "seconds": seconds, "times": -1})

    def calls(self) -> dict[str, int]:
        """How many calls each has received so far, logins included."""
        return {name: int(self.show(name, f"requests?since={10**15}")["last"]) for name in self.urls}

    def show(self, name: str, path: str) -> Any:
        """What a tenant's admin API shows."""
        return self._http.get(f"{self.urls[name]}/_sandbox/{path}").raise_for_status().json()

    def ask(self, name: str, path: str, body: Json) -> Any:
        """Ask a tenant's admin API for something."""
        return self._http.post(f"{self.urls[name]}/_sandbox/{path}", json=body).raise_for_status().json()

    def _put(self, name: str, documents: Json) -> None:
        self.ask(name, "seed", documents)


@contextmanager
def started(scene: Scene) -> Iterator[Tenants]:
    """Both tenants for the length of a block."""
    with ExitStack() as stack:
        yield Tenants(scene, {name: stack.enter_context(_process(name, more)) for name, more in scene.systems.items()})


@contextmanager
def _process(name: str, options: Sequence[str]) -> Iterator[str]:
    command = [sys.executable, "-m", "sandbox", name, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield json.loads(line)["url"]
        finally:
            process.terminate()
