"""Paging, limits, errors and drift of the Coupa client against a server that answers as documented."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ContractError,
    PermissionDeniedError,
    RecordRejectedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.systems.coupa import client as client_module
from ml_connector.systems.coupa.config import CoupaCredentialsData, CoupaTenant
from ml_connector.systems.coupa.errors import read_error
from ml_connector.systems.coupa.models import Invoice, Unparsed, wire_fields
from tests.systems.coupa_server import CREDENTIALS, Coupa, invoice, open_coupa


async def test_lists_ask_for_the_fields_that_the_models_read() -> None:
    server = Coupa(invoice(1))
    await open_coupa(server).invoices(after_id=0, statuses=["approved", "voided"], exported=False, filters=[("a", "b")])
    params = dict(server.requests[-1].url.params) if server.requests else {}
    fields = json.loads(params.pop("fields"))
    assert params == {
        "exported": "false",
        "status[in]": "approved,voided",
        "a": "b",
        "id[gt]": "0",
        "order_by": "id",
        "dir": "asc",
        "limit": "50",
    }
    assert fields == list(wire_fields(Invoice))
    assert {"currency": ["code"]} in fields
    assert {"invoice_charges": ["type", "total"]} in fields


async def test_reads_decimals_and_dates_as_written() -> None:
    server = Coupa(invoice(1, invoice_date="2025-11-06T00:00:00+01:00", total_with_taxes="108.10"))
    (one,) = await open_coupa(server).invoices()
    assert isinstance(one, Invoice)
    assert one.invoice_date == date(2025, 11, 6)
    assert str(one.total_with_taxes) == "108.10"
    assert one.updated_at == datetime(2026, 3, 4, 18, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("as_404", [False, True])
async def test_both_forms_of_an_empty_list_mean_none(as_404: bool) -> None:
    server = Coupa()
    server.empty_is_404 = as_404
    client = open_coupa(server)
    assert await client.invoices() == []
    assert await client.get_invoices([1]) == []
    assert await client.purchase_orders(["PO-1"]) == []


async def test_a_page_for_people_is_not_an_empty_list() -> None:
    server = Coupa()
    server.faults = [httpx.Response(404, text="<!DOCTYPE html><html>Not found</html>")]
    with pytest.raises(ContractError, match="HTTP 404"):
        await open_coupa(server).invoices()


async def test_pages_that_do_not_go_forward_stop_the_run() -> None:
    server = Coupa()
    for ids in ([5], [7, 6], [6, 6]):
        server.faults = [httpx.Response(200, json=[invoice(one) for one in ids])]
        with pytest.raises(ContractError, match="do not go forward"):
            await open_coupa(server).invoices(after_id=5)


async def test_asks_for_at_most_fifty_ids_at_once() -> None:
    server = Coupa(*(invoice(number) for number in range(1, 121)))
    found = await open_coupa(server).get_invoices(range(1, 121))
    assert sorted(one.id for one in found) == list(range(1, 121))
    assert len(server.sent("GET")) == 3


async def test_numbers_with_a_comma_are_asked_for_alone() -> None:
    server = Coupa()
    lines = [{"id": 1, "line-num": 1, "quantity": "2.0", "price": "1.50"}]
    server.tables["purchase_orders"] = [
        {"id": number, "po-number": name, "status": "issued", "order-lines": lines}
        for number, name in enumerate(("A,1", "B", "C"), start=1)
    ]
    found = await open_coupa(server).purchase_orders(["A,1", "B", "C", "D"])
    assert sorted(order.po_number for order in found) == ["A,1", "B", "C"]
    assert found[0].order_lines[0].line_num == "1"


async def test_finds_suppliers_by_number() -> None:
    server = Coupa()
    server.tables["suppliers"] = [{"id": 1, "number": "V1", "name": "Insight", "status": "active"}]
    assert [one.name for one in await open_coupa(server).suppliers(["V1", "V2"])] == ["Insight"]


async def test_drains_history_records_page_by_page() -> None:
    server = Coupa()
    server.tables["integration_history_records"] = [
        {"id": number, "document-type": "InvoiceHeader", "document-id": 1, "resolved": False}
        for number in range(1, 104)
    ]
    assert len(await open_coupa(server).history_records("InvoiceHeader", [1], resolved=False)) == 103
    assert len(server.sent("GET")) == 3


async def test_counts_a_run_from_start_to_end() -> None:
    server = Coupa()
    client = open_coupa(server)
    run = await client.create_run("QAD_INV", external_id="run", key="k1")
    assert (await client.start_run(run.id, 12, external_id="run", key="k2")).status == "run"
    assert (await client.end_run(run.id, "success", external_id="run", key="k3")).status == "success"


async def test_custom_fields_can_sit_at_the_root() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        token = {"access_token": "t", "expires_in": 86399}
        return httpx.Response(200, json=token if len(seen) == 1 else {"id": 1, "cf-erp-number": "V1"})

    client = open_coupa(answer, custom_fields_in="root")
    assert (await client.set_custom_fields(1, {"cf-erp-number": "V1"}, external_id="e", key="k"))[
        "cf-erp-number"
    ] == "V1"
    assert json.loads(seen[1].content) == {"cf-erp-number": "V1"}
    assert json.loads(seen[1].url.params["fields"]) == ["id", "cf_erp_number"]


@pytest.mark.parametrize(
    ("answer", "reading", "writing"),
    [
        (httpx.Response(400, json={"errors": {"x": ["bad"]}}), ContractError, RecordRejectedError),
        (httpx.Response(403, json={"errors": {"base": ["no"]}}), PermissionDeniedError, PermissionDeniedError),
        (httpx.Response(406), ContractError, ConfigurationError),
        (httpx.Response(408), TransientError, UnknownOutcomeError),
        (httpx.Response(422), ContractError, RecordRejectedError),
        (httpx.Response(418), ContractError, RecordRejectedError),
        (httpx.Response(200, text="<html>"), ContractError, ContractError),
        (httpx.Response(200, json={"errors": "no"}), ContractError, ContractError),
        (httpx.Response(302), ContractError, ContractError),
        (httpx.Response(500), TransientError, UnknownOutcomeError),
    ],
    ids=str,
)
async def test_each_refusal_has_its_consequence(answer: Any, reading: Any, writing: Any) -> None:
    server = Coupa(invoice(1))

    def again(request: httpx.Request) -> httpx.Response:
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    client = open_coupa(server)
    server.faults = [again] * 3
    with pytest.raises(reading):
        await client.invoices()
    server.faults = [again] * 3
    with pytest.raises(writing):
        await client.mark_exported(1, external_id="c:invoice:1", key="k")


async def test_a_401_that_outlives_the_renewal_is_an_authentication_error() -> None:
    server = Coupa(invoice(1))
    server.faults = [httpx.Response(401), httpx.Response(401), httpx.Response(401)]
    with pytest.raises(AuthenticationError, match="just renewed"):
        await open_coupa(server).invoices()


@pytest.mark.parametrize(
    ("content", "code", "detail"),
    [
        (
            b'{"errors": {"account": ["Segment 1 - Cost Center can\'t be blank"]}}',
            "missing_value",
            "account: Segment 1 - Cost Center can't be blank",
        ),
        (b'{"errors": {"base": ["a", "b"]}}', "refused", "a; b"),
        (b'{"errors": ["Name has already been taken"]}', "duplicate", "Name has already been taken"),
        (b'{"error": "PO method must be one of cxml, xml"}', "invalid_value", "PO method must be one of cxml, xml"),
        (
            b"<errors><error>Unable to find valid AccountType record for x with keys {&quot;a&quot;}.</error></errors>",
            "unknown_reference:AccountType",
            'Unable to find valid AccountType record for x with keys {"a"}.',
        ),
        (b"<!DOCTYPE html><html><body>Bad gateway</body></html>", "html_page", "an HTML page instead of an error"),
        (b"plain words", "refused", "plain words"),
        (b"  ", "empty_answer", ""),
        (b'{"errors": {"password=s3cretvalue": null}}', "refused", ""),
        (b'["client_secret=s3cretvalue"]', "refused", "client_secret=***"),
    ],
)
def test_reads_every_shape_of_error(content: bytes, code: str, detail: str) -> None:
    assert read_error(httpx.Response(400, content=content)) == (code, detail)


def test_an_error_body_of_any_depth_or_size_is_survived() -> None:
    assert read_error(httpx.Response(400, content=b"[" * 100_000))[0] == "refused"
    assert len(read_error(httpx.Response(400, content=json.dumps({"errors": ["x" * 9999]}).encode()))[1]) == 1000


async def test_keeps_going_with_unknown_members_and_counts_them() -> None:
    server = Coupa()
    server.faults = [httpx.Response(200, json=[invoice(1, brand_new=True)])]
    client = open_coupa(server)
    assert isinstance((await client.invoices())[0], Invoice)
    assert client.http.ignored_fields["Invoice.brand-new"] == 1


async def test_one_bad_invoice_does_not_hide_the_others() -> None:
    server = Coupa(invoice(1), invoice(2, total_with_taxes="s3cretvalue"), invoice(3))
    first, second, third = await open_coupa(server).invoices()
    assert isinstance(second, Unparsed)
    assert second.path.startswith("total-with-taxes")
    assert "s3cretvalue" not in second.path
    assert [first.id, second.id, third.id] == [1, 2, 3]
    server.faults = [httpx.Response(200, json=[{"status": "approved"}])]
    with pytest.raises(ContractError, match=r"0\.id"):
        await open_coupa(server).invoices()


async def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = Coupa(invoice(1))
    await open_coupa(server).invoices()
    assert "s3cretvalue" not in caplog.text
    assert "token-1" not in caplog.text
    assert "s3cretvalue" not in repr(CREDENTIALS)


def test_every_setting_is_described_for_a_form() -> None:
    for model in (CoupaCredentialsData, CoupaTenant):
        for name, info in model.model_fields.items():
            assert info.description and info.description.endswith("."), name
    with pytest.raises(ValueError, match="not a time zone"):
        CoupaTenant(time_zone="Mars/Olympus")


FOLDER = Path(client_module.__file__).parent


def test_every_readme_section_that_the_code_cites_exists() -> None:
    readme = (FOLDER / "README.md").read_text()
    cited = set()
    for source in FOLDER.glob("*.py"):
        text = source.read_text()
        cited |= set(re.findall(r"README: (\w+(?: flag)?)", text))
        for entry in re.findall(r'README: Surprises, "([^"]+)"', text):
            assert f"- **{entry}.**" in readme
    assert {"Authentication", "Headers", "Paging", "Errors", "Limits", "Surprises", "Exported flag"} <= cited
    for section in cited:
        assert f"\n## {section}\n" in readme


def test_the_readme_states_limits_and_waivers() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert "25 requests a second" in readme
    assert "\n## Waivers\n" in readme
