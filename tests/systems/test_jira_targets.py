"""Issues are found by token, created in bulk without guessing, and edited member by member."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ml_connector.domain.writes import Absent, Done, Doubt, Foreign, Found, Gone, NotSent, Refused, Several
from ml_connector.errors import AuthenticationError, ConfigurationError
from ml_connector.systems.jira import adf
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.targets import Issues
from tests.systems.jira_bench import AMOUNT, BUYER, COST_CODE, KIND, TOKEN_FIELD, Bench, order, token
from tests.systems.stopping import stopped_by

Opened = tuple[Bench, JiraClient, JiraTenant]
LAG = 5.0


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    bench = Bench()
    async with bench.client() as (client, tenant):
        yield bench, client, tenant


def issues(opened: Opened, **more: Any) -> Issues:
    return Issues(opened[1], opened[2], **more)


async def created(opened: Opened, number: int = 1, **more: Any) -> str:
    sent = (await issues(opened).send([order(number, **more)]))[f"qad:invoice_exception:{number}"]
    assert isinstance(sent, Done), sent
    return sent.target_id


async def test_an_issue_is_created_found_and_recognised_as_ours(opened: Opened) -> None:
    bench = opened[0]
    target = issues(opened)
    one = order(1, payload={"description": adf.doc(adf.paragraph("Held.")), "assignee": BUYER, "labels": ["qad"]})
    assert await target.find([one]) == {one.external_id: Absent()}
    sent = (await target.send([one]))[one.external_id]
    assert isinstance(sent, Done)
    assert sent.data == {"key": "AP-1"}
    await bench.advance(LAG)
    found = (await target.find([one]))[one.external_id]
    assert isinstance(found, Found)
    assert (found.target_id, found.differs) == (sent.target_id, ())
    assert found.data["key"] == "AP-1"
    assert found.data["shown"][f"field:{AMOUNT}"] == "12.5"
    assert found.data["shown"][f"field:{KIND}"] == "Hold"
    stored = bench.issue(sent.target_id)
    assert stored.properties["ml-connector"] == {"token": token(1), "record": one.external_id}
    assert stored.fields[TOKEN_FIELD] == token(1)
    assert bench.truth["tokens"] == {token(1): 1}


async def test_what_people_changed_is_named_with_what_the_issue_shows(opened: Opened) -> None:
    bench = opened[0]
    issue = await created(opened, payload={f"field:{COST_CODE}": "4100"})
    await bench.do("set_fields", issue=issue, fields={COST_CODE: "4200", "summary": "Mine"})
    one = order(1, issue, payload={f"field:{COST_CODE}": "4100", f"field:{AMOUNT}": "99"})
    found = (await issues(opened).find([one]))[one.external_id]
    assert isinstance(found, Found)
    assert set(found.differs) == {"summary", f"field:{COST_CODE}", f"field:{AMOUNT}"}
    assert found.data["shown"][f"field:{COST_CODE}"] == "4200"


async def test_an_issue_that_the_index_does_not_show_yet_is_absent_for_now(opened: Opened) -> None:
    bench = opened[0]
    issue = await created(opened)
    assert await issues(opened).find([order(1)]) == {order(1).external_id: Absent()}

    async def sighted() -> list[int]:
        return [int(issue)]

    found = (await issues(opened, sighted=sighted).find([order(1)]))[order(1).external_id]
    assert isinstance(found, Found)
    await bench.advance(LAG)
    assert isinstance((await issues(opened).find([order(1)]))[order(1).external_id], Found)


async def test_a_clone_is_somebody_elses_and_the_original_is_ours(opened: Opened) -> None:
    bench = opened[0]
    issue = await created(opened)
    clone = await bench.do("clone", issue=issue)
    await bench.advance(LAG)
    found = (await issues(opened).find([order(1)]))[order(1).external_id]
    assert isinstance(found, Found)
    assert found.target_id == issue
    await bench.do("delete", issue=issue)
    await bench.advance(LAG)
    assert (await issues(opened).find([order(1)]))[order(1).external_id] == Foreign(clone["id"])


async def test_two_issues_with_our_property_are_left_to_a_person(opened: Opened) -> None:
    bench = opened[0]
    ids = [await created(opened), await created(opened)]
    await bench.advance(LAG)
    found = (await issues(opened).find([order(1)]))[order(1).external_id]
    assert isinstance(found, Several)
    assert sorted(found.target_ids) == sorted(ids)


async def test_a_token_that_only_looks_alike_is_no_hit(opened: Opened) -> None:
    bench = opened[0]
    fields = {"project": {"key": "AP"}, "issuetype": {"id": "10001"}, "summary": "x", TOKEN_FIELD: f"see {token(1)}"}
    await bench.do("create", fields=fields)
    await bench.advance(LAG)
    assert (await issues(opened).find([order(1)]))[order(1).external_id] == Absent()


@pytest.mark.parametrize("field", ["customfield_10049", "customfield_10058"], ids=["url", "labels"])
async def test_a_token_in_an_exact_field_is_found_as_well(field: str) -> None:
    bench = Bench()
    async with bench.client(token_field=field) as (client, tenant):
        target = Issues(client, tenant)
        issue = await created((bench, client, tenant))
        clone = await bench.do("clone", issue=issue)
        await bench.advance(LAG)
        found = await target.find([order(1), order(2)])
        assert isinstance(found[order(1).external_id], Found)
        assert found[order(2).external_id] == Absent()
        await bench.do("delete", issue=issue)
        await bench.advance(LAG)
        assert (await target.find([order(1)]))[order(1).external_id] == Foreign(clone["id"])


@pytest.mark.parametrize("field", ["", KIND, AMOUNT])
async def test_a_field_that_cannot_hold_a_token_is_a_setting_to_mend(field: str) -> None:
    async with Bench().client(token_field=field) as (client, tenant):
        with pytest.raises(ConfigurationError, match="token_field"):
            await Issues(client, tenant).find([order(1)])


async def test_many_tokens_are_asked_for_a_hundred_at_a_time(opened: Opened) -> None:
    bench = opened[0]
    target = issues(opened)
    orders = [order(number) for number in range(250)]
    await target.send(orders[:240])
    await bench.advance(LAG)
    before = bench.calls("/search/jql")
    found = await target.find(orders)
    assert bench.calls("/search/jql") - before <= 6
    assert sum(isinstance(one, Found) and not one.differs for one in found.values()) == 240
    assert sum(one == Absent() for one in found.values()) == 10


async def test_a_deleted_issue_is_gone(opened: Opened) -> None:
    bench = opened[0]
    issue = await created(opened)
    await bench.do("delete", issue=issue)
    assert (await issues(opened).find([order(1, issue)]))[order(1).external_id] == Gone(issue)


@pytest.mark.parametrize("known", [True, False])
async def test_nothing_is_called_gone_or_absent_by_a_login_that_has_ended(known: bool) -> None:
    bench = Bench(bad_token="anonymous_empty")
    async with bench.client() as (client, tenant):
        target = Issues(client, tenant, {AMOUNT: "number"}, "textsearcher")
        issue = await created((bench, client, tenant))
        await bench.advance(LAG)
        await bench.do("set_option", api_tokens_valid=False)
        with pytest.raises((AuthenticationError, ConfigurationError)):
            await target.find([order(1, issue if known else "")])


async def test_the_login_is_proven_once_when_something_is_missing(opened: Opened) -> None:
    bench = opened[0]
    issue = await created(opened)
    target = issues(opened)
    await target.find([order(1, issue)])
    assert bench.calls("/myself") == 0
    await target.find([order(2), order(3), order(4, "999999")])
    assert bench.calls("/myself") == 1


# ---- creating


async def test_fifty_issues_are_one_call_and_are_read_back_together(opened: Opened) -> None:
    bench = opened[0]
    sent = await issues(opened).send([order(number) for number in range(130)])
    assert all(isinstance(one, Done) for one in sent.values())
    assert len({one.target_id for one in sent.values() if isinstance(one, Done)}) == 130
    assert bench.calls("/issue/bulk", "POST") == 3 + 2
    assert bench.calls("/issue/bulkfetch") == 2
    assert bench.truth["tokens"] == {token(number): 1 for number in range(130)}


async def test_few_issues_are_created_one_by_one(opened: Opened) -> None:
    bench = opened[0]
    sent = await issues(opened).send([order(number) for number in range(5)])
    assert all(isinstance(one, Done) for one in sent.values())
    assert bench.calls("/issue/bulk") == 0


async def test_each_refused_element_of_a_bulk_is_its_own_record(opened: Opened) -> None:
    bench = opened[0]
    orders = [order(number) for number in range(10)]
    orders[3] = order(3, payload={f"field:{KIND}": "Nonsense"})
    orders[7] = order(7, payload={"assignee": "712020:nobody"})
    sent = await issues(opened).send(orders)
    refused = {name: one for name, one in sent.items() if not isinstance(one, Done)}
    assert set(refused) == {orders[3].external_id, orders[7].external_id}
    assert all(isinstance(one, Refused) for one in refused.values())
    assert KIND in str(refused[orders[3].external_id])
    assert "unknown_user" in str(refused[orders[7].external_id])
    for name, one in sent.items():
        if isinstance(one, Done):
            assert bench.issue(one.target_id).properties["ml-connector"]["record"] == name


async def test_a_bulk_that_is_refused_for_all_refuses_each(opened: Opened) -> None:
    sent = await issues(opened).send([order(number, payload={f"field:{KIND}": "x"}) for number in range(8)])
    assert all(isinstance(one, Refused) for one in sent.values())
    assert opened[0].truth["issues"] == 0


async def test_an_unknown_person_is_named_as_the_reason(opened: Opened) -> None:
    one = order(1, payload={"assignee": "712020:nobody"})
    sent = (await issues(opened).send([one]))[one.external_id]
    assert isinstance(sent, Refused)
    assert sent.code == "unknown_user"


async def test_a_value_that_is_none_is_refused_before_anything_is_sent(opened: Opened) -> None:
    orders = [order(number) for number in range(8)]
    orders[2] = order(2, payload={f"field:{AMOUNT}": "twelve"})
    sent = await issues(opened).send(orders)
    refused = sent[orders[2].external_id]
    assert isinstance(refused, Refused)
    assert refused.code == f"invalid_value:{AMOUNT}"
    assert opened[0].truth["issues"] == 7
    assert opened[0].calls("/issue/bulk", "POST") == 2


async def test_a_bulk_whose_reply_is_lost_is_in_doubt_as_a_whole_and_found_later(opened: Opened) -> None:
    bench = opened[0]
    target = issues(opened)
    orders = [order(number) for number in range(60)]
    bench.fault("/issue/bulk$|/issue/bulk[?]", kind="reset_after")
    sent = await target.send(orders)
    lost = [one for one in orders if isinstance(sent[one.external_id], Doubt)]
    assert len(lost) in (50, 10)
    assert sum(isinstance(one, Done) for one in sent.values()) == 60 - len(lost)
    await bench.advance(LAG)
    found = await target.find(lost)
    assert all(isinstance(one, Found) for one in found.values())
    assert bench.truth["tokens"] == {token(number): 1 for number in range(60)}


async def test_a_single_create_whose_reply_is_lost_is_in_doubt(opened: Opened) -> None:
    opened[0].fault("/issue$|/issue[?]", kind="reset_after")
    sent = await issues(opened).send([order(1), order(2)])
    assert sorted(type(one).__name__ for one in sent.values()) == ["Done", "Doubt"]


async def test_a_refusal_for_too_many_requests_was_not_sent(opened: Opened) -> None:
    opened[0].fault("/issue/bulk", kind="status", status=429, times=-1)
    sent = await issues(opened).send([order(number) for number in range(10)])
    assert all(isinstance(one, NotSent) for one in sent.values())


def _answering(bench: Bench, change: Any) -> None:
    """Let a bulk take effect, and its answer say something else about it."""
    bench.fault("/issue/bulk", kind="status_after", status=201, body=json.dumps(change))


async def test_an_answer_that_does_not_add_up_decides_nothing_by_itself(opened: Opened) -> None:
    bench = opened[0]
    first = await created(opened, 99)
    rows = [{"id": str(int(first) + number), "key": f"AP-{number}"} for number in (3, 1, 2)]
    _answering(bench, {"issues": rows, "errors": []})
    orders = [order(number) for number in range(8)]
    sent = await issues(opened).send(orders)
    done = {name: one for name, one in sent.items() if isinstance(one, Done)}
    assert len(done) == 3
    assert sum(isinstance(one, Doubt) for one in sent.values()) == 5
    for name, one in done.items():
        assert bench.issue(one.target_id).properties["ml-connector"]["record"] == name


async def test_a_refusal_in_an_answer_that_does_not_add_up_is_not_believed(opened: Opened) -> None:
    bench = opened[0]
    failed = {"status": 400, "elementErrors": {"errorMessages": ["x"], "errors": {}}, "failedElementNumber": 0}
    _answering(bench, {"issues": [], "errors": [failed]})
    sent = await issues(opened).send([order(number) for number in range(8)])
    assert all(isinstance(one, Doubt) for one in sent.values())


async def test_what_cannot_be_read_back_is_in_doubt(opened: Opened) -> None:
    opened[0].fault("/issue/bulkfetch", kind="status", status=503, times=-1)
    sent = await issues(opened).send([order(number) for number in range(8)])
    assert all(isinstance(one, Doubt) for one in sent.values())


async def test_a_login_that_ends_between_two_calls_stops_the_run_with_nothing_guessed(opened: Opened) -> None:
    bench = opened[0]
    bench.fault("/issue/bulkfetch", kind="status", status=401, times=-1)
    with stopped_by(AuthenticationError):
        await issues(opened).send([order(number) for number in range(8)])
    assert bench.truth["issues"] == 8


async def test_an_unknown_issue_type_ends_the_run_before_anything_is_sent() -> None:
    bench = Bench()
    async with bench.client(issue_type="Nonsense") as (client, tenant):
        with stopped_by(ConfigurationError, match="issue_type"):
            await Issues(client, tenant).send([order(1)])


async def test_orders_of_one_lane_do_not_share_a_bulk(opened: Opened) -> None:
    bench = opened[0]
    orders = [order(number, lane="one") for number in range(3)] + [order(number) for number in range(3, 10)]
    sent = await issues(opened).send(orders)
    assert all(isinstance(one, Done) for one in sent.values())
    assert bench.calls("/issue/bulk", "POST") == 2
    assert bench.truth["issues"] == 10


async def test_summaries_are_one_line_and_never_empty(opened: Opened) -> None:
    bench = opened[0]
    long = await created(opened, 1, payload={"summary": "a\nb " + "x" * 400})
    none = await created(opened, 2, payload={"summary": " \x00"})
    assert bench.issue(long).fields["summary"].startswith("a b xxx")
    assert len(bench.issue(long).fields["summary"]) <= 254
    assert bench.issue(none).fields["summary"] == "qad:invoice_exception:2"
