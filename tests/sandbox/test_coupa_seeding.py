"""Seeding, switches and admin verbs of the stand-in Coupa tenant, and the truth it tells."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.coupa_visitor import Visitor, visitor

INVOICE: dict[str, Any] = {
    "supplier": {"number": "V100"},
    "currency": {"code": "USD"},
    "invoice-lines": [{"po-number": "PO-1", "order-line-num": "1", "price": "10", "quantity": "10", "tax-amount": "8"}],
}


async def test_missing_members_are_filled_in_the_same_way_every_time() -> None:
    shown = []
    for _ in range(2):
        async with visitor() as guest:
            assert await guest.seed(invoices=[INVOICE, INVOICE]) == {"invoices": 2}
            shown.append((await guest.get("invoices")).json())
    assert shown[0] == shown[1]
    first = shown[0][0]
    assert (first["id"], first["invoice-number"], first["status"], first["exported"]) == (
        4001,
        "INV-4001",
        "approved",
        False,
    )
    assert (first["invoice-lines"][0]["total"], first["total-with-taxes"]) == ("100.00", "108.00")


async def test_given_totals_stay_even_when_they_are_wrong() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[INVOICE | {"gross-total": "1.005", "total-with-taxes": "999"}])
        shown = (await guest.get("invoices/4001")).json()
    assert (shown["gross-total"], shown["total-with-taxes"]) == ("1.005", "999.00")


async def test_header_tax_counts_when_tax_is_not_by_line_and_charges_replace_the_old_amounts() -> None:
    header = INVOICE | {"line-level-taxation": False, "tax-amount": "5", "shipping-amount": "7"}
    async with visitor() as guest:
        await guest.seed(
            invoices=[header, header | {"invoice-charges": [{"type": "InvoiceShippingCharge", "total": "9"}]}]
        )
        totals = [one["total-with-taxes"] for one in (await guest.get("invoices")).json()]
    assert totals == ["112.00", "114.00"]


async def test_invoice_line_is_tied_to_the_order_line_it_names() -> None:
    order = {"po-number": "PO-1", "order-lines": [{"quantity": "10", "price": "10"}]}
    async with visitor() as guest:
        await guest.seed(invoices=[INVOICE], purchase_orders=[order])
        line = (await guest.get("invoices/4001")).json()["invoice-lines"][0]
    assert (line["order-line-id"], line["order-header-num"]) == (1301, "PO-1")


async def test_records_that_others_name_are_created_once() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[INVOICE, INVOICE])
        suppliers = (await guest.get("suppliers")).json()
    assert [(one["number"], one["name"], one["status"]) for one in suppliers] == [("V100", "Supplier V100", "active")]


async def test_ids_given_by_hand_are_never_handed_out_again() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{"id": 4003}, {}, {"id": 10}, {}])
        assert [one["id"] for one in (await guest.get("invoices")).json()] == [10, 4003, 4004, 4005]


async def test_seeded_instants_keep_the_offset_they_were_written_with() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{"invoice-date": "2025-11-06T00:00:00+01:00", "updated-at": "2026-01-01T00:00:00Z"}])
        shown = (await guest.get("invoices/4001")).json()
    assert (shown["invoice-date"], shown["updated-at"]) == ("2025-11-06T00:00:00+01:00", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "document",
    [
        {"invoices": [{"colour": "red"}]},
        {"invoices": [{"invoice-lines": [{"colour": "red"}]}]},
        {"invoices": [{"paid": "perhaps"}]},
        {"cheques": [{}]},
        {"purchase_order_lines": [{}]},
    ],
)
async def test_misspelt_seeds_are_refused(document: dict[str, Any]) -> None:
    async with visitor() as guest:
        answer = await guest.http.post("/_sandbox/seed", json=document)
    assert answer.status_code == 400
    assert "error" in answer.json()


async def test_base_seed_loads_masters() -> None:
    async with visitor() as guest:
        counts = (await guest.http.post("/_sandbox/seed/base")).json()
        assert counts["suppliers"] == 3
        codes = [one["code"] for one in (await guest.get("accounts")).json()]
    assert codes == ["6100-CC10", "6200-CC10"]


async def test_reset_forgets_records_and_counts_but_not_the_login() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{}])
        await guest.put("invoices/4001?exported=true")
        await guest.http.post("/_sandbox/reset")
        assert (await guest.get("invoices")).json() == []
        truth = await guest.truth()
        assert (truth["writes"], truth["exported"]) == (0, {})
        await guest.seed(invoices=[{}])
        assert (await guest.get("invoices")).json()[0]["id"] == 4001


async def test_state_shows_raw_records() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{"invoice-number": "A"}])
        raw = (await guest.http.get("/_sandbox/state/invoices")).json()
        missing = await guest.http.get("/_sandbox/state/cheques")
    assert [one["invoice-number"] for one in raw] == ["A"]
    assert "remit-to-address" not in raw[0]
    assert missing.status_code == 404


async def refused(guest: Visitor, action: str, **given: Any) -> int:
    return (await guest.http.post(f"/_sandbox/do/{action}", json=given)).status_code


async def test_admin_verbs_answer_404_for_unknown_records_and_400_for_nonsense() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{}])
        assert await refused(guest, "approve_invoice", id=1) == 404
        assert await refused(guest, "approve_invoice") == 404
        assert await refused(guest, "revoke_client", client_id="nobody") == 404
        assert await refused(guest, "edit_invoice", id=4001, changes={"colour": "red"}) == 400
        assert await refused(guest, "edit_invoice", id=4001, changes={"id": 2}) == 400
        assert await refused(guest, "set_option", colour="red") == 400
        assert await refused(guest, "set_option", company_offset="east") == 400


async def test_other_records_are_edited_by_hand_too() -> None:
    async with visitor() as guest:
        await guest.seed(purchase_orders=[{"po-number": "PO-1", "order-lines": [{"price": "1"}]}], suppliers=[{}])
        await guest.advance(60)
        await guest.do("edit_purchase_order", id=2401, changes={"status": "closed"})
        await guest.do("edit_supplier", id=101, changes={"status": "inactive"})
        found = await guest.get("purchase_orders", **{"updated_at[gt]": "2026-03-02T09:00:30Z"})
        assert [(one["po-number"], one["status"]) for one in found.json()] == [("PO-1", "closed")]
        assert (await guest.get("suppliers/101")).json()["status"] == "inactive"


async def test_secrets_of_clients_never_show() -> None:
    async with visitor() as guest:
        shown = await guest.do("set_option", clients=[{"client_id": "a", "client_secret": "hush-hush"}])
    assert "hush-hush" not in str(shown)
    assert guest.app is not None
    assert "hush-hush" not in repr(guest.app.state.tenant.options)


async def test_writes_count_accepted_calls_only() -> None:
    async with visitor() as guest:
        await guest.seed(invoices=[{}])
        await guest.put("invoices/4001?exported=true")
        await guest.put("invoices/4001", {"no-such-key": 1})
        await guest.put("invoices/4001", {"payments": [{}]})
        await guest.put("invoices/99", {"paid": True})
        await guest.get("invoices")
        assert (await guest.truth())["writes"] == 2
