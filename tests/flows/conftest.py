"""The desk that all tests of the flows share: one Prefect server and one worker for the whole session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.flows.desk import Desk, opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A running server with a worker, and this process as its client."""
    async with opened(tmp_path_factory.mktemp("desk")) as found:
        yield found
