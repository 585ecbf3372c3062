"""Supplier invoices: everything QAD checks before it posts one, what it then fills in, and the warnings it gives."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.qad import masters, matching
from sandbox.qad.metadata import RESOURCES
from sandbox.qad.outcome import Context, Outcome, Problem, fresh, mandatory, missing, overlay, refused, too_long
from sandbox.qad.records import Key, Row
from sandbox.qad.values import Record, exponent, fits, quantize

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

INVOICE = RESOURCES["supplierInvoice"]
TYPES = ("Invoice", "Credit Note", "Invoice Correction", "Credit Note Correction", "Prepayment")
DUPLICATE = {
    "severity": 2,
    "fieldName": "invoiceReference",
    "message": "The reference already exists on another invoice for this supplier",
}


def create(context: Context, sent: Record) -> Outcome:
    """Post a new invoice; a voucher that exists makes it an update of that invoice, as in QAD's standard API."""
    record = fresh(INVOICE.fields, sent)
    row = context.tenant.table("supplierInvoice").find(*(record[name] for name in INVOICE.keys))
    if record["voucher"] and row is not None:
        problem = locked(row.record)
        return refused(problem) if problem else update(context, row, sent)
    record["postingDate"] = record["postingDate"] or context.tenant.today()
    problems = _check(context, record, None)
    if problems:
        return refused(*problems)
    _fill(context, record)
    _judge_matching(context, record, None)
    warnings = [dict(DUPLICATE)] if context.tenant.references[reference_key(record)] else []
    return Outcome([store(context, record, lag=True)], warnings=warnings)


def update(context: Context, row: Row, sent: Record) -> Outcome:
    """Replace an invoice as a whole; its receipts are given back while the new state is judged."""
    tenant, old = context.tenant, row.record
    record = overlay(INVOICE.fields, old, sent)
    record["postingDate"] = record["postingDate"] or tenant.today()
    matching.book(tenant, old, -1)
    problems = _check(context, record, old)
    if problems:
        matching.book(tenant, old, +1)
        return refused(*problems)
    record["postingPeriod"] = record["postingDate"].month
    _judge_matching(context, record, old)
    settle(tenant, record)
    tenant.references[reference_key(old)].discard(tenant.table("supplierInvoice").key(old))
    return Outcome([store(context, record)])


def locked(record: Record) -> Problem | None:
    """Why nobody may change this invoice now."""
    if record["isSubmittedForApproval"]:
        return Problem("", "Invoice is submitted for approval and cannot be modified")
    if record["isSelected"]:
        return Problem("", "Invoice is selected for payment and cannot be modified")
    return None


def store(context: Context, record: Record, *, lag: bool = False) -> Row:
    """Keep an invoice and take its receipts; rules have been checked, or do not apply (seeds, people in QAD)."""
    tenant = context.tenant
    row = tenant.table("supplierInvoice").put(
        record, context.stamp(), visible_from=tenant.visible_from() if lag else None
    )
    tenant.references[reference_key(record)].add(tenant.table("supplierInvoice").key(record))
    matching.book(tenant, record, +1)
    return row


def reference_key(record: Record) -> Key:
    """Within what the supplier's number counts as repeated."""
    return (record["entityCode"], record["supplierCode"], record["invoiceType"], record["invoiceReference"])


def assign_numbers(tenant: QadTenant, record: Record) -> None:
    """Give the posting year and period, the voucher of its daybook and the registration number."""
    record["postingYear"], record["postingPeriod"] = record["postingDate"].year, record["postingDate"].month
    counter = ("voucher", record["entityCode"], record["postingYear"], record["daybookCode"])
    if record["voucher"]:
        tenant.number_taken(counter, record["voucher"])
    else:
        record["voucher"] = tenant.next_number(counter, 10001)
    if not record["registrationNumber"]:
        record["registrationNumber"] = tenant.next_number("registration", 88001)


def apply_status(tenant: QadTenant, record: Record) -> None:
    """Let the invoice status code set the flags it drives."""
    status = tenant.masters["invoiceStatusCodes"][record["invoiceStatusCode"]]
    record["allocationStatus"] = status["allocationStatus"]
    record["isInitialStatus"] = status["initialStatus"]
    record["isReceiverMatching"] = status["receiverMatching"]
    record["isInvoiceApproved"] = status["invoiceApproved"]


