"""Bad input: a bad record is rejected alone, a bad setting stops before any call, oddities go through."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml_connector.errors import ConfigurationError, ContractError
from ml_connector.store import ledger
from tests.engine import coupa_qad
from tests.engine import stories as tell
from tests.engine.coupa_qad import NAME
from tests.engine.stories import PO, invoice, later, line, make, receive, run, stands, vouchers
from tests.engine.world import World


async def _stocked(folder: Path, template: Path, quantity: int = 100, **changes: Any) -> World:
    world = await make(folder, template, **changes)
    await receive(world, quantity)
    return world


# ---- records

NO_SUPPLIER = {"supplier": {"name": "Nobody"}}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing number": ({"invoice_number": ""}, "number_missing"),
    "blank number": ({"invoice_number": "  "}, "number_missing"),
    "number too long": ({"invoice_number": "N" * 41}, "number_too_long"),
    "unknown currency": ({"currency": {"code": "QQQ"}}, "currency_unknown"),
    "no currency": ({"currency": None}, "currency_unknown"),
    "lines that do not add up": ({"total_with_taxes": "601.00"}, "total_differs"),
    "a line that does not add up": (
        {"lines": [line(50, total="601")], "total_with_taxes": "601"},
        "line_total_differs",
    ),
    "a cent too much": ({"total_with_taxes": "600.01"}, "total_differs"),
    "negative quantity": ({"lines": [line(60), line(-10)], "total_with_taxes": "600"}, "mixed_signs"),
    "negative quantity, positive total": (
        {"lines": [line(-50, total="600")], "total_with_taxes": "600"},
        "mixed_signs",
    ),
    "zero": ({"lines": [line(0)], "total_with_taxes": "0"}, "zero_total"),
    "no lines": ({"invoice_lines": [], "total_with_taxes": "600"}, "no_lines"),
    "no date": ({"invoice_date": None}, "date_missing"),
    "no supplier number": (NO_SUPPLIER, "supplier_number_missing"),
    "no purchase order": ({"lines": [line(50, po=None)]}, "line_without_po"),
    "order number too long": ({"lines": [line(50, po="PO2000011")]}, "po_number_too_long"),
    "order of another supplier": ({"supplier": {"number": "SUP00003"}}, "po_other_supplier"),
    "order in another currency": ({"currency": {"code": "EUR"}}, "po_other_currency"),
    "a total that is no number": ({"total_with_taxes": None, "gross_total": None}, "source_unreadable"),
    "an order line that is no number": ({"lines": [line(50, **{"order-line-num": "one"})]}, "source_unreadable"),
}


@pytest.mark.parametrize(("members", "code"), BAD.values(), ids=BAD)
async def test_a_bad_invoice_is_rejected_with_its_reason_and_the_batch_goes_on(
    tmp_path: Path, sqlite_template: Path, members: dict[str, Any], code: str
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1", 50, **members), invoice(2, "A-2", 50))
    assert await run(world) == {"rejected": 1, "created": 1}
    row = (await tell.rows(world))["1"]
    assert code in [one.code for one in row.reasons]
    assert await vouchers(world) == ["A-2"]
    before = await world.calls("qad")
    assert await later(world, 60) == {"rejected": 1}
    assert await world.calls("qad") == before


async def test_a_snapshot_of_a_rejected_invoice_is_kept_sealed_for_replay(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1", 50, total_with_taxes="601"))
    await run(world)
    row = (await tell.rows(world))["1"]
    async with world.installation() as one:
        snapshot, _ = await ledger.sealed(one.store.db, row.id)
        assert snapshot is not None
        content = one.store.keys.open(snapshot, about=row.id)
    assert b"Goods" not in snapshot
    assert json.loads(content)["record"]["number"] == "A-1"


async def test_a_quantity_beyond_all_sense_is_rejected_and_breaks_nothing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    huge = line(10**18)
    await tell.send_in(world, invoice(1, "A-1", lines=[huge]), invoice(2, "A-2"))
    assert await run(world) == {"rejected": 1, "created": 1}
    assert await stands(world) == {"A-1": "rejected number_out_of_range", "A-2": "created"}


# ---- large, long and strange, but right


async def test_an_invoice_of_ten_thousand_lines_is_posted(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    await tell.order(world, "PO200002", quantity=10_000)
    await receive(world, 10_000, "PO200002")
    await tell.send_in(world, invoice(1, "A-1", lines=[line(1, po="PO200002") for _ in range(10_000)]))
    assert await run(world) == {"created": 1}
    assert float((await world.truth("qad"))["matched"]["PO200002/1"]) == 10_000


STRANGE = ("Größe-Ω/2026", "発票-七", "فاتورة-١", "A,B;C", "50% 'x' \"y\"", "a&b=c?d#e", "🙂-1", "A\\1 *", "A_1%")


async def test_numbers_in_any_script_are_posted_once_and_found_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, *(invoice(n, number, 5 + n) for n, number in enumerate(STRANGE, 1)))
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices", times=-1)
    await run(world)
    await tell.mend_wire(world, "qad")
    await later(world, 700)
    assert set((await stands(world)).values()) == {"created"}
    assert sorted(await vouchers(world)) == sorted(STRANGE)


async def test_texts_longer_than_their_field_are_shortened_by_one_rule(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    text = "Stahlblech – 3 mm verzinkt,\n Sonderzuschnitt für Größe Ω " * 4
    credit = line(-10, description=text)
    await tell.send_in(world, invoice(1, "A-1", 50), invoice(2, "C-2", -10, lines=[credit]))
    assert await run(world) == {"created": 2}
    shown = await world.admin("qad", "state/supplierInvoice", method="GET")
    (lines,) = [one["supplierInvoiceLines"] for one in shown if one["invoiceReference"] == "C-2"]
    assert lines[0]["description"] == "Stahlblech – 3 mm verzinkt, Sonderzusch…"


async def test_a_supplier_with_a_name_longer_than_any_field_is_posted(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    long_name = {"number": "SUP00001", "name": "Ü" * 500}
    await tell.send_in(world, invoice(1, "A-1", supplier=long_name))
    assert await run(world) == {"created": 1}


# ---- answers


async def _shown(world: World, number: int = 1) -> dict[str, Any]:
    """The invoice list's first row as Coupa shows it."""
    found = [one for one in await world.admin("coupa", "state/invoices", method="GET") if one["id"] == number]
    return dict(found[0])


