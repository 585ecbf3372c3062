"""Judges the way back: what QAD shows as paid against the payment entries and the paid flag in Coupa."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tests.engine.histories import BOTH_WAYS
from tests.engine.history_evidence import ZERO, Case, Content, agrees, of_coupa, of_qad
from tests.engine.world import Json

TOKEN = 20


def payments(case: Case) -> Iterator[str]:
    """Per payment and invoice the entries in Coupa come to what QAD shows as paid, and the flag follows them."""
    for name, row in case.other_rows.items():
        if row["outcome"] == "in_doubt" or {"in_doubt", "intended"} & set(row["states"]):
            yield f"{name} stays {row['outcome']} with effects {row['states']}"
    for key, voucher in case.ours.items() if BOTH_WAYS else ():
        record, paid = case.coupa[key], _paid(case, voucher)
        entered, tokens = _entered(record)
        open_question = record["status"] == "voided" or _with_a_person(case, voucher)
        for payment in sorted({*paid, *entered}):
            should, shows = paid.get(payment, ZERO), entered.get(payment, ZERO)
            if should != shows and not (open_question and shows == ZERO):
                yield f"payment {payment} gives {should} to id {key}, but Coupa shows {shows}"
        yield from (f"{payment} has entries under {names}" for payment, names in tokens.items() if len(names) > 1)
        if tokens and not open_question and _undisturbed(record, voucher):
            yield from _flag(key, record)


def _paid(case: Case, voucher: Json) -> dict[str, Decimal]:
    """What each payment gives to a voucher, as a Coupa invoice shows it: a credit is settled with a negative amount."""
    found: dict[str, Decimal] = {}
    sign = -1 if voucher["invoiceType"] == "Credit Note" else 1
    for one in case.payments:
        name = f"{one['entityCode']}/{one['paymentYear']}/{one['paymentNumber']}"
        for part in one["supplierPaymentAllocations"]:
            place = (part["invoicePostingYear"], part["invoiceDaybookCode"], part["invoiceVoucher"])
            if place == (voucher["postingYear"], voucher["daybookCode"], voucher["voucher"]):
                amount = Decimal(str(part["allocatedAmountTC"])) + Decimal(str(part["discountAmountTC"]))
                paid = sign * abs(amount) if one["paymentStatus"] == "Paid" else ZERO
                found[name] = found.get(name, ZERO) + paid
    return found


def _entered(record: Json) -> tuple[dict[str, Decimal], dict[str, set[str]]]:
    """What our entries on an invoice come to, by payment, and under which tokens."""
    found: dict[str, Decimal] = {}
    tokens: dict[str, set[str]] = {}
    for entry in record.get("payments") or []:
        words = str(entry["notes"] or "").removesuffix(", discount").split()
        if words and len(words[0]) == TOKEN:
            found[words[-1]] = found.get(words[-1], ZERO) + Decimal(entry["amount-paid"])
            tokens.setdefault(words[-1], set()).add(words[0])
    return found, tokens


def _with_a_person(case: Case, voucher: Json) -> bool:
    """Whether a payment of this voucher, or the voucher itself, was rejected and so waits for a person."""
    if case.player.history.new_settings_at_the_end:
        return False
    ending = f"/{voucher['daybookCode']}/{voucher['voucher']}"
    rows = [row for name, row in case.other_rows.items() if name.startswith("payment ") and name.endswith(ending)]
    return any(row["outcome"] == "rejected" for row in rows)


def _undisturbed(record: Json, voucher: Json) -> bool:
    """Whether only we touched what the flag depends on: nobody added entries or changed the total."""
    same: Content = of_coupa(record)
    hands = any(str(entry["notes"] or "").startswith("by hand") for entry in record["payments"])
    return agrees(of_qad(voucher), same) and not hands


def _flag(key: int, record: Json) -> Iterator[str]:
    total = Decimal(record["total-with-taxes"])
    entered = sum((Decimal(entry["amount-paid"]) for entry in record["payments"]), ZERO)
    settled = entered >= total if total > 0 else entered <= total
    if bool(record["paid"]) is not settled:
        yield f"id {key} shows paid={record['paid']} with {entered} of {total} entered"