def settle(tenant: QadTenant, record: Record) -> None:
    """Work out what is still owed: only payments that reached Paid count."""
    key = tenant.table("supplierInvoice").key(record)
    rows = (tenant.find("supplierPayment", *payment) for payment in tenant.payments_of[key])
    paid = sum((_paid_by(row.record, key) for row in rows if row), Decimal(0))
    record["balanceTC"] = record["originalAmountTC"] - paid
    record["isOpen"] = record["balanceTC"] != 0


def _paid_by(payment: Record, key: Key) -> Decimal:
    if payment["paymentStatus"] != "Paid":
        return Decimal(0)
    return sum(
        (
            item["allocatedAmountTC"] + item["discountAmountTC"]
            for item in payment["supplierPaymentAllocations"]
            if (item["invoicePostingYear"], item["invoiceDaybookCode"], item["invoiceVoucher"]) == key[1:]
        ),
        Decimal(0),
    )


def due_date(tenant: QadTenant, record: Record) -> date:
    """The day an invoice falls due by its credit terms."""
    days = tenant.masters["creditTerms"].get(record["creditTermsCode"], {}).get("days", 30)
    start: date = record["invoiceDate"] or record["postingDate"]
    return start + timedelta(days=int(days))


def _fill(context: Context, record: Record) -> None:
    tenant = context.tenant
    found = masters.supplier(tenant, record["supplierCode"]) or {}
    assign_numbers(tenant, record)
    record["sharedSetCode"] = tenant.options.shared_set_supplier
    record["supplierName"] = found.get("addressName", "")
    record["dueDate"] = record["dueDate"] or due_date(tenant, record)
    record["taxPointDate"] = record["taxPointDate"] or record["postingDate"]
    record["exchangeRate"] = record["exchangeRate"] or Decimal(1)
    record["balanceTC"], record["isOpen"] = record["originalAmountTC"], True


def _number_lines(record: Record) -> None:
    for index, line in enumerate(record["supplierInvoiceLines"], start=1):
        line["line"] = line["line"] or index


def _judge_matching(context: Context, record: Record, old: Record | None) -> None:
    """Set matching status, hold and status code; an unchanged matching keeps its variances and what the caller sent."""
    tenant = context.tenant
    codes = tenant.masters["invoiceStatusCodes"]
    if old is not None and matching.terms(record) == matching.terms(old):
        matching.keep_variances(record, old)
    else:
        record["holdAmountTC"] = max(record["holdAmountTC"], matching.note_variances(context, record))
        matched = bool(record[matching.LINES])
        record["receiverMatchingStatus"] = "FINISHED" if matched else "INITIAL"
        after = codes[record["invoiceStatusCode"]]["statusAfterMatch"]
        if matched and after in codes:
            record["invoiceStatusCode"] = after
    apply_status(tenant, record)
    if old is None or record["invoiceStatusCode"] != old["invoiceStatusCode"]:
        record["isLockPayment"] = record["isLockPayment"] or codes[record["invoiceStatusCode"]]["lockPayment"]
    record["originalAmountLC"] = quantize(record["originalAmountTC"] * (record["exchangeRate"] or 1), 2)
    _number_lines(record)


def _check(context: Context, record: Record, old: Record | None) -> list[Problem]:
    problems = missing(INVOICE.fields, record) + too_long(INVOICE.fields, record)
    problems += masters.unresolved(context.tenant, INVOICE.by_name, record)
    problems += _check_header(context, record, old)
    if problems:
        return problems
    problems = _check_orders(context, record) + _check_lines(context, record)
    if old is None or matching.terms(record) != matching.terms(old):
        problems += matching.check(context, record)
    return problems or _check_sum(record)


def _check_header(context: Context, record: Record, old: Record | None) -> list[Problem]:
    tenant, fields, problems = context.tenant, INVOICE.by_name, []
    if record["entityCode"] and record["entityCode"] != context.entity:
        problems.append(mandatory(fields["entityCode"], record["entityCode"]))
    found = masters.supplier(tenant, record["supplierCode"])
    if record["supplierCode"] and found is None:
        problems.append(mandatory(fields["supplierCode"], record["supplierCode"]))
    elif found and not found["isActive"] and old is None:
        problems.append(Problem("supplierCode", "Supplier is not active", record["supplierCode"]))
    if record["invoiceType"] and record["invoiceType"] not in TYPES:
        problems.append(mandatory(fields["invoiceType"], record["invoiceType"]))
    status = tenant.masters["invoiceStatusCodes"].get(record["invoiceStatusCode"], {})
    if tenant.options.approval_workflow and old is None and status.get("invoiceApproved"):
        text = "Invoice cannot be created with an approved status"
        problems.append(Problem("invoiceStatusCode", text, record["invoiceStatusCode"]))
    if record[matching.LINES] and status and not status["receiverMatching"]:
        problems.append(Problem(matching.LINES, "Invoice status does not allow receiver matching"))
    return problems + _check_period(tenant, record, old) + _check_amounts(record)


