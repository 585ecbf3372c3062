"""Lists of the stand-in Coupa tenant: the filter language, paging, order, and the shape of answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandbox.coupa_visitor import Visitor, visitor

INVOICES: list[dict[str, Any]] = [
    {
        "invoice-number": "INV-1",
        "invoice-date": "2026-02-01",
        "updated-at": "2026-02-10T08:00:00-08:00",
        "supplier": {"number": "V100", "name": "Harbour Steel"},
        "currency": {"code": "USD"},
        "payment-term": {"code": "N30"},
        "total-with-taxes": "90.00",
        "invoice-lines": [
            {"line-num": 1, "price": "10", "quantity": "9", "account": {"code": "a-c"}, "order-line-id": 1325},
            {"line-num": 2, "price": "1", "quantity": "0.5", "account": {"code": "x-y"}},
        ],
    },
    {
        "invoice-number": "INV-2",
        "invoice-date": "2026-02-15",
        "updated-at": "2026-02-20T08:00:00-08:00",
        "status": "voided",
        "supplier": {"number": "V200", "name": "Northwind"},
        "currency": {"code": "EUR"},
        "total-with-taxes": "100.00",
        "custom-fields": {"cf-erp-invoice-number": "VO7"},
    },
    {
        "invoice-number": "CRD/3 #1",
        "invoice-date": "2026-03-01",
        "updated-at": "2026-02-15T08:00:00-08:00",
        "status": "pending_receipt",
        "paid": True,
        "exported": True,
        "supplier": {"number": "V100"},
        "total-with-taxes": "1000.00",
        "internal-note": "see mail",
    },
]


@pytest.fixture
async def guest() -> AsyncIterator[Visitor]:
    async with visitor() as one:
        await one.seed(invoices=INVOICES)
        yield one


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3]),
        ("status=approved", [1]),
        ("status[in]=approved,voided", [1, 2]),
        ("status[not_in]=approved,voided", [3]),
        ("status[not_eq]=voided", [1, 3]),
        ("invoice-number[contains]=V-", [1, 2]),
        ("invoice_number[starts_with]=CRD", [3]),
        ("invoice_number[ends_with]=2", [2]),
        ("invoice-number=CRD%2F3%20%231", [3]),
        ("internal_note[blank]=false", [3]),
        ("internal-note[blank]=true", [1, 2]),
        ("id[gt]=4001", [2, 3]),
        ("id[gt_or_eq]=4002&id[lt]=4003", [2]),
        ("id[lt_or_eq]=4001", [1]),
        ("id[in]=4001,4003", [1, 3]),
        ("exported=false", [1, 2]),
        ("paid=true", [3]),
        ("total_with_taxes[gt]=95", [2, 3]),
        ("total-with-taxes=90", [1]),
        ("total-with-taxes[lt]=1000", [1, 2]),
        ("updated-at[gt]=2026-02-15T16:00:00%2B00:00", [2]),
        ("updated_at[gt_or_eq]=2026-02-15T16:00:00Z", [2, 3]),
        ("updated_at[lt]=2026-02-11", [1]),
        ("invoice-date[gt_or_eq]=2026-02-15T00:00:00-08:00", [2, 3]),
        ("supplier[number]=V100", [1, 3]),
        ("supplier[name][contains]=Steel", [1, 3]),
        ("[supplier][number]=V200", [2]),
        ("supplier[number][in]=V200,V300", [2]),
        ("payment_term[code]=N30", [1]),
        ("invoice_lines[account][code]=x-y", [1]),
        ("invoice_lines[order_line_id]=1325", [1]),
        ("invoice-lines[quantity][lt]=1", [1]),
        ("custom_fields[cf_erp_invoice_number]=VO7", [2]),
        ("supplier[number]=V100&status=approved", [1]),
        ("payment_term[blank]=true", [2, 3]),
        ("invoice-number=nothing", []),
    ],
)
async def test_filter_language(guest: Visitor, query: str, found: list[int]) -> None:
    answer = await guest.http.get(f"/api/invoices?{query}", headers=guest.headers)
    assert answer.status_code == 200, answer.text
    assert [one["id"] - 4000 for one in answer.json()] == found


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "status[like]=a",
        "status[eq]=a",
        "supplier[colour]=red",
        "supplier=V100",
        "supplier[number][name]=x",
        "invoice_lines[account][account_type][name]=deep",
        "id[gt]=abc",
        "exported=maybe",
        "total-with-taxes[gt]=much",
        "updated_at[gt]=yesterday",
        "updated_at[gt]=2026-02-15T16:00:00+01:00",
        "updated_at[ends_with]=Z",
        "updated_at[blank]=true",
        "status]=a",
        "limit=0",
        "limit=many",
        "offset=-1",
        "dir=up",
        "order_by=supplier",
        "order_by=nonsense",
        "fields=id",
        'fields={"id":1}',
        'fields=["nonsense"]',
        'fields=[{"supplier":["colour"]}]',
        'fields=[{"status":["x"]}]',
        "fields=[1]",
        "return_object=none",
        "return_object=tiny",
        "filter=unknown",
    ],
)
async def test_what_the_query_language_does_not_know_is_400(guest: Visitor, query: str) -> None:
    answer = await guest.http.get(f"/api/invoices?{query}", headers=guest.headers)
    assert answer.status_code == 400, answer.text
    assert all(isinstance(texts, list) for texts in answer.json()["errors"].values())


async def test_list_is_a_bare_array_of_at_most_50_in_id_order() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{"id": 9000 - number} for number in range(120)])
        first = (await guest.get("invoices")).json()
        assert [one["id"] for one in first] == list(range(8881, 8931))
        assert len((await guest.get("invoices", limit=80)).json()) == 50
        assert len((await guest.get("invoices", limit=7)).json()) == 7
        assert [one["id"] for one in (await guest.get("invoices", offset=100)).json()] == list(range(8981, 9001))
        assert (await guest.get("invoices", offset=120)).json() == []


async def test_order_goes_by_any_plain_attribute_both_ways(guest: Visitor) -> None:
    async def ids(**arguments: Any) -> list[int]:
        return [one["id"] for one in (await guest.get("invoices", **arguments)).json()]

    assert await ids(order_by="updated_at") == [4001, 4003, 4002]
    assert await ids(order_by="updated-at", dir="desc", limit=1) == [4002]
    assert await ids(order_by="total-with-taxes", dir="desc") == [4003, 4002, 4001]
    assert await ids(dir="desc") == [4003, 4002, 4001]


async def test_offset_skips_records_while_they_are_marked_exported_and_keyset_does_not() -> None:
    async def drain(guest: Visitor, *, keyset: bool) -> set[int]:
        seen: set[int] = set()
        position = 0
        while True:
            moving = {"id[gt]": position} if keyset else {"offset": position}
            page = (await guest.get("invoices", exported="false", limit=50, **moving)).json()
            for one in page:
                seen.add(one["id"])
                await guest.put(f"invoices/{one['id']}?exported=true")
            if len(page) < 50:
                return seen
            position = page[-1]["id"] if keyset else position + 50

    async with visitor() as guest:
        await guest.seed(invoices=[{} for _ in range(120)])
        assert len(await drain(guest, keyset=False)) == 70
    async with visitor() as guest:
        await guest.seed(invoices=[{} for _ in range(120)])
        assert len(await drain(guest, keyset=True)) == 120


async def test_fields_shows_what_is_asked_for_and_nothing_else(guest: Visitor) -> None:
    fields = ["id", "invoice_number", {"supplier": ["number"]}, {"custom_fields": {}}, {"invoice-lines": ["total"]}]
    shown = (await guest.get("invoices/4001", fields=json.dumps(fields))).json()
    assert shown == {
        "id": 4001,
        "invoice-number": "INV-1",
        "supplier": {"number": "V100"},
        "custom-fields": {"cf-erp-invoice-number": None, "cf-integration-status": None},
        "invoice-lines": [{"total": "90.00"}, {"total": "0.50"}],
    }
    one = json.dumps(["id", {"custom_fields": ["cf_erp_invoice_number"]}])
    assert (await guest.get("invoices/4002", fields=one)).json() == {
        "id": 4002,
        "custom-fields": {"cf-erp-invoice-number": "VO7"},
    }


async def test_fields_shapes_the_answer_of_a_write_too(guest: Visitor) -> None:
    answer = await guest.put('invoices/4001?exported=true&fields=["id","exported"]')
    assert answer.json() == {"id": 4001, "exported": True}


async def test_bad_fields_on_a_write_change_nothing(guest: Visitor) -> None:
    assert (await guest.put('invoices/4001?exported=true&fields=["nonsense"]')).status_code == 400
    assert (await guest.get("invoices/4001")).json()["exported"] is False


async def test_return_object_limits_an_answer(guest: Visitor) -> None:
    assert (await guest.get("invoices/4001", return_object="limited")).json() == {"id": 4001}
    shallow = (await guest.get("invoices/4001", return_object="shallow")).json()
    assert shallow["supplier"] == {"id": 101, "number": "V100", "name": "Harbour Steel"}
    assert [line.keys() for line in shallow["invoice-lines"]] == [{"id", "line-num"}, {"id", "line-num"}]
    silent = await guest.put("invoices/4001?exported=true&return_object=none")
    assert (silent.status_code, silent.content) == (200, b"")


async def test_whole_record_shows_null_for_what_is_not_set(guest: Visitor) -> None:
    shown = (await guest.get("invoices/4001")).json()
    assert shown["last-exported-at"] is None
    assert shown["remit-to-address"] is None
    assert shown["payments"] == shown["attachments"] == shown["tax-lines"] == []


async def test_decimals_are_text_with_scale_and_instants_carry_the_company_offset() -> None:
    async with visitor(company_offset="+01:00") as guest:
        await guest.seed(invoices=[{"currency": {"code": "JPY"}, "invoice-lines": [{"price": 500, "quantity": 2}]}])
        shown = (await guest.get("invoices/4001")).json()
    line = shown["invoice-lines"][0]
    assert (line["price"], line["quantity"], line["total"]) == ("500.00", "2.0", "1000.00")
    assert (shown["total-with-taxes"], shown["shipping-amount"]) == ("1000.00", "0.0000")
    assert shown["currency"]["decimals"] == 0
    assert shown["created-at"] == "2026-03-02T10:00:00+01:00"
    assert shown["invoice-date"] == "2026-03-02T00:00:00+01:00"


async def test_empty_list_is_200_or_by_switch_404(guest: Visitor) -> None:
    assert (await guest.get("invoices", status="draft")).json() == []
    await guest.do("set_option", empty_list_404=True)
    assert (await guest.get("invoices", status="draft")).status_code == 404


async def test_default_response_filter_drops_keys_unless_fields_are_named(guest: Visitor) -> None:
    slim = {"response_filters": {"slim": ["tax_lines", "supplier"]}, "default_filters": {"invoices": "slim"}}
    await guest.do("set_option", **slim)
    dropped = (await guest.get("invoices/4001")).json()
    assert "supplier" not in dropped
    assert "tax-lines" not in dropped
    named = (await guest.get("invoices/4001", fields='["id",{"supplier":["number"]}]')).json()
    assert named == {"id": 4001, "supplier": {"number": "V100"}}
    assert "supplier" not in (await guest.get("invoices", filter="slim")).json()[0]
