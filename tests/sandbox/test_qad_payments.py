"""Supplier payments of the stand-in QAD tenant: partial, joint, moving through their statuses; invoices follow."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.qad_visitor import PAYMENTS, Json, Visitor, visiting


async def owed(visitor: Visitor, reference: str) -> tuple[Any, bool]:
    (found,) = [item for item in (await visitor.truth())["invoices"] if item["reference"] == reference]
    return found["balanceTC"], found["isOpen"]


async def two_invoices(visitor: Visitor) -> None:
    await visitor.seed(
        supplierInvoices=[
            {"invoiceReference": "A", "originalAmountTC": 100, "customShort0": "TOKEN-A"},
            {"invoiceReference": "B", "originalAmountTC": 50},
        ]
    )


async def allocations(visitor: Visitor, *filters: str) -> list[Json]:
    rows = await visitor.rows(PAYMENTS, *filters)
    return [{key.removeprefix("supplierPayment."): value for key, value in row.items()} for row in rows]


async def test_partial_payments_add_up_until_the_invoice_closes() -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        await visitor.do("pay", invoiceReference="A", amount=40)
        assert await owed(visitor, "A") == (60, True)
        await visitor.do("pay", token="TOKEN-A", amount=55, discount=5)
        assert await owed(visitor, "A") == (0, False)
        assert sorted(row["allocatedAmountTC"] for row in await allocations(visitor)) == [40, 55]
        over = await visitor.http.post("/_sandbox/do/pay", json={"invoiceReference": "A", "amount": 1})
        assert over.status_code == 400


async def test_one_payment_pays_several_invoices_with_a_row_each() -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        paid = await visitor.do("pay", invoices=[{"invoiceReference": "A"}, {"invoiceReference": "B", "amount": 20}])
        assert await owed(visitor, "A") == (0, False)
        assert await owed(visitor, "B") == (30, True)
        rows = await allocations(visitor, "supplierPayment.paymentNumber,eq,50001,literal")
        assert {row["invoiceReference"]: row["allocatedAmountTC"] for row in rows} == {"A": 100, "B": 20}
        assert {row["paymentAmountTC"] for row in rows} == {120}
        key = {name: paid[name] for name in ("entityCode", "paymentYear", "paymentNumber")}
        record = await visitor.get("supplierPayments", **key)
        assert len(record["supplierPaymentAllocations"]) == 2
        assert record["disallowedActions"] == "MODIFY"


@pytest.mark.parametrize("status", ["Initial", "Allocated", "For Collection", "Bounced", "Void"])
async def test_only_paid_reduces_the_balance(status: str) -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        await visitor.do("pay", invoiceReference="A", status=status)
        assert await owed(visitor, "A") == (100, True)


async def test_initial_payment_shows_one_row_without_an_invoice() -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        made = await visitor.do("pay", invoiceReference="A", status="Initial")
        (row,) = await allocations(visitor)
        assert (row["paymentStatus"], row["invoiceVoucher"], row["invoiceReference"]) == ("Initial", 0, "")
        number = {"paymentNumber": made["paymentNumber"]}
        await visitor.do("set_payment_status", **number, status="Paid", invoices=[{"invoiceReference": "A"}])
        assert await owed(visitor, "A") == (0, False)


@pytest.mark.parametrize("reversal", ["Void", "Bounced"])
async def test_reversal_after_paid_opens_the_invoice_again(reversal: str) -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        number = {"paymentNumber": (await visitor.do("pay", invoiceReference="A"))["paymentNumber"]}
        await visitor.advance(minutes=1)
        await visitor.do("set_payment_status", **number, status=reversal)
        assert await owed(visitor, "A") == (100, True)
        (row,) = await allocations(visitor)
        assert (row["paymentStatus"], row["allocatedAmountTC"]) == (reversal, 100)
        assert row["lastModifiedTime"] == 11 * 3600 + 28 * 60 + 13


async def test_payment_moves_through_collection_to_paid() -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        number = {"paymentNumber": (await visitor.do("pay", invoiceReference="A", status="Allocated"))["paymentNumber"]}
        for status, expected in (("For Collection", (100, True)), ("Paid", (0, False))):
            await visitor.do("set_payment_status", **number, status=status)
            assert await owed(visitor, "A") == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"paymentNumber": 50001, "status": "Paid"}, 400),
        ({"paymentNumber": 50002, "status": "Lost"}, 400),
        ({"paymentNumber": 99, "status": "Paid"}, 404),
    ],
)
async def test_void_is_final_and_strange_statuses_are_refused(body: dict[str, Any], status: int) -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        await visitor.do("pay", invoiceReference="A", status="Void")
        await visitor.do("pay", invoiceReference="B")
        assert (await visitor.http.post("/_sandbox/do/set_payment_status", json=body)).status_code == status


async def test_payment_ends_the_selection_and_moves_the_invoices_stamps() -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        await visitor.do("select_for_payment", invoiceReference="A")
        await visitor.advance(minutes=2)
        await visitor.do("pay", invoiceReference="A")
        state = (await visitor.http.get("/_sandbox/state/supplierInvoices")).json()
        (found,) = [item for item in state if item["invoiceReference"] == "A"]
        assert (found["isSelected"], found["isOpen"]) == (False, False)
        assert found["lastModifiedTime"] == 11 * 3600 + 29 * 60 + 13


async def test_payment_that_owes_nothing_off_leaves_the_invoices_stamps_alone() -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        before = (await visitor.http.get("/_sandbox/state/supplierInvoices")).json()
        await visitor.advance(minutes=2)
        await visitor.do("pay", invoiceReference="A", status="Allocated")
        assert (await visitor.http.get("/_sandbox/state/supplierInvoices")).json() == before


async def test_payments_can_be_seeded_as_rows_of_the_browse() -> None:
    async with visiting() as visitor:
        await two_invoices(visitor)
        row = {"paymentYear": 2026, "paymentNumber": 7, "invoicePostingYear": 2026, "invoiceDaybookCode": "APINV"}
        await visitor.seed(
            supplierPayments=[
                row | {"invoiceVoucher": 10001, "invoiceReference": "A", "allocatedAmountTC": 100},
                row | {"invoiceVoucher": 10002, "invoiceReference": "B", "allocatedAmountTC": 10},
            ]
        )
        assert await owed(visitor, "A") == (0, False)
        assert await owed(visitor, "B") == (40, True)
        assert len(await allocations(visitor)) == 2