async def _answers(world: World, rows: Any) -> None:
    await tell.break_wire(world, "coupa", "status", "GET /api/invoices", status=200, body=rows)


async def test_unknown_fields_in_answers_are_ignored_and_counted(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await _answers(world, [await _shown(world) | {"brand-new-member": {"deep": [1]}}])
    async with world.session(tell.DIRECTION, NAME) as session:
        steps = session.steps
        page = await steps.fetch("invoices", 0, tell.STREAM, None)
        page = await steps.write(await steps.dedupe(await steps.match_check(page)))
        assert page.counts == {"created": 1}
        assert session.ignored()["Invoice.brand-new-member"] == 1


@pytest.mark.parametrize("member", ["status", "invoice-lines"])
async def test_an_invoice_that_lacks_a_required_field_is_rejected_by_path_and_the_batch_goes_on(
    tmp_path: Path, sqlite_template: Path, member: str
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"), invoice(2, "A-2"))
    first, second = await _shown(world, 1), await _shown(world, 2)
    del first[member]
    await _answers(world, [first, second])
    assert await run(world) == {"rejected": 1, "created": 1}
    why = (await tell.rows(world))["1"].reasons[0]
    assert (why.code, member in why.params["path"]) == ("source_unreadable", True)
    assert await later(world, 60) == {"created": 1}, "the next answer is whole again"


@pytest.mark.parametrize("body", [{"invoices": []}, [{"invoice-number": "A-1"}], [17], "<html>"])
async def test_an_answer_that_breaks_the_contract_stops_the_run(
    tmp_path: Path, sqlite_template: Path, body: Any
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    await _answers(world, body)
    with pytest.raises(ContractError):
        await run(world)
    assert await vouchers(world) == []
    assert await later(world, 60) == {"created": 1}


async def test_a_qad_list_without_a_required_column_stops_the_run_and_names_it(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _stocked(tmp_path, sqlite_template)
    await tell.send_in(world, invoice(1, "A-1"))
    rows = {"data": [{"prh_hist.prh_nbr": PO, "prh_hist.prh_line": 1}], "auxillaryData": {"HasMoreParams": "false"}}
    await tell.break_wire(world, "qad", "status", "po501", status=200, body=rows)
    with pytest.raises(ContractError, match="prh_receiver"):
        await run(world)
    assert await vouchers(world) == []


# ---- settings and addresses

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelled setting": ({"invoices": {"hold_limit": 3}}, r"invoices\.hold_limit"),
    "a hold limit of nothing": ({"invoices": {"hold_limit_days": 0}}, r"invoices\.hold_limit_days"),
    "no domain": ({"qad": {"domain": None}}, r"qad\.domain"),
    "an account too long": ({"invoices": {"accounts": {"tax": {"account": "123456789"}}}}, r"accounts\.tax\.account"),
    "an unknown time zone": ({"coupa": {"time_zone": "Mars/Olympus"}}, r"coupa\.time_zone"),
    "a page of nothing": ({"coupa": {"page_size": 0}}, r"coupa\.page_size"),
    "history without an integration": ({"coupa": {"integration_code": ""}}, "integration_code"),
}


@pytest.mark.parametrize(("changes", "told"), WRONG.values(), ids=WRONG)
async def test_a_wrong_setting_is_one_line_before_any_call(
    tmp_path: Path, sqlite_template: Path, changes: dict[str, Any], told: str
) -> None:
    world = await make(tmp_path, sqlite_template, **changes)
    with pytest.raises(ConfigurationError, match=told) as caught:
        await run(world)
    assert NAME in str(caught.value)
    assert "\n" not in str(caught.value)
    assert await world.calls("coupa") + await world.calls("qad") == 0


ADDRESSES = [
    "http://acme.example",
    "http://10.0.0.5",
    "https://10.0.0.5",
    "https://192.168.1.4",
    "https://169.254.169.254",
    "https://[fd00::1]",
    "https://[::ffff:10.0.0.5]",
    "https://0.0.0.0",
    "ftp://127.0.0.1",
    "https://user:hunter2@8.8.8.8",
    "https://8.8.8.8/?x=1",
    "127.0.0.1",
    "",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("side", [0, 1])
async def test_an_address_that_must_not_be_called_is_refused_before_any_call(
    tmp_path: Path, sqlite_template: Path, side: int, address: str
) -> None:
    world = await make(tmp_path, sqlite_template)
    world.logins[NAME][side] = world.logins[NAME][side].model_copy(update={"base_url": address})
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        await run(world)
    assert "hunter2" not in str(caught.value)
    assert await world.calls("coupa") + await world.calls("qad") == 0


async def test_a_private_address_is_called_where_the_settings_allow_it(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _stocked(tmp_path, sqlite_template, coupa={"allow_private": True})
    world.logins[NAME][0] = world.logins[NAME][0].model_copy(update={"base_url": "https://10.0.0.5"})
    await tell.send_in(world, invoice(1, "A-1"))
    assert await run(world) == {"created": 1}


async def test_a_login_of_another_system_is_refused_by_name(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    world.logins[NAME].reverse()
    with pytest.raises(ConfigurationError, match=NAME):
        await run(world)


async def test_an_unknown_connection_is_refused_by_name(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    with pytest.raises(ConfigurationError, match="nobody"):
        await run(world, "nobody")


async def test_a_connection_with_an_unknown_time_zone_is_not_stored(tmp_path: Path, sqlite_template: Path) -> None:
    world = await make(tmp_path, sqlite_template)
    row = replace(world.rows[NAME], time_zone="Nowhere/Land")
    with pytest.raises(ConfigurationError, match="time_zone"):
        await world.connect(row, coupa_qad.logins(), ("acme.coupahost.com", "erp.acme.example 10USA 10USACO"))
