"""Exceptions of the stand-in QAD tenant: how invoices and orders become one, and how answers are written back."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import story
from sandbox.__main__ import load
from sandbox.kit import jsontext
from sandbox.kit.clock import Clock
from sandbox.qad.app import create
from tests.sandbox.qad_visitor import (
    INVOICES,
    LINES,
    START,
    Json,
    Visitor,
    invoice_key,
    line,
    match,
    refusal,
    stored,
    visiting,
)

ORDER = {"domainCode": "10USA", "purchaseOrderNumber": "PO100001"}
KEY = "10USACO.2026.APINV.10001"


async def posted(visitor: Visitor, **changes: Any) -> Json:
    """An invoice of 600.00, matched and in order, as a reader gets it."""
    record = stored(await visitor.create_invoice(**changes))
    return await read(visitor, record)


async def read(visitor: Visitor, record: Json) -> Json:
    return await visitor.get("supplierInvoices", **invoice_key(record))


async def order(visitor: Visitor) -> Json:
    return await visitor.get("purchaseOrderHeaders", **ORDER)


async def write_order(visitor: Visitor, record: Json, **changes: Any) -> Json:
    return await visitor.post("purchaseOrderHeaders", record | changes | {"dataOperation": "U"}, **ORDER)


async def updates(visitor: Visitor, resource: str, key: str) -> Json:
    counts: Json = (await visitor.truth())["updates"][resource][key]
    return counts


async def test_failed_match_shows_variance_and_hold_until_it_is_cleared() -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        await visitor.advance(minutes=5)
        shown = await visitor.do("fail_match", **invoice_key(record), variance=40, usage=-5)
        assert (shown["key"], shown["holdAmountTC"]) == (KEY, 35)
        failed = await read(visitor, record)
        (row,) = failed["receiverMatchingLines"]
        assert (row["varianceRateTC"], row["varianceUsageTC"], failed["holdAmountTC"]) == (40, -5, 35)
        assert failed["receiverMatchingStatus"] == "FINISHED"
        assert failed["lastModifiedTime"] == record["lastModifiedTime"] + 300
        assert failed["concurrencyHash"] != record["concurrencyHash"]
        await visitor.do("clear_match", **invoice_key(record))
        cleared = await read(visitor, record)
        assert (cleared["receiverMatchingLines"][0]["varianceRateTC"], cleared["holdAmountTC"]) == (0, 0)
        assert (await visitor.truth())["matched"] == {"PO100001/1": 50}


async def test_match_cannot_fail_where_nothing_is_matched_nor_hold_more_than_the_amount() -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        for given in ({**invoice_key(record), "hold": 601}, {**invoice_key(record), "variance": "much"}):
            answer = await visitor.http.post("/_sandbox/do/fail_match", json=given)
            assert answer.status_code == 400, answer.text
        await visitor.seed(supplierInvoices=[{"invoiceReference": "PLAIN"}])
        plain = await visitor.http.post("/_sandbox/do/fail_match", json={"invoiceReference": "PLAIN"})
        assert plain.status_code == 400


async def test_writing_a_slot_leaves_variance_hold_and_status_as_they_are() -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        await visitor.do("fail_match", **invoice_key(record), variance=40)
        failed = await read(visitor, record)
        failed["receiverMatchingLines"][0]["varianceRateTC"] = 0
        answer = await visitor.update_invoice(failed, customShort1="AP-7", customNote="Ask the buyer")
        kept = stored(answer)
        assert (kept["receiverMatchingLines"][0]["varianceRateTC"], kept["holdAmountTC"]) == (40, 40)
        assert (kept["customShort1"], kept["customNote"]) == ("AP-7", "Ask the buyer")
        assert await updates(visitor, "supplierInvoice", KEY) == {"calls": 1, "customShort1": 1, "customNote": 1}


async def test_slot_of_a_matched_invoice_can_be_written_after_its_goods_went_back() -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        await visitor.seed(receipts=[{"purchaseOrderNumber": "PO100001", "receiverNumber": "RC1", "prh_rcvd": 20}])
        assert stored(await visitor.update_invoice(record, customShort1="AP-7"))["customShort1"] == "AP-7"
        now = await read(visitor, record)
        more = await visitor.update_invoice(now, receiverMatchingLines=[match(quantity=49)], originalAmountTC=588)
        assert refusal(more)[1] == "Matched quantity exceeds open receipt quantity"


async def test_hold_is_released_in_part_and_whole() -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        await visitor.do("fail_match", **invoice_key(record), variance=40)
        part = stored(await visitor.update_invoice(await read(visitor, record), holdAmountTC=10))
        assert part["holdAmountTC"] == 10
        whole = stored(await visitor.update_invoice(part, holdAmountTC=0))
        assert whole["holdAmountTC"] == 0
        stored(await visitor.update_invoice(whole, holdAmountTC=0))
        counts = await updates(visitor, "supplierInvoice", KEY)
        assert counts == {"calls": 3, "holdAmountTC": 2, "releases": 1}


@pytest.mark.parametrize("amount", [-1, 601])
async def test_hold_outside_the_amount_is_refused(amount: int) -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        answer = await visitor.update_invoice(record, holdAmountTC=amount)
        assert refusal(answer) == ("holdAmountTC", "Hold amount must lie within the invoice amount")
        assert (await visitor.truth())["updates"] == {}


async def test_status_code_written_back_stays_as_written() -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        assert record["invoiceStatusCode"] == "AP-RMALLOC"
        await visitor.seed(invoiceStatusCodes=[{"code": "AP-HOLD", "lockPayment": True}])
        held = stored(await visitor.update_invoice(record, invoiceStatusCode="AP-HOLD"))
        assert (held["invoiceStatusCode"], held["isLockPayment"]) == ("AP-HOLD", True)
        free = stored(await visitor.update_invoice(held, invoiceStatusCode="AP-NOALLOC", isLockPayment=False))
        assert (free["invoiceStatusCode"], free["isLockPayment"]) == ("AP-NOALLOC", False)


async def test_people_change_hold_lock_status_slots_and_cost_centre() -> None:
    async with visiting() as visitor:
        record = await posted(visitor, originalAmountTC=625, supplierInvoiceLines=[line(25, "6200")])
        changes = {"holdAmountTC": 5, "isLockPayment": True, "invoiceStatusCode": "AP-NOALLOC", "customShort3": "north"}
        lines = [{"line": 1, "costCenterCode": "CC20"}]
        shown = await visitor.do("edit_invoice", invoice=invoice_key(record), changes=changes, lines=lines)
        assert shown == {
            "key": KEY,
            "holdAmountTC": 5,
            "isLockPayment": True,
            "invoiceStatusCode": "AP-NOALLOC",
            "receiverMatchingStatus": "FINISHED",
        }
        now = await read(visitor, record)
        assert (now["customShort3"], now["lastModifiedUser"], now["isInvoiceApproved"]) == ("north", "apclerk", False)
        (row,) = now["supplierInvoiceLines"]
        assert (row["costCenterCode"], row["amountTC"], row["glAccountCode"]) == ("CC20", 25, "6200")
        assert refusal(await visitor.update_invoice(record, customShort1="AP-7"))[0] == "concurrencyHash"
        truth = await visitor.truth()
        assert (truth["updates"], truth["matched"]) == ({}, {"PO100001/1": 50})


@pytest.mark.parametrize(
    "given",
    [
        {"changes": {"voucher": 5}},
        {"changes": {"colour": "red"}},
        {"changes": {"balanceTC": 5}},
        {"changes": {"holdAmountTC": -5}},
        {"changes": {"invoiceStatusCode": "NOPE"}},
        {"changes": {"receiverMatchingLines": []}},
        {"lines": [{"line": 9, "costCenterCode": "CC20"}]},
    ],
)
async def test_edit_that_makes_no_sense_is_refused_and_changes_nothing(given: Json) -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        answer = await visitor.http.post("/_sandbox/do/edit_invoice", json=invoice_key(record) | given)
        assert answer.status_code == 400, answer.text
        assert await read(visitor, record) == record


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        ("submit_for_approval", "Invoice is submitted for approval and cannot be modified"),
        ("select_for_payment", "Invoice is selected for payment and cannot be modified"),
    ],
)
async def test_locked_invoice_says_so_when_read_and_refuses_slots(verb: str, text: str) -> None:
    async with visiting() as visitor:
        record = await posted(visitor)
        await visitor.do(verb, **invoice_key(record))
        now = await read(visitor, record)
        assert (now["disallowedActions"], now["disallowedActionsMessage"]) == ("MODIFY", text)
        assert refusal(await visitor.update_invoice(now, customShort1="AP-7")) == ("", text)
        assert (await visitor.truth())["updates"] == {}


async def test_order_takes_slots_note_and_remarks_with_a_fresh_hash_only() -> None:
    async with visiting() as visitor:
        before = await order(visitor)
        slots = {"customShort0": "AP-9", "customShort1": "Done", "customNote": "Late", "remarks": "see AP-9"}
        after = stored(await write_order(visitor, before, **slots), "purchaseOrderHeaders")
        assert {name: after[name] for name in slots} == slots
        assert refusal(await write_order(visitor, before, customShort1="Won't do"))[0] == "concurrencyHash"
        counts = await updates(visitor, "purchaseOrder", "10USA.PO100001")
        assert counts == {"calls": 1} | dict.fromkeys(slots, 1)
        await visitor.do("edit_order", purchaseOrderNumber="PO100001", changes={"remarks": "by hand"})
        assert (await order(visitor))["remarks"] == "by hand"
        await visitor.do("close_po", purchaseOrderNumber="PO100001")
        closed = await write_order(visitor, await order(visitor), customShort1="Won't do")
        assert refusal(closed)[1] == "Purchase order is closed and cannot be modified"


async def test_lines_are_listed_by_due_date() -> None:
    async with visiting() as visitor:
        for number, day in ((1, "2026-02-05"), (2, "2026-02-10"), (3, "2026-02-15")):
            await visitor.seed(purchaseOrderLines=[{**ORDER, "purchaseOrderLine": number, "dueDate": day}])
        before = await visitor.rows(LINES, "pod_det.pod_due_date,lt,2026-02-10,literal")
        assert [row["pod_det.pod_line"] for row in before] == [1]
        since = await visitor.rows(LINES, "pod_det.pod_due_date,ge,2026-02-10,literal")
        assert sorted(row["pod_det.pod_line"] for row in since) == [2, 3]
        both = ("pod_det.pod_due_date,ge,2026-02-05,literal", "pod_det.pod_due_date,lt,2026-02-15,literal")
        assert sorted(row["pod_det.pod_line"] for row in await visitor.rows(LINES, *both)) == [1, 2]
        changes = {"dueDate": "2026-02-01", "costCenterCode": "CC20", "customShort0": "AP-9"}
        await visitor.do("edit_order_line", purchaseOrderNumber="PO100001", purchaseOrderLine=3, changes=changes)
        moved = await visitor.rows(LINES, "pod_det.pod_due_date,le,2026-02-01,literal")
        assert [(row["pod_det.pod_line"], row["pod_det.pod_cc"]) for row in moved] == [(3, "CC20")]
        follows = {"purchaseOrderNumber": "PO100001", "changes": {"quantityReceived": 4}}
        assert (await visitor.http.post("/_sandbox/do/edit_order_line", json=follows)).status_code == 400


async def test_invoices_are_listed_by_posting_date_and_openness() -> None:
    async with visiting() as visitor:
        for reference, day in (("OLD", "2026-01-20"), ("NEW", "2026-02-09"), ("PAID", "2026-02-09")):
            await visitor.seed(supplierInvoices=[{"invoiceReference": reference, "postingDate": day}])
        await visitor.do("pay", invoiceReference="PAID")
        rows = await visitor.rows(
            INVOICES,
            "supplierInvoice.postingDate,ge,2026-02-01,literal",
            "supplierInvoice.isOpen,eq,true,literal",
        )
        assert [row["supplierInvoice.invoiceReference"] for row in rows] == ["NEW"]
        asked = "supplierInvoice.isLockPayment,eq,false,literal"
        assert len(await visitor.rows(INVOICES, asked, "supplierInvoice.holdAmountTC,gt,0,literal")) == 0


async def test_seed_may_name_the_variances_of_an_invoice() -> None:
    async with visiting() as visitor:
        lines = [match(quantity=5, varianceRateTC=3, varianceUsageTC=4), match(quantity=5)]
        await visitor.seed(supplierInvoices=[{"receiverMatchingLines": lines, "originalAmountTC": 120}])
        (row,) = (await visitor.http.get("/_sandbox/state/supplierInvoices")).json()
        assert [item["varianceRateTC"] for item in row["receiverMatchingLines"]] == [3, 0]
        assert (row["receiverMatchingLines"][0]["varianceUsageTC"], row["holdAmountTC"]) == (4, 7)


async def test_story_of_the_exceptions_has_one_of_each_kind_and_takes_answers() -> None:
    async with visiting() as visitor:
        document = jsontext.dumps(story.qad_exceptions(START.date()))
        assert (await visitor.http.post("/_sandbox/seed", content=document)).status_code == 200
        rows = {row["supplierInvoice.invoiceReference"]: row for row in await visitor.rows(INVOICES)}
        holds = {name: row["supplierInvoice.holdAmountTC"] for name, row in rows.items()}
        assert holds == {"INV-3001": 25, "INV-3002": 100, "INV-3003": 0}
        variances = {}
        for name, row in rows.items():
            key = {part: row[f"supplierInvoice.{part}"] for part in invoice_key(ANY_KEY)}
            record = await visitor.get("supplierInvoices", **key)
            variances[name] = record["receiverMatchingLines"][0]["varianceRateTC"]
            stored(await visitor.update_invoice(record, customShort1="AP-1", holdAmountTC=0))
        assert variances == {"INV-3001": 25, "INV-3002": 0, "INV-3003": 0}
        due = await visitor.rows(LINES, "pod_det.pod_due_date,le,2026-02-05,literal")
        late = [row for row in due if row["pod_det.pod_qty_ord"] > row["pod_det.pod_qty_rcvd"]]
        assert [(row["pod_det.pod_nbr"], row["pod_det.pod_line"]) for row in late] == [("PO200004", 1)]


ANY_KEY = dict.fromkeys(("entityCode", "postingYear", "daybookCode", "voucher"))


def test_story_of_the_exceptions_stands_beside_the_first_one() -> None:
    tenant = create(clock=Clock(START)).state.tenant
    load(tenant, ["story"])
    tenant.seed(jsontext.loads(jsontext.dumps(story.qad_exceptions())))
    assert len(tenant.state("purchaseOrders")) == 10
    assert story.jira() == {}
