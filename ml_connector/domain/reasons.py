"""Why a record did not go through: a code with document numbers, readable by an analyst and free of business data.

A system's own words may name people, prices or banks, so they travel beside the reason in `Decision.detail`
and are stored encrypted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TEXTS: Mapping[str, str] = {
    "receipt_missing": "no goods receipt posted for PO {po} line {line}: billed {billed}, available {available}",
    "credit_exceeds_posted": "credit on PO {po} line {line} is {billed}, more than the {available} we posted there",
    "po_missing": "PO {po} is not in the target system",
    "po_missing_here_only": "PO {po} is not in the target system; in the source it is {status}",
    "po_line_missing": "PO {po} has no line {line}",
    "po_cancelled": "PO {po} is cancelled",
    "po_closed": "PO {po} is closed and its receipts do not cover line {line}: billed {billed}, available {available}",
    "po_other_supplier": "PO {po} belongs to supplier {found}, the invoice to {supplier}",
    "po_other_currency": "PO {po} is in {found}, the invoice in {currency}",
    "po_price_missing": "PO {po} line {line} has no price, so the billed amount cannot be turned into a quantity",
    "po_number_too_long": "PO number {po} is longer than the {limit} characters of the target",
    "supplier_missing": "supplier {supplier} is not in the target system",
    "supplier_inactive": "supplier {supplier} is inactive in the target system",
    "po_not_linked": "PO {po} of the source is linked to no PO of the target yet",
    "po_ambiguous": "PO {po} of the source is linked to several POs of the target: {found}",
    "line_waits_for_po": "line {line} names no PO, and this connection waits until it does",
    "line_without_po": "line {line} names no PO, and this connection rejects invoices without a PO",
    "number_missing": "the invoice has no number",
    "number_too_long": "invoice number is longer than the {limit} characters of the target",
    "supplier_number_missing": "the supplier has no number, so it cannot be found in the target system",
    "date_missing": "the invoice has no date",
    "currency_unknown": "currency {currency} is not an ISO 4217 code",
    "line_total_differs": "line {line}: quantity x price is {expected}, its total says {found}",
    "total_differs": "lines, charges and tax add up to {expected}, the invoice says {found}",
    "mixed_signs": "line {line} has the opposite sign of the document",
    "number_out_of_range": "{field} is no amount or quantity that can be booked",
    "no_lines": "the invoice has no lines",
    "zero_total": "the invoice total is zero",
    "account_missing": "no account is configured for {kind}",
    "source_not_found": "the source record cannot be found by its key any more",
    "not_mappable": "the record cannot be turned into a document ({error}); its content is kept for a closer look",
    "number_taken": "{target} belongs to another record of ours already: its number was given out twice or moved",
    "source_unreadable": "the source record cannot be read: {path}",
    "filter_status": "status is {status}, only approved invoices are sent",
    "filter_payment_channel": "payment channel {channel} is outside this connection",
    "filter_chart_of_accounts": "account type is outside this connection's source filter",
    "possible_duplicate": "possible duplicate of {target}, which was not written by us for this record",
    "ambiguous": "{count} objects in the target carry our token; a person must decide",
    "number_twice": "{count} objects in the target have this number; a person must decide which one it is",
    "token_conflict": "{target} carries our token but differs in {fields}",
    "edited_after_posting": "changed in the source after it was posted as {target}; no second document is written",
    "edited_while_in_doubt": "changed in the source while its write was in doubt; posted as {target}",
    "reverse": "no longer eligible in the source but posted as {target}: reverse it there",
    "name_taken": "{target} in the target has the same name under another number; names must be unique there",
    "supplier_number_too_long": "supplier number {supplier} is longer than the {limit} characters of the target",
    "name_missing": "it has no name",
    "code_has_hyphen": "code {code} contains a hyphen, which separates the segments of an account in the target",
    "inactive_and_unknown": "it is inactive and the target does not know it, so there is nothing to keep in line",
    "voucher_unconfirmed": "it may pay an invoice of ours whose posting is still in doubt; that is settled first",
    "invoice_not_found": "invoice {invoice} cannot be found in the target",
    "invoice_unreadable": "invoice {invoice} in the target cannot be read: {path}",
    "payment_currency": "the payment is in {found}, the invoice in {currency}",
    "paid_but_voided": "{voucher} is paid, but its invoice {invoice} is {status}: undo one of the two",
    "filter_payment_state": "the payment is {state} and was never reported",
    "not_posted_by_us": "its invoice was never posted by this connection, so there is nothing to reverse",
    "settled_before_void": "{target} is paid or no longer open, so no correction is posted: reverse it by hand",
    "reversed_by": "voided in the source after it was posted as {target}; reversed there by {by}",
    "reversed_in_source": "no longer eligible in the source before anything was written",
    "no_exception": "nothing is wrong with it (any more), and it never had an issue",
    "not_our_issue": "the issue was not made by this connection",
    "undecided": "nobody has decided anything about the issue yet",
    "decision_on_its_way": "the decision is being made anew, or nobody knows yet whether the target has taken it",
    "told_since_decided": "it changed in QAD after it was decided, so nothing is released: look at it and decide again",
    "conflict": "{fields} was changed here and in {target} to different values: make both the same",
    "target_deleted": "{target} is gone from the target system",
    "target_refused": "the target refused {effect}: {code}",
    "effect_refused": "{effect} was refused after {target} was posted: {code}",
    "hold_expired": "{first}; still missing after {days} days",
    "waits_for_clear_answer": "a write may have taken effect at {effect}; the target is asked again",
    "twin_in_doubt": "a document with the same supplier and number was just written, or may have been; it shows soon",
    "settled_absent": "a person settled the doubt: nothing was written",
    "transient": "{effect} could not be sent now and will be tried again",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """A code of `TEXTS` with the document numbers that fill it."""

    code: str
    params: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.code not in TEXTS:
            raise ValueError(f"unknown reason code {self.code}")

    @property
    def text(self) -> str:
        """The sentence an analyst reads."""
        return TEXTS[self.code].format_map(_Gaps(self.params))


class _Gaps(dict[str, str]):
    """Shows a missing parameter as `?`: an old row must stay readable when a text gains a parameter."""

    def __missing__(self, key: str) -> str:
        return "?"


def reason(code: str, /, **params: object) -> Reason:
    """Build a reason, every parameter as text."""
    return Reason(code, {name: str(value) for name, value in params.items()})
