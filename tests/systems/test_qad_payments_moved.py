"""Allocations that people in QAD move or take off: what a payment gave and gives no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ml_connector.domain.records import Unreadable
from ml_connector.systems.qad.sources import Payments
from tests.systems.qad_server import Tenant, open_qad, tenant_with_masters
from tests.systems.test_qad_sources import BEGIN, A, B, Json, Ledger, records, row


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters() as one:
        await one.seed(supplierInvoices=[{"invoiceReference": name, "originalAmountTC": 100} for name in ("A", "B")])
        yield one


def remembering(tenant: Any, *keys: str) -> Payments:
    """A source for somebody who knows these allocations, each of a document with the reference `known`."""

    async def known(payments: Any) -> dict[str, str]:
        return {key: "known" for key in keys if key.partition(">")[0] in payments}

    client = tenant.client() if isinstance(tenant, Tenant) else open_qad(tenant)
    return Payments(client, begin=BEGIN, known=known)


NOTHING = {"state": "reversed", "amount": 0, "discount": 0, "reference": "known", "supplier_number": "SUP00001"}


def shown(one: Any) -> Json:
    return {name: getattr(one, name) for name in NOTHING}


async def test_what_a_payment_gives_no_more_is_told_as_nothing(tenant: Tenant) -> None:
    number = (await tenant.do("pay", invoiceReference="A"))["paymentNumber"]
    first, second = f"10USACO/2026/{number}>{A}", f"10USACO/2026/{number}>{B}"
    places = {"from": {"invoiceReference": "A"}, "to": {"invoiceReference": "B"}}
    await tenant.do("move_allocation", paymentNumber=number, **places)
    found = await records(remembering(tenant, first, f"10USACO/2026/9>{A}"))
    assert sorted(found) == [first, second]
    assert (shown(found[first]), found[first].document) == (NOTHING, A)
    assert (found[second].state, found[second].amount) == ("paid", 100)
    # Without any allocation the payment still shows itself.
    await tenant.do("move_allocation", paymentNumber=number, **{"from": {"invoiceReference": "B"}})
    found = await records(remembering(tenant, first, second))
    assert {key: shown(one) for key, one in found.items()} == {first: NOTHING, second: NOTHING}


async def test_a_payment_without_the_invoice_is_asked_by_key_and_gives_nothing(tenant: Tenant) -> None:
    await tenant.do("pay", invoiceReference="A")
    await tenant.do("move_allocation", paymentNumber=50001, **{"from": {"invoiceReference": "A"}})
    key = f"10USACO/2026/50001>{A}"
    found = await remembering(tenant, key).by_key([key, f"10USACO/2026/9>{A}"])
    assert {key: shown(one) for key, one in found.items()} == {key: NOTHING}
    stranger = await remembering(tenant).by_key([key])
    assert getattr(stranger[key], "amount", None) == 0


async def test_a_list_that_shows_a_part_of_a_payment_proves_nothing() -> None:
    server = Ledger(row(), whole={7: [row(), row(voucher=10002, amount=5)]})
    found = await records(remembering(server, f"10USACO/2026/7>{A}", f"10USACO/2026/7>{B}"))
    assert {key[-1]: (one.state, one.amount) for key, one in found.items()} == {"1": ("paid", 10), "2": ("paid", 5)}


async def test_a_row_that_hides_its_invoice_may_be_the_one_that_is_missing() -> None:
    hidden = row()
    del hidden["invoiceVoucher"]
    server = Ledger(hidden, whole={7: [hidden]})
    found = await records(remembering(server, f"10USACO/2026/7>{A}"))
    assert [type(one) for one in found.values()] == [Unreadable, Unreadable]


async def test_a_payment_that_cannot_be_read_by_its_key_takes_nothing_back() -> None:
    found = await records(remembering(Ledger(row(voucher=0)), f"10USACO/2026/7>{A}"))
    assert {key: type(one) for key, one in found.items()} == {f"10USACO/2026/7>{A}": Unreadable}


async def test_what_is_known_and_shown_costs_no_question(tenant: Tenant) -> None:
    await tenant.do("pay", invoiceReference="A")
    await records(remembering(tenant, f"10USACO/2026/50001>{A}"))
    assert tenant.calls("/supplierPayments") == []
