"""The story as a flow run: what an analyst finds in the Prefect UI, and that a second run changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox import story
from tests.engine.test_story import FIRST
from tests.flows.customers import Customer, customer
from tests.flows.desk import Desk, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _story() -> dict[str, Any]:
    return {"coupa": story.coupa(), "qad": story.qad()}


async def test_a_run_posts_the_story_and_tells_the_analyst(desk: Desk) -> None:
    async with customer(desk, "story", _story()) as acme:
        state = await acme.run()
        assert (state.name, state.is_completed()) == ("Held", True)
        assert state.message == "7 read: 4 created, 2 held, 1 rejected"
        assert await acme.outcomes() == FIRST

        run = await desk.client.read_flow_run(state.state_details.flow_run_id)
        assert run.name == "coupa-to-qad story"
        assert run.state is not None and run.state.name == "Held"
        print(run.parameters)
        truths = await acme.truths()
        print(truths)
        again = await acme.run()
        assert again.message == "7 read"
