"""The desk that all tests of the flows share: one Prefect server and one worker for the whole session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.flows.desk import Desk, hand_in_what_is_noted, in_this_process, opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A running server with a worker."""
    async with opened(tmp_path_factory.mktemp("desk")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def desk(running_desk: Desk) -> AsyncIterator[Desk]:
    """The running desk, with this process as a part of it for the length of a test."""
    with in_this_process(running_desk.stack):
        yield running_desk
        await hand_in_what_is_noted()
