"""Receiver matching: which receipts an invoice takes, how much of them is open, and what a price variance costs."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.qad.outcome import Context, Problem
from sandbox.qad.records import Key
from sandbox.qad.values import Record, exponent, quantize

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

# A correction takes back what a document of its kind took: an Invoice Correction is in our favour.
CREDIT_TYPES = ("Credit Note", "Invoice Correction")
CORRECTION_TYPES = ("Invoice Correction", "Credit Note Correction")
LINES = "receiverMatchingLines"
VARIANCES = ("varianceRateTC", "varianceUsageTC")


def is_credit(invoice: Record) -> bool:
    """Whether the amounts of an invoice are in our favour."""
    return invoice["invoiceType"] in CREDIT_TYPES


def is_correction(invoice: Record) -> bool:
    """Whether an invoice takes another one back."""
    return invoice["invoiceType"] in CORRECTION_TYPES


def signed_quantity(invoice: Record, line: Record) -> Decimal:
    """The quantity a line takes from its receipt; a credit note takes from a return, whatever sign was sent."""
    quantity: Decimal = line["matchQuantity"]
    return -abs(quantity) if is_credit(invoice) else quantity


def receipt_key(domain: str, line: Record) -> Key:
    """The receipt a matching line points at."""
    return (domain, line["receiverNumber"], line["purchaseOrderNumber"], line["purchaseOrderLine"])


def book(tenant: QadTenant, invoice: Record, sign: int) -> None:
    """Take (+1) or give back (-1) the receipts of an invoice."""
    domain = tenant.domain_of(invoice["entityCode"])
    key = tenant.table("supplierInvoice").key(invoice)
    for line in invoice[LINES]:
        place = receipt_key(domain, line)
        tenant.matched[place] += sign * signed_quantity(invoice, line)
        if sign > 0 and is_correction(invoice):
            tenant.finished[place].clear()
        elif sign > 0 and line["isFinished"]:
            tenant.finished[place].add(key)
        else:
            tenant.finished[place].discard(key)


def open_quantity(tenant: QadTenant, place: Key) -> Decimal:
    """Received and not yet matched, signed; nothing is open once a match was marked finished."""
    row = tenant.find("receipt", *place)
    if row is None or (tenant.options.finished_closes_receipt and tenant.finished[place]):
        return Decimal(0)
    received: Decimal = row.record["quantityReceived"]
    return received - tenant.matched[place]


def check(context: Context, invoice: Record) -> list[Problem]:
    """Problems of the matching lines: unknown receivers, more than is open, prices the tenant refuses."""
    problems: list[Problem] = []
    taken: defaultdict[Key, Decimal] = defaultdict(Decimal)
    for index, line in enumerate(invoice[LINES]):
        prefix = f"{LINES}[{index}]."
        place = receipt_key(context.domain, line)
        receipt = context.tenant.find("receipt", *place)
        if receipt is None or receipt.record["supplierCode"] != invoice["supplierCode"]:
            text = (
                f"Receiver {line['receiverNumber']} not found for purchase order "
                f"{line['purchaseOrderNumber']} line {line['purchaseOrderLine']}"
            )
            problems.append(Problem(f"{prefix}receiverNumber", text, line["receiverNumber"]))
            continue
        quantity = signed_quantity(invoice, line)
        matched = context.tenant.matched[place]
        left = (-matched if is_correction(invoice) else open_quantity(context.tenant, place)) - taken[place]
        taken[place] += quantity
        if quantity == 0 or quantity * left <= 0 or abs(quantity) > abs(left):
            text = "Matched quantity exceeds open receipt quantity"
            problems.append(Problem(f"{prefix}matchQuantity", text, line["matchQuantity"]))
        elif line["matchUnitPrice"] < 0:
            problems.append(Problem(f"{prefix}matchUnitPrice", "Unit price cannot be negative", line["matchUnitPrice"]))
        elif context.tenant.options.policy_variance == "reject" and abs(variance(context, invoice, line)) > tolerance(
            context, invoice, line
        ):
            text = "Invoice price variance outside tolerance"
            problems.append(Problem(f"{prefix}matchUnitPrice", text, line["matchUnitPrice"]))
    return problems


def order_price(context: Context, line: Record) -> Decimal:
    """The unit price of the order line, or of the receipt when the line is gone."""
    place = (context.domain, line["purchaseOrderNumber"], line["purchaseOrderLine"])
    row = context.tenant.find("purchaseOrderLine", *place)
    receipt = row or context.tenant.find("receipt", *receipt_key(context.domain, line))
    return receipt.record["purchaseCost"] if receipt else Decimal(0)


def variance(context: Context, invoice: Record, line: Record) -> Decimal:
    """What the billed price costs more (or less) than the order's, in the invoice's currency."""
    difference = (line["matchUnitPrice"] - order_price(context, line)) * signed_quantity(invoice, line)
    return quantize(difference, exponent(invoice["currencyCode"]) or 0)


def tolerance(context: Context, invoice: Record, line: Record) -> Decimal:
    """The variance a tenant lets pass on one line: the larger of its percentage and its amount."""
    options = context.tenant.options
    value = order_price(context, line) * abs(signed_quantity(invoice, line))
    return max(options.tolerance_amount, value * options.tolerance_pct / 100)


def note_variances(context: Context, invoice: Record) -> Decimal:
    """Write each line's variance and give the excess that goes on hold; a credit note holds nothing."""
    excess = Decimal(0)
    for line in invoice[LINES]:
        line["varianceRateTC"] = variance(context, invoice, line)
        line["varianceUsageTC"] = Decimal(0)
        if line["varianceRateTC"] > tolerance(context, invoice, line):
            excess += line["varianceRateTC"]
    return Decimal(0) if is_credit(invoice) else excess


def keep_variances(invoice: Record, old: Record) -> None:
    """Carry over the variances of a matching that did not change; what a caller sends for them is not taken."""
    for line, former in zip(invoice[LINES], old[LINES], strict=True):
        line |= {name: former[name] for name in VARIANCES}


def values(invoice: Record) -> list[Decimal]:
    """The exact amount of each matching line, in the direction of the invoice."""
    sign = -1 if is_credit(invoice) else 1
    return [sign * signed_quantity(invoice, line) * line["matchUnitPrice"] for line in invoice[LINES]]


def terms(invoice: Record) -> list[tuple[object, ...]]:
    """What makes the matching of an invoice: a change of it asks for a new judgement."""
    names = ("purchaseOrderNumber", "purchaseOrderLine", "receiverNumber", "matchQuantity", "matchUnitPrice")
    return [tuple(line[name] for name in names) for line in invoice[LINES]]
