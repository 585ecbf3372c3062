"""Once a day: results and pages that nobody retries any more go, and the audit trail gets its checkpoint."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings
from prefect.states import Completed

from ml_connector.installation import Installation
from ml_connector.pairs.base import PAGES_KEPT, checkpoint_when_due
from ml_connector.store import inbox, pages
from tasks.caching import SEALED

RESULTS_KEPT = PAGES_KEPT


@flow(name="housekeeping", flow_run_name="housekeeping")
async def housekeeping() -> State[Any]:
    """Remove step results and fetched pages older than 14 days, and sign the audit trail."""
    async with Installation.open() as installation:
        now = installation.store.clock.now()
        folder = Path(get_current_settings().results.local_storage_path)
        files, size = await asyncio.to_thread(sweep_results, folder, now - RESULTS_KEPT)
        async with installation.store.db.write() as tx:
            swept = await pages.sweep(tx, now - PAGES_KEPT)
            await inbox.sweep(tx, now - PAGES_KEPT)
        await checkpoint_when_due(installation.store, installation.settings.checkpoints)
    told = f"{files} results ({size / 1e6:.1f} MB) and {swept} pages older than {RESULTS_KEPT.days} days removed"
    get_run_logger().info("%s; results are in %s", told, folder)
    return Completed(message=told)


def sweep_results(folder: Path, before: datetime) -> tuple[int, int]:
    """Remove our own results that were written before an instant; how many there were, and their size in bytes.

    Other projects may keep results in the same folder: only what our serializer has sealed is ours.
    """
    files = size = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            known = path.stat()
            if not path.is_file() or datetime.fromtimestamp(known.st_mtime, UTC) >= before or not _is_ours(path):
                continue
            path.unlink()
        except OSError:
            continue  # Somebody else was quicker, or it is not ours to touch.
        files, size = files + 1, size + known.st_size
    return files, size


def _is_ours(path: Path) -> bool:
    try:
        metadata = json.loads(path.read_bytes())["metadata"]
        return bool(metadata["serializer"]["type"] == SEALED)
    except (ValueError, KeyError, TypeError):
        return False
