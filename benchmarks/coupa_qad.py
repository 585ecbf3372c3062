"""Coupa to QAD: approved invoices, posted one by one."""

from __future__ import annotations

from pydantic import BaseModel

from benchmarks.scenes import NAME, WORKERS, Json, Put, Scene, Urls
from ml_connector.systems.coupa.config import CoupaCredentialsData
from ml_connector.systems.qad.config import QadPasswordLogin

PER_ORDER = 10


def logins(urls: Urls) -> list[BaseModel]:
    """The stand-in tenants' demo logins."""
    return [CoupaCredentialsData.model_validate(_coupa(urls)), QadPasswordLogin.model_validate(qad_login(urls))]


def qad_login(urls: Urls) -> Json:
    """The demo login of the stand-in QAD."""
    who = {"client_id": "qad-demo-client", "username": "qad-demo", "password": "qad-demo-password"}
    return {"base_url": f"{urls['qad']}/clouderp", **who}


def _coupa(urls: Urls) -> Json:
    return {"base_url": urls["coupa"], "client_id": "coupa-demo", "client_secret": "coupa-demo-secret"}


def seed(put: Put, numbers: range) -> None:
    """Approved invoices, ten to an order, each order received in full."""
    orders = sorted({_order(number) for number in numbers})
    receipts = [receipt(order) for order in orders]
    put("qad", {"purchaseOrders": [purchase(one) for one in orders], "receipts": receipts})
    put("coupa", {"invoices": [_invoice(number) for number in numbers]})


def purchase(order: str) -> Json:
    """An order of one line."""
    line = {"purchaseOrderLine": 1, "itemCode": "ITEM0001", "quantityOrdered": PER_ORDER, "purchaseCost": 12}
    return {"purchaseOrderNumber": order, "supplierCode": "SUP00001", "currencyCode": "USD", "lines": [line]}


def receipt(order: str) -> Json:
    """All goods of such an order."""
    return {
        "purchaseOrderNumber": order,
        "purchaseOrderLine": 1,
        "receiverNumber": f"RC{order[2:]}",
        "quantityReceived": PER_ORDER,
        "supplierCode": "SUP00001",
        "receiptDate": "2026-02-03",
    }


async def _save_blocks(urls: Urls) -> None:
    from blocks import CoupaCredentials, QadCredentials

    await CoupaCredentials(**_coupa(urls)).asave(NAME, overwrite=True)
    await QadCredentials(**qad_login(urls)).asave(NAME, overwrite=True)


def _order(number: int) -> str:
    return f"PO{300001 + (number - 1) // PER_ORDER}"


def _invoice(number: int) -> Json:
    line = {"line-num": 1, "type": "InvoiceQuantityLine", "po-number": _order(number), "order-line-num": "1"}
    return {
        "id": number,
        "invoice-number": f"B-{number:06}",
        "invoice-date": "2026-02-09T00:00:00-08:00",
        "status": "approved",
        "currency": {"code": "USD"},
        "supplier": {"number": "SUP00001"},
        "line-level-taxation": True,
        "total-with-taxes": "12.00",
        "gross-total": "12.00",
        "payment-channel": "ERP",
        "invoice-lines": [line | {"quantity": "1", "price": "12.00", "total": "12.00", "tax-amount": "0.00"}],
    }


SCENE = Scene(
    pair="coupa_qad",
    direction="coupa_to_qad",
    back="qad_to_coupa",
    noun="invoices",
    systems={"coupa": ("--option", "throttle=false"), "qad": ()},
    block_names=(f"coupa-credentials/{NAME}", f"qad-credentials/{NAME}"),
    settings={
        "coupa": {"per_second": 100_000, "concurrency": WORKERS},
        "qad": {"domain": "10USA", "entity": "10USACO", "limits": {"rps": 100_000, "concurrency": WORKERS}},
    },
    seed=seed,
    logins=logins,
    blocks=_save_blocks,
)
