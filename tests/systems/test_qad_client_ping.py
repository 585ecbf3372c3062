"""The connection test of QAD: each thing that can be wrong is named with its remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ml_connector.errors import ConfigurationError
from ml_connector.systems.ping import PingReport
from ml_connector.systems.qad.config import QadBasicLogin
from ml_connector.systems.qad.validate import ping
from tests.systems.qad_server import BASE, LOGIN, Qad, bare, invoice, open_qad

BASIC = QadBasicLogin(base_url=BASE, username="svc@acme", password=SecretStr("pa55-word"))


async def report(server: Any, **more: Any) -> PingReport:
    return await ping(open_qad(server, **more))


def failed(found: PingReport) -> dict[str, str]:
    return {check.name: f"{check.message} | {check.remedy}" for check in found.checks if not check.ok}


async def test_a_sound_tenant_passes_every_check() -> None:
    found = await report(Qad(supplierInvoice=[invoice()]))
    assert failed(found) == {}
    assert found.ok
    assert (found.system, found.who) == ("qad", "svc@acme in workspace 10USA_10USACO")
    assert [check.name for check in found.checks] == [
        "login",
        "workspace",
        "list supplier",
        "entity supplier",
        "list purchaseOrder",
        "entity purchaseOrder",
        "list purchaseOrderLine",
        "list receipt",
        "list supplierInvoice",
        "entity supplierInvoice",
        "token slot",
    ]


def wrong_workspace(server: Qad) -> None:
    server.closed_workspace = True


def no_field(server: Qad) -> None:
    server.missing_browse_fields = {"prh_hist.prh_rcvd"}


def no_entity(server: Qad) -> None:
    server.entity_members["purchaseOrder"] = []


def no_member(server: Qad) -> None:
    uri = server.tenant.resources["supplierInvoice"].view_uri
    members = json.loads(server._described(uri).content)["data"]["entityMetadatas"][0]["entityFields"]
    server.entity_members["supplierInvoice"] = [one for one in members if one["jsonName"] != "postingDate"]


def nowhere(server: Qad) -> None:
    server.missing_browse_fields = {"supplierV2.isActive"}
    server.entity_members["supplier"] = [{"jsonName": "supplierCode"}]


def short_slot(server: Qad) -> None:
    uri = server.tenant.resources["supplierInvoice"].view_uri
    members = json.loads(server._described(uri).content)["data"]["entityMetadatas"][0]["entityFields"]
    server.entity_members["supplierInvoice"] = [
        {**one, "maxLength": 10} if one["jsonName"] == "customShort0" else one for one in members
    ]


def no_slot(server: Qad) -> None:
    uri = server.tenant.resources["supplierInvoice"].view_uri
    members = json.loads(server._described(uri).content)["data"]["entityMetadatas"][0]["entityFields"]
    server.entity_members["supplierInvoice"] = [one for one in members if one["jsonName"] != "customShort0"]


def unsearchable_slot(server: Qad) -> None:
    plain = server._browse

    def browse(params: httpx.QueryParams) -> httpx.Response:
        if any("customShort0" in one for one in params.get_list("filter")):
            return bare("400", "Unknown field")
        return plain(params)

    server._browse = browse  # type: ignore[method-assign]


def ignored_condition(server: Qad) -> None:
    plain = server._browse
    server.records["supplierInvoice"] = [invoice()]

    def browse(params: httpx.QueryParams) -> httpx.Response:
        kept = [pair for pair in params.multi_items() if "customShort0" not in pair[1]]
        return plain(httpx.QueryParams(tuple(kept)))

    server._browse = browse  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("spoil", "check", "words"),
    [
        (wrong_workspace, "workspace", "workspace 10USA_10USACO is unknown"),
        (no_field, "list receipt", "prh_hist.prh_rcvd"),
        (no_entity, "entity purchaseOrder", "IPurchaseOrderHeader is unknown"),
        (no_member, "entity supplierInvoice", "postingDate"),
        (nowhere, "entity supplier", "isActive"),
        (short_slot, "token slot", "holds 10 characters, 20 are needed"),
        (no_slot, "token slot", "no member customShort0"),
        (unsearchable_slot, "token slot", "cannot be searched by customShort0"),
        (ignored_condition, "token slot", "ignores a condition"),
    ],
)
async def test_names_exactly_what_is_wrong(spoil: Callable[[Qad], None], check: str, words: str) -> None:
    server = Qad()
    spoil(server)
    found = await report(server)
    assert not found.ok
    assert list(failed(found)) == [check]
    assert words in failed(found)[check]


async def test_an_unknown_browse_is_named_with_its_setting() -> None:
    address = "urn:browse:custom:none"
    found = await report(Qad(), resources={"receipt": {"browse": address}})
    expected = f"browse {address} is unknown to this tenant | set resources.receipt.browse"
    assert failed(found) == {"list receipt": expected}


async def test_a_wrong_password_stops_after_one_try() -> None:
    server = Qad()
    found = await report(server, login=LOGIN.model_copy(update={"password": SecretStr("wrong")}))
    assert list(failed(found)) == ["login"]
    assert "enter user name, password" in failed(found)["login"]
    assert len(server.seen) == 1


@pytest.mark.parametrize("login", [LOGIN, BASIC])
async def test_a_wrong_context_root_is_told_from_a_wrong_password(login: Any) -> None:
    found = await report(Qad(), login=login.model_copy(update={"base_url": "http://127.0.0.1/wrong"}))
    assert list(failed(found)) == ["login"]
    assert "context root" in failed(found)["login"]


async def test_an_unreachable_host_is_named() -> None:
    def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    found = await report(dead)
    assert f"check that {BASE} is the tenant's own address" in failed(found)["login"]


async def test_session_rules_may_be_closed_to_the_user() -> None:
    server = Qad()
    server.rules = None
    assert (await report(server)).ok


async def test_a_missing_right_is_told_from_a_wrong_workspace() -> None:
    server = Qad()
    server.fail("/browses", lambda request: bare("403", "Access is denied"))
    assert "no right to list suppliers" in failed(await report(server))["workspace"]


async def test_a_slot_of_unknown_length_asks_for_the_setting() -> None:
    server = Qad()
    short_slot(server)
    server.entity_members["supplierInvoice"] = [
        {name: value for name, value in one.items() if name != "maxLength"}
        for one in server.entity_members["supplierInvoice"]
    ]
    assert "invoice.external_id_length" in failed(await report(server))["token slot"]
    assert (await report(server, invoice={"external_id_length": 40})).ok


async def test_an_api_description_is_compared_where_there_is_one() -> None:
    server = Qad()
    described: dict[str, dict[str, Any]] = {
        "/clouderp/api/qracore/browses": {"get": {}},
        "/clouderp/api/erp/supplierV2s": {"get": {}},
        "/clouderp/api/erp/purchaseOrderHeaders": {"get": {}},
        "/clouderp/api/erp/supplierInvoices": {"get": {}},
    }
    server.fail("/v3/api-docs", lambda request: httpx.Response(200, json={"paths": described}), times=1)
    found = await report(server, paths={"swagger_url": "v3/api-docs"})
    assert failed(found) == {
        "api description": "not described: POST api/erp/supplierInvoices | correct paths and resources"
    }
    described["/clouderp/api/erp/supplierInvoices"]["post"] = {}
    server.fail("/v3/api-docs", lambda request: httpx.Response(200, json={"paths": described}), times=1)
    assert (await report(server, paths={"swagger_url": "v3/api-docs"})).ok


@pytest.mark.parametrize("url", ["http://erp.example.com/clouderp", "https://u:p@erp.example.com", "https://10.0.0.5/x"])
def test_refuses_an_unsafe_address_before_any_call(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url of tenant acme"):
        open_qad(Qad(), login=LOGIN.model_copy(update={"base_url": url}))
