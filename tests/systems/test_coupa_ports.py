"""What a Coupa invoice becomes in our words, and how the approved ones are read to the end."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ml_connector.domain.records import DocumentKind, InvoiceCharge, SupplierInvoice, Unreadable
from ml_connector.errors import ContractError
from ml_connector.systems.coupa.models import Invoice
from ml_connector.systems.coupa.ports import ApprovedInvoices, ExportedFlag, to_supplier_invoice
from tests.systems.coupa_server import INVOICE, Coupa, invoice, open_coupa, order


def read(**changes: Any) -> SupplierInvoice:
    return to_supplier_invoice(Invoice.model_validate(invoice(4835, **changes)))


def line(**changes: Any) -> dict[str, Any]:
    first: dict[str, Any] = INVOICE["invoice-lines"][0]
    return first | {name.replace("_", "-"): value for name, value in changes.items()}


def test_an_invoice_in_our_words() -> None:
    record = read()
    assert (record.key, record.number, record.kind) == ("4835", "INV-1001", DocumentKind.INVOICE)
    assert (record.supplier_number, record.supplier_name, record.currency) == ("V100", "Insight", "USD")
    assert (record.invoice_date, record.due_date) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (record.total, record.tax, record.charges) == (Decimal("108.00"), Decimal("8.00"), ())
    (one,) = record.lines
    assert (one.quantity, one.price, one.total, one.tax) == (Decimal(10), Decimal(10), Decimal(100), Decimal(8))
    assert (one.po_number, one.po_line, one.account) == ("PO-2400", 1, "SF-IT-Assets")
    assert record.updated_at == datetime(2026, 3, 4, 18, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes", [{"document_type": "Credit Note"}, {"total_with_taxes": "-108.00"}, {"document_type": "credit note "}]
)
def test_a_credit_note_is_known_by_type_or_sign(changes: Any) -> None:
    assert read(**changes).kind is DocumentKind.CREDIT_NOTE


def test_amounts_keep_the_sign_that_coupa_shows() -> None:
    assert read(total_with_taxes="-108.00").total == Decimal("-108.00")
    assert read(document_type="Credit Note").total == Decimal("108.00")


def test_an_amount_line_has_no_quantity() -> None:
    record = read(invoice_lines=[line(type="InvoiceAmountLine", quantity="1.0")])
    assert record.lines[0].quantity is None


def test_header_tax_counts_when_lines_carry_none() -> None:
    record = read(line_level_taxation=False, tax_amount="7.50")
    assert (record.tax, record.lines[0].tax) == (Decimal("7.50"), Decimal(0))


def test_charges_are_never_counted_twice() -> None:
    listed = [{"type": "InvoiceShippingCharge", "total": "5.00"}, {"type": "InvoiceMiscCharge", "total": "0.00"}]
    record = read(invoice_charges=listed, shipping_amount="5.0000", misc_amount="1.0000")
    assert record.charges == (InvoiceCharge("shipping", Decimal("5.00")),)
    record = read(handling_amount="2.5000", misc_amount="-1.0000")
    assert record.charges == (InvoiceCharge("handling", Decimal("2.5")), InvoiceCharge("misc", Decimal(-1)))


def test_the_order_number_falls_back_and_may_be_a_number() -> None:
    record = read(invoice_lines=[line(po_number=None, order_header_num=2400, order_line_num=3)])
    assert (record.lines[0].po_number, record.lines[0].po_line) == ("2400", 3)
    record = read(invoice_lines=[line(po_number=None, order_header_num=None, order_line_num=None)])
    assert (record.lines[0].po_number, record.lines[0].po_line) == (None, None)


def test_an_order_line_that_is_no_number_is_never_guessed() -> None:
    with pytest.raises(ContractError, match=r"invoice-lines\.0\.order-line-num"):
        read(invoice_lines=[line(order_line_num="1.2")])


def test_a_split_coding_has_no_single_account() -> None:
    parts = [{"account": {"code": "A"}}, {"account": {"code": "B"}}]
    assert read(invoice_lines=[line(account=None, account_allocations=parts)]).lines[0].account is None
    assert read(invoice_lines=[line(account=None, account_allocations=parts[:1])]).lines[0].account == "A"
    assert read(invoice_lines=[line(account=None, account_allocations=None)]).lines[0].account is None


def test_missing_parts_are_left_to_the_checks() -> None:
    record = read(supplier=None, currency=None, invoice_number=None, invoice_date=None)
    assert (record.supplier_number, record.currency, record.number, record.invoice_date) == ("", "", "", None)
    with pytest.raises(ContractError, match="total-with-taxes"):
        read(total_with_taxes=None, gross_total=None)


@pytest.mark.parametrize(("count", "calls"), [(0, 1), (3, 1), (50, 2), (120, 3)])
async def test_drains_to_the_end(count: int, calls: int) -> None:
    server = Coupa(*(invoice(number) for number in range(1, count + 1)))
    pages = [page async for page in ApprovedInvoices(open_coupa(server)).pages(None, None)]
    assert [record.key for page in pages for record in page.records] == [str(one) for one in range(1, count + 1)]
    assert len(server.sent("GET")) == calls


async def test_marking_while_reading_skips_nothing() -> None:
    server = Coupa(*(invoice(number) for number in range(1, 101)))
    client = open_coupa(server, page_size=10)
    seen = []
    async for page in ApprovedInvoices(client).pages(None, None):
        seen += [record.key for record in page.records]
        await ExportedFlag(client).send([order(int(record.key)) for record in page.records])
    assert len(seen) == len(set(seen)) == 100


async def test_a_retry_goes_on_from_the_cursor() -> None:
    server = Coupa(*(invoice(number) for number in range(1, 31)))
    source = ApprovedInvoices(open_coupa(server, page_size=10))
    first = await anext(source.pages(None, None))
    rest = [record.key for page in [page async for page in source.pages(first.cursor, None)] for record in page.records]
    assert (first.cursor, rest[0], len(rest)) == ("10", "11", 20)


async def test_an_unreadable_invoice_is_named_and_the_page_goes_on() -> None:
    server = Coupa(invoice(1), invoice(2, invoice_lines=[line(order_line_num="x")]), invoice(3, invoice_lines=None))
    ((good, bad, cursor, mark),) = [page async for page in ApprovedInvoices(open_coupa(server)).pages(None, None)]
    assert [record.key for record in good] == ["1"]
    assert [one.key for one in bad] == ["2", "3"]
    assert bad[1].path.startswith("invoice-lines")
    assert (cursor, mark) == ("3", "")


async def test_by_key_shows_any_state_and_leaves_out_the_missing() -> None:
    server = Coupa(invoice(1, status="voided", exported=True), invoice(2, invoice_lines=None))
    found = await ApprovedInvoices(open_coupa(server)).by_key(["1", "2", "3", "no-id"])
    assert set(found) == {"1", "2"}
    assert isinstance(found["1"], SupplierInvoice)
    assert found["1"].status == "voided"
    assert isinstance(found["2"], Unreadable)
