"""Reading QAD's lists and records: to the end, each row once, and never an empty answer where there is trouble."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ContractError,
    PermissionDeniedError,
    TransientError,
)
from ml_connector.systems.qad.browse import Filter
from ml_connector.systems.qad.config import QadPasswordLogin
from ml_connector.systems.qad.lookups import neighbours
from tests.systems.qad_server import LOGIN, Qad, bare, invoice, open_qad, page, receipt, supplier

SMALL: dict[str, Any] = {"limits": {"page_size": 2}}
MOVED = "http://127.0.0.1/wrong"


def numbers(rows: Any) -> list[str]:
    return sorted(row["number"] for row in rows)


def many(count: int) -> list[dict[str, Any]]:
    return [supplier(f"SUP{number:05}") for number in range(1, count + 1)]


async def test_asks_as_qad_wants_to_be_asked() -> None:
    server = Qad(supplier=many(5))
    where = [Filter("shared_set", "eq", "SHSET"), Filter("last_modified", "ge", date(2026, 2, 9))]
    server.records["supplier"] = [{**row, "lastModifiedDate": "2026-02-10T00:00:00.000Z"} for row in many(5)]
    assert len(await open_qad(server, **SMALL).browse("supplier", where)) == 5
    asked = [call.url.params for call in server.calls("/browses")][:3]
    assert [(one["page"], one["pageAction"]) for one in asked] == [("1", "first"), ("2", "next"), ("3", "next")]
    assert len({one["callId"] for one in asked}) == 1
    assert asked[0].get_list("filter") == [
        "supplierV2.sharedSetCode,eq,SHSET,literal",
        "supplierV2.lastModifiedDate,ge,2026-02-09,literal",
    ]


async def test_a_single_page_and_an_empty_one_are_read_once() -> None:
    server = Qad(supplier=many(2))
    client = open_qad(server, **SMALL)
    assert numbers(await client.browse("supplier", [])) == ["SUP00001", "SUP00002"]
    assert len(await client.browse("supplier", [Filter("number", "eq", "NONE")])) == 0
    assert len(server.calls("/browses")) == 2


async def test_several_pages_are_read_until_a_pass_finds_nothing_new() -> None:
    server = Qad(supplier=many(5))
    rows = await open_qad(server, **SMALL).browse("supplier", [])
    assert (len(rows), rows.complete) == (5, True)
    assert len(server.calls("/browses")) == 6


async def test_rows_that_shift_between_pages_are_neither_lost_nor_doubled() -> None:
    server = Qad(supplier=many(4))
    plain = server._browse

    def shifting(params: httpx.QueryParams) -> httpx.Response:
        answer = plain(params)
        if len(server.calls("/browses")) == 1:  # somebody deletes the first row after page one of the first pass
            del server.records["supplier"][0]
        return answer

    server._browse = shifting  # type: ignore[method-assign]
    rows = await open_qad(server, **SMALL).browse("supplier", [])
    assert numbers(rows) == ["SUP00001", "SUP00002", "SUP00003", "SUP00004"]
    assert rows.complete


async def test_a_list_that_never_comes_to_rest_says_so() -> None:
    server = Qad(supplier=many(3))
    plain = server._browse

    def growing(params: httpx.QueryParams) -> httpx.Response:
        if params["page"] == "1":
            server.records["supplier"].append(supplier(f"NEW{len(server.seen)}"))
        return plain(params)

    server._browse = growing  # type: ignore[method-assign]
    rows = await open_qad(server, **SMALL).browse("supplier", [])
    assert not rows.complete
    assert len({call.url.params["callId"] for call in server.calls("/browses")}) == 3


async def test_the_latest_version_of_a_row_counts_and_receipts_of_one_receiver_all_count() -> None:
    key = {"supplierV2.sharedSetCode": "S", "supplierV2.supplierCode": "A"}
    before, after = {**key, "supplierV2.isActive": True}, {**key, "supplierV2.isActive": False}
    answers = iter([page([before], more=True), page([after], more=False)] * 2)
    server = Qad(receipt=[receipt(quantity=50), receipt(quantity=-10)])
    client = open_qad(server)
    assert len(await client.browse("receipt", [])) == 2
    server._browse = lambda _params: next(answers)  # type: ignore[method-assign,assignment]
    assert [row["active"] for row in await client.browse("supplier", [])] == [False]


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"data": [], "auxillaryData": {}}, "auxillaryData.HasMoreParams"),
        ({"data": {}, "auxillaryData": {"HasMoreParams": "false"}}, "data: a list"),
        ({"data": [1], "auxillaryData": {"HasMoreParams": "false"}}, r"data\[0\]"),
        ({"data": [], "auxillaryData": {"HasMoreParams": "true"}}, "is empty although"),
        ({"data": [{"a.b": 1}], "auxillaryData": {"HasMoreParams": "true"}}, "page 2 repeats page 1"),
    ],
)
async def test_an_answer_that_breaks_the_contract_names_the_path(answer: dict[str, Any], path: str) -> None:
    server = Qad()
    server.fail("/browses", lambda request: httpx.Response(200, json=answer), times=3)
    with pytest.raises(ContractError, match=path):
        await open_qad(server).browse("supplier", [])


async def test_a_value_with_a_comma_is_asked_by_its_beginning_and_compared_here() -> None:
    rows = [invoice(1, invoiceReference="A,1"), invoice(2, invoiceReference="A,2"), invoice(3, invoiceReference="AB")]
    server = Qad(supplierInvoice=rows)
    found = await open_qad(server).browse("supplierInvoice", [Filter("reference", "eq", "A,2")])
    assert [row["voucher"] for row in found] == [2]
    assert server.calls("/browses")[0].url.params["filter"] == "supplierInvoice.invoiceReference,sw,A,literal"


async def test_amounts_are_read_digit_by_digit() -> None:
    server = Qad()
    row = b'{"supplierInvoice.voucher": 7, "supplierInvoice.originalAmountTC": 1234567890123.10}'
    content = b'{"data": [%s], "auxillaryData": {"HasMoreParams": "false"}}' % row
    server.fail("/browses", lambda request: httpx.Response(200, content=content))
    found = await open_qad(server).browse("supplierInvoice", [])
    assert found.rows[0]["amount"] == Decimal("1234567890123.10")


async def test_every_name_of_the_tenant_can_differ() -> None:
    renamed = {
        "supplier": {
            "browse": "urn:browse:mfg:gp282",
            "prefix": "vd_mstr",
            "fields": {"number": "vd_addr", "name": "ad_mstr.ad_name"},
        }
    }
    client = open_qad(
        lambda request: Qad()(request)
        if "/browses" not in request.url.path
        else page([{"vd_mstr.vd_addr": "A", "ad_mstr.ad_name": "Acme"}], more=False),
        resources=renamed,
    )
    assert (await client.browse("supplier", [])).rows == ({"number": "A", "name": "Acme"},)
    assert client.resource("supplier").fields["active"] == "isActive"


def _read_fault(response: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: response


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (bare("401", "Unauthorized"), AuthenticationError, "refuses the login"),
        (bare("403", "Access is denied"), PermissionDeniedError, "10USA_10USACO"),
        (bare("404", "Unknown browse"), ConfigurationError, "resources.supplier.browse"),
        (bare("400", "Unknown field"), ConfigurationError, "resources.supplier.browse and .fields"),
        (httpx.Response(200, html="<html>log in</html>"), ConfigurationError, "context root"),
        (httpx.Response(404, html="<html>no such page</html>"), ConfigurationError, "context root"),
        (httpx.Response(200, content=b'{"data": [{"a'), ContractError, "not JSON"),
        (httpx.Response(200, json={"errors": [{"code": "403"}]}), PermissionDeniedError, "denied"),
        (httpx.Response(302, headers={"Location": "/login"}), ContractError, "redirects"),
        (httpx.Response(503), TransientError, "503"),
    ],
)
async def test_each_trouble_has_its_own_consequence(response: httpx.Response, error: Any, words: str) -> None:
    server = Qad()
    server.fail("/browses", _read_fault(response), times=5)
    with pytest.raises(error, match=words):
        await open_qad(server).browse("supplier", [])


async def test_a_wrong_context_root_is_named() -> None:
    server = Qad()
    login = QadPasswordLogin(**{**LOGIN.model_dump(), "base_url": MOVED})
    with pytest.raises(TransientError, match="context root"):
        await open_qad(server, login=login).browse("supplier", [])


async def test_recovers_when_the_trouble_is_over() -> None:
    server = Qad(supplier=many(1))
    server.fail("/browses", lambda request: httpx.Response(429, headers={"Retry-After": "7"}))
    server.fail("/browses", lambda request: httpx.ReadError("reset", request=request))
    client = open_qad(server)
    assert len(await client.browse("supplier", [])) == 1
    assert client.http.clock.monotonic() >= 7


async def test_a_missing_record_is_an_empty_collection_or_a_404_from_a_known_path() -> None:
    server = Qad(supplierInvoice=[invoice(1)])
    client = open_qad(server)
    keys = {"entity": "10USACO", "year": 2026, "daybook": "APINV", "voucher": 1}
    server.fail("/supplierInvoices", lambda request: bare("404", "Not found"))
    with pytest.raises(ConfigurationError, match=r"resources\.supplierInvoice\.path"):
        await client.get("supplierInvoice", keys)
    assert await client.get("supplierInvoice", {**keys, "voucher": 2}) is None
    server.fail("/supplierInvoices", lambda request: bare("404", "Not found"))
    assert await client.get("supplierInvoice", keys) is None
    found = await client.get("supplierInvoice", keys)
    assert found is not None
    assert server.calls("/supplierInvoices")[0].url.params["viewUri"].endswith("ISupplierInvoice")


async def test_members_that_nobody_reads_are_counted() -> None:
    server = Qad(supplier=[supplier(surprise="x")])
    client = open_qad(server)
    await client.browse("supplier", [])
    assert client.http.ignored_fields["supplier.supplierV2.surprise"] == 1


def test_neighbouring_numbers_are_asked_for_together() -> None:
    asked = ["PO100003", "PO100001", "PO100900", "P7", "PO100002", "X,1", "free", "PO100001"]
    groups = neighbours(asked, most=100)
    assert sorted(groups) == [
        ("P7",),
        ("PO100001", "PO100002", "PO100003"),
        ("PO100900",),
        ("X,1",),
        ("free",),
    ]


def test_a_group_never_mixes_lengths_and_never_outgrows_a_page() -> None:
    assert neighbours(["A9", "A10"], most=100) == [("A9",), ("A10",)]
    assert neighbours([f"A{n}" for n in range(10, 15)], most=2) == [("A10", "A11"), ("A12", "A13"), ("A14",)]
