"""Whether the machine was ours: what other programs took of its processors spoils a ratio of two times."""

from __future__ import annotations

import os
import time
from pathlib import Path

MOST = 0.1  # processors; above this a round is not worth reading
_PROC = Path("/proc")


class Quiet:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._known = (_PROC / "stat").exists()
        self._started = time.perf_counter()
        self._others = self._by_others()

    def foreign(self) -> float:
        """How many processors other programs kept busy since then, on average; 0 where the system does not tell."""
        seconds = time.perf_counter() - self._started
        return max(0.0, self._by_others() - self._others) / seconds

    def _by_others(self) -> float:
        """Processor seconds that went to programs which are not ours (ours: this process and what it started)."""
        if not self._known:
            return 0.0
        tick = os.sysconf("SC_CLK_TCK")
        fields = [int(one) for one in (_PROC / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:]]
        user, nice, system, _idle, _waiting, irq, soft, steal = fields[:8]
        return (user + nice + system + irq + soft + steal - _by_us()) / tick


def _by_us() -> int:
    parents, used = {}, {}
    for path in _PROC.glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything, so the fields are counted from its end.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        number = int(path.parent.name)
        parents[number] = int(fields[1])
        # User and system time, also of children that have ended.
        used[number] = sum(int(one) for one in fields[11:15])
    ours = {os.getpid()}
    while more := {one for one, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(used.get(one, 0) for one in ours)
