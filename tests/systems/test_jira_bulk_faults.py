"""Elements of a bulk that failed for a fault of Jira's: nobody knows whether their issues exist."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ml_connector.domain.writes import Doubt, Found, Refused
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.targets import Issues
from tests.systems.jira_bench import Bench, order

Opened = tuple[Bench, JiraClient, JiraTenant]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    bench = Bench()
    async with bench.client() as (client, tenant):
        yield bench, client, tenant


def _failed(place: int, status: int) -> dict[str, Any]:
    texts = {"errorMessages": ["Internal server error"], "errors": {}}
    return {"status": status, "elementErrors": texts, "failedElementNumber": place}


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_an_element_that_failed_for_a_fault_is_in_doubt_and_a_refused_one_is_refused(
    opened: Opened, status: int
) -> None:
    bench, client, tenant = opened
    orders = [order(number) for number in range(8)]
    made = {"issues": [{"id": str(10000 + n)} for n in range(6)], "errors": [_failed(6, status), _failed(7, 400)]}
    bench.fault("/issue/bulk", kind="status_after", status=201, body=json.dumps(made))
    bench.fault("/issue/bulkfetch", kind="status", status=503, times=-1)
    sent = await Issues(client, tenant).send(orders)
    assert isinstance(sent[orders[6].external_id], Doubt)
    assert isinstance(sent[orders[7].external_id], Refused)


async def test_an_issue_that_is_there_in_spite_of_its_fault_is_found_and_not_made_again(opened: Opened) -> None:
    bench, client, tenant = opened
    orders = [order(number) for number in range(8)]
    answer = {"issues": [], "errors": [_failed(place, 500) for place in range(8)]}
    bench.fault("/issue/bulk", kind="status_after", status=400, body=json.dumps(answer))
    target = Issues(client, tenant)
    sent = await target.send(orders)
    assert all(isinstance(one, Doubt) for one in sent.values())
    await bench.advance(60)
    found = await target.find(orders)
    assert len({one.target_id for one in found.values() if isinstance(one, Found)}) == 8
    assert set(bench.truth["creates"].values()) == {1}
