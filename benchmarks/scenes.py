"""What a pair is measured by: which tenants stand in, what is in them, how to log in, and which direction runs."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]
Urls = Mapping[str, str]
# Seeds one collection of documents in the tenant of a system.
Put = Callable[[str, Json], None]

WORKERS = 8
NAME = "bench"
PAIRS = ("coupa_qad", "qad_jira")
LOT = 1000


@dataclass(frozen=True, slots=True)
class Scene:
    """One direction of a pair with its tenants; `noun` says what a record is.

    `systems` names the stand-in tenants in the pair's order with the options of their processes. `seed` puts the
    records with running numbers into them, `authorization` gives the header of a login that needs no token first, and
    `blocks` saves both logins where Prefect's flows look for them.
    """

    pair: str
    direction: str
    back: str
    noun: str
    systems: Mapping[str, Sequence[str]]
    block_names: tuple[str, str]
    settings: Json
    seed: Callable[[Put, range], None]
    logins: Callable[[Urls], list[BaseModel]]
    blocks: Callable[[Urls], Awaitable[None]]
    authorization: Callable[[Urls], Mapping[str, str]] = lambda _urls: {}


def scene_of(pair: str) -> Scene:
    """The scene of a pair."""
    found: Scene = importlib.import_module(f"benchmarks.{pair}").SCENE
    return found
