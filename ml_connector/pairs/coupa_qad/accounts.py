"""What is booked on accounts instead of receipts: lines without an order, charges and tax, each by the settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from ml_connector.domain.money import ZERO, rounded
from ml_connector.domain.records import InvoiceLine, SupplierInvoice
from ml_connector.pairs.coupa_qad.settings import Accounts, Coding, InvoiceRules


@dataclass(frozen=True, slots=True)
class Booking:
    """An amount with the document's sign and its account, None where the settings have none for this `kind`."""

    kind: str
    coding: Coding | None
    amount: Decimal
    text: str


def bookings(invoice: SupplierInvoice, rules: InvoiceRules) -> Iterator[Booking]:
    """Everything of an invoice that no receipt covers; lines without an order only where they may be posted."""
    accounts = rules.accounts
    for line in without_po(invoice) if rules.non_po == "post" else ():
        kind = f"account {line.account}" if line.account else f"line {line.number}, which has no single account"
        yield Booking(kind, accounts.of_line(line.account), line.total, line.description)
    for charge in invoice.charges:
        yield Booking(charge.kind, accounts.coding(charge.kind), charge.amount, charge.kind)
    yield from _tax(invoice, accounts)


def missing(found: Iterable[Booking]) -> list[str]:
    """For what the settings name no account."""
    return sorted({one.kind for one in found if one.amount and one.coding is None})


def without_po(invoice: SupplierInvoice) -> list[InvoiceLine]:
    """Lines that name no purchase order."""
    return [line for line in invoice.lines if line.po_number is None]


def _tax(invoice: SupplierInvoice, accounts: Accounts) -> Iterator[Booking]:
    """Tax by the codes that have an account of their own, and the rest of it in one amount."""
    by_code: dict[str, Decimal] = {}
    for line in invoice.lines:
        by_code[line.tax_code] = by_code.get(line.tax_code, ZERO) + line.tax
    rest = invoice.tax
    for code, coding in accounts.tax_codes.items():
        rest -= by_code.get(code, ZERO)
        yield Booking(f"tax code {code}", coding, by_code.get(code, ZERO), f"tax {code}")
    others = sorted(code for code, amount in by_code.items() if amount and code and code not in accounts.tax_codes)
    yield Booking(f"tax code {', '.join(others)}" if others else "tax", accounts.tax, rest, "tax")


class Cents:
    """Hands out amounts that fit the currency; what rounding took from one is added to the next that needs rounding."""

    def __init__(self, currency: str, before: Decimal = ZERO) -> None:
        self._currency = currency
        self._carry = before - rounded(before, currency)

    def take(self, amount: Decimal) -> Decimal:
        """The amount as it is if it fits, else rounded so that the sum of all stays right to the cent."""
        if amount == rounded(amount, self._currency):
            return amount
        exact = amount + self._carry
        fitting = rounded(exact, self._currency)
        self._carry = exact - fitting
        return fitting
