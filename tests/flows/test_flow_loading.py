"""Flows and blocks are found by an installed package alone, wherever a worker's process starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import blocks
from ml_connector.pairs.base import Direction
from ml_connector.pairs.registry import DIRECTIONS

LOAD = """
import json, sys
from prefect.flows import load_flow_from_entrypoint

flow = load_flow_from_entrypoint(sys.argv[1])
print(json.dumps({"name": flow.name, "parameters": sorted(flow.parameters.properties), "async": flow.isasync}))
"""
COLLECT = """
from prefect.plugins import load_prefect_collections
from prefect.utilities.dispatch import get_registry_for_type
from prefect.blocks.core import Block

load_prefect_collections()
print(" ".join(sorted(one._block_type_slug or "" for one in get_registry_for_type(Block).values())))
"""


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=lambda one: one.name)
def test_a_flow_loads_by_module_path_from_a_foreign_folder(direction: Direction, tmp_path: Path) -> None:
    found = json.loads(_elsewhere(tmp_path, LOAD, direction.flow))
    assert found["name"] == direction.name.replace("_", "-")
    assert found["parameters"] == ["connection"]
    assert found["async"] is True


def test_prefect_finds_the_blocks_without_being_told(tmp_path: Path) -> None:
    known = _elsewhere(tmp_path, COLLECT).split()
    assert {getattr(blocks, name)._block_type_slug for name in blocks.__all__} <= set(known)


def _elsewhere(folder: Path, program: str, *arguments: str) -> str:
    """What a program prints that starts in a folder with nothing of the project on its path."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PREFECT_HOME": str(folder / "prefect")}
    command = [sys.executable, "-P", "-c", program, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