def _check_period(tenant: QadTenant, record: Record, old: Record | None) -> list[Problem]:
    day: date = record["postingDate"]
    if old is not None and day == old["postingDate"]:
        return []
    if record["postingYear"] not in (0, day.year):
        return [Problem("postingYear", "Posting year differs from the posting date", record["postingYear"])]
    if (day.year, day.month) in tenant.closed_periods:
        return [Problem("postingDate", f"Period {day.year}/{day.month:02d} is closed", day.isoformat())]
    return []


def _check_amounts(record: Record) -> list[Problem]:
    places = exponent(record["currencyCode"])
    if places is None:
        return []
    amounts = {name: record[name] for name in ("originalAmountTC", "holdAmountTC", "taxAmountTC")}
    for index, line in enumerate(record["supplierInvoiceLines"]):
        amounts |= {f"supplierInvoiceLines[{index}].{name}": line[name] for name in ("amountTC", "taxAmountTC")}
    text = f"Amount has more decimals than currency {record['currencyCode']} allows"
    problems = [Problem(name, text, amount) for name, amount in amounts.items() if not fits(amount, places)]
    if record["originalAmountTC"] < 0:
        problems.append(Problem("originalAmountTC", "Amount must be positive", record["originalAmountTC"]))
    if not 0 <= record["holdAmountTC"] <= max(record["originalAmountTC"], Decimal(0)):
        problems.append(Problem("holdAmountTC", "Hold amount must lie within the invoice amount"))
    return problems


def _check_orders(context: Context, record: Record) -> list[Problem]:
    problems, fields = [], INVOICE.by_name["supplierInvoicePOs"].children
    for index, link in enumerate(record["supplierInvoicePOs"]):
        prefix = f"supplierInvoicePOs[{index}]."
        problems += missing(fields, link, prefix)
        order = context.tenant.find("purchaseOrder", link["poDomainCode"], link["purchaseOrderNumber"])
        if link["purchaseOrderNumber"] and (order is None or order.record["supplierCode"] != record["supplierCode"]):
            problems.append(mandatory(fields[1], link["purchaseOrderNumber"], prefix))
    return problems


def _check_lines(context: Context, record: Record) -> list[Problem]:
    problems, fields = [], INVOICE.by_name["supplierInvoiceLines"].children
    names = {item.name: item for item in fields}
    for index, line in enumerate(record["supplierInvoiceLines"]):
        prefix = f"supplierInvoiceLines[{index}]."
        problems += missing(fields, line, prefix)
        problems += masters.account_problems(context.tenant, names, line, account="glAccountCode", prefix=prefix)
    return problems


def _check_sum(record: Record) -> list[Problem]:
    """Matches and lines must make the amount; tax that lacks its full set is dropped before the sum is made."""
    tax = _kept_tax(record)
    lines = record["supplierInvoiceLines"]
    parts = matching.values(record) + [line["amountTC"] for line in lines] + [tax]
    if not lines and not record[matching.LINES]:
        return []
    places = exponent(record["currencyCode"]) or 0
    sums = {quantize(sum(parts, Decimal(0)), places), sum((quantize(part, places) for part in parts), Decimal(0))}
    if record["originalAmountTC"] in sums:
        return []
    text = "Receiver matching and invoice lines do not add up to the invoice amount"
    return [Problem("originalAmountTC", text, record["originalAmountTC"])]


def _kept_tax(record: Record) -> Decimal:
    lines = record["supplierInvoiceLines"]
    taxed = [line for line in lines if line["taxAmountTC"]]
    total = sum((line["taxAmountTC"] for line in taxed), Decimal(0))
    complete = all(line["taxCode"] and line["taxPointDate"] for line in taxed)
    if record["isTaxable"] and taxed and complete and total == record["taxAmountTC"]:
        return total
    record["taxAmountTC"] = Decimal(0)
    for line in lines:
        line["taxAmountTC"] = Decimal(0)
    return Decimal(0)
