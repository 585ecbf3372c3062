"""What the business asks of QAD: suppliers, orders, receipts, what others match, invoices by reference and token."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ml_connector.domain.records import GoodsReceipt, PurchaseOrder, PurchaseOrderLine, ReceiptMatch, Supplier
from ml_connector.errors import ConfigurationError, ContractError, TransientError
from ml_connector.systems.qad.config import QadTenant
from ml_connector.systems.qad.ports import InvoiceQuery, InvoiceSeen, QadPort, QadRest
from tests.systems.qad_server import TENANT, Qad, invoice, match, open_qad, order, order_line, ours, receipt, supplier

TOKEN = "K7QMA3TB5XW2HD6ZJ4RN"
OTHER = "K7QMZZZZZZZZZZZZZZZZ"


def rest(server: Qad, **tenant: Any) -> QadRest:
    return QadRest(open_qad(server, **tenant))


def filters(server: Qad) -> list[list[str]]:
    return [call.url.params.get_list("filter") for call in server.calls("/browses")]


async def test_reads_suppliers_by_number_and_leaves_out_unknown_ones() -> None:
    server = Qad(supplier=[supplier(), supplier("SUP00002", isActive=False, addressName=""), supplier("SUP00003")])
    found = await rest(server).suppliers(["SUP00001", "SUP00002", "SUP00009"])
    assert found == {
        "SUP00001": Supplier("SUP00001", "Acme Metals", True, "USD", "N30"),
        "SUP00002": Supplier("SUP00002", "", False, "USD", "N30"),
    }
    assert len(server.calls("/browses")) == 2


async def test_what_the_list_leaves_out_is_read_from_the_record() -> None:
    server = Qad(supplier=[supplier(isActive=False)], supplierInvoice=[invoice(customShort0=TOKEN)])
    server.hidden_row_members = {"isActive", "invoiceType", "customShort0"}
    port = rest(server)
    assert not (await port.suppliers(["SUP00001"]))["SUP00001"].active
    assert [one.token for one in await port.find_invoices("SUP00001", "INV-20417")] == [TOKEN]
    assert len(server.calls("/api/erp/")) == 2


async def test_a_supplier_number_in_several_shared_sets_asks_for_the_setting() -> None:
    server = Qad(supplier=[supplier(), supplier(sharedSetCode="OTHER")])
    with pytest.raises(ConfigurationError, match=r"shared_sets\.supplier"):
        await rest(server, shared_sets={}).suppliers(["SUP00001"])


async def test_reads_orders_with_their_lines_and_states() -> None:
    server = Qad(
        purchaseOrder=[
            order(),
            order("PO100002", orderStatus="C"),
            order("PO100003", orderStatus="X"),
            order("PO100004", orderStatus=""),
            order("PO100005", orderStatus="Z"),
        ],
        purchaseOrderLine=[order_line(line=2, pod_pur_cost=0.1, pod_status="c"), order_line(), order_line("PO200000")],
    )
    found = await rest(server).purchase_orders([f"PO10000{number}" for number in range(1, 8)])
    lines = (
        PurchaseOrderLine(1, "ITEM0001", Decimal(50), Decimal("12.0"), "EA", "open"),
        PurchaseOrderLine(2, "ITEM0001", Decimal(50), Decimal("0.1"), "EA", "closed"),
    )
    assert found["PO100001"] == PurchaseOrder("PO100001", "SUP00001", "USD", "open", lines)
    states = {number: one.status for number, one in found.items()}
    assert list(states.values()) == ["open", "closed", "cancelled", "open", "closed"]
    assert len(server.calls("/browses")) == 2
    assert "purchaseOrderHeader.domainCode,eq,10USA,literal" in filters(server)[0]


async def test_ranges_can_be_switched_off() -> None:
    server = Qad(receipt=[receipt(), receipt("PO100002")])
    found = await rest(server, limits={"range_lookups": False}).goods_receipts(["PO100001", "PO100002"])
    assert [len(one) for one in found.values()] == [1, 1]
    assert filters(server) == [["prh_hist.prh_nbr,eq,PO100001,literal"], ["prh_hist.prh_nbr,eq,PO100002,literal"]]


async def test_receipts_are_signed_and_an_order_without_any_has_none() -> None:
    server = Qad(receipt=[receipt(), receipt(receiver="RC9", quantity=-2.5, prh_rcp_date="2026-02-09T00:00:00.000Z")])
    found = await rest(server).goods_receipts(["PO100001", "PO777"])
    assert found == {
        "PO100001": (
            GoodsReceipt("RC004411", "PO100001", 1, Decimal(50), date(2026, 2, 8), "SUP00001"),
            GoodsReceipt("RC9", "PO100001", 1, Decimal("-2.5"), date(2026, 2, 9), "SUP00001"),
        ),
        "PO777": (),
    }


async def test_a_malformed_member_is_named_as_the_tenant_calls_it() -> None:
    server = Qad(receipt=[receipt(quantity="many")])
    with pytest.raises(ContractError, match=r"prh_hist\.prh_rcvd: ") as caught:
        await rest(server).goods_receipts(["PO100001"])
    assert "many" not in str(caught.value)
    server = Qad(supplierInvoice=[invoice(receiverMatchingLines=[match(), {**match(), "matchQuantity": None}])])
    path = r"data\.supplierInvoices\[0\]\.receiverMatchingLines\[1\]\.matchQuantity"
    with pytest.raises(ContractError, match=path):
        await rest(server).receipt_matches("SUP00001", date(2026, 2, 1), ours())


async def test_matches_of_others_count_ours_do_not_and_credit_notes_give_back() -> None:
    server = Qad(
        supplierInvoice=[
            invoice(1, receiverMatchingLines=[match(quantity=20)]),
            invoice(2, receiverMatchingLines=[match(quantity=5)], invoiceType="Credit Note", customShort0=OTHER),
            invoice(3, receiverMatchingLines=[match(quantity=25)], customShort0=TOKEN),
            invoice(4, receiverMatchingLines=[match(quantity=7)], supplierCode="SUP00002"),
            invoice(5, receiverMatchingLines=[match(quantity=7)], lastModifiedDate="2026-01-30T00:00:00.000Z"),
            invoice(6, isReceiverMatching=False),
        ]
    )
    found = await rest(server).receipt_matches("SUP00001", date(2026, 2, 1), ours(TOKEN))
    assert found == (
        ReceiptMatch("PO100001", 1, Decimal(20), "RC004411", ""),
        ReceiptMatch("PO100001", 1, Decimal(-5), "RC004411", OTHER),
    )
    assert "supplierInvoice.lastModifiedDate,ge,2026-01-31,literal" in filters(server)[0]
    assert len(server.calls("/supplierInvoices")) == 2


async def test_an_unchanged_invoice_is_not_read_twice_and_a_changed_one_is() -> None:
    server = Qad(supplierInvoice=[invoice(1, receiverMatchingLines=[match(quantity=20)])])
    port = rest(server)
    for _ in range(2):
        await port.receipt_matches("SUP00001", date(2026, 2, 1), ours())
    assert len(server.calls("/supplierInvoices")) == 1
    server.records["supplierInvoice"] = [
        invoice(1, receiverMatchingLines=[match(quantity=30)], lastModifiedTime=41234)
    ]
    # Pages that follow each other within a minute share one read of the list.
    port.client.http.clock.advance(61)
    found = await port.receipt_matches("SUP00001", date(2026, 2, 1), ours())
    assert [one.quantity for one in found] == [30]


async def test_finds_invoices_of_a_supplier_by_reference_whatever_their_case() -> None:
    server = Qad(
        supplierInvoice=[
            invoice(1, invoiceReference="inv-1", holdAmountTC=None),
            invoice(2, invoiceReference="INV-1", invoiceType="CreditNote", entityCode="OTHER"),
            invoice(3, invoiceReference="INV-10"),
        ]
    )
    found = await rest(server).find_invoices("SUP00001", "INV-1")
    amount = Decimal("625.0")
    assert found == (
        InvoiceSeen(
            "10USACO/2026/APINV/1",
            "",
            "SUP00001",
            "inv-1",
            "invoice",
            amount,
            "USD",
            "AP-NOALLOC",
            Decimal(0),
            True,
        ),
    )


async def test_many_references_of_a_supplier_take_few_questions() -> None:
    server = Qad(supplierInvoice=[invoice(number, invoiceReference=f"INV-{number}") for number in range(1000, 1020)])
    asked = [InvoiceQuery("10USACO", "SUP00001", f"INV-{number}") for number in range(1005, 1025)]
    found = await rest(server).look_up_invoices([*asked, InvoiceQuery("10USACO", "SUP00001", "inv-1005")])
    assert [len(found[query]) for query in asked] == [1] * 15 + [0] * 5
    assert len(found[InvoiceQuery("10USACO", "SUP00001", "inv-1005")]) == 1
    assert len(server.calls("/browses")) <= 2


async def test_a_list_that_keeps_moving_is_no_answer_about_an_invoice() -> None:
    server = Qad()
    plain = server._browse

    def growing(params: Any) -> Any:
        if params["page"] == "1":
            rows = server.records["supplierInvoice"]
            rows += [invoice(len(rows) + number, customShort0=TOKEN) for number in range(2)]
        return plain(params)

    server._browse = growing  # type: ignore[method-assign]
    with pytest.raises(TransientError, match="kept moving"):
        await rest(server, limits={"page_size": 1}).find_by_token(TOKEN)


async def test_finds_by_token_and_gets_by_key() -> None:
    server = Qad(supplierInvoice=[invoice(1), invoice(2, customShort0=TOKEN)])
    port = rest(server)
    assert [one.key for one in await port.find_by_token(TOKEN)] == ["10USACO/2026/APINV/2"]
    found = await port.get_invoice("10USACO/2026/APINV/2")
    assert found is not None
    assert found.token == TOKEN
    assert await port.get_invoice("10USACO/2026/APINV/3") is None


async def test_says_who_it_is_even_where_session_rules_are_closed() -> None:
    server = Qad()
    server.rules = None
    assert await rest(server).who_am_i() == "svc@acme in workspace 10USA_10USACO"
    other = Qad()
    await rest(other, paths={"security_control": ""}).who_am_i()
    assert other.calls("/securityControl") == []


def test_the_rest_transport_keeps_the_port() -> None:
    port: QadPort = rest(Qad())
    assert "invoices.post" in port.capabilities


def test_settings_refuse_unknown_records_and_a_slot_used_twice() -> None:
    with pytest.raises(ValueError, match="unknown resource invoices"):
        QadTenant(**TENANT, resources={"invoices": {}})
    slots = {"supplierInvoice": {"issue": "customShort0"}}
    with pytest.raises(ValueError, match="kept for our token"):
        QadTenant(**TENANT, custom_slots=slots)
    moved = QadTenant(**TENANT, invoice={"external_id_slot": "customShort5"})
    assert moved.resources["supplierInvoice"].fields["token"] == "customShort5"
    assert QadTenant(**TENANT).resources["supplierInvoice"].fields["token"] == "customShort0"


def test_settings_survive_being_saved_as_json() -> None:
    tenant = QadTenant(**TENANT, resources={"supplier": {"browse": "urn:browse:mfg:gp282"}})
    assert QadTenant.model_validate_json(tenant.model_dump_json()) == tenant
