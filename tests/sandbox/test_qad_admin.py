"""The admin side of the stand-in QAD tenant: seeds, options, faults, and one round over real HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from sandbox.kit.faults import ConnectionAborted
from sandbox.kit.serve import running
from sandbox.qad.app import create
from sandbox.qad.options import Options, User
from tests.sandbox.qad_visitor import INVOICES, LOGIN, RECEIPTS, TOKEN, Visitor, invoice, match, stored, visiting

ROOT = Path(__file__).parents[2]


async def test_partial_seeds_get_the_same_defaults_every_time() -> None:
    documents = []
    for _ in range(2):
        async with visiting() as visitor:
            await visitor.seed(
                suppliers=[{}],
                purchaseOrders=[{"lines": [{}, {"itemCode": "ITEM0002"}]}],
                receipts=[{"purchaseOrderNumber": "PO100001", "quantityReceived": 1}],
                supplierInvoices=[{}, {"receiverMatchingLines": [match(quantity=5)]}],
                supplierPayments=[{}],
                closedPeriods=["2026/01", {"year": 2025, "period": 12}],
            )
            collections = ("suppliers", "purchaseOrders", "receipts", "supplierInvoices", "supplierPayments")
            states = [(await visitor.http.get(f"/_sandbox/state/{name}")).json() for name in collections]
            documents.append((states, await visitor.truth()))
    assert documents[0] == documents[1]
    states, truth = documents[0]
    assert [len(state) for state in states] == [11, 2, 2, 2, 1]
    assert truth["matched"] == {"PO100001/1": 5}
    assert [item["receiverMatchingStatus"] for item in truth["invoices"]] == ["INITIAL", "FINISHED"]


async def test_seeding_an_existing_key_changes_only_what_is_given() -> None:
    async with visiting() as visitor:
        await visitor.seed(suppliers=[{"supplierCode": "SUP00002", "isActive": False}])
        record = await visitor.get("supplierV2s", sharedSetCode="SHSET", supplierCode="SUP00002")
        assert (record["isActive"], record["addressName"]) == (False, "Brightline Office Supply")
        key = stored(await visitor.create_invoice())
        same = {name: key[name] for name in ("entityCode", "postingYear", "daybookCode", "voucher")}
        await visitor.seed(supplierInvoices=[same | {"holdAmountTC": 5}])
        truth = await visitor.truth()
        assert (truth["invoices"][0]["holdAmountTC"], truth["matched"]) == (5, {"PO100001/1": 50})


async def test_numbers_given_by_hand_are_never_given_again() -> None:
    async with visiting() as visitor:
        place = {"purchaseOrderNumber": "PO100001", "purchaseOrderLine": 1, "quantity": 1}
        await visitor.do("post_receipt", **place, receiverNumber="RC004411")
        assert (await visitor.do("post_receipt", **place))["receiverNumber"] == "RC004412"
        await visitor.seed(suppliers=[{"supplierCode": "SUP00011"}, {}])
        assert "SUP00012" in (await visitor.truth())["suppliers"]


async def test_receipts_and_lines_may_be_seeded_in_the_words_of_their_browse() -> None:
    async with visiting() as visitor:
        await visitor.seed(
            purchaseOrderLines=[{"pod_nbr": "PO100001", "pod_det.pod_line": 2, "pod_qty_ord": 7}],
            receipts=[{"prh_hist.prh_nbr": "PO100001", "prh_line": 2, "prh_rcvd": 7, "prh_receiver": "RX"}],
        )
        (row,) = await visitor.rows(RECEIPTS, "prh_hist.prh_receiver,eq,RX,literal")
        assert (row["prh_hist.prh_line"], row["prh_hist.prh_rcvd"], row["prh_hist.prh_vend"]) == (2, 7, "SUP00001")


@pytest.mark.parametrize(
    "document",
    [
        {"vendors": []},
        {"suppliers": ["SUP00001"]},
        {"suppliers": [{"name": "Acme"}]},
        {"glAccounts": [{}]},
        {"receipts": [{"purchaseOrderNumber": "NOBODY"}]},
        {"purchaseOrders": [{"lines": [{"quantityReceived": 4}]}]},
        {"supplierInvoices": [{"invoiceDate": "soon"}]},
        {"closedPeriods": ["January"]},
    ],
)
async def test_seed_that_makes_no_sense_is_refused(document: dict[str, object]) -> None:
    async with visiting() as visitor:
        answer = await visitor.http.post("/_sandbox/seed", json=document)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


async def test_reset_forgets_everything_tokens_included() -> None:
    async with visiting() as visitor:
        await visitor.create_invoice()
        await visitor.http.post("/_sandbox/reset")
        assert (await visitor.page(INVOICES)).status_code == 401
        truth = await visitor.truth()
        assert (truth["writes"], truth["invoices"], truth["suppliers"]) == (0, [], {})


async def test_state_shows_masters_and_periods() -> None:
    async with visiting(closed_periods=["2026/01"]) as visitor:
        terms = (await visitor.http.get("/_sandbox/state/creditTerms")).json()
        assert {item["code"] for item in terms} == {"N30", "N60", "N15", "IMM"}
        periods = (await visitor.http.get("/_sandbox/state/closedPeriods")).json()
        assert periods == [{"year": 2026, "period": 1}]
        assert (await visitor.http.get("/_sandbox/state/nothing")).status_code == 404


async def test_options_change_while_it_runs() -> None:
    async with visiting() as visitor:
        await visitor.do("set_option", name="read_lag_seconds", value=60)
        await visitor.do("set_option", closed_periods=["2026/03"], users=[{"username": "second", "password": "pw"}])
        token = await visitor.token(**LOGIN | {"grant_type": "password", "username": "second", "password": "pw"})
        assert token.status_code == 200
        refused = await visitor.http.post("/_sandbox/do/set_option", json={"colour": "red"})
        wrong = await visitor.http.post("/_sandbox/do/set_option", json={"policy_variance": "ignore"})
        assert (refused.status_code, wrong.status_code) == (400, 400)


async def test_locking_a_user_by_hand_stops_logins() -> None:
    async with visiting() as visitor:
        await visitor.do("lock_user", username="qad-demo")
        assert (await visitor.token(grant_type="password", **LOGIN)).status_code == 400
        assert (await visitor.http.post("/_sandbox/do/lock_user", json={"username": "x"})).status_code == 404


def test_unknown_option_is_refused_and_secrets_stay_out_of_reprs() -> None:
    with pytest.raises(ValidationError):
        create(options={"color": "red"})
    shown = repr(Options()) + repr(User()) + repr(create().state.tenant.auth)
    assert "qad-demo-password" not in shown
    assert "qad-demo-client-secret" not in shown


async def test_invoice_whose_answer_is_lost_was_posted() -> None:
    async with visiting() as visitor:
        rule = {"method": "POST", "path": "supplierInvoices", "kind": "reset_after"}
        await visitor.http.post("/_sandbox/faults", json=rule)
        with pytest.raises(ConnectionAborted):
            await visitor.create_invoice()
        assert (await visitor.truth())["invoices_by_token"] == {TOKEN: 1}


async def test_maintenance_answers_do_not_apply() -> None:
    async with visiting() as visitor:
        rule = {"method": "POST", "path": "erp/", "kind": "status", "status": 503, "headers": {"Retry-After": "3"}}
        await visitor.http.post("/_sandbox/faults", json=rule)
        body = {"supplierInvoices": [invoice()]}
        answer = await visitor.call("POST", "erp/supplierInvoices", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
        assert (await visitor.truth())["invoices"] == []
        stored(await visitor.create_invoice())


async def test_a_round_over_real_http() -> None:
    async with running(create()) as url, httpx.AsyncClient(base_url=url) as http:
        visitor = Visitor(http)
        assert (await http.post("/_sandbox/seed/base")).status_code == 200
        await visitor.seed(
            purchaseOrders=[
                {"purchaseOrderNumber": "PO100001", "lines": [{"quantityOrdered": 50, "purchaseCost": 12}]}
            ],
            receipts=[{"purchaseOrderNumber": "PO100001", "receiverNumber": "RC1"}],
        )
        await visitor.login()
        stored(await visitor.create_invoice())
        (row,) = await visitor.rows(INVOICES, f"supplierInvoice.customShort0,eq,{TOKEN},literal")
        assert row["supplierInvoice.voucher"] == 10001
        await http.post("/_sandbox/faults", json={"method": "POST", "path": "supplierInvoices", "kind": "reset_after"})
        with pytest.raises(httpx.TransportError):
            await visitor.create_invoice(
                originalAmountTC=10,
                receiverMatchingLines=[],
                customShort0="SECOND",
                invoiceReference="INV-2",
            )
        assert (await visitor.truth())["invoices_by_token"] == {TOKEN: 1, "SECOND": 1}


def test_command_line_starts_a_seeded_tenant() -> None:
    command = [sys.executable, "-m", "sandbox", "qad", "--seed", "base", "--option", "policy_variance=reject"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready["sandbox"] == "qad"
            truth = httpx.get(f"{ready['url']}/_sandbox/truth").json()
            assert len(truth["suppliers"]) == 10
        finally:
            process.terminate()
        assert process.wait(10) == 0
