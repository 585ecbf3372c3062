"""Where the official interface descriptions lie; they are not part of this repository."""

from __future__ import annotations

import os
from pathlib import Path


def specs(system: str) -> Path | None:
    """A system's folder in `ML_CONNECTOR_SPECS`, or in `shared/specs` beside the checkout; None where there is none."""
    named = os.environ.get("ML_CONNECTOR_SPECS")
    place = (Path(named) if named else Path(__file__).parents[2] / "shared" / "specs") / system
    return place if place.is_dir() else None
