"""Suppliers, lookups, accounts, rates, orders and receipts of the stand-in Coupa tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sandbox.coupa_visitor import Visitor, visitor


@pytest.fixture
async def guest() -> AsyncIterator[Visitor]:
    async with visitor(custom_fields={"suppliers": ["erp_status"]}) as one:
        yield one


def texts(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [text for listed in answer.json()["errors"].values() for text in listed]


async def test_new_supplier_is_a_draft_with_an_id(guest: Visitor) -> None:
    await guest.seed(payment_terms=[{"code": "N30", "days-for-net-payment": 30}])
    body = {
        "name": "Harbour Steel",
        "number": "V100",
        "payment-term": {"code": "N30"},
        "primary-address": {"street1": "Quay 1", "city": "Bergen", "country": {"code": "NO"}, "nonsense": 1},
        "custom-fields": {"erp-status": "new", "other": "x"},
    }
    answer = await guest.post("suppliers", body)
    made = answer.json()
    assert (answer.status_code, made["id"], made["status"], made["display-name"]) == (
        201,
        101,
        "draft",
        "Harbour Steel",
    )
    assert made["payment-term"]["days-for-net-payment"] == 30
    assert (made["primary-address"]["city"], made["primary-address"]["country"]["code"]) == ("Bergen", "NO")
    assert made["custom-fields"] == {"erp-status": "new"}
    assert (await guest.truth())["suppliers"] == {"V100": 1}
    assert [one["id"] for one in (await guest.get("suppliers", number="V100")).json()] == [101]


async def test_supplier_name_and_number_are_unique(guest: Visitor) -> None:
    await guest.seed(suppliers=[{"name": "Harbour Steel", "number": "V100"}])
    assert texts(await guest.post("suppliers", {"name": "harbour steel"})) == ["Name has already been taken"]
    both = texts(await guest.post("suppliers", {"name": "Harbour Steel", "number": "V100"}))
    assert both == ["Name has already been taken", "Number has already been taken"]
    await guest.seed(suppliers=[{"id": 7, "name": "Other", "number": "V200"}])
    assert texts(await guest.put("suppliers/7", {"number": "V100"})) == ["Number has already been taken"]
    assert (await guest.put("suppliers/7", {"number": "V200", "name": "Other"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"status": "draft"}, "Supplier status must be one of active, inactive, onboarding."),
        ({"po-method": "fax"}, "PO method must be one of cxml, xml, email, integration, prompt or buy_online."),
        ({"po-email": "nobody"}, "Supplier email is not a valid email address."),
        ({"primary-contact": {"email": "a@b"}}, "Supplier email is not a valid email address."),
        ({"name": "x" * 101}, "Name is too long (maximum is 100 characters)"),
        ({"name": ""}, "Name can't be blank"),
        (
            {"payment-term": {"code": "N99"}},
            'Unable to find valid PaymentTerm record for payment_term with keys {"code"=>"N99"}. '
            'Possible keys are ["id", "code"]. Please verify your xml.',
        ),
    ],
)
async def test_supplier_is_validated_in_coupas_words(guest: Visitor, body: dict[str, Any], text: str) -> None:
    assert text in texts(await guest.post("suppliers", {"name": "New"} | body))
    assert (await guest.truth())["writes"] == 0


async def test_supplier_is_blocked_not_deleted_and_its_address_is_edited_in_place(guest: Visitor) -> None:
    await guest.post("suppliers", {"name": "Harbour Steel", "primary-address": {"street1": "Quay 1", "city": "Bergen"}})
    before = (await guest.get("suppliers/101")).json()
    body = {"status": "inactive", "primary-address": {"id": 99, "city": "Oslo"}}
    after = (await guest.put("suppliers/101", body)).json()
    assert after["status"] == "inactive"
    address = after["primary-address"]
    assert (address["id"], address["street1"], address["city"]) == (before["primary-address"]["id"], "Quay 1", "Oslo")


async def test_lookup_value_gets_a_code_from_the_root_and_is_unique_in_its_place(guest: Visitor) -> None:
    await guest.seed(lookups=[{"name": "Cost Centre"}, {"name": "Project"}])
    root = {"name": "Root", "external-ref-num": "ROOT", "lookup": {"name": "Cost Centre"}}
    assert (await guest.post("lookup_values", root)).status_code == 201
    child = {"name": "4100", "external_ref_num": "4100", "lookup": {"name": "Cost Centre"}}
    made = await guest.post("lookup_values", child | {"parent": {"external-ref-code": "ROOT"}})
    assert (made.status_code, made.json()["external-ref-code"]) == (201, "ROOT-4100")
    assert (await guest.post("lookup_values", child)).status_code == 201
    again = await guest.post("lookup_values", child | {"parent": {"external-ref-code": "ROOT"}})
    assert texts(again) == ["Name has already been taken", "External ref num has already been taken"]
    assert (await guest.post("lookup_values", child | {"lookup": {"name": "Project"}})).status_code == 201
    assert (await guest.truth())["lookup_values"] == {
        "Cost Centre/ROOT": 1,
        "Cost Centre/ROOT-4100": 1,
        "Cost Centre/4100": 1,
        "Project/4100": 1,
    }


async def test_lookup_value_is_found_by_either_spelling_of_the_association(guest: Visitor) -> None:
    await guest.seed(lookup_values=[{"external-ref-num": "4100", "lookup": {"name": name}} for name in ("A", "B")])
    for key in ("lookup[name]", "[lookup][name]"):
        found = (await guest.get("lookup_values", **{"external-ref-num": "4100", key: "B"})).json()
        assert [one["lookup"]["name"] for one in found] == ["B"]


async def test_lookup_value_needs_an_existing_lookup_and_parent(guest: Visitor) -> None:
    body = {"name": "x", "lookup": {"name": "Nowhere"}}
    assert texts(await guest.post("lookup_values", body))[0].startswith("Unable to find valid Lookup record for lookup")
    assert texts(await guest.post("lookup_values", {"name": "x"})) == ["Lookup can't be blank"]
    await guest.seed(lookups=[{"name": "Nowhere"}])
    assert "LookupValue" in texts(await guest.post("lookup_values", body | {"parent": {"external-ref-code": "Z"}}))[0]
    assert texts(await guest.post("lookup_values", {"lookup": {"name": "Nowhere"}})) == ["Name can't be blank"]


async def test_new_ref_num_changes_the_code_and_those_below(guest: Visitor) -> None:
    await guest.seed(lookups=[{"name": "L"}])
    for name, parent in (("a", None), ("b", "a"), ("c", "a-b")):
        body: dict[str, Any] = {"name": name, "external-ref-num": name, "lookup": {"name": "L"}}
        await guest.post("lookup_values", body | ({"parent": {"external-ref-code": parent}} if parent else {}))
    await guest.put("lookup_values/1", {"external-ref-num": "z", "external-ref-code": "ignored", "active": False})
    values = (await guest.get("lookup_values")).json()
    assert [(one["external-ref-code"], one["active"]) for one in values] == [
        ("z", False),
        ("z-b", True),
        ("z-b-c", True),
    ]


async def test_account_code_is_joined_and_read_only(guest: Visitor) -> None:
    await guest.seed(account_types=[{"name": "Chart", "currency": {"code": "USD"}}])
    body = {"account-type": {"name": "Chart"}, "segment-1": "6100", "segment-2": "CC10", "name": "Materials"}
    assert (await guest.post("accounts", body)).json()["code"] == "6100-CC10"
    assert texts(await guest.post("accounts", body)) == ["Code has already been taken"]
    after = await guest.put("accounts/1", {"code": "other", "name": "Parts"})
    assert (after.status_code, after.json()["code"], after.json()["name"]) == (200, "6100-CC10", "Parts")
    assert texts(await guest.post("accounts", {"account-type": {"name": "Chart"}})) == ["Segment 1 can't be blank"]
    assert texts(await guest.post("accounts", {"segment-1": "1"})) == ["Account type can't be blank"]


async def test_payment_term_code_is_unique(guest: Visitor) -> None:
    assert (await guest.post("payment_terms", {"code": "N30", "days-for-net-payment": "30"})).status_code == 201
    assert texts(await guest.post("payment_terms", {"code": "N30"})) == ["Code has already been taken"]
    assert texts(await guest.post("payment_terms", {"code": "N60", "days-for-net-payment": "x"}))


async def test_currencies_are_read_only_and_know_their_places(guest: Visitor) -> None:
    await guest.http.post("/_sandbox/seed/base")
    decimals = {one["code"]: one["decimals"] for one in (await guest.get("currencies")).json()}
    assert decimals == {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3}
    assert (await guest.post("currencies", {"code": "NOK", "name": "Krone"})).status_code == 404


async def test_exchange_rates_by_both_currencies_find_nothing(guest: Visitor) -> None:
    rate = {"from-currency": {"code": "USD"}, "to-currency": {"code": "EUR"}, "rate": "0.9", "rate-date": "2026-03-01"}
    await guest.seed(exchange_rates=[rate])
    assert [one["rate"] for one in (await guest.get("exchange_rates", **{"from-currency[code]": "USD"})).json()] == [
        "0.9000"
    ]
    both = {"from-currency[code]": "USD", "to_currency[code]": "EUR"}
    assert (await guest.get("exchange_rates", **both)).json() == []


ORDER = {
    "po-number": "PO-2400",
    "supplier": {"number": "V100"},
    "currency": {"code": "USD"},
    "order-lines": [
        {"id": 1325, "quantity": "10", "price": "10", "match-type": "3-way", "uom": {"code": "EA"}},
        {"price": "500", "description": "Service"},
    ],
}


async def test_order_lines_are_records_of_their_own(guest: Visitor) -> None:
    await guest.seed(purchase_orders=[ORDER])
    order = (await guest.get("purchase_orders", **{"po-number": "PO-2400"})).json()[0]
    assert (order["status"], order["version"], order["supplier"]["number"]) == ("issued", 1, "V100")
    lines = (await guest.get("purchase_order_lines", **{"order-header-number": "PO-2400"})).json()
    assert [(line["line-num"], line["type"], line["total"]) for line in lines] == [
        ("1", "OrderQuantityLine", "100.00"),
        ("2", "OrderAmountLine", "500.00"),
    ]
    assert lines == order["order-lines"]


async def test_receipt_counts_on_its_line_until_it_is_voided(guest: Visitor) -> None:
    await guest.seed(purchase_orders=[ORDER])
    body = {"type": "ReceivingQuantityConsumption", "quantity": "5.0", "order-line": {"id": 1325}}
    made = await guest.post("receiving_transactions", body)
    assert (made.status_code, made.json()["quantity"], made.json()["price"]) == (201, "5.0", "10.00")
    assert (await guest.get("purchase_order_lines/1325")).json()["received"] == "5.0"
    found = await guest.get("receiving_transactions", **{"order_line[id]": "1325", "exported": "false"})
    assert [one["id"] for one in found.json()] == [1]
    back = {"type": "ReceivingQuantityReturnToSupplier", "quantity": "2", "order-line": {"id": 1325}}
    await guest.post("receiving_transactions", back)
    assert (await guest.get("purchase_order_lines/1325")).json()["received"] == "3.0"
    assert (await guest.put("receiving_transactions/1/void")).json()["status"] == "voided"
    assert (await guest.get("purchase_order_lines/1325")).json()["received"] == "-2.0"
    assert (await guest.put("receiving_transactions/1/void")).status_code == 400


async def test_receipt_is_validated_and_only_its_flag_can_be_updated(guest: Visitor) -> None:
    await guest.seed(purchase_orders=[ORDER])
    line = {"order-line": {"id": 1325}}
    assert texts(await guest.post("receiving_transactions", {"type": "Gift"} | line))
    assert "OrderLine" in texts(await guest.post("receiving_transactions", {"type": "ReceivingQuantityConsumption"}))[0]
    assert texts(await guest.post("receiving_transactions", {"type": "ReceivingQuantityConsumption"} | line)) == [
        "Quantity can't be blank"
    ]
    assert texts(await guest.post("receiving_transactions", {"type": "InventoryReceipt", "quantity": "1"} | line)) == [
        "To warehouse can't be blank",
        "To warehouse location can't be blank",
    ]
    await guest.post("receiving_transactions", {"type": "ReceivingAmountConsumption", "total": "50"} | line)
    after = (await guest.put("receiving_transactions/1?exported=true", {"total": "99"})).json()
    assert (after["exported"], after["total"]) == (True, "50.00")


async def test_matching_allocations_are_found_by_invoice_line(guest: Visitor) -> None:
    allocation = {"invoice-line-id": 77, "invoice-line": {"id": 77, "invoice-header-id": 4835}, "quantity": "5"}
    await guest.seed(matching_allocations=[allocation, {"invoice-line-id": 78}])
    assert len((await guest.get("matching_allocations", invoice_line_id="77")).json()) == 1
    assert len((await guest.get("matching_allocations", **{"invoice_line[invoice_header_id][in]": "4835"})).json()) == 1
