"""The connection test says exactly what is wrong with a Coupa tenant and what mends it."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.config import CoupaCredentialsData
from ml_connector.systems.coupa.ports import ping
from tests.systems.coupa_server import CREDENTIALS, Coupa, invoice, open_coupa


async def failed(client: CoupaClient, credentials: CoupaCredentialsData = CREDENTIALS) -> dict[str, str]:
    """The failed checks of a connection test: name to message and remedy."""
    report = await ping(client, credentials)
    wrong = {one.name: f"{one.message}; {one.remedy}" for one in report.checks if not one.ok}
    assert report.ok is not bool(wrong)
    return wrong


async def test_the_connection_test_passes_on_a_good_tenant() -> None:
    client = open_coupa(
        Coupa(invoice(1)), monitoring="history", integration_code="QAD_INV", invoice_number_field="cf-erp-number"
    )
    result = await ping(client, CREDENTIALS)
    assert result.ok
    assert result.who == await client.who_am_i() == "acme-id at https://acme.coupahost.com"
    assert [one.name for one in result.checks] == [
        "login",
        "read invoices",
        "read purchase_orders",
        "read suppliers",
        "read history_records",
        "write scopes",
        "integration",
        "custom fields",
        "time zone",
        "invoices to fetch",
    ]


async def test_the_connection_test_names_exactly_what_is_wrong() -> None:
    server = Coupa(invoice(1))
    bad = CREDENTIALS.model_copy(update={"client_secret": SecretStr("wrong")})
    assert "client_id or client_secret is wrong" in (await failed(open_coupa(server, credentials=bad)))["login"]

    def page(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<!DOCTYPE html><html>")

    assert "instance's own address" in (await failed(open_coupa(page)))["login"]
    client = open_coupa(server, monitoring="history", integration_code="NOPE", status_field="cf-nope")
    wrong = await failed(client)
    assert "NOPE is not set up" in wrong["integration"]
    assert "no custom field cf-nope" in wrong["custom fields"]
    read_only = CREDENTIALS.model_copy(update={"scopes": ("core.invoice.read", "core.common.read")})
    assert "core.invoice.write" in (await failed(open_coupa(server, credentials=read_only), read_only))["write scopes"]


@pytest.mark.parametrize(
    ("scope", "check"),
    [
        ("core.common.read", "login"),
        ("core.invoice.read", "read invoices"),
        ("core.purchase_order.read", "read purchase_orders"),
        ("core.supplier.read", "read suppliers"),
        ("core.integration.read", "read history_records"),
    ],
)
async def test_the_connection_test_names_the_missing_scope(scope: str, check: str) -> None:
    server = Coupa(invoice(1))
    server.granted = server.granted.replace(scope, "")
    everything = CREDENTIALS.model_copy(update={"scopes": ()})
    client = open_coupa(server, credentials=everything, monitoring="history", integration_code="QAD_INV")
    wrong = await failed(client, everything)
    assert set(wrong) == {check}
    assert f"tick {scope}" in wrong[check]


async def test_the_connection_test_warns_of_a_time_zone_that_is_not_the_companys() -> None:
    server = Coupa(invoice(1, updated_at="2026-07-04T10:00:01-07:00"))
    for zone, message in (
        ("UTC", "warning: Coupa shows times at -0700, time_zone UTC is at +0000"),
        ("America/Los_Angeles", "Coupa shows times as America/Los_Angeles does"),
    ):
        result = await ping(open_coupa(server, time_zone=zone), CREDENTIALS)
        assert result.ok
        assert [one.message for one in result.checks if one.name == "time zone"] == [message]


async def test_a_login_without_settings_is_told_the_offset_and_not_warned() -> None:
    server = Coupa(invoice(1, updated_at="2026-07-04T10:00:01-07:00"))
    result = await ping(open_coupa(server), CREDENTIALS, bare=True)
    (check,) = [one for one in result.checks if one.name == "time zone"]
    assert (check.ok, check.remedy) == (True, "")
    assert check.message.startswith("Coupa shows times at -0700; ")


async def test_the_connection_test_warns_when_masters_cannot_be_written() -> None:
    login = CREDENTIALS.model_copy(
        update={"scopes": tuple(one for one in CREDENTIALS.scopes if one != "core.supplier.write")}
    )
    result = await ping(open_coupa(Coupa(invoice(1)), credentials=login), login)
    assert result.ok
    (told,) = [one for one in result.checks if one.name == "write scopes of masters"]
    assert told.message.startswith("warning: core.supplier.write not among scopes")
    assert "tick core.supplier.write" in told.remedy


async def test_the_connection_test_warns_when_coupa_exports_by_itself() -> None:
    result = await ping(open_coupa(Coupa(invoice(1, exported=True))), CREDENTIALS)
    assert result.ok
    assert result.checks[-1].message.startswith("warning: every approved invoice is already marked exported")
    assert "CSV export" in result.checks[-1].remedy


async def test_the_connection_test_says_what_it_could_not_check() -> None:
    result = await ping(open_coupa(Coupa(), invoice_number_field="cf-erp-number"), CREDENTIALS)
    assert result.ok
    assert any("not checked" in one.message for one in result.checks)
