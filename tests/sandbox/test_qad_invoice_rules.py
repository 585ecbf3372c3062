"""What the stand-in QAD tenant refuses on an invoice beside its matching: sums, codes, periods, lengths, tax."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.qad_visitor import (
    TOKEN,
    Visitor,
    invoice,
    line,
    match,
    refusal,
    stored,
    visiting,
)

EXCEEDS = "Matched quantity exceeds open receipt quantity"
NO_SUM = "Receiver matching and invoice lines do not add up to the invoice amount"
LINES_ONLY: dict[str, Any] = {"supplierInvoicePOs": [], "receiverMatchingLines": [], "invoiceStatusCode": "AP-GLALLOC"}


async def other(visitor: Visitor, reference: str, **changes: Any) -> dict[str, Any]:
    return await visitor.create_invoice(invoiceReference=reference, customShort0=reference, **changes)


async def test_sum_must_meet_the_amount() -> None:
    async with visiting() as visitor:
        assert refusal(await visitor.create_invoice(originalAmountTC=600.01)) == ("originalAmountTC", NO_SUM)
        charge = {"supplierInvoiceLines": [line(25, "6200")], "originalAmountTC": 625}
        stored(await visitor.create_invoice(**charge))


@pytest.mark.parametrize(("currency", "amount", "fine"), [("JPY", 600, "600.5"), ("KWD", "600.001", "600.0001")])
async def test_amounts_follow_the_exponent_of_the_currency(currency: str, amount: str, fine: str) -> None:
    async with visiting() as visitor:
        rest = {"currencyCode": currency, **LINES_ONLY}
        good = {"originalAmountTC": Decimal(amount), "supplierInvoiceLines": [line(Decimal(amount))]}
        assert stored(await visitor.create_invoice(**rest, **good))["originalAmountTC"] == Decimal(amount)
        bad = {"originalAmountTC": Decimal(fine), "supplierInvoiceLines": [line(Decimal(fine))]}
        answer = await visitor.create_invoice(**rest, **bad)
        fields = [error["fieldName"] for error in answer["submitResult"]["errors"]]
        assert fields == ["originalAmountTC", "supplierInvoiceLines[0].amountTC"]


async def test_fine_unit_prices_are_rounded_at_the_sum() -> None:
    async with visiting() as visitor:
        lines = [match(quantity=3, price=Decimal("12.3333"))]
        record = stored(await visitor.create_invoice(receiverMatchingLines=lines, originalAmountTC=37))
        assert record["holdAmountTC"] == 1


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("supplierCode", "NOBODY", "SupplierCode"),
        ("supplierCode", "", "SupplierCode"),
        ("invoiceStatusCode", "NOPE", "InvoiceStatusCode"),
        ("daybookCode", "NOPE", "DaybookCode"),
        ("creditTermsCode", "N999", "CreditTermsCode"),
        ("currencyCode", "XXX", "CurrencyCode"),
        ("entityCode", "OTHER", "EntityCode"),
        ("invoiceType", "CreditNote", "InvoiceType"),
        ("invoiceReference", "", "InvoiceReference"),
        ("invoiceDate", "", "InvoiceDate"),
        ("originalAmountTC", 0, "OriginalAmountTC"),
    ],
)
async def test_header_code_that_does_not_resolve_is_called_mandatory(name: str, value: Any, field: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.create_invoice(**{name: value})
        assert refusal(answer) == (name, f"Field is mandatory. ({field})")


@pytest.mark.parametrize(
    ("row", "name", "field"),
    [
        (line(10, "9999"), "glAccountCode", "GlAccountCode"),
        (line(10, "6900"), "glAccountCode", "GlAccountCode"),
        (line(10, ""), "glAccountCode", "GlAccountCode"),
        (line(10, costCenterCode="CC99"), "costCenterCode", "CostCenterCode"),
        (line(10, costCenterCode="CC90"), "costCenterCode", "CostCenterCode"),
        (line(10, "6300", costCenterCode=""), "costCenterCode", "CostCenterCode"),
        (line(10, "6500"), "projectCode", "ProjectCode"),
        (line(10, projectCode="PRJ77"), "projectCode", "ProjectCode"),
        (line(10, projectCode="PRJ90"), "projectCode", "ProjectCode"),
        (line(10, "6600"), "subAccountCode", "SubAccountCode"),
    ],
)
async def test_line_follows_the_analysis_of_its_account(row: dict[str, Any], name: str, field: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.create_invoice(originalAmountTC=10, **LINES_ONLY, supplierInvoiceLines=[row])
        assert refusal(answer) == (f"supplierInvoiceLines[0].{name}", f"Field is mandatory. ({field})")


async def test_order_link_must_exist_and_belong_to_the_supplier() -> None:
    async with visiting() as visitor:
        expected = ("supplierInvoicePOs[0].purchaseOrderNumber", "Field is mandatory. (PurchaseOrderNumber)")
        link = [{"poDomainCode": "10USA", "purchaseOrderNumber": "PO999999"}]
        unknown = await visitor.create_invoice(supplierInvoicePOs=link, receiverMatchingLines=[])
        assert refusal(unknown) == expected
        stranger = await visitor.create_invoice(supplierCode="SUP00002", receiverMatchingLines=[])
        assert refusal(stranger) == expected


async def test_inactive_supplier_is_refused() -> None:
    async with visiting() as visitor:
        rest = {"originalAmountTC": 10, **LINES_ONLY, "supplierInvoiceLines": [line(10)]}
        answer = await visitor.create_invoice(supplierCode="SUP00009", **rest)
        assert refusal(answer) == ("supplierCode", "Supplier is not active")


async def test_closed_period_is_refused_until_another_date_is_taken() -> None:
    async with visiting() as visitor:
        await visitor.do("close_period", period="2026/02")
        assert refusal(await visitor.create_invoice()) == ("postingDate", "Period 2026/02 is closed")
        stored(await visitor.create_invoice(postingDate="2026-03-01T00:00:00.000Z"))
        await visitor.do("open_period", period="2026/02")
        rest = {"originalAmountTC": 10, **LINES_ONLY, "supplierInvoiceLines": [line(10)]}
        stored(await visitor.create_invoice(**rest))


async def test_missing_posting_date_is_today_and_a_wrong_year_is_refused() -> None:
    async with visiting() as visitor:
        wrong = await visitor.create_invoice(postingYear=2025)
        assert refusal(wrong) == ("postingYear", "Posting year differs from the posting date")
        record = stored(await visitor.create_invoice(postingDate=""))
        assert record["postingDate"] == "2026-02-10T00:00:00.000Z"


async def test_token_slot_and_description_are_limited() -> None:
    async with visiting() as visitor:
        longer = await visitor.create_invoice(customShort0=TOKEN + "X")
        assert refusal(longer) == ("customShort0", "Value exceeds the maximum length of 20")
        described = await visitor.create_invoice(description="x" * 41)
        assert refusal(described) == ("description", "Value exceeds the maximum length of 40")


async def test_plain_date_or_text_amount_is_malformed() -> None:
    async with visiting() as visitor:
        view = {"viewUri": "urn:be:com.qad.financials.purchaseledger.supplierinvoice.ISupplierInvoice"}
        for change in ({"invoiceDate": "2026-02-09"}, {"originalAmountTC": "600.00"}):
            body = {"supplierInvoices": [invoice(**change)]}
            answer = await visitor.call("POST", "erp/supplierInvoices", params=view, json=body)
            assert (answer.status_code, answer.json()["errors"][0]["fieldName"]) == (400, next(iter(change)))


async def test_tax_without_its_full_set_is_ignored() -> None:
    async with visiting() as visitor:
        rest = {**LINES_ONLY, "isTaxable": True, "taxAmountTC": 8, "originalAmountTC": 108}
        bare = {"supplierInvoiceLines": [line(100, taxAmountTC=8)]}
        assert refusal(await visitor.create_invoice(**rest, **bare)) == ("originalAmountTC", NO_SUM)
        net = stored(await other(visitor, "NET", **rest | {"originalAmountTC": 100}, **bare))
        assert (net["taxAmountTC"], net["supplierInvoiceLines"][0]["taxAmountTC"]) == (0, 0)
        full = [line(100, taxAmountTC=8, taxCode="OH", taxPointDate="2026-02-10T00:00:00.000Z")]
        gross = stored(await other(visitor, "GROSS", **rest, supplierInvoiceLines=full))
        assert gross["taxAmountTC"] == 8
