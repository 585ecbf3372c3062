"""The browse query of the stand-in QAD tenant: silent emptiness, paging, filters, shifting rows, read lag."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.qad_visitor import INVOICES, LINES, RECEIPTS, SUPPLIERS, TOKEN, Visitor, stored, visiting

LOOKUP = "urn:browse:custom:lookupBrowseFields"
EMPTY = {"data": [], "auxillaryData": {"HasMoreParams": "false"}}


async def references(visitor: Visitor, *filters: str, **paging: Any) -> list[str]:
    answer = await visitor.page(INVOICES, *filters, **paging)
    assert answer.status_code == 200, answer.text
    return [row["supplierInvoice.invoiceReference"] for row in answer.json()["data"]]


async def codes(visitor: Visitor, *filters: str) -> list[str]:
    return sorted(row["supplierV2.supplierCode"] for row in await visitor.rows(SUPPLIERS, *filters))


@pytest.mark.parametrize(
    "paging",
    [
        {"page": None},
        {"pageAction": None},
        {"page": None, "pageAction": None},
        {"page": 0},
        {"page": 1, "pageAction": "next"},
        {"page": 2, "pageAction": "first"},
        {"page": 2, "pageAction": "next", "callId": "never-begun"},
    ],
)
async def test_incomplete_paging_is_answered_with_silence(paging: dict[str, Any]) -> None:
    async with visiting() as visitor:
        answer = await visitor.page(SUPPLIERS, **paging)
        assert (answer.status_code, answer.json()) == (200, EMPTY)


async def test_pages_follow_each_other_under_one_call_id() -> None:
    async with visiting() as visitor:
        first = (await visitor.page(SUPPLIERS, pageSize=4)).json()
        second = (await visitor.page(SUPPLIERS, pageSize=4, page=2, pageAction="next")).json()
        third = (await visitor.page(SUPPLIERS, pageSize=4, page=3, pageAction="next")).json()
        assert [page["auxillaryData"]["HasMoreParams"] for page in (first, second, third)] == ["true", "true", "false"]
        seen = {row["supplierV2.supplierCode"] for page in (first, second, third) for row in page["data"]}
        assert len(seen) == 10


async def test_exactly_full_last_page_has_no_more() -> None:
    async with visiting() as visitor:
        assert (await visitor.page(SUPPLIERS, pageSize=10)).json()["auxillaryData"] == {"HasMoreParams": "false"}


async def test_page_size_is_served_up_to_a_thousand() -> None:
    async with visiting() as visitor:
        await visitor.seed(items=[{"itemCode": f"I{number}"} for number in range(1001)])
        items = "urn:browse:bebrowse:com.qad.erp.base.items"
        answer = (await visitor.page(items, pageSize=5000)).json()
        assert (len(answer["data"]), answer["auxillaryData"]["HasMoreParams"]) == (1000, "true")
        assert (await visitor.page(items, pageSize=0)).status_code == 400


async def test_component_rows_are_flat_with_dotted_keys_and_lack_what_only_the_record_has() -> None:
    async with visiting() as visitor:
        await visitor.create_invoice()
        (row,) = await visitor.rows(INVOICES, f"supplierInvoice.customShort0,eq,{TOKEN},literal")
        assert all(key.startswith("supplierInvoice.") for key in row)
        assert row["supplierInvoice.lastModifiedDate"] == "2026-02-10T00:00:00.000Z"
        assert row["supplierInvoice.lastModifiedTime"] == 11 * 3600 + 27 * 60 + 13
        assert "supplierInvoice.receiverMatchingLines" not in row
        assert "supplierInvoice.comment" not in row


async def test_classic_rows_carry_table_and_column() -> None:
    async with visiting() as visitor:
        (receipt,) = await visitor.rows(RECEIPTS, "prh_hist.prh_nbr,eq,PO100001,literal")
        assert (receipt["prh_hist.prh_receiver"], receipt["prh_hist.prh_rcvd"]) == ("RC1", 50)
        (order_line,) = await visitor.rows(LINES, "pod_det.pod_nbr,eq,PO100001,literal")
        assert (order_line["pod_det.pod_qty_ord"], order_line["pod_det.pod_qty_rcvd"]) == (100, 50)
        assert not any("lastModified" in key or "last_mod" in key for key in receipt | order_line)


async def test_old_browse_address_without_urn_is_understood() -> None:
    async with visiting() as visitor:
        assert len(await visitor.rows("mfg:po501")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("supplierV2.supplierCode,eq,SUP00003,literal", ["SUP00003"]),
        ("supplierV2.supplierCode,sw,SUP0001,literal", ["SUP00010"]),
        ("supplierV2.supplierCode,ew,7,literal", ["SUP00007"]),
        ("supplierV2.addressName,cn,Tool,literal", ["SUP00004"]),
        ("supplierV2.supplierCode,gt,SUP00008,literal", ["SUP00009", "SUP00010"]),
        ("supplierV2.supplierCode,ge,SUP00009,literal", ["SUP00009", "SUP00010"]),
        ("supplierV2.supplierCode,lt,SUP00002,literal", ["SUP00001"]),
        ("supplierV2.supplierCode,le,SUP00001,literal", ["SUP00001"]),
        ("supplierV2.supplierCode,rg,SUP00002,literal,SUP00003,literal", ["SUP00002", "SUP00003"]),
        ("supplierV2.isActive,eq,false,literal", ["SUP00009"]),
    ],
)
async def test_every_operator_selects(text: str, expected: list[str]) -> None:
    async with visiting() as visitor:
        assert await codes(visitor, text) == expected


async def test_repeated_filters_all_hold() -> None:
    async with visiting() as visitor:
        both = ("supplierV2.currencyCode,eq,USD,literal", "supplierV2.supplierCode,ge,SUP00008,literal")
        assert await codes(visitor, *both) == ["SUP00009", "SUP00010"]


@pytest.mark.parametrize(
    "text",
    [
        "supplierV2.nothing,eq,1,literal",
        "supplierCode,eq,SUP00001,literal",
        "supplierV2.street1,eq,1 Main St,literal",
        "supplierV2.supplierCode,ne,SUP00001,literal",
        "supplierV2.supplierCode,eq,SUP00001",
        "supplierV2.supplierCode,eq,Acme, Inc,literal",
        "supplierV2.supplierCode,rg,A,literal",
        "supplierV2.isActive,eq,maybe,literal",
        "supplierV2.isActive,gt,true,literal",
        "supplierV2.lastModifiedDate,ge,yesterday,literal",
        "supplierV2.lastModifiedTime,eq,noon,literal",
        "supplierV2.lastModifiedDate,sw,2026,literal",
        "",
    ],
)
async def test_filter_that_cannot_be_understood_is_a_bare_400(text: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.page(SUPPLIERS, text)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["fieldName"] == "filter"


async def test_unknown_browse_is_a_bare_404() -> None:
    async with visiting() as visitor:
        answer = await visitor.page("urn:browse:mfg:xx999")
        assert (answer.status_code, list(answer.json())) == (404, ["errors"])


async def test_last_modified_counts_by_the_day() -> None:
    async with visiting() as visitor:
        await visitor.seed(supplierInvoices=[{"invoiceReference": "OLD"}])
        await visitor.advance(days=1)
        await visitor.login()
        await visitor.seed(supplierInvoices=[{"invoiceReference": "NEW"}])
        field = "supplierInvoice.lastModifiedDate"
        assert await references(visitor, f"{field},ge,2026-02-11,literal") == ["NEW"]
        # The time of a given instant is cut off: everything of that day matches.
        assert await references(visitor, f"{field},ge,2026-02-11T23:59:59.000Z,literal") == ["NEW"]
        assert sorted(await references(visitor, f"{field},rg,2026-02-10,literal,2026-02-11,literal")) == ["NEW", "OLD"]
        assert await references(visitor, f"{field},eq,2026-02-10,literal") == ["OLD"]


async def test_dates_are_the_servers_local_ones() -> None:
    async with visiting(utc_offset_hours=-12) as visitor:
        await visitor.create_invoice()
        (row,) = await visitor.rows(INVOICES)
        assert row["supplierInvoice.lastModifiedDate"] == "2026-02-09T00:00:00.000Z"
        assert row["supplierInvoice.lastModifiedTime"] == 23 * 3600 + 27 * 60 + 13


async def test_rows_shift_between_pages_while_data_changes() -> None:
    async with visiting() as visitor:
        await visitor.seed(supplierInvoices=[{"invoiceReference": f"R{number}"} for number in range(6)])
        first = await references(visitor, pageSize=2)
        await visitor.seed(supplierInvoices=[{"invoiceReference": "LATE"}])
        second = await references(visitor, pageSize=2, page=2, pageAction="next")
        assert set(first) & set(second)
        assert "LATE" not in first + second


async def test_a_changed_row_moves_to_the_front_and_is_missed_by_reading_on() -> None:
    async with visiting() as visitor:
        await visitor.seed(supplierInvoices=[{"invoiceReference": f"R{number}"} for number in range(6)])
        assert await references(visitor, pageSize=2) == ["R5", "R4"]
        await visitor.do("select_for_payment", invoiceReference="R0")
        assert await references(visitor, pageSize=2, page=2, pageAction="next") == ["R4", "R3"]
        assert await references(visitor, pageSize=2, page=3, pageAction="next") == ["R2", "R1"]
        assert (await references(visitor))[0] == "R0"


async def test_new_invoices_stay_unseen_for_the_read_lag() -> None:
    async with visiting(read_lag_seconds=120) as visitor:
        record = stored(await visitor.create_invoice())
        key = {name: record[name] for name in ("entityCode", "postingYear", "daybookCode", "voucher")}
        await visitor.advance(minutes=1)
        assert await references(visitor) == []
        assert await visitor.get("supplierInvoices", **key) == {}
        assert (await visitor.truth())["invoices_by_token"] == {TOKEN: 1}
        await visitor.advance(minutes=1)
        assert await references(visitor) == ["INV-20418"]
        assert (await visitor.get("supplierInvoices", **key))["voucher"] == record["voucher"]


async def test_lookup_lists_the_fields_of_a_browse() -> None:
    async with visiting() as visitor:
        rows = await visitor.rows(LOOKUP, f"browseURI,eq,{INVOICES},literal")
        assert {"fieldName": "supplierInvoice.invoiceReference", "fieldLabel": "Invoice Reference"} in rows
        assert "supplierInvoice.customShort0" in {row["fieldName"] for row in rows}
        receipt_fields = {row["fieldName"] for row in await visitor.rows(LOOKUP, f"browseURI,eq,{RECEIPTS},literal")}
        assert "prh_hist.prh_rcvd" in receipt_fields
        assert await visitor.rows(LOOKUP, "browseURI,eq,urn:browse:mfg:xx999,literal") == []
        assert (await visitor.page(LOOKUP)).status_code == 400
        unpaged = await visitor.page(LOOKUP, f"browseURI,eq,{INVOICES},literal", page=None)
        assert unpaged.json() == EMPTY
