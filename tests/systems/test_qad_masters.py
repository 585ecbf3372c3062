"""Codes that a document line names, orders found by a custom member, and the corrections of documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ml_connector.domain.records import ReceiptMatch, ReferenceCode
from ml_connector.errors import ConfigurationError
from ml_connector.systems.qad.config import InvoiceSettings
from ml_connector.systems.qad.documents import differences, gives_back, takes_again
from ml_connector.systems.qad.ledger import ProcessMemory
from ml_connector.systems.qad.ports import GlAccount, QadRest
from ml_connector.systems.qad.validate import ping
from tests.systems.qad_server import Qad, Tenant, bare, invoice, match, open_qad, order, ours, tenant_with_masters
from tests.systems.test_qad_client_writing import DOCUMENT


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters() as one:
        yield one


async def test_accounts_say_what_a_line_on_them_has_to_name(tenant: Tenant) -> None:
    found = await QadRest(tenant.client()).gl_accounts(["6300", "6500", "6600", "6900", "9999", ""])
    assert found == {
        "6300": GlAccount("6300", True, needs_cost_center=True),
        "6500": GlAccount("6500", True, needs_project=True),
        "6600": GlAccount("6600", True, needs_sub_account=True),
        "6900": GlAccount("6900", False),
    }


async def test_codes_of_a_resource_are_found_and_unknown_ones_left_out(tenant: Tenant) -> None:
    port = QadRest(tenant.client())
    assert await port.reference_codes("costCenter", ["CC10", "CC90", "NONE"]) == {
        "CC10": ReferenceCode("CC10", "Administration", True),
        "CC90": ReferenceCode("CC90", "Closed department", False),
    }
    assert await port.reference_codes("glAccount", []) == {}


async def test_a_code_of_several_sets_asks_for_the_setting() -> None:
    account = {"accountCode": "6100", "isActive": True, "isSubAccountRequired": False}
    account |= {"isCostCenterRequired": False, "isProjectRequired": False}
    server = Qad(glAccount=[{**account, "sharedSetCode": "A"}, {**account, "sharedSetCode": "B"}])
    with pytest.raises(ConfigurationError, match=r"shared_sets\.account"):
        await QadRest(open_qad(server)).gl_accounts(["6100"])
    client = open_qad(server, shared_sets={"account": "B"})
    assert list(await QadRest(client).gl_accounts(["6100"])) == ["6100"]


async def test_orders_are_found_by_a_custom_member(tenant: Tenant) -> None:
    orders = {"PO100001": "REQ-1", "PO100002": "REQ-1", "PO100003": "REQ-2", "PO100004": ""}
    await tenant.seed(
        purchaseOrders=[
            {"purchaseOrderNumber": number, "supplierCode": "SUP00001", "customShort0": slot, "lines": [{}]}
            for number, slot in orders.items()
        ]
    )
    port = QadRest(tenant.client())
    assert await port.orders_by_slot("customShort0", ["REQ-1", "REQ-2", "REQ-9", ""]) == {
        "REQ-1": ("PO100001", "PO100002"),
        "REQ-2": ("PO100003",),
        "REQ-9": (),
        "": (),
    }
    assert list(await port.purchase_orders(["PO100001"])) == ["PO100001"]


async def test_a_custom_member_is_proven_before_it_is_relied_on(tenant: Tenant) -> None:
    port = QadRest(tenant.client())
    assert await port.order_slot_problem("customShort0") == ""
    assert await port.order_slot_problem("customShort77") == "purchase orders have no member customShort77"


async def test_each_reason_why_a_member_cannot_be_searched_is_named() -> None:
    server = Qad(purchaseOrder=[order()])
    server.entity_members["purchaseOrder"] = [{"jsonName": "customShort0"}]
    port = QadRest(open_qad(server))
    assert "does not show customShort0" in await port.order_slot_problem("customShort0")
    shown = server._fields
    server._fields = lambda browse: [*shown(browse), {"fieldName": "purchaseOrderHeader.customShort0"}]  # type: ignore[method-assign]
    assert await port.order_slot_problem("customShort0") == ""
    plain = server._browse
    server._browse = lambda params: plain(params.remove("filter") if "lookup" not in params["browseId"] else params)  # type: ignore[method-assign]
    assert "ignores a condition" in await port.order_slot_problem("customShort0")
    server.fail("/entitymetadatas", lambda request: bare("403", "Access is denied"))
    assert "cannot be searched" in await port.order_slot_problem("customShort0")


async def test_a_number_of_a_member_the_settings_do_not_name_leaves_the_settings_alone() -> None:
    server = Qad(purchaseOrder=[order(customShort3="X")])
    client = open_qad(server)
    assert await QadRest(client).orders_by_slot("customShort3", ["x"]) == {"x": ("PO100001",)}
    assert "customShort3" not in client.tenant.resources["purchaseOrder"].fields


async def test_the_connection_test_looks_at_streams_only_where_they_are_read(tenant: Tenant) -> None:
    plain = await ping(tenant.client())
    assert not any("supplierPayment" in check.name for check in plain.checks)
    report = await ping(tenant.client(), streams=("supplierPayment", "supplier", "costCenter", "glAccount"))
    assert [check.message for check in report.checks if not check.ok] == []
    assert {"list supplierPayment", "entity supplierPayment", "list costCenter"} <= {one.name for one in report.checks}


# ---- corrections


@pytest.mark.parametrize(
    ("kind", "word", "back", "again"),
    [
        ("invoice", "Invoice", False, False),
        ("credit_note", "Credit Note", True, False),
        ("invoice_correction", "Invoice Correction", True, False),
        ("credit_note_correction", "Credit Note Correction", False, True),
    ],
)
async def test_each_kind_of_document_travels_under_the_tenants_word(
    kind: str, word: str, back: bool, again: bool
) -> None:
    server = Qad()
    port = QadRest(open_qad(server))
    posted = await port.post_invoice({**DOCUMENT, "type": kind}, "ACME:invoice:1")
    assert server.posted[0]["invoiceType"] == word
    shown = await port.get_invoice(posted.key)
    assert shown is not None
    assert (shown.kind, differences({**DOCUMENT, "type": kind}, shown)) == (kind, ())
    assert (gives_back(word, InvoiceSettings()), takes_again(word, InvoiceSettings())) == (back, again)


def test_a_tenant_that_names_only_two_types_keeps_the_words_for_corrections() -> None:
    settings = InvoiceSettings(types={"invoice": "Rechnung", "credit_note": "Gutschrift"})
    assert settings.types["invoice"] == "Rechnung"
    assert settings.types["credit_note_correction"] == "Credit Note Correction"


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_correction_gives_back_and_the_correction_of_a_credit_takes_again(sign: int) -> None:
    lines = {"receiverMatchingLines": [match(quantity=5 * sign)]}
    server = Qad(
        supplierInvoice=[
            invoice(1, invoiceType="Invoice Correction", **lines),
            invoice(2, invoiceType="Credit Note Correction", **lines),
        ]
    )
    found = await QadRest(open_qad(server)).receipt_matches("SUP00001", date(2026, 2, 1), ours())
    assert [one.quantity for one in found] == [-5, 5]


# ---- memory of what others match


async def test_a_memory_outlives_the_port_and_answers_only_for_the_same_row_and_words() -> None:
    server = Qad(supplierInvoice=[invoice(1, receiverMatchingLines=[match(quantity=20)])])
    memory = ProcessMemory()
    expected = (ReceiptMatch("PO100001", 1, Decimal(20), "RC004411", ""),)
    for _ in range(2):
        port = QadRest(open_qad(server), memory)
        assert await port.receipt_matches("SUP00001", date(2026, 2, 1), ours()) == expected
    assert len(server.calls("/supplierInvoices")) == 1
    other = QadRest(open_qad(server, invoice={"negative_types": ["Invoice"]}), memory)
    assert [one.quantity for one in await other.receipt_matches("SUP00001", date(2026, 2, 1), ours())] == [-20]
    server.records["supplierInvoice"] = [
        invoice(1, receiverMatchingLines=[match(quantity=30)], lastModifiedTime=41234)
    ]
    port = QadRest(open_qad(server), memory)
    assert [one.quantity for one in await port.receipt_matches("SUP00001", date(2026, 2, 1), ours())] == [30]


async def test_a_memory_that_is_full_starts_afresh() -> None:
    memory = ProcessMemory(most=2)
    matches: tuple[Any, ...] = ()
    for row in ("a", "b", "c"):
        await memory.put(row, matches)
    assert [await memory.get(row) for row in ("a", "b", "c")] == [None, None, ()]
