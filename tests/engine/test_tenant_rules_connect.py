"""Settings that name something in a tenant are looked up when connecting, so no invoice has to find the mistake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ml_connector.clock import ManualClock
from ml_connector.http.tokens import MemoryTokenStore
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.pairs.coupa_qad.validate import check_settings
from ml_connector.systems.coupa import client as coupa_client
from ml_connector.systems.ping import PingCheck
from ml_connector.systems.qad import client as qad_client
from ml_connector.systems.qad.ports import QadRest
from sandbox.coupa.app import create as create_coupa
from sandbox.kit.clock import Clock
from sandbox.qad.app import create as create_qad
from tests.engine import coupa_qad
from tests.engine.world import START, Json

FIELDS = {"custom_fields": {"purchase_orders": ["cf-qad-order"]}}


class Tenants:
    """Both stand-in tenants with their masters, and a check of settings against them."""

    def __init__(self) -> None:
        self.apps: dict[str, Any] = {
            "coupa": create_coupa(clock=Clock(START), options=FIELDS),
            "qad": create_qad(clock=Clock(START)),
        }

    async def admin(self, system: str, path: str, body: Json | None = None) -> None:
        transport = httpx.ASGITransport(app=self.apps[system])
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            answer = await http.post(f"/_sandbox/{path}", json=body)
            assert answer.status_code < 300, answer.text

    async def check(self, **changes: Any) -> list[PingCheck]:
        """What connecting with these settings says."""
        settings = CoupaQadSettings.model_validate(coupa_qad.settings(**changes))
        logins, clock = coupa_qad.logins(), ManualClock(START)
        ends: Json = {"store": MemoryTokenStore(), "clock": clock}
        ways = {name: httpx.ASGITransport(app=app) for name, app in self.apps.items()}
        coupa = coupa_client.open_client(
            logins[0], settings.coupa, name="coupa", slot="coupa", transport=ways["coupa"], **ends
        )
        qad = qad_client.open_client(logins[1], settings.qad, name="qad", slot="qad", transport=ways["qad"], **ends)
        try:
            return await check_settings(coupa, QadRest(qad), settings)
        finally:
            await coupa.http.aclose()
            await qad.http.aclose()


@pytest.fixture
async def tenants() -> AsyncIterator[Tenants]:
    found = Tenants()
    for system in found.apps:
        await found.admin(system, "seed/base")
    yield found


def failed(checks: list[PingCheck]) -> dict[str, str]:
    return {one.name: one.message for one in checks if not one.ok}


def told(checks: list[PingCheck], name: str) -> tuple[bool, str]:
    (found,) = [(one.ok, one.message) for one in checks if one.name == name]
    return found


async def test_sound_settings_pass(tenants: Tenants) -> None:
    checks = await tenants.check()
    assert failed(checks) == {}
    assert told(checks, "accounts") == (True, "4 codings found in QAD")


@pytest.mark.parametrize(
    ("coding", "message"),
    [
        ({"account": "9999"}, "account 9999 is not in QAD"),
        ({"account": "6900"}, "account 6900 is inactive"),
        ({"account": "6300"}, "account 6300 demands a cost centre"),
        ({"account": "6600"}, "account 6600 demands a sub-account"),
        ({"account": "6500"}, "account 6500 demands a project"),
        ({"account": "6100", "cost_center": "CC77"}, "cost centre CC77 is not in QAD"),
        ({"account": "6300", "cost_center": "CC90"}, "cost centre CC90 is inactive"),
    ],
)
async def test_a_coding_that_qad_would_refuse_is_named(tenants: Tenants, coding: Json, message: str) -> None:
    checks = await tenants.check(invoices={"accounts": {"shipping": coding}})
    assert failed(checks) == {"accounts.shipping": message}


async def test_every_coding_is_looked_up_wherever_it_stands(tenants: Tenants) -> None:
    wrong = {"account": "9999"}
    accounts = {"lines": {"6100-CC10": wrong}, "tax_codes": {"CA": wrong}, "default": wrong, "tax": {"account": "7100"}}
    checks = await tenants.check(invoices={"accounts": accounts})
    assert set(failed(checks)) == {"accounts.lines[6100-CC10]", "accounts.tax_codes[CA]", "accounts.default"}


async def test_an_account_that_gets_what_it_demands_passes(tenants: Tenants) -> None:
    accounts = {"default": {"account": "6300", "cost_center": "CC20"}, "misc": {"account": "6600", "sub_account": "01"}}
    assert failed(await tenants.check(invoices={"accounts": accounts})) == {}


async def test_a_project_is_looked_up(tenants: Tenants) -> None:
    coding = {"account": "6500", "project": "P9999"}
    checks = await tenants.check(invoices={"accounts": {"misc": coding}})
    assert failed(checks) == {"accounts.misc": "project P9999 is not in QAD"}


async def test_a_slot_of_qads_orders_must_be_searchable(tenants: Tenants) -> None:
    checks = await tenants.check(invoices={"po_rule": {"kind": "qad_slot", "name": "customShort3"}})
    assert told(checks, "PO rule") == (True, "QAD's orders can be searched by customShort3")
    checks = await tenants.check(invoices={"po_rule": {"kind": "qad_slot", "name": "customShort99"}})
    assert told(checks, "PO rule") == (False, "purchase orders have no member customShort99")


async def test_a_field_of_coupas_orders_must_exist_as_far_as_an_order_can_tell(tenants: Tenants) -> None:
    rule = {"po_rule": {"kind": "coupa_field", "name": "cf-qad-order"}}
    ok, message = told(await tenants.check(invoices=rule), "PO rule")
    assert (ok, message) == (True, "cf-qad-order is not checked: no purchase order is visible in Coupa yet")
    await tenants.admin("coupa", "seed", {"purchase_orders": [{"id": 1, "po-number": "2400"}]})
    assert told(await tenants.check(invoices=rule), "PO rule") == (True, "Coupa's purchase orders have cf-qad-order")
    wrong = {"po_rule": {"kind": "coupa_field", "name": "cf-other"}}
    expected = (False, "Coupa's purchase orders have no custom field cf-other")
    assert told(await tenants.check(invoices=wrong), "PO rule") == expected


async def test_a_lookup_must_be_set_up(tenants: Tenants) -> None:
    data = [{"source": "cost_centers", "lookup": "Cost Centre"}, {"source": "projects", "lookup": "Project"}]
    checks = await tenants.check(reference_data=data)
    assert failed(checks) == {"lookup Project": "Coupa has no lookup Project for projects"}
    assert told(checks, "lookup Cost Centre") == (True, "takes cost_centers")


async def test_a_parent_that_is_not_there_is_remarked(tenants: Tenants) -> None:
    data = [{"source": "cost_centers", "lookup": "Cost Centre", "parent": "ROOT"}]
    expected = (True, "warning: no value ROOT on the top level of Cost Centre")
    assert told(await tenants.check(reference_data=data), "lookup Cost Centre") == expected
    root = {"name": "All", "external-ref-num": "ROOT", "lookup": {"name": "Cost Centre"}}
    await tenants.admin("coupa", "seed", {"lookup_values": [root]})
    assert told(await tenants.check(reference_data=data), "lookup Cost Centre") == (True, "takes cost_centers")


async def test_a_chart_that_no_invoice_shows_is_remarked(tenants: Tenants) -> None:
    ok, message = told(await tenants.check(invoices={"chart_of_accounts": "Corporat"}), "chart of accounts")
    assert (ok, message) == (True, "warning: no invoice of account type Corporat is visible yet")


async def test_suppliers_without_defaults_are_remarked(tenants: Tenants) -> None:
    ok, message = told(await tenants.check(suppliers={"direction": "coupa_to_qad"}), "suppliers")
    assert (ok, message) == (True, "warning: suppliers travel to QAD, but none is created there without defaults")


async def test_what_a_tenant_refuses_to_show_is_said_and_the_rest_is_checked(tenants: Tenants) -> None:
    denied = {"denied": ["glAccount"]}
    tenants.apps["qad"] = create_qad(clock=Clock(START), options=denied)
    await tenants.admin("qad", "seed/base")
    checks = await tenants.check(reference_data=[{"source": "cost_centers", "lookup": "Cost Centre"}])
    ok, message = told(checks, "accounts")
    assert not ok and "403" in message
    assert told(checks, "lookup Cost Centre") == (True, "takes cost_centers")


async def test_a_refused_login_ends_the_checks(tenants: Tenants) -> None:
    users = {"users": [{"username": "somebody-else"}]}
    tenants.apps["qad"] = create_qad(clock=Clock(START), options=users)
    checks = await tenants.check(reference_data=[{"source": "cost_centers", "lookup": "Cost Centre"}])
    assert [(one.name, one.ok) for one in checks] == [("accounts", False)]
