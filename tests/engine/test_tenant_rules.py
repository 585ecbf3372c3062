"""What a customer may choose about posting: lines without an order, accounts and tax codes, dates, periods, modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine import coupa_qad
from tests.engine import stories as tell
from tests.engine.stories import DAY_S, invoice, later, line, make, run, stands, vouchers
from tests.engine.world import Json, World

IT, FREIGHT = {"code": "6100-CC10"}, {"code": "6200-CC10"}
ACCOUNTS: Json = coupa_qad.settings()["invoices"]["accounts"]


def _booked(rules: Json, **accounts: Any) -> Json:
    """Invoice rules with these accounts beside the usual ones."""
    return rules | {"accounts": ACCOUNTS | accounts}


async def _posted(world: World) -> Json:
    """The one invoice that QAD holds."""
    (found,) = await world.admin("qad", "state/supplierInvoices", method="GET")
    return dict(found)


def _lines(found: Json) -> list[tuple[str, str, str, float]]:
    """The booked lines in short: account, cost centre, text, amount."""
    return [
        (one["glAccountCode"], one["costCenterCode"], one["description"], float(one["amountTC"]))
        for one in found["supplierInvoiceLines"]
    ]


def _service(amount: str, account: Json | None = None, **members: Any) -> Json:
    """A line over an amount that names no order."""
    found = {"type": "InvoiceAmountLine", "description": "Advice", "total": amount, "tax-amount": "0.00"}
    return found | ({"account": account} if account else {}) | members


def _bill(key: int, number: str, total: str, *lines: Json, **members: Any) -> Json:
    return invoice(key, number, lines=[line(1)], **members) | {
        "invoice-lines": list(lines),
        "total-with-taxes": total,
        "gross-total": total,
    }


async def _why(world: World, number: str) -> str:
    """The reasons of a record as an analyst reads them."""
    row = (await world.standing(coupa_qad.NAME))[number]
    return "; ".join(one.text for one in row.reasons)


async def test_rejects_lines_without_an_order_unless_told_otherwise(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.send_in(world, _bill(1, "S-1", "80.00", _service("80.00", IT)))
    assert await run(world) == {"rejected": 1}
    assert await stands(world) == {"S-1": "rejected line_without_po"}


async def test_books_lines_without_an_order_by_their_accounts(tmp_path: Path, sqlite_template: Path) -> None:
    coding = {"account": "6300", "cost_center": "CC20"}
    rules = _booked({"non_po": "post"}, lines={"6100-CC10": coding}, default={"account": "6400"})
    world = await make(tmp_path, sqlite_template, invoices=rules)
    await tell.send_in(world, _bill(1, "S-1", "100.50", _service("80.50", IT), _service("20.00", FREIGHT)))
    assert await run(world) == {"created": 1}
    found = await _posted(world)
    assert _lines(found) == [("6300", "CC20", "Advice", 80.5), ("6400", "", "Advice", 20.0)]
    assert (found["supplierInvoicePOs"], found["receiverMatchingLines"]) == ([], [])
    assert found["invoiceStatusCode"] == "AP-NOALLOC"


async def test_rejects_a_line_whose_account_is_mapped_to_none_and_names_it(
    tmp_path: Path, sqlite_template: Path
) -> None:
    rules = _booked({"non_po": "post"}, lines={"6100-CC10": {"account": "6400"}})
    world = await make(tmp_path, sqlite_template, invoices=rules)
    await tell.send_in(
        world,
        _bill(1, "S-1", "30.00", _service("10.00", IT), _service("20.00", FREIGHT)),
        _bill(2, "S-2", "10.00", _service("10.00")),
    )
    assert await run(world) == {"rejected": 2}
    assert await _why(world, "S-1") == "no account is configured for account 6200-CC10"
    assert await _why(world, "S-2") == "no account is configured for line 1, which has no single account"


async def test_a_mixed_invoice_waits_for_its_receipts_and_books_the_rest(tmp_path: Path, sqlite_template: Path) -> None:
    rules = _booked({"non_po": "post", "non_po_status_code": "AP-GLALLOC"}, default={"account": "6400"})
    world = await make(tmp_path, sqlite_template, invoices=rules)
    await tell.send_in(world, _bill(1, "M-1", "625.00", line(50), _service("25.00", IT)))
    assert await run(world) == {"held": 1}
    await tell.receive(world, 50)
    assert await later(world, 60) == {"created": 1}
    found = await _posted(world)
    assert _lines(found) == [("6400", "", "Advice", 25.0)]
    assert [one["matchQuantity"] for one in found["receiverMatchingLines"]] == [50]
    assert found["invoiceStatusCode"] == "AP-RMALLOC"


async def test_an_invoice_without_any_order_takes_its_own_status(tmp_path: Path, sqlite_template: Path) -> None:
    rules = _booked({"non_po": "post", "non_po_status_code": "AP-GLALLOC"}, default={"account": "6400"})
    world = await make(tmp_path, sqlite_template, invoices=rules)
    await tell.send_in(world, _bill(1, "S-1", "25.00", _service("25.00", IT)))
    assert await run(world) == {"created": 1}
    assert (await _posted(world))["invoiceStatusCode"] == "AP-GLALLOC"


async def test_a_credit_note_without_an_order_is_booked_with_positive_amounts(
    tmp_path: Path, sqlite_template: Path
) -> None:
    rules = _booked({"non_po": "post"}, default={"account": "6400"})
    world = await make(tmp_path, sqlite_template, invoices=rules)
    await tell.send_in(world, _bill(1, "C-1", "-25.00", _service("-25.00", IT), document_type="Credit Note"))
    assert await run(world) == {"created": 1}
    assert await vouchers(world) == ["-C-1"]
    assert _lines(await _posted(world)) == [("6400", "", "Advice", 25.0)]


async def test_an_initial_invoice_needs_no_account_and_carries_its_amount_alone(
    tmp_path: Path, sqlite_template: Path
) -> None:
    qad = coupa_qad.settings()["qad"] | {"invoice": {"mode": "initial_invoice", "status_code": "AP-INITIAL"}}
    world = await make(tmp_path, sqlite_template, qad=qad, invoices={"non_po": "post"})
    await tell.receive(world, 50)
    await tell.send_in(world, _bill(1, "S-1", "25.00", _service("25.00", IT)), invoice(2, "A-2"), invoice(3, "A-3"))
    # The gate holds in this mode too, although QAD is told no receipts.
    assert await run(world) == {"created": 2, "held": 1}
    shown = await world.admin("qad", "state/supplierInvoices", method="GET")
    amounts = [(one["invoiceReference"], float(one["originalAmountTC"]), one["isInitialStatus"]) for one in shown]
    assert sorted(amounts) == [("A-2", 600.0, True), ("S-1", 25.0, True)]
    assert all(not one["receiverMatchingLines"] and not one["supplierInvoiceLines"] for one in shown)


async def test_a_line_without_an_order_waits_until_coupa_names_one(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, invoices={"non_po": "hold"})
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1", lines=[line(50, po=None)]))
    assert await run(world) == {"held": 1}
    assert await stands(world) == {"A-1": "held line_waits_for_po"}
    await tell.do(world, "edit_invoice", 1, changes={"invoice-lines": [line(50)]})
    assert await later(world, 60) == {"created": 1}


async def test_a_hold_ends_after_the_days_that_the_customer_set(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, invoices={"hold_limit_days": 3})
    await tell.send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"held": 1}
    assert await later(world, 2 * DAY_S) == {"held": 1}
    assert await later(world, 1.1 * DAY_S) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected hold_expired receipt_missing"}


async def test_only_the_chosen_payment_channels_are_posted(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, invoices={"payment_channels": ["Coupa Pay"]})
    await tell.receive(world, 50)
    await tell.send_in(
        world,
        invoice(1, "A-1", 10, payment_channel="ERP"),
        invoice(2, "A-2", 20, payment_channel="Coupa Pay"),
    )
    assert await run(world) == {"created": 1, "skipped": 1}
    assert await vouchers(world) == ["A-2"]


async def test_tax_is_booked_by_its_code(tmp_path: Path, sqlite_template: Path) -> None:
    rules = _booked({}, tax_codes={"CA": {"account": "6400"}, "NY": {"account": "6300", "cost_center": "CC10"}})
    world = await make(tmp_path, sqlite_template, invoices=rules)
    await tell.receive(world, 50)
    taxed = [
        line(10) | {"tax-amount": "8.00", "tax-code": {"code": "CA"}},
        line(10) | {"tax-amount": "2.00", "tax-code": {"code": "CA"}},
        line(10) | {"tax-amount": "3.00", "tax-code": {"code": "WA"}},
    ]
    await tell.send_in(world, _bill(1, "T-1", "373.00", *taxed, line_level_taxation=True))
    assert await run(world) == {"created": 1}
    assert _lines(await _posted(world)) == [("6400", "", "tax CA", 10.0), ("7100", "", "tax", 3.0)]


async def test_tax_of_a_code_without_an_account_is_rejected_by_its_name(tmp_path: Path, sqlite_template: Path) -> None:
    rules = {"accounts": {"tax_codes": {"CA": {"account": "6400"}}}}
    world = await make(tmp_path, sqlite_template, invoices=rules)
    await tell.receive(world, 50)
    taxed = line(10) | {"tax-amount": "8.00", "tax-code": {"code": "WA"}}
    await tell.send_in(world, _bill(1, "T-1", "128.00", taxed, line_level_taxation=True))
    assert await run(world) == {"rejected": 1}
    assert await _why(world, "T-1") == "no account is configured for tax code WA"


async def test_amounts_finer_than_the_currency_are_booked_to_the_cent(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, invoices=_booked({"non_po": "post"}, default={"account": "6400"}))
    await tell.send_in(world, _bill(1, "S-1", "20.01", _service("10.005"), _service("10.005")))
    assert await run(world) == {"created": 1}
    assert [amount for *_, amount in _lines(await _posted(world))] == [10.01, 10.0]


@pytest.mark.parametrize(("rule", "day"), [("today", "2026-02-10"), ("invoice_date", "2026-02-09")])
async def test_the_posting_date_is_the_day_or_that_of_the_invoice(
    rule: str, day: str, tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, invoices={"posting_date": rule})
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"created": 1}
    assert (await _posted(world))["postingDate"].startswith(day)


async def test_a_closed_period_is_waited_for_until_qad_accepts_the_day(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    await world.admin("qad", "do/close_period", {"period": "2026/02"})
    assert await run(world) == {"held": 1}
    assert await _why(world, "A-1") == "the target refused create: period_closed"
    # March is open: the posting date is that of the day on which it works.
    assert await later(world, 20 * DAY_S) == {"created": 1}
    assert (await _posted(world))["postingDate"].startswith("2026-03-02")


async def test_a_closed_period_of_the_invoice_date_is_waited_for_until_it_opens(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, invoices={"posting_date": "invoice_date"})
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    await world.admin("qad", "do/close_period", {"period": "2026/02"})
    assert await run(world) == {"held": 1}
    assert await later(world, 20 * DAY_S) == {"held": 1}
    await world.admin("qad", "do/open_period", {"period": "2026/02"})
    assert await later(world, 60) == {"created": 1}
    assert (await _posted(world))["postingDate"].startswith("2026-02-09")


async def test_a_closed_period_is_rejected_where_a_person_shall_decide(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template, invoices={"closed_period": "reject"})
    await tell.receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    await world.admin("qad", "do/close_period", {"period": "2026/02"})
    assert await run(world) == {"rejected": 1}
    assert await stands(world) == {"A-1": "rejected target_refused"}
    assert await later(world, DAY_S) == {"rejected": 1}
    assert len(await tell.calls(world, "qad", tell.POST)) == 1
