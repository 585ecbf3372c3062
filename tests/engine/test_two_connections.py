"""Two connections between the same two tenants, told apart by the chart of accounts: each keeps to its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete

from ml_connector.errors import ConfigurationError
from ml_connector.pairs.base import refuse_overlap
from ml_connector.pairs.coupa_qad.session import COUPA_TO_QAD
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.store.schema import connection
from tests.engine import coupa_qad, way_back
from tests.engine import stories as tell
from tests.engine.coupa_qad import NAME
from tests.engine.world import Json, World

pytestmark = pytest.mark.asyncio
OTHER = NAME + "-two"
TENANTS = ("acme.coupahost.com", "erp.acme.example 10USA 10USACO")


def _rules(chart: str) -> Json:
    return coupa_qad.settings(invoices={"chart_of_accounts": chart}, **way_back.PAYMENTS_ONLY)


async def _two(folder: Path, template: Path) -> World:
    """One order, one invoice of each chart, both posted by their own connection."""
    world = await tell.make(folder, template, invoices={"chart_of_accounts": "Ace One"}, **way_back.PAYMENTS_ONLY)
    await world.admin("coupa", "seed", {"account_types": [{"name": "Ace One"}, {"name": "Ace Two"}]})
    second = replace(world.rows[NAME], name=OTHER, settings=_rules("Ace Two"), settings_version=0)
    await world.connect(second, world.logins[NAME], TENANTS)
    await tell.receive(world, 100)
    for key, chart in ((1, "Ace One"), (2, "Ace Two")):
        await tell.send_in(world, tell.invoice(key, f"A-{key}", 30, account_type={"name": chart}))
    assert await tell.run(world) == {"created": 1}
    assert await tell.run(world, OTHER) == {"created": 1}
    return world


async def _remove(world: World, name: str) -> None:
    async with world.installation() as one, one.store.db.write() as tx:
        await tx.execute(delete(connection).where(connection.c.name == name))


async def test_each_posts_the_invoices_of_its_own_chart(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _two(tmp_path, sqlite_template)
    assert await tell.vouchers(world) == ["A-1", "A-2"]
    assert await world.outcomes(NAME) == {"A-1": "created"}
    assert await world.outcomes(OTHER) == {"A-2": "created"}


async def test_each_reports_the_payments_of_its_own_vouchers_whoever_runs_first(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _two(tmp_path, sqlite_template)
    both = [{"invoiceReference": "A-1"}, {"invoiceReference": "A-2"}]
    await world.admin("qad", "do/pay", {"invoices": both, "status": "Paid"})
    assert await way_back.run(world, OTHER) == {"created": 1}
    assert (await way_back.entries(world, 1), await way_back.entries(world, 2)) == ([], ["360.00"])
    assert await way_back.run(world, NAME) == {"created": 1}
    assert (await way_back.entries(world, 1), await way_back.entries(world, 2)) == (["360.00"], ["360.00"])


async def test_payments_of_a_connection_that_is_gone_are_reported_by_one_heir(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _two(tmp_path, sqlite_template)
    await _remove(world, NAME)
    third = replace(world.rows[OTHER], name=NAME + "-three", settings=_rules("Ace Three"), settings_version=0)
    await world.connect(third, world.logins[OTHER], TENANTS)
    await way_back.pay(world, "A-1")
    found = [await way_back.run(world, name) for name in (OTHER, third.name)]
    assert sorted(map(str, found)) == ["{'created': 1}", "{}"]
    assert await way_back.entries(world, 1) == ["360.00"]


async def test_an_heir_reports_what_was_paid_while_the_vouchers_were_not_its_own(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _two(tmp_path, sqlite_template)
    await way_back.pay(world, "A-1")
    # Its own connection cannot run, and for the other one the payment is nobody's business.
    assert await way_back.run(world, OTHER) == {}
    for day in range(3):
        await world.pass_time(tell.DAY_S)
        keyed = {"supplierCode": "SUP00001", "invoiceReference": f"X{day}", "originalAmountTC": 50}
        await world.admin("qad", "do/key_invoice_by_hand", keyed)
        await way_back.pay(world, f"X{day}")
        assert await way_back.run(world, OTHER) == {}
    await _remove(world, NAME)
    assert await way_back.run(world, OTHER) == {"created": 1}
    assert await way_back.entries(world, 1) == ["360.00"]
    await world.pass_time(900)
    # Having looked again once, it goes on from its mark.
    assert await way_back.run(world, OTHER) == {}


async def test_a_posting_in_doubt_of_a_connection_that_is_gone_keeps_its_payment_waiting_with_the_heir(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _two(tmp_path, sqlite_template)
    await tell.send_in(world, tell.invoice(3, "A-3", 10, account_type={"name": "Ace One"}))
    await tell.break_wire(world, "qad", "reset_after", "POST supplierInvoices", times=1)
    assert (await tell.run(world))["in_doubt"] == 1
    await _remove(world, NAME)
    await way_back.pay(world, "A-3")
    assert await way_back.run(world, OTHER) == {"held": 1}
    await tell.later(world, name=OTHER)
    assert await way_back.run(world, OTHER) == {"created": 1}
    assert await way_back.entries(world, 3) == ["120.00"]


async def test_what_waits_of_a_connection_that_is_gone_is_taken_up_by_its_heir_alone(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _two(tmp_path, sqlite_template)
    third = replace(world.rows[OTHER], name=NAME + "-three", settings=_rules("Ace Three"), settings_version=0)
    await world.connect(third, world.logins[OTHER], TENANTS)
    await tell.send_in(world, tell.invoice(3, "A-3", 100, account_type={"name": "Ace One"}))
    assert (await tell.run(world))["held"] == 1
    await _remove(world, NAME)
    await world.pass_time(900)
    # "-three" comes before "-two", and finds that the invoice is of a chart that nobody sends any more.
    assert await tell.run(world, OTHER) == {}
    assert await tell.run(world, third.name) == {"skipped": 1}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "the invoices of chart_of_accounts Ace One"),
        ({"invoices": {"chart_of_accounts": "Ace Two"}, "suppliers": {}}, "the suppliers in Coupa"),
        (
            {
                "invoices": {"chart_of_accounts": "Ace Two"},
                "reference_data": [{"source": "cost_centers", "lookup": "Cost Centre"}],
            },
            "the values of lookup cost centre",
        ),
    ],
)
async def test_what_two_connections_would_both_write_is_refused(
    tmp_path: Path, sqlite_template: Path, rules: Json, said: str
) -> None:
    codes = {"reference_data": [{"source": "projects", "lookup": "Cost Centre"}]}
    own = {"invoices": {"chart_of_accounts": "Ace One"}, "suppliers": {}} | codes
    world = await coupa_qad.coupa_qad(tmp_path, sqlite_template, **own)
    wanted = CoupaQadSettings.model_validate(coupa_qad.settings(**(way_back.PAYMENTS_ONLY | rules)))
    async with world.installation() as one:
        with pytest.raises(ConfigurationError, match=said):
            await refuse_overlap(one, COUPA_TO_QAD, wanted, name=OTHER, source_tenant=world.rows[NAME].source_tenant)


async def test_a_held_invoice_of_another_chart_is_let_go_when_the_settings_are_narrowed(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await tell.make(tmp_path, sqlite_template, **way_back.PAYMENTS_ONLY)
    await world.admin("coupa", "seed", {"account_types": [{"name": "Ace Two"}]})
    await tell.send_in(world, tell.invoice(1, "A-1", 30, account_type={"name": "Ace Two"}))
    assert await tell.run(world) == {"held": 1}
    await tell.change_settings(world, invoices={"chart_of_accounts": "Ace One"}, **way_back.PAYMENTS_ONLY)
    await tell.receive(world, 100)
    assert await tell.later(world) == {"skipped": 1}
    assert await tell.stands(world) == {"A-1": "skipped filter_chart_of_accounts"}
    assert await tell.vouchers(world) == []


async def test_a_posted_invoice_is_not_to_be_reversed_because_the_settings_were_narrowed(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await tell.make(tmp_path, sqlite_template, **way_back.PAYMENTS_ONLY)
    await world.admin("coupa", "seed", {"account_types": [{"name": "Ace Two"}]})
    await tell.receive(world, 100)
    await tell.send_in(world, tell.invoice(1, "A-1", 30, account_type={"name": "Ace Two"}))
    await world.admin("coupa", "do/refuse_updates", {"id": 1, "message": "Billing account is inactive"})
    assert await tell.run(world) == {"rejected": 1}
    await world.admin("coupa", "do/refuse_updates", {"id": 1, "message": None})
    await tell.change_settings(world, invoices={"chart_of_accounts": "Ace One"}, **way_back.PAYMENTS_ONLY)
    assert await tell.later(world) == {"created": 1}
    assert (await world.truth("coupa"))["exported"] == {"1": 1}
