"""What is booked on accounts: nothing is lost or made up by codes or by rounding, whatever the numbers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as some

from ml_connector.domain.money import rounded
from ml_connector.domain.records import DocumentKind, InvoiceCharge, InvoiceLine, SupplierInvoice
from ml_connector.pairs.coupa_qad.accounts import Cents, bookings, missing
from ml_connector.pairs.coupa_qad.settings import Accounts, Coding, InvoiceRules
from tests.unit.domain.scenes import steady

amounts = some.decimals(min_value=-10_000, max_value=10_000, places=4)
to_the_cent = some.decimals(min_value=-10_000, max_value=10_000, places=2)
codes = some.sampled_from(["", "CA", "NY", "WA"])
CODED = Accounts(tax=Coding(account="7100"), tax_codes={"CA": Coding(account="7110"), "NY": Coding(account="7120")})


def _line(number: int, total: Decimal, *, tax: Decimal = Decimal(0), code: str = "") -> InvoiceLine:
    return InvoiceLine(number, "Advice", total, account="6100", tax=tax, tax_code=code)


def _invoice(
    *lines: InvoiceLine, header_tax: Decimal | None = None, charges: tuple[InvoiceCharge, ...] = ()
) -> SupplierInvoice:
    tax = sum((one.tax for one in lines), Decimal(0)) if header_tax is None else header_tax
    return SupplierInvoice(
        key="1",
        number="A-1",
        kind=DocumentKind.INVOICE,
        status="approved",
        supplier_number="SUP00001",
        supplier_name="Acme Metals",
        currency="USD",
        invoice_date=date(2026, 2, 9),
        total=sum((one.total for one in lines), tax),
        tax=tax,
        lines=lines,
        charges=charges,
    )


@steady
@given(before=amounts, parts=some.lists(amounts))
def test_rounding_moves_the_sum_by_less_than_a_cent(before: Decimal, parts: list[Decimal]) -> None:
    cents = Cents("USD", before)
    taken = [cents.take(part) for part in parts]
    assert all(one == rounded(one, "USD") for one in taken)
    exact = before + sum(parts)
    assert abs(rounded(before, "USD") + sum(taken) - exact) <= Decimal("0.005")


@steady
@given(before=amounts, parts=some.lists(to_the_cent))
def test_an_amount_that_fits_the_currency_is_never_touched(before: Decimal, parts: list[Decimal]) -> None:
    cents = Cents("USD", before)
    assert [cents.take(part) for part in parts] == parts


@steady
@given(taxes=some.lists(some.tuples(amounts, codes), min_size=1))
def test_tax_is_booked_once_whatever_its_codes(taxes: list[tuple[Decimal, str]]) -> None:
    lines = [_line(n, Decimal(0), tax=tax, code=code) for n, (tax, code) in enumerate(taxes, start=1)]
    invoice = _invoice(*lines)
    found = list(bookings(invoice, InvoiceRules(accounts=CODED)))
    assert sum(one.amount for one in found) == invoice.tax
    assert len({one.coding for one in found if one.coding}) == len(found)


def test_header_tax_has_no_code() -> None:
    invoice = _invoice(_line(1, Decimal(10), code="CA"), header_tax=Decimal(2))
    found = [(one.text, one.amount) for one in bookings(invoice, InvoiceRules(accounts=CODED)) if one.amount]
    assert found == [("tax", Decimal(2))]


def test_tax_that_cancels_itself_needs_no_account() -> None:
    lines = [_line(1, Decimal(10), tax=Decimal(19), code="RC"), _line(2, Decimal(10), tax=Decimal(-19), code="RC2")]
    assert missing(bookings(_invoice(*lines), InvoiceRules())) == []


def test_every_tax_code_without_an_account_is_named() -> None:
    lines = [_line(1, Decimal(10), tax=Decimal(1), code="WA"), _line(2, Decimal(10), tax=Decimal(1), code="OR")]
    assert missing(bookings(_invoice(*lines), InvoiceRules())) == ["tax code OR, WA"]


def test_a_charge_takes_its_own_account_and_never_one_that_is_meant_for_lines() -> None:
    accounts = Accounts(misc=Coding(account="7200"), default=Coding(account="6400"))
    charges = tuple(InvoiceCharge(kind, Decimal(1)) for kind in ("shipping", "default", "lines", "customs"))
    found = bookings(_invoice(charges=charges), InvoiceRules(accounts=accounts))
    shown = {one.kind: one.coding.account if one.coding else "" for one in found if one.amount}
    assert shown == {"shipping": "", "default": "7200", "lines": "7200", "customs": "7200"}


def test_lines_without_an_order_are_booked_only_where_they_may_be_posted() -> None:
    invoice = _invoice(_line(1, Decimal(10)))
    assert [list(bookings(invoice, InvoiceRules(non_po=rule)))[:-1] for rule in ("reject", "hold")] == [[], []]
    assert missing(bookings(invoice, InvoiceRules(non_po="post"))) == ["account 6100"]
