"""What the tests of decisions share: a tenant with a held invoice, and decisions about it and its order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from ml_connector.domain.writes import Order
from ml_connector.systems.qad.decision_target import Decisions
from ml_connector.systems.qad.ports import QadRest
from tests.systems.qad_server import Tenant, open_qad, tenant_with_masters

SLOTS = {
    "invoice": {
        "issue_key": "customShort1",
        "resolution": "customShort2",
        "cost_code": "customShort3",
        "approval": "customShort4",
        "note": "customNote",
    },
    "order": {"issue_key": "customShort0", "cost_code": "customShort2", "remarks": "remarks"},
}
KEY = "10USACO/2026/APINV/7"
TOLD: dict[str, Any] = {"issue_key": "AP-12", "resolution": "Accepted", "note": "AP-12: Accepted"}
Json = dict[str, Any]


@asynccontextmanager
async def held_invoice() -> AsyncIterator[Tenant]:
    """A tenant with one invoice that is held over 25, and its order."""
    async with tenant_with_masters(datetime(2026, 2, 10, 9, tzinfo=UTC)) as one:
        line = {"itemCode": "ITEM0001", "quantityOrdered": 50, "purchaseCost": 12, "costCenterCode": "CC20"}
        coded = {"line": 1, "glAccountCode": "6100", "costCenterCode": "CC10", "amountTC": 25}
        used = {"purchaseOrderNumber": "PO100001", "purchaseOrderLine": 1, "receiverNumber": "RC004411"}
        held = {"postingYear": 2026, "voucher": 7, "invoiceReference": "INV-7", "supplierCode": "SUP00001"}
        held |= {"invoiceStatusCode": "AP-RMALLOC", "originalAmountTC": 650, "customShort0": "T" * 20}
        held |= {"supplierInvoiceLines": [coded], "customLong0": "kept"}
        held |= {"receiverMatchingLines": [used | {"matchQuantity": 50, "matchUnitPrice": 12.5}]}
        await one.seed(
            purchaseOrders=[{"purchaseOrderNumber": "PO100001", "lines": [line | {"purchaseOrderLine": 1}]}],
            receipts=[{"receiverNumber": "RC004411", "purchaseOrderNumber": "PO100001", "quantityReceived": 50}],
            supplierInvoices=[held],
        )
        one.seen.clear()
        yield one


def target(tenant: Any, *, release_status: str = "", slots: Any = SLOTS, **more: Any) -> Decisions:
    client = tenant.client(**more) if isinstance(tenant, Tenant) else open_qad(tenant, **more)
    return Decisions(QadRest(client), client.tenant, slots, release_status=release_status)


def decision(changed: tuple[str, ...] = (), *, about: str = "invoice", key: str = KEY, **members: Any) -> Order:
    payload = {"about": about, "key": key, "issue": "10001", "link": "row-1", **members}
    return Order("jira:decision:10001", "", "key", "decide", "upsert", payload, changed=changed)


def of_order(changed: tuple[str, ...] = (), **members: Any) -> Order:
    return decision(changed, about="order", key="10USA/PO100001", **members)


def released(hold: str = "25", **members: Any) -> Order:
    return decision(**members, release={"hold": hold})


async def finding(one: Decisions, order: Order) -> Any:
    return (await one.find([order]))[order.external_id]


async def sent(one: Decisions, order: Order) -> Any:
    return (await one.send([order]))[order.external_id]


async def stored(tenant: Tenant, collection: str = "supplierInvoices") -> Json:
    (found,) = await tenant.state(collection)
    return found


async def updates(tenant: Tenant, name: str = "supplierInvoice") -> Json:
    counts = (await tenant.truth())["updates"].get(name, {})
    (found,) = counts.values() if counts else ({},)
    return dict(found)


def posts(tenant: Tenant) -> int:
    return len(tenant.calls("/api/erp", "POST"))
