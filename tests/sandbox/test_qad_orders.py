"""Purchase orders and receipts of the stand-in QAD tenant: headers, the line conversation, corrections."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kit import jsontext
from tests.sandbox.qad_visitor import LINES, RECEIPTS, Json, Visitor, refusal, stored, visiting

PLACE = {"domainCode": "10USA", "purchaseOrderNumber": "P2000001"}
HEADER = PLACE | {
    "supplierCode": "SUP00001",
    "currencyCode": "USD",
    "exchangeRate": 1,
    "creditTermsCode": "N30",
    "daybookSetCode": "PO-SET",
    "shipToSite": "10-100",
    "billToCode": "10-100",
    "orderDate": "2026-02-01T00:00:00.000Z",
    "dueDate": "2026-03-01T00:00:00.000Z",
    "orderStatus": "O",
    "isConfirmed": True,
    "POIntrastats": [],
    "dataOperation": "C",
    "concurrencyHash": "",
}
WANTED = {"siteCode": "10-100", "itemCode": "ITEM0001", "quantityOrdered": 5, "purchaseCost": 12}
NOT_TALKED = "Value was not validated by a field change"


async def begun(visitor: Visitor, **place: Any) -> list[Json]:
    query = {"initialize": "true"} | PLACE | place
    answer = await visitor.call("GET", "erp/purchaseOrderLinesGrid", params=query)
    lines: list[Json] = jsontext.loads(answer.content)["data"]["purchaseOrderLines"]
    return lines


async def changed(visitor: Visitor, line: Json, name: str, value: Any) -> Json:
    body = jsontext.dumps({"purchaseOrderLines": [line | {name: value}]})
    path = "erp/purchaseOrderLines/fieldChangeV2"
    answer = await visitor.call("POST", path, params={"fieldName": name}, content=body)
    assert answer.status_code == 200, answer.text
    read: Json = jsontext.loads(answer.content)
    return read


async def talked(visitor: Visitor, line: Json, **wanted: Any) -> Json:
    for name, value in wanted.items():
        line = stored(await changed(visitor, line, name, value), "purchaseOrderLines")
    return line


async def commit(visitor: Visitor, line: Json, operation: str = "C") -> Json:
    body = jsontext.dumps({"purchaseOrderLines": [line | {"dataOperation": operation}]})
    answer = await visitor.call("POST", "erp/purchaseOrderLinesGrid", content=body)
    assert answer.status_code == 200, answer.text
    read: Json = jsontext.loads(answer.content)
    return read


async def ordered(visitor: Visitor) -> Json:
    """An order with one line made through the conversation; gives the line."""
    stored(await visitor.post("purchaseOrderHeaders", HEADER), "purchaseOrderHeaders")
    (line,) = await begun(visitor)
    return stored(await commit(visitor, await talked(visitor, line, **WANTED)), "purchaseOrderLines")


async def lines_of(visitor: Visitor, **place: Any) -> list[Json]:
    answer = await visitor.call("GET", "erp/purchaseOrderLinesGrid", params=PLACE | place)
    lines: list[Json] = jsontext.loads(answer.content)["data"]["purchaseOrderLines"]
    return lines


async def test_header_is_created_once() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.post("purchaseOrderHeaders", HEADER), "purchaseOrderHeaders")
        assert record["orderStatus"] == "O"
        again = await visitor.post("purchaseOrderHeaders", HEADER)
        assert refusal(again) == ("purchaseOrderNumber", "Purchase order already exists")
        assert (await visitor.truth())["writes"] == 1


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("supplierCode", "NOBODY", "SupplierCode"),
        ("daybookSetCode", "NOPE", "DaybookSetCode"),
        ("shipToSite", "99-999", "ShipToSite"),
        ("billToCode", "", "BillToCode"),
        ("creditTermsCode", "N999", "CreditTermsCode"),
        ("domainCode", "99XX", "DomainCode"),
        ("orderStatus", "Z", "OrderStatus"),
    ],
)
async def test_header_code_that_does_not_resolve_is_called_mandatory(name: str, value: str, field: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.post("purchaseOrderHeaders", HEADER | {name: value})
        assert refusal(answer) == (name, f"Field is mandatory. ({field})")


async def test_number_has_at_most_eight_characters() -> None:
    async with visiting() as visitor:
        answer = await visitor.post("purchaseOrderHeaders", HEADER | {"purchaseOrderNumber": "P20000001"})
        assert refusal(answer) == ("purchaseOrderNumber", "Value exceeds the maximum length of 8")


async def test_line_is_made_in_a_conversation() -> None:
    async with visiting() as visitor:
        line = await ordered(visitor)
        assert (line["purchaseOrderLine"], line["itemDescription"], line["unitOfMeasure"]) == (1, "Office chair", "EA")
        assert line["dueDate"] == HEADER["dueDate"]
        (read,) = await lines_of(visitor)
        assert read == line
        (row,) = await visitor.rows(LINES, "pod_det.pod_nbr,eq,P2000001,literal")
        assert (row["pod_det.pod_qty_ord"], row["pod_det.pod_pur_cost"], row["pod_det.pod_status"]) == (5, 12, "O")
        truth = await visitor.truth()
        assert truth["writes"] == 2
        assert truth["purchaseOrders"]["P2000001"]["lines"]["1"]["quantityOrdered"] == 5


async def test_abandoned_init_gives_the_same_number_again_and_loses_what_was_said() -> None:
    async with visiting() as visitor:
        await visitor.post("purchaseOrderHeaders", HEADER)
        (first,) = await begun(visitor)
        line = await talked(visitor, first, **WANTED)
        (second,) = await begun(visitor)
        assert (first["purchaseOrderLine"], second["purchaseOrderLine"]) == (1, 1)
        answer = await commit(visitor, line)
        assert {error["message"] for error in answer["submitResult"]["errors"]} == {NOT_TALKED}
        assert await lines_of(visitor) == []


async def test_init_of_an_unknown_order_is_empty_and_of_a_closed_one_refused() -> None:
    async with visiting() as visitor:
        assert await begun(visitor, purchaseOrderNumber="NOBODY") == []
        assert await begun(visitor, domainCode="99XX") == []
        await visitor.post("purchaseOrderHeaders", HEADER)
        await visitor.do("close_po", purchaseOrderNumber="P2000001")
        answer = await visitor.call("GET", "erp/purchaseOrderLinesGrid", params={"initialize": "true"} | PLACE)
        assert refusal(answer.json()) == ("", "Purchase order is closed and cannot be modified")


async def test_commit_without_init_or_with_a_number_not_issued_is_refused() -> None:
    async with visiting() as visitor:
        await visitor.post("purchaseOrderHeaders", HEADER)
        invented = PLACE | WANTED | {"purchaseOrderLine": 1}
        assert refusal(await commit(visitor, invented)) == (
            "purchaseOrderLine",
            "Purchase order line was not initialized",
        )
        (line,) = await begun(visitor)
        ready = await talked(visitor, line, **WANTED)
        assert refusal(await commit(visitor, ready | {"purchaseOrderLine": 7}))[0] == "purchaseOrderLine"
        loose = await changed(visitor, line | {"purchaseOrderLine": 7}, "siteCode", "10-100")
        assert refusal(loose)[0] == "purchaseOrderLine"


@pytest.mark.parametrize("name", list(WANTED))
async def test_each_value_must_pass_through_a_field_change(name: str) -> None:
    async with visiting() as visitor:
        await visitor.post("purchaseOrderHeaders", HEADER)
        (line,) = await begun(visitor)
        line = await talked(visitor, line, **{key: value for key, value in WANTED.items() if key != name})
        answer = await commit(visitor, line | {name: WANTED[name]})
        assert refusal(answer) == (name, NOT_TALKED)


async def test_field_change_refuses_what_does_not_resolve() -> None:
    async with visiting() as visitor:
        await visitor.post("purchaseOrderHeaders", HEADER)
        (line,) = await begun(visitor)
        assert refusal(await changed(visitor, line, "siteCode", "99"))[1] == "Field is mandatory. (SiteCode)"
        assert refusal(await changed(visitor, line, "itemCode", "NOPE"))[1] == "Field is mandatory. (ItemCode)"
        assert refusal(await changed(visitor, line, "itemCode", ""))[1] == "Field is mandatory. (ItemCode)"
        assert refusal(await changed(visitor, line, "quantityOrdered", 0))[0] == "quantityOrdered"
        assert refusal(await changed(visitor, line, "purchaseCost", -1))[0] == "purchaseCost"
        memo = await changed(visitor, line | {"itemType": "M"}, "itemCode", "SERVICE")
        assert stored(memo, "purchaseOrderLines")["itemCode"] == "SERVICE"
        unknown = await visitor.call("POST", "erp/purchaseOrderLines/fieldChangeV2", params={"fieldName": "price"})
        assert unknown.status_code == 400


async def test_line_account_is_checked_at_commit() -> None:
    async with visiting() as visitor:
        await visitor.post("purchaseOrderHeaders", HEADER)
        (line,) = await begun(visitor)
        line = await talked(visitor, line, **WANTED)
        answer = await commit(visitor, line | {"purchaseAccountCode": "6300", "costCenterCode": ""})
        assert refusal(answer) == ("costCenterCode", "Field is mandatory. (CostCenterCode)")
        good = line | {"purchaseAccountCode": "6300", "costCenterCode": "CC10"}
        assert stored(await commit(visitor, good), "purchaseOrderLines")["purchaseAccountCode"] == "6300"


async def test_committed_line_already_exists_for_a_second_create() -> None:
    async with visiting() as visitor:
        line = await ordered(visitor)
        answer = await commit(visitor, line | {"concurrencyHash": ""})
        assert refusal(answer) == ("purchaseOrderLine", "Purchase order line already exists")


async def test_line_is_changed_with_its_lock_hash() -> None:
    async with visiting() as visitor:
        line = await ordered(visitor)
        more = await talked(visitor, line, quantityOrdered=8)
        updated = stored(await commit(visitor, more, "U"), "purchaseOrderLines")
        assert updated["quantityOrdered"] == 8
        stale = await commit(visitor, await talked(visitor, line, quantityOrdered=9), "U")
        assert refusal(stale) == ("concurrencyHash", "Record was changed by another user")
        silent = await commit(visitor, updated | {"quantityOrdered": 10}, "U")
        assert refusal(silent) == ("quantityOrdered", NOT_TALKED)
        counted = (await visitor.truth())["updates"]["purchaseOrderLine"]
        assert counted == {"10USA.P2000001.1": {"calls": 1, "quantityOrdered": 1}}


async def test_received_line_keeps_its_item_its_site_and_at_least_what_came() -> None:
    async with visiting() as visitor:
        await ordered(visitor)
        place = {"purchaseOrderNumber": "P2000001", "purchaseOrderLine": 1}
        query = PLACE | {"purchaseOrderLine": 1}
        path = "erp/purchaseOrderLines/isReceivedPurchaseOrderLineV2"
        assert (await visitor.call("GET", path, params=query)).json()["data"] == {
            "isReceivedPurchaseOrderLineV2": False
        }
        await visitor.do("post_receipt", **place, quantity=3)
        assert (await visitor.call("GET", path, params=query)).json()["data"] == {"isReceivedPurchaseOrderLineV2": True}
        (line,) = await lines_of(visitor, purchaseOrderLine=1)
        assert line["quantityReceived"] == 3
        less = await commit(visitor, await talked(visitor, line, quantityOrdered=2), "U")
        assert refusal(less) == ("quantityOrdered", "Quantity ordered cannot be less than quantity received")
        moved = await commit(visitor, await talked(visitor, line, quantityOrdered=5, siteCode="10-200"), "U")
        assert refusal(moved) == ("siteCode", "Field cannot be changed because receipts exist for this line")


async def test_resolution_is_written_to_an_open_order_and_refused_on_a_closed_one() -> None:
    async with visiting() as visitor:
        record = stored(await visitor.post("purchaseOrderHeaders", HEADER), "purchaseOrderHeaders")
        change = {"customShort0": "PO-4", "customShort1": "resolved", "dataOperation": "U"}
        written = stored(await visitor.post("purchaseOrderHeaders", record | change, **PLACE), "purchaseOrderHeaders")
        assert written["customShort0"] == "PO-4"
        for verb, word in (("close_po", "closed"), ("cancel_po", "cancelled")):
            await visitor.do(verb, purchaseOrderNumber="P2000001")
            record = await visitor.get("purchaseOrderHeaders", **PLACE)
            assert record["disallowedActions"] == "MODIFY"
            answer = await visitor.post("purchaseOrderHeaders", record | change, **PLACE)
            assert refusal(answer) == ("", f"Purchase order is {word} and cannot be modified")
        await visitor.do("reopen_po", purchaseOrderNumber="P2000001")
        record = await visitor.get("purchaseOrderHeaders", **PLACE)
        stored(await visitor.post("purchaseOrderHeaders", record | change, **PLACE), "purchaseOrderHeaders")


async def test_receipts_are_appended_and_corrected_with_negative_quantities() -> None:
    async with visiting() as visitor:
        place = {"purchaseOrderNumber": "PO100001", "purchaseOrderLine": 1}
        named = await visitor.do("post_receipt", **place, quantity=20, receiverNumber="RC9", date="2026-02-05")
        counted = await visitor.do("post_receipt", **place, quantity=-5)
        assert named == {"receiverNumber": "RC9", "quantityReceived": 70}
        assert counted == {"receiverNumber": "RC004001", "quantityReceived": 65}
        rows = await visitor.rows(RECEIPTS, "prh_hist.prh_nbr,eq,PO100001,literal")
        assert {row["prh_hist.prh_receiver"]: row["prh_hist.prh_rcvd"] for row in rows} == {
            "RC1": 50,
            "RC9": 20,
            "RC004001": -5,
        }
        early = await visitor.rows(RECEIPTS, "prh_hist.prh_rcp_date,le,2026-02-05,literal")
        assert [row["prh_hist.prh_receiver"] for row in early] == ["RC9"]


async def test_receipt_verb_refuses_what_cannot_be() -> None:
    async with visiting() as visitor:
        place = {"purchaseOrderNumber": "PO100001", "purchaseOrderLine": 1, "quantity": 1}
        for change, status in (
            ({"quantity": -51}, 400),
            ({"receiverNumber": "RC1"}, 400),
            ({"purchaseOrderLine": 9}, 404),
            ({"purchaseOrderNumber": "NOBODY"}, 404),
            ({"colour": "red"}, 400),
        ):
            answer = await visitor.http.post("/_sandbox/do/post_receipt", json=place | change)
            assert (answer.status_code, list(answer.json())) == (status, ["error"])
        await visitor.do("cancel_po", purchaseOrderNumber="PO100001")
        assert (await visitor.http.post("/_sandbox/do/post_receipt", json=place)).status_code == 400


async def test_receipt_takes_custom_slots_and_nothing_else() -> None:
    async with visiting() as visitor:
        key = {
            "domainCode": "10USA",
            "receiverNumber": "RC1",
            "purchaseOrderNumber": "PO100001",
            "purchaseOrderLine": 1,
        }
        record = await visitor.get("purchaseOrderReceipts", **key)
        assert (record["quantityReceived"], record["packingSlipNumber"]) == (50, "PS-RC1")
        change = record | {"customShort1": "REC-3", "quantityReceived": 99, "dataOperation": "U"}
        written = stored(await visitor.post("purchaseOrderReceipts", change, **key), "purchaseOrderReceipts")
        assert (written["customShort1"], written["quantityReceived"]) == ("REC-3", 50)
        created = await visitor.post("purchaseOrderReceipts", change | {"dataOperation": "C"})
        assert refusal(created) == ("", "Action CREATE is not allowed")
