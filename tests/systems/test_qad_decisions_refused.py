"""Decisions that QAD does not take, or not clearly: each refusal has its name, and doubt is never taken for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ml_connector.domain.writes import Absent, Done, Doubt, NotSent, Order, Refused
from ml_connector.errors import PermissionDeniedError
from tests.systems.qad_decisions import (
    KEY,
    TOLD,
    Json,
    decision,
    finding,
    held_invoice,
    of_order,
    posts,
    released,
    sent,
    stored,
    target,
    updates,
)
from tests.systems.qad_server import Qad, Tenant, bare, invoice, refusal, success
from tests.systems.stopping import stopped_by


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with held_invoice() as one:
        yield one


@pytest.mark.parametrize(
    ("verb", "code"),
    [("submit_for_approval", "submitted_for_approval"), ("select_for_payment", "selected_for_payment")],
)
async def test_an_invoice_that_may_not_be_changed_is_refused_by_name(tenant: Tenant, verb: str, code: str) -> None:
    await tenant.do(verb, voucher=7)
    outcome = await sent(target(tenant), released(**TOLD))
    assert (outcome.code, outcome.waits) == (code, False)
    assert "cannot be modified" in outcome.detail
    assert posts(tenant) == 0
    # The same between our read and our write.
    flag = "submitted" if "submit" in verb else "selected"
    await tenant.do(verb, voucher=7, **{flag: False})

    async def before(request: httpx.Request) -> None:
        if request.method == "POST" and "/supplierInvoices" in request.url.path:
            await tenant.do(verb, voucher=7)

    tenant.before = before
    outcome = await sent(target(tenant), released(**TOLD))
    assert (outcome.code, "cannot be modified" in outcome.detail) == (code, True)
    assert await updates(tenant) == {}


@pytest.mark.parametrize(("verb", "code"), [("close_po", "closed"), ("cancel_po", "cancelled")])
async def test_an_order_that_is_over_is_refused_by_name(tenant: Tenant, verb: str, code: str) -> None:
    await tenant.do(verb, purchaseOrderNumber="PO100001")
    outcome = await sent(target(tenant), of_order(issue_key="AP-12"))
    assert (outcome.code, outcome.waits) == (code, False)
    assert "cannot be modified" in outcome.detail
    assert posts(tenant) == 0


def edited_meanwhile(tenant: Tenant, times: int, **changes: Any) -> None:
    """Somebody else changes the invoice between our read and our write, so many times."""
    left = iter(range(times))

    async def before(request: httpx.Request) -> None:
        if request.method == "POST" and "/supplierInvoices" in request.url.path and next(left, None) is not None:
            tenant.clock.advance(1)
            await tenant.do("edit_invoice", voucher=7, changes=changes or {"comment": "edited"})

    tenant.before = before


async def test_a_record_that_changed_meanwhile_is_judged_again(tenant: Tenant) -> None:
    edited_meanwhile(tenant, 2)
    assert isinstance(await sent(target(tenant), released(**TOLD)), Done)
    assert posts(tenant) == 3
    shown = await stored(tenant)
    assert (shown["comment"], shown["holdAmountTC"], shown["customShort1"]) == ("edited", 0, "AP-12")


async def test_a_hold_that_changes_while_it_is_released_stays(tenant: Tenant) -> None:
    edited_meanwhile(tenant, 1, holdAmountTC=400)
    outcome = await sent(target(tenant), released())
    assert outcome.code == "hold_changed"
    assert (await stored(tenant))["holdAmountTC"] == 400


async def test_after_three_stale_attempts_the_next_run_tries(tenant: Tenant) -> None:
    edited_meanwhile(tenant, 9)
    outcome = await sent(target(tenant), decision(**TOLD))
    assert (outcome.code, outcome.waits) == ("stale", True)
    assert posts(tenant) == 3


async def test_a_lost_answer_is_doubt_and_the_record_settles_it(tenant: Tenant) -> None:
    lives = iter([True])

    async def after(request: httpx.Request) -> None:
        if request.method == "POST" and "/supplierInvoices" in request.url.path and next(lives, False):
            raise httpx.ReadError("reset", request=request)

    tenant.after = after
    decisions = target(tenant)
    assert isinstance(await sent(decisions, released(**TOLD)), Doubt)
    assert (await finding(decisions, released(**TOLD))).differs == ()
    assert (await updates(tenant))["releases"] == 1


async def test_a_tenant_that_is_away_gets_nothing(tenant: Tenant) -> None:
    decisions = target(tenant, limits={"rps": 10_000, "attempts": 1})

    async def before(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503) if request.method == "GET" and "/supplierInvoices" in request.url.path else None

    tenant.before = before
    assert isinstance(await sent(decisions, decision(**TOLD)), NotSent)


async def test_decisions_on_one_record_go_one_after_another(tenant: Tenant) -> None:
    under_way, most = set[int](), []

    async def before(request: httpx.Request) -> None:
        if "/supplierInvoices" in request.url.path:
            under_way.add(id(request))
            most.append(len(under_way))

    async def after(request: httpx.Request) -> None:
        under_way.discard(id(request))

    tenant.before, tenant.after = before, after
    first, second = decision(**TOLD), decision(issue_key="AP-13")
    orders = [
        Order(str(number), "", "key", "decide", "upsert", {**one.payload, "issue": str(number)}, lane="invoice/7")
        for number, one in enumerate((first, second))
    ]
    outcomes = await target(tenant).send(orders)
    assert [one.target_id for one in outcomes.values() if isinstance(one, Done)] == [f"{KEY}#0", f"{KEY}#1"]
    assert max(most) == 1
    assert (await stored(tenant))["customShort1"] == "AP-13"


class Odd(Qad):
    """A QAD with one invoice that answers writes with what a test chooses."""

    def __init__(self, shown: Json | None = None, **changes: Any) -> None:
        super().__init__(supplierInvoice=[invoice(7, **{"isLockPayment": False, **changes})])
        self.answer = lambda record: {
            "data": {"supplierInvoices": [{**record, **(shown or {})}]},
            "submitResult": success(),
        }


async def test_what_qad_does_not_keep_is_refused() -> None:
    outcome = await sent(target(Odd({"customShort2": ""})), decision(**TOLD))
    assert outcome == Refused("not_stored", "not stored as sent: customShort2", False)
    outcome = await sent(target(Odd({"holdAmountTC": 25.0})), released())
    assert outcome == Refused("not_stored", "not stored as sent: holdAmountTC", False)


async def test_an_answer_that_shows_only_a_part_is_completed_by_reading() -> None:
    server = Odd()
    server.answer = lambda _record: {"data": {"supplierInvoices": [{"voucher": 7}]}, "submitResult": success()}
    server.records["supplierInvoice"][0] |= {"customShort1": "old", "isLockPayment": False}
    outcome = await sent(target(server), decision(issue_key="AP-12"))
    assert outcome == Refused("not_stored", "not stored as sent: customShort1", False)

    def gone(_record: Json) -> Json:
        server.records["supplierInvoice"].clear()
        return {"data": {"supplierInvoices": [{"voucher": 7}]}, "submitResult": success()}

    server.answer = gone
    assert isinstance(await sent(target(server), decision(issue_key="AP-12")), Doubt)


async def test_written_but_not_readable_is_doubt_never_unsent() -> None:
    server = Odd()

    def away(_record: Json) -> Json:
        server.fail("/supplierInvoices", lambda request: httpx.Response(503), times=9)
        return {"data": {"supplierInvoices": [{"voucher": 7}]}, "submitResult": success()}

    server.answer = away
    assert isinstance(await sent(target(server), decision(issue_key="AP-12")), Doubt)


async def test_a_refusal_stays_one_when_its_reason_cannot_be_looked_up() -> None:
    server = Odd()

    def refused(_record: Json) -> Json:
        server.fail("/supplierInvoices", lambda request: httpx.Response(503), times=9)
        return refusal("", "Not today")

    server.answer = refused
    outcome = await sent(target(server), decision(issue_key="AP-12"))
    assert outcome == Refused("refused", "Not today", False)


async def test_a_record_that_cannot_be_understood_is_refused_and_stops_no_other() -> None:
    server = Odd()
    server.records["supplierInvoice"].append(invoice(8, holdAmountTC="much"))
    decisions, one = target(server), decision(key="10USACO/2026/APINV/8", **TOLD)
    assert await finding(decisions, one) == Absent()
    assert await sent(decisions, one) == Refused(
        "unreadable", "supplierInvoice.holdAmountTC: Input should be a valid decimal", False
    )
    assert server.raw_posts == []


async def test_a_record_that_qad_protects_without_a_word_is_not_modifiable() -> None:
    server = Odd(disallowedActions="MODIFY,DELETE", disallowedActionsMessage="Period is archived")
    outcome = await sent(target(server), decision(**TOLD))
    assert outcome == Refused("not_modifiable", "Period is archived", False)


async def test_a_flag_of_the_record_counts_where_qad_does_not_say_what_is_disallowed() -> None:
    server = Odd(isSelected=True)
    assert await sent(target(server), decision(**TOLD)) == Refused("selected_for_payment", "", False)
    assert server.raw_posts == []


async def test_a_right_that_is_lost_after_the_write_is_doubt() -> None:
    server = Odd()

    def closed(_record: Json) -> Json:
        server.fail("/supplierInvoices", lambda request: bare("403", "Access is denied"))
        return {"data": {"supplierInvoices": [{"voucher": 7}]}, "submitResult": success()}

    server.answer = closed
    assert isinstance(await sent(target(server), decision(issue_key="AP-12")), Doubt)


async def test_a_missing_right_ends_the_call_and_other_refusals_keep_their_text() -> None:
    server = Odd()
    server.answer = lambda _record: refusal("customShort1", "Value is not allowed")
    outcome = await sent(target(server), decision(**TOLD))
    assert outcome == Refused("refused", "customShort1: Value is not allowed", False)
    server.answer = lambda _record: bare("403", "Access is denied")
    with stopped_by(PermissionDeniedError):
        await target(server).send([decision(**TOLD)])
