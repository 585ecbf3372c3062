"""Decisions on their way into QAD: only what was decided is written, and a hold is never released blindly."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ml_connector.domain.writes import Done, Found, Gone, Refused
from ml_connector.sync.seams import Target
from ml_connector.systems.qad.ports import QadRest
from tests.systems.qad_decisions import (
    KEY,
    SLOTS,
    TOLD,
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
from tests.systems.qad_server import Qad, Tenant


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with held_invoice() as one:
        yield one


def test_keeps_the_protocol_of_a_target() -> None:
    one: Target = target(Qad())
    assert (one.name, one.settle.total_seconds()) == ("qad.decision", 600)


async def test_what_a_record_shows_otherwise_is_named(tenant: Tenant) -> None:
    decisions, name = target(tenant), f"{KEY}#10001"
    shown = {"issue_key": "", "resolution": "", "note": ""}
    assert await finding(decisions, decision(**TOLD)) == Found(name, tuple(shown), {"shown": shown})
    await tenant.do("edit_invoice", voucher=7, changes={"customShort1": "AP-12", "customNote": "AP-12:  Accepted\n"})
    found = await finding(decisions, decision(**TOLD))
    assert found == Found(
        name, ("resolution",), {"shown": {"issue_key": "AP-12", "resolution": "", "note": "AP-12: Accepted"}}
    )


async def test_a_record_that_is_not_there_is_gone(tenant: Tenant) -> None:
    decisions = target(tenant)
    for one in (decision(key="10USACO/2026/APINV/9"), decision(key="x"), decision(about="order", key="10USA/PO9")):
        assert await finding(decisions, one) == Gone(one.payload["key"])
        assert (await sent(decisions, one)).code == "not_found"
    assert posts(tenant) == 0


async def test_only_what_was_decided_is_written(tenant: Tenant) -> None:
    before = await stored(tenant)
    outcome = await sent(target(tenant), decision(**TOLD))
    assert outcome == Done(f"{KEY}#10001", {"hold_amount": "25", "status": "AP-RMALLOC"})
    after = await stored(tenant)
    moved = {name for name in before if before[name] != after[name]} - {"concurrencyHash", "lastModifiedUser"}
    assert moved == {"customShort1", "customShort2", "customNote"}
    assert (after["customShort1"], after["customNote"]) == ("AP-12", "AP-12: Accepted")
    assert await updates(tenant) == {"calls": 1, "customShort1": 1, "customShort2": 1, "customNote": 1}
    assert await finding(target(tenant), decision(**TOLD)) == Found(
        f"{KEY}#10001", (), {"shown": {"issue_key": "AP-12", "resolution": "Accepted", "note": "AP-12: Accepted"}}
    )


async def test_of_a_change_only_the_changed_members_are_written(tenant: Tenant) -> None:
    assert isinstance(await sent(target(tenant), decision(("resolution",), **TOLD)), Done)
    assert await updates(tenant) == {"calls": 1, "customShort2": 1}


async def test_a_reopened_issue_takes_its_resolution_back(tenant: Tenant) -> None:
    decisions = target(tenant)
    await sent(decisions, decision(**TOLD))
    again = decision(("resolution",), issue_key="AP-12", resolution="", note="AP-12: Accepted")
    assert (await finding(decisions, again)).differs == ("resolution",)
    assert isinstance(await sent(decisions, again), Done)
    assert (await stored(tenant))["customShort2"] == ""


async def test_members_without_a_slot_are_left_out(tenant: Tenant) -> None:
    one = of_order(**TOLD, remarks="AP-12: Accepted")
    decisions = target(tenant)
    assert (await finding(decisions, one)).differs == ("issue_key", "remarks")
    assert await sent(decisions, one) == Done("10USA/PO100001#10001", {"hold_amount": "0", "status": "O"})
    assert await updates(tenant, "purchaseOrder") == {"calls": 1, "customShort0": 1, "remarks": 1}


async def test_what_is_there_already_is_not_written_again(tenant: Tenant) -> None:
    await sent(target(tenant), decision(**TOLD))
    asked = posts(tenant)
    assert isinstance(await sent(target(tenant), decision(**TOLD)), Done)
    assert isinstance(await sent(target(tenant), decision(unknown="x")), Done)
    assert posts(tenant) == asked


async def test_texts_are_cut_to_the_length_that_the_tenant_tells(tenant: Tenant) -> None:
    decisions = target(tenant)
    long = decision(resolution="Accepted after the supplier has sent a credit note", note="x" * 300)
    assert isinstance(await sent(decisions, long), Done)
    shown = await stored(tenant)
    assert shown["customShort2"] == "Accepted after the…"
    assert shown["customNote"] == "x" * 300
    assert (await finding(decisions, long)).differs == ()
    assert len(tenant.calls("/entitymetadatas")) == 1


async def test_where_the_tenant_tells_no_length_the_usual_one_counts(tenant: Tenant) -> None:
    await tenant.do("set_option", denied=["entitymetadatas"])
    assert isinstance(await sent(target(tenant), decision(resolution="y" * 30, note="x" * 300)), Done)
    shown = await stored(tenant)
    assert (shown["customShort2"], len(shown["customNote"])) == ("y" * 19 + "…", 255)
    assert isinstance(await sent(target(tenant), of_order(remarks="z" * 60)), Done)
    assert len((await stored(tenant, "purchaseOrders"))["remarks"]) == 40


@pytest.mark.parametrize("member", ["issue_key", "cost_code"])
async def test_what_names_something_elsewhere_is_never_cut(tenant: Tenant, member: str) -> None:
    outcome = await sent(target(tenant), decision((), **{member: "LONGPROJECTNAME-100000"}))
    slot = SLOTS["invoice"][member]
    assert outcome == Refused("too_long", f"{member}: {slot} holds 20 characters", False)
    assert posts(tenant) == 0


async def test_the_cost_code_that_counts_is_compared(tenant: Tenant) -> None:
    decisions = target(tenant)
    assert await finding(decisions, decision(cost_code="CC10")) == Found(
        f"{KEY}#10001", (), {"shown": {"cost_code": "CC10"}}
    )
    other = decision(("cost_code",), cost_code="CC30")
    assert await finding(decisions, other) == Found(f"{KEY}#10001", ("cost_code",), {"shown": {"cost_code": "CC10"}})
    assert isinstance(await sent(decisions, other), Done)
    assert (await finding(decisions, other)).data == {"shown": {"cost_code": "CC30"}}
    assert isinstance(await sent(decisions, decision(("cost_code",), cost_code="")), Done)
    assert await finding(decisions, decision(cost_code="")) == Found(
        f"{KEY}#10001", (), {"shown": {"cost_code": "CC10"}}
    )


async def test_the_cost_code_of_an_order_may_stand_on_its_lines(tenant: Tenant) -> None:
    decisions = target(tenant)
    assert (await finding(decisions, of_order(cost_code="CC20"))).differs == ()
    assert isinstance(await sent(decisions, of_order(("cost_code",), cost_code="CC40")), Done)
    assert (await finding(decisions, of_order(cost_code="CC20"))).data == {"shown": {"cost_code": "CC40"}}


async def test_a_release_ends_the_hold_that_was_seen(tenant: Tenant) -> None:
    decisions = target(tenant)
    assert (await finding(decisions, released())).differs == ("release",)
    assert await sent(decisions, released()) == Done(f"{KEY}#10001", {"hold_amount": "0", "status": "AP-RMALLOC"})
    assert await updates(tenant) == {"calls": 1, "holdAmountTC": 1, "releases": 1}
    assert (await stored(tenant))["receiverMatchingLines"][0]["varianceRateTC"] == 25
    assert (await finding(decisions, released())).differs == ()


@pytest.mark.parametrize(("seen", "told"), [("20", "20"), ("0", "0"), ("", "none"), ("much", "much")])
async def test_a_release_is_never_blind(tenant: Tenant, seen: str, told: str) -> None:
    outcome = await sent(target(tenant), released(seen, **TOLD))
    assert outcome == Refused("hold_changed", f"the hold is 25 now, the decision was about {told}", False)
    assert posts(tenant) == 0


async def test_a_hold_that_somebody_has_ended_needs_no_release(tenant: Tenant) -> None:
    await tenant.do("edit_invoice", voucher=7, changes={"holdAmountTC": 0})
    assert isinstance(await sent(target(tenant), released()), Done)
    assert posts(tenant) == 0
    assert isinstance(await sent(target(tenant), released(**TOLD)), Done)
    assert "releases" not in await updates(tenant)


async def test_a_change_of_other_members_releases_nothing(tenant: Tenant) -> None:
    one = decision(("resolution",), **TOLD, release={"hold": "25"})
    assert isinstance(await sent(target(tenant), one), Done)
    assert (await stored(tenant))["holdAmountTC"] == 25


async def test_a_release_sets_the_status_code_of_the_settings(tenant: Tenant) -> None:
    decisions = target(tenant, release_status="AP-GLALLOC")
    await tenant.do("edit_invoice", voucher=7, changes={"invoiceStatusCode": "AP-RMALLOC"})
    outcome = await sent(target(tenant, release_status="AP-NOALLOC"), released())
    assert outcome == Done(f"{KEY}#10001", {"hold_amount": "0", "status": "AP-NOALLOC"})
    # QAD refuses a code that allows no matching, and says so; nothing is half done.
    await tenant.do("edit_invoice", voucher=7, changes={"holdAmountTC": 25})
    assert (await sent(decisions, released())).code == "refused"
    assert (await stored(tenant))["holdAmountTC"] == 25


async def test_a_payment_lock_is_lifted_by_the_status_code_alone(tenant: Tenant) -> None:
    await tenant.do("edit_invoice", voucher=7, changes={"holdAmountTC": 0, "isLockPayment": True})
    assert (await finding(target(tenant), released("0"))).differs == ("release",)
    refused = await sent(target(tenant), released("0"))
    assert isinstance(refused, Refused)
    assert refused.code == "still_held"
    decisions = target(tenant, release_status="AP-NOALLOC")
    assert (await finding(decisions, released("0"))).differs == ("release",)
    # The tenant keeps the lock although its status code no longer asks for it: people are told.
    outcome = await sent(decisions, released("0"))
    assert (outcome.data["status"], outcome.notes) == ("AP-NOALLOC", ("payment_locked",))
    assert (await finding(decisions, released("0"))).differs == ()


async def test_only_invoices_have_a_hold(tenant: Tenant) -> None:
    assert (await finding(target(tenant), of_order(release={"hold": "25"}))).differs == ()
    assert isinstance(await sent(target(tenant), of_order(release={"hold": "25"})), Done)
    assert posts(tenant) == 0


async def test_slots_are_proven_on_the_tenant(tenant: Tenant) -> None:
    port = QadRest(tenant.client())
    for about, slots in SLOTS.items():
        assert [await port.slot_problem(about, wire) for wire in slots.values()] == [""] * len(slots)  # type: ignore[arg-type]
    assert await port.slot_problem("invoice", "customShort77") == "supplier invoices have no member customShort77"
    assert await port.slot_problem("order", "customText") == "purchase orders have no member customText"
    assert await port.slot_problem("invoice", "customDecimal0") == "customDecimal0 holds no text but a decimal"
    text = "holdAmountTC is the hold amount of the record and not for decisions"
    assert await port.slot_problem("invoice", "holdAmountTC") == text
    assert (await port.slot_problem("invoice", "customShort0")).startswith("customShort0 is the token")
