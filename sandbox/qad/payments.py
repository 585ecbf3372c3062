"""Supplier payments: made and changed by people in QAD only; invoices follow their status."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.kit.app import BadRequest
from sandbox.qad import invoices
from sandbox.qad.metadata import RESOURCES
from sandbox.qad.outcome import Context
from sandbox.qad.records import Key, Row
from sandbox.qad.values import Record, complete

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

PAYMENT = RESOURCES["supplierPayment"]
ALLOCATION = PAYMENT.by_name["supplierPaymentAllocations"].children
STATUSES = ("Initial", "Allocated", "For Collection", "Paid", "Bounced", "Void")


def pay(context: Context, parts: list[tuple[Row, Decimal, Decimal]], *, status: str, details: Record) -> Row:
    """Pay one or more invoices of one supplier in full or in part; an Initial payment has no allocations yet."""
    check_status(status)
    tenant = context.tenant
    for row, amount, discount in parts:
        if amount + discount > row.record["balanceTC"]:
            raise BadRequest(f"voucher {row.record['voucher']} owes only {row.record['balanceTC']}")
        row.record["isSelected"] = False
    first = parts[0][0].record if parts else {}
    today = tenant.today()
    payment: Record = {
        "entityCode": first.get("entityCode", context.entity),
        "paymentYear": today.year,
        "paymentStatus": status,
        "paymentInstrument": "Electronic Transfer",
        "supplierCode": first.get("supplierCode", ""),
        "currencyCode": first.get("currencyCode", "USD"),
        "bankAccountCode": "BANK01",
        "creationDate": today,
        "valueDate": today,
        "paymentAmountTC": sum((amount for _, amount, _ in parts), Decimal(0)),
        "supplierPaymentAllocations": [] if status == "Initial" else [_allocation(*part) for part in parts],
    } | details
    return store(context, complete(PAYMENT.fields, payment))


def _allocation(row: Row, amount: Decimal, discount: Decimal) -> Record:
    invoice = row.record
    return {
        "invoicePostingYear": invoice["postingYear"],
        "invoiceDaybookCode": invoice["daybookCode"],
        "invoiceVoucher": invoice["voucher"],
        "invoiceReference": invoice["invoiceReference"],
        "allocatedAmountTC": amount,
        "discountAmountTC": discount,
    }


def store(context: Context, payment: Record) -> Row:
    """Keep a payment under its number and let its invoices follow."""
    tenant = context.tenant
    counter = ("payment", payment["entityCode"], payment["paymentYear"])
    if payment["paymentNumber"]:
        tenant.number_taken(counter, payment["paymentNumber"])
    else:
        payment["paymentNumber"] = tenant.next_number(counter, 50001)
    payment["paymentReference"] = payment["paymentReference"] or f"PAY-{payment['paymentNumber']}"
    row = tenant.table("supplierPayment").put(payment, context.stamp())
    for invoice in allocated_invoices(payment):
        tenant.payments_of[invoice].add(tenant.table("supplierPayment").key(payment))
    _follow(context, payment)
    return row


def allocate(context: Context, row: Row, invoice: Row, amount: Decimal, *, discount: Decimal = Decimal(0)) -> None:
    """Link an invoice to a payment that had none or others."""
    row.record["supplierPaymentAllocations"].append(_allocation(invoice, amount, discount))
    store(context, row.record)


def take_off(context: Context, row: Row, invoice: Row) -> tuple[Decimal, Decimal]:
    """Take an invoice off a payment; answers the amount and discount that were allocated to it."""
    table, parts = context.tenant.table("supplierInvoice"), row.record["supplierPaymentAllocations"]
    key = table.key(invoice.record)
    taken = [part for part, place in zip(parts, allocated_invoices(row.record), strict=True) if place == key]
    if not taken:
        raise BadRequest("the payment has no allocation to this invoice")
    row.record["supplierPaymentAllocations"] = [part for part in parts if part not in taken]
    store(context, row.record)
    invoices.settle(context.tenant, invoice.record)
    table.touch(invoice, context.stamp())
    names = ("allocatedAmountTC", "discountAmountTC")
    amount, discount = (sum((part[name] for part in taken), Decimal(0)) for name in names)
    return amount, discount


def set_status(context: Context, row: Row, status: str) -> None:
    """Change the status of a payment; Void is final."""
    check_status(status)
    if row.record["paymentStatus"] == "Void":
        raise BadRequest("a void payment cannot change")
    row.record["paymentStatus"] = status
    context.tenant.table("supplierPayment").touch(row, context.stamp())
    _follow(context, row.record)


def check_status(status: str) -> None:
    """Raise BadRequest for a status the tenant does not have."""
    if status not in STATUSES:
        raise BadRequest(f"payment status is one of {', '.join(STATUSES)}")


def _follow(context: Context, payment: Record) -> None:
    table = context.tenant.table("supplierInvoice")
    for key in allocated_invoices(payment):
        row = table.find(*key)
        if row is not None:
            before = row.record["balanceTC"]
            invoices.settle(context.tenant, row.record)
            if row.record["balanceTC"] != before:
                table.touch(row, context.stamp())


def allocated_invoices(payment: Record) -> list[Key]:
    """Keys of the invoices a payment is allocated to."""
    return [
        (payment["entityCode"], item["invoicePostingYear"], item["invoiceDaybookCode"], item["invoiceVoucher"])
        for item in payment["supplierPaymentAllocations"]
    ]


def rows(tenant: QadTenant) -> Iterator[Record]:
    """What the payment browse shows: a row per allocation; a payment without any still shows one row."""
    blank = complete(ALLOCATION, {})
    for row in tenant.table("supplierPayment").visible(tenant.clock):
        for part in row.record["supplierPaymentAllocations"] or [blank]:
            yield row.record | part
