"""Decisions on their way into QAD: only what was decided is written, never blindly, and each refusal has its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from ml_connector.domain.writes import Absent, Done, Doubt, Found, Gone, NotSent, Order, Refused
from ml_connector.errors import PermissionDeniedError
from ml_connector.sync.seams import Target
from ml_connector.systems.qad.decision_target import Decisions
from ml_connector.systems.qad.ports import QadRest
from tests.systems.qad_server import Qad, Tenant, bare, invoice, open_qad, refusal, success, tenant_with_masters
from tests.systems.stopping import stopped_by

SLOTS = {
    "invoice": {
        "issue_key": "customShort1",
        "resolution": "customShort2",
        "cost_code": "customShort3",
        "approval": "customShort4",
        "note": "customNote",
    },
    "order": {"issue_key": "customShort0", "cost_code": "customShort2", "remarks": "remarks"},
}
KEY = "10USACO/2026/APINV/7"
TOLD: dict[str, Any] = {"issue_key": "AP-12", "resolution": "Accepted", "note": "AP-12: Accepted"}
Json = dict[str, Any]


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters(datetime(2026, 2, 10, 9, tzinfo=UTC)) as one:
        line = {"itemCode": "ITEM0001", "quantityOrdered": 50, "purchaseCost": 12, "costCenterCode": "CC20"}
        coded = {"line": 1, "glAccountCode": "6100", "costCenterCode": "CC10", "amountTC": 25}
        used = {"purchaseOrderNumber": "PO100001", "purchaseOrderLine": 1, "receiverNumber": "RC004411"}
        held = {"postingYear": 2026, "voucher": 7, "invoiceReference": "INV-7", "supplierCode": "SUP00001"}
        held |= {"invoiceStatusCode": "AP-RMALLOC", "originalAmountTC": 650, "customShort0": "T" * 20}
        held |= {"supplierInvoiceLines": [coded], "customLong0": "kept"}
        held |= {"receiverMatchingLines": [used | {"matchQuantity": 50, "matchUnitPrice": 12.5}]}
        await one.seed(
            purchaseOrders=[{"purchaseOrderNumber": "PO100001", "lines": [line | {"purchaseOrderLine": 1}]}],
            receipts=[{"receiverNumber": "RC004411", "purchaseOrderNumber": "PO100001", "quantityReceived": 50}],
            supplierInvoices=[held],
        )
        one.seen.clear()
        yield one


def target(tenant: Any, *, release_status: str = "", slots: Any = SLOTS, **more: Any) -> Decisions:
    client = tenant.client(**more) if isinstance(tenant, Tenant) else open_qad(tenant, **more)
    return Decisions(QadRest(client), client.tenant, slots, release_status=release_status)


def decision(changed: tuple[str, ...] = (), *, about: str = "invoice", key: str = KEY, **members: Any) -> Order:
    payload = {"about": about, "key": key, "issue": "10001", "link": "row-1", **members}
    return Order("jira:decision:10001", "", "key", "decide", "upsert", payload, changed=changed)


def of_order(changed: tuple[str, ...] = (), **members: Any) -> Order:
    return decision(changed, about="order", key="10USA/PO100001", **members)


def released(hold: str = "25", **members: Any) -> Order:
    return decision(**members, release={"hold": hold})


async def finding(one: Decisions, order: Order) -> Any:
    return (await one.find([order]))[order.external_id]


async def sent(one: Decisions, order: Order) -> Any:
    return (await one.send([order]))[order.external_id]


async def stored(tenant: Tenant, collection: str = "supplierInvoices") -> Json:
    (found,) = await tenant.state(collection)
    return found


async def updates(tenant: Tenant, name: str = "supplierInvoice") -> Json:
    counts = (await tenant.truth())["updates"].get(name, {})
    (found,) = counts.values() if counts else ({},)
    return dict(found)


def posts(tenant: Tenant) -> int:
    return len(tenant.calls("/api/erp", "POST"))


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
    assert (await finding(target(tenant), released("0"))).differs == ()
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
