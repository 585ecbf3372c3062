"""QAD to Jira: invoices that fail the match, made into issues fifty at a time."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel

from benchmarks.coupa_qad import PER_ORDER, purchase, qad_login, receipt
from benchmarks.scenes import NAME, WORKERS, Json, Put, Scene, Urls
from ml_connector.systems.jira.config import JiraApiTokenLogin
from ml_connector.systems.qad.config import QadPasswordLogin

EMAIL, TOKEN = "connector@acme.example", "jira-demo-token"
# By then the stand-in's search shows what was written, so that a doubt can be settled within a measurement.
INDEX_LAG_S, SETTLE_S = 0.5, 1
APPROVAL = "customfield_10050"
FIELDS = {
    "po_number": "customfield_10040",
    "supplier": "customfield_10041",
    "amount": "customfield_10042",
    "variance": "customfield_10043",
    "currency": "customfield_10044",
    "kind": "customfield_10046",
}


def logins(urls: Urls) -> list[BaseModel]:
    """The stand-in tenants' demo logins."""
    return [QadPasswordLogin.model_validate(qad_login(urls)), JiraApiTokenLogin.model_validate(_jira(urls))]


def authorization(_urls: Urls) -> Mapping[str, str]:
    """An API token needs no login: the same header goes with every request."""
    return {"jira": "Basic " + base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()}


def seed(put: Put, numbers: range) -> None:
    """Posted invoices that were billed above their order's price, ten to an order that was received in full."""
    orders = sorted({_order(number) for number in numbers})
    receipts = [receipt(order) for order in orders]
    put("qad", {"purchaseOrders": [_purchase(one) for one in orders], "receipts": receipts})
    put("qad", {"supplierInvoices": [_invoice(number) for number in numbers]})


async def _save_blocks(urls: Urls) -> None:
    from blocks import JiraApiTokenCredentials, QadCredentials

    await QadCredentials(**qad_login(urls)).asave(NAME, overwrite=True)
    await JiraApiTokenCredentials(**_jira(urls)).asave(NAME, overwrite=True)


def _jira(urls: Urls) -> Json:
    return {"email": EMAIL, "token": TOKEN, "site_url": urls["jira"]}


def _order(number: int) -> str:
    return f"PO{400001 + (number - 1) // PER_ORDER}"


def _purchase(order: str) -> Json:
    document = purchase(order)
    for line in document["lines"]:
        line["dueDate"] = (_today() + timedelta(days=60)).isoformat()
    return document


def _invoice(number: int) -> Json:
    order, posted = _order(number), _today() - timedelta(days=2)
    match = {
        "purchaseOrderNumber": order,
        "purchaseOrderLine": 1,
        "receiverNumber": f"RC{order[2:]}",
        "matchQuantity": 1,
        "matchUnitPrice": 12.5,
        "isFinished": True,
    }
    return {
        "supplierCode": "SUP00001",
        "supplierName": "Acme Metals",
        "invoiceReference": f"B-{number:06}",
        "invoiceDate": (posted - timedelta(days=1)).isoformat(),
        "postingDate": posted.isoformat(),
        "originalAmountTC": 12.5,
        "description": f"Goods of {order}",
        "supplierInvoicePOs": [{"poDomainCode": "10USA", "purchaseOrderNumber": order}],
        "receiverMatchingLines": [match],
    }


def _today() -> date:
    return datetime.now(UTC).date()


SCENE = Scene(
    pair="qad_jira",
    direction="qad_to_jira",
    back="jira_to_qad",
    noun="exceptions",
    systems={"qad": (), "jira": ("--option", f"index_lag_s={INDEX_LAG_S}")},
    block_names=(f"qad-credentials/{NAME}", f"jira-api-token-credentials/{NAME}"),
    settings={
        "qad": {"domain": "10USA", "entity": "10USACO", "limits": {"rps": 100_000, "concurrency": WORKERS}},
        "jira": {
            "project": "AP",
            "issue_type": "Task",
            "token_field": "customfield_10047",
            "settle_s": SETTLE_S,
            "per_second": 100_000,
            "concurrency": WORKERS,
        },
        "issues": {"fields": FIELDS, "cleared_status": "Done", "returned_status": "To Do"},
        "decisions": {
            "approval_field": APPROVAL,
            "invoice": {"issue_key": "customShort1", "resolution": "customShort2", "approval": "customShort3"},
        },
    },
    seed=seed,
    logins=logins,
    blocks=_save_blocks,
    authorization=authorization,
)
