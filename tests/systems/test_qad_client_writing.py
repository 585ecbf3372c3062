"""Writing to QAD: exact bodies, refusals inside HTTP 200, and doubt wherever nobody can tell."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    RecordRejectedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.systems.qad.client import QadClient, Written
from ml_connector.systems.qad.ports import Posted, QadRest
from tests.systems.qad_server import INVOICE_VIEW, Qad, bare, invoice, open_qad, refusal, success

DOCUMENT: dict[str, Any] = {
    "entity": "10USACO",
    "daybook": "APINV",
    "supplier": "SUP00001",
    "reference": "INV-20418",
    "type": "invoice",
    "invoice_date": "2026-02-09",
    "posting_date": "2026-02-10",
    "currency": "USD",
    "amount": "610.10",
    "status_code": "AP-NOALLOC",
    "credit_terms": "N30",
    "description": "Coupa invoice 20418",
    "token": "K7QMA3TB5XW2HD6ZJ4RN",
    "purchase_orders": [{"domain": "10USA", "number": "PO100001"}],
    "matches": [
        {"po": "PO100001", "line": 1, "receiver": "RC1", "quantity": "50", "unit_price": "12.0", "finished": True}
    ],
    "lines": [
        {
            "account": "6200",
            "sub_account": "",
            "cost_center": "CC10",
            "project": "",
            "amount": "10.10",
            "description": "Freight",
        }
    ],
}
KEYS = {"entity": "10USACO", "year": 2026, "daybook": "APINV", "voucher": 1}


async def post(server: Any, **changes: Any) -> Posted:
    return await QadRest(open_qad(server)).post_invoice({**DOCUMENT, **changes}, "ACME:invoice:1")


async def test_posts_the_document_under_qads_names_with_exact_numbers() -> None:
    server = Qad()
    posted = await post(server)
    sent = server.calls("/supplierInvoices")[0]
    assert dict(sent.url.params) == {"viewUri": INVOICE_VIEW}
    assert b'"originalAmountTC":610.10,' in sent.content
    assert b'"matchQuantity":50,' in sent.content
    body = json.loads(sent.content, parse_float=Decimal)
    record = body["supplierInvoices"][0]
    assert body["supplementaryMessages"] == []
    assert (record["postingYear"], record["voucher"], record["dataOperation"]) == (0, 0, "C")
    assert (record["concurrencyHash"], record["isTaxable"]) == ("", False)
    assert (record["invoiceType"], record["customShort0"]) == ("Invoice", "K7QMA3TB5XW2HD6ZJ4RN")
    assert (record["invoiceDate"], record["postingDate"]) == ("2026-02-09T00:00:00.000Z", "2026-02-10T00:00:00.000Z")
    assert (record["invoiceStatusCode"], record["creditTermsCode"]) == ("AP-NOALLOC", "N30")
    assert record["supplierInvoicePOs"] == [{"poDomainCode": "10USA", "purchaseOrderNumber": "PO100001"}]
    assert record["receiverMatchingLines"] == [
        {
            "purchaseOrderNumber": "PO100001",
            "purchaseOrderLine": 1,
            "receiverNumber": "RC1",
            "matchQuantity": 50,
            "matchUnitPrice": Decimal("12.0"),
            "isFinished": True,
        }
    ]
    assert record["supplierInvoiceLines"][0]["line"] == 1
    assert record["supplierInvoiceLines"][0]["amountTC"] == Decimal("10.10")
    assert posted == Posted("10USACO/2026/APINV/10453", 10453, "88121", Decimal(0), "AP-NOALLOC", "FINISHED")


async def test_a_credit_note_uses_qads_word_and_optional_members_stay_out() -> None:
    server = Qad()
    await post(server, type="credit_note", credit_terms="", lines=[], matches=[])
    record = json.loads(server.raw_posts[0])["supplierInvoices"][0]
    assert record["invoiceType"] == "Credit Note"
    assert "creditTermsCode" not in record
    assert record["receiverMatchingLines"] == record["supplierInvoiceLines"] == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"amount": "12,50"}, "amount"),
        ({"amount": 12.5}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"token": ""}, "token"),
        ({"posting_date": "10.02.2026"}, "posting_date"),
        ({"type": "prepayment"}, "type"),
        ({"matches": [{"lot": "1"}]}, r"matches\[0\]\.lot"),
    ],
)
async def test_an_incomplete_document_is_never_sent(changes: dict[str, Any], path: str) -> None:
    server = Qad()
    with pytest.raises(RecordRejectedError) as caught:
        await post(server, **changes)
    assert caught.value.code == "document_incomplete"
    assert caught.value.detail.startswith(path.replace("\\", ""))
    assert server.seen == []


@pytest.mark.parametrize(
    ("field", "message", "code"),
    [
        (
            "receiverMatchingLines[0].receiverNumber",
            "Receiver RC004412 not found for purchase order PO100001 line 1",
            "receiver_unknown",
        ),
        (
            "receiverMatchingLines[0].matchQuantity",
            "Matched quantity exceeds open receipt quantity",
            "match_quantity_exceeded",
        ),
        ("receiverMatchingLines[0].matchUnitPrice", "Invoice price variance outside tolerance", "price_variance"),
        ("postingDate", "Period 2 of 2026 is closed", "period_closed"),
        ("glAccountCode", "Field is mandatory. (Account)", "field_mandatory:Account"),
        ("supplierInvoiceLines", "Lines do not add up to the invoice amount", "refused"),
    ],
)
async def test_a_refusal_inside_http_200_gets_our_code(field: str, message: str, code: str) -> None:
    server = Qad()
    server.answer = lambda record: refusal(field, message)
    with pytest.raises(RecordRejectedError) as caught:
        await post(server)
    assert (caught.value.code, caught.value.detail) == (code, f"{field}: {message}")
    assert message not in str(caught.value)


async def test_among_several_errors_the_one_that_waiting_does_not_mend_decides() -> None:
    server = Qad()
    both = refusal("receiverMatchingLines[0].matchQuantity", "Matched quantity exceeds open receipt quantity")
    both["submitResult"]["errors"] += refusal("creditTermsCode", "Field is mandatory. (CreditTerms)")["submitResult"][
        "errors"
    ]
    server.answer = lambda record: both
    with pytest.raises(RecordRejectedError) as caught:
        await post(server)
    assert caught.value.code == "field_mandatory:CreditTerms"


async def test_a_success_with_warnings_keeps_them_once() -> None:
    server = Qad()
    message = {
        "severity": 2,
        "fieldName": "invoiceReference",
        "message": "The reference already exists on another invoice for this supplier",
    }
    server.answer = lambda record: {
        **server.accept({**record, "supplementaryMessages": [message]}),
        "supplementaryMessages": [message],
    }
    posted = await post(server)
    assert posted.warnings == (("invoiceReference", message["message"]),)


async def test_a_token_that_qad_did_not_keep_is_noticed() -> None:
    server = Qad()
    server.answer = lambda record: server.accept({**record, "customShort0": record["customShort0"][:8]})
    assert not (await post(server)).kept_token


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {"supplierInvoices": [invoice()]}},
        {"data": {}, "submitResult": success()},
        {"data": {"supplierInvoices": []}, "submitResult": success()},
        {"data": {"supplierInvoices": [invoice(0)]}, "submitResult": success()},
        {"data": {"supplierInvoices": ["x"]}, "submitResult": success()},
        {"submitResult": {"errors": []}},
        httpx.Response(200, html="<html>log in</html>"),
        httpx.Response(200, content=b'{"data": {'),
        httpx.Response(200, content=b"[]"),
        httpx.Response(500),
        httpx.Response(503, headers={"Retry-After": "1"}),
        httpx.Response(408),
    ],
)
async def test_an_answer_that_says_neither_yes_nor_no_is_doubt(answer: Any) -> None:
    server = Qad()
    server.answer = lambda record: answer
    with pytest.raises(UnknownOutcomeError):
        await post(server)
    assert len(server.raw_posts) == 1


async def test_a_lost_reply_is_doubt_and_is_not_sent_again() -> None:
    server = Qad()
    server.fail("/supplierInvoices", lambda request: httpx.ReadTimeout("slow", request=request))
    with pytest.raises(UnknownOutcomeError):
        await post(server)
    assert len(server.calls("/supplierInvoices")) == 1


async def test_what_never_left_may_be_sent_again() -> None:
    server = Qad()
    server.fail("/supplierInvoices", lambda request: httpx.ConnectError("refused", request=request))
    server.fail("/supplierInvoices", lambda request: httpx.Response(429))
    assert (await post(server)).voucher == 10453
    assert len(server.posted) == 1
    server.fail("/supplierInvoices", lambda request: httpx.ConnectError("refused", request=request), times=9)
    with pytest.raises(TransientError):
        await post(server)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (bare("401", "Unauthorized"), AuthenticationError),
        (bare("403", "Access is denied"), PermissionDeniedError),
        (bare("404", "Not found"), ConfigurationError),
        (bare("400", "Malformed"), RecordRejectedError),
        (bare("422", "Unprocessable"), RecordRejectedError),
        (httpx.Response(413, html="<html>too large</html>"), UnknownOutcomeError),
    ],
)
async def test_each_status_of_a_write_has_its_own_consequence(response: httpx.Response, error: Any) -> None:
    server = Qad()
    server.answer = lambda record: response
    with pytest.raises(error):
        await post(server)


async def update(client: QadClient, **changes: Any) -> Written:
    return await client.update("supplierInvoice", KEYS, lambda record: changes, external_id="ACME:invoice:1")


async def test_an_update_sends_the_whole_object_back_with_its_key_and_hash() -> None:
    server = Qad(supplierInvoice=[invoice(1, oddMember={"kept": [1]}, originalAmountTC=10.5)])
    await update(open_qad(server), customShort1="SUP-7")
    sent = next(call for call in server.calls("/supplierInvoices") if call.method == "POST")
    assert dict(sent.url.params) == {
        "entityCode": "10USACO",
        "postingYear": "2026",
        "daybookCode": "APINV",
        "voucher": "1",
        "viewUri": INVOICE_VIEW,
    }
    record = json.loads(sent.content)["supplierInvoices"][0]
    assert record == invoice(
        1, oddMember={"kept": [1]}, originalAmountTC=10.5, customShort1="SUP-7", dataOperation="U"
    )


async def test_a_record_changed_meanwhile_is_read_again_three_times_at_most() -> None:
    server = Qad(supplierInvoice=[invoice(1)])
    stale = refusal("concurrencyHash", "Record was changed by another user")
    answers = iter([stale, stale])
    server.answer = lambda record: next(answers, None) or server.accept(record)
    await update(open_qad(server), customShort1="a")
    assert len(server.raw_posts) == 3
    server.answer = lambda record: stale
    with pytest.raises(RecordRejectedError, match="stale"):
        await update(open_qad(server), customShort1="b")
    assert len(server.raw_posts) == 6


async def test_a_record_that_may_not_be_changed_is_not_written() -> None:
    locked = invoice(1, disallowedActions="DELETE,MODIFY", disallowedActionsMessage="submitted for approval")
    server = Qad(supplierInvoice=[locked])
    with pytest.raises(RecordRejectedError) as caught:
        await update(open_qad(server), customShort1="a")
    assert (caught.value.code, caught.value.detail) == ("not_modifiable", "submitted for approval")
    server.records["supplierInvoice"].clear()
    with pytest.raises(RecordRejectedError, match="not_found"):
        await update(open_qad(server), customShort1="a")
    assert server.raw_posts == []
