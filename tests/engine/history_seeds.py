"""What every random history starts from: the orders in QAD, the connection, and invoices as Coupa writes them."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace

from ml_connector.store.tenants import ConnectionRow
from sandbox.coupa.app import create as create_coupa
from sandbox.kit.clock import Clock
from sandbox.qad.app import create as create_qad
from tests.engine import coupa_qad, stories
from tests.engine.coupa_qad import NAME
from tests.engine.histories import LINES, ORDERED, PRICE, History, Paper
from tests.engine.history_store import Store
from tests.engine.history_world import HistoryWorld
from tests.engine.world import START, Json

SUPPLIER = "SUP00001"
IDENTITIES = ("acme.coupahost.com", "erp.acme.example 10USA 10USACO")


def settings_of(changes: Json) -> Json:
    """The connection's settings; one call at a time, so that a seed always tells the same history."""
    found = coupa_qad.settings(**changes, qad={"limits": {"rps": 1000, "concurrency": 1}})
    found["coupa"] |= {"concurrency": 1}
    return found


def coupa_invoice(paper: Paper) -> Json:
    """A paper as a record of Coupa."""
    lines = [
        stories.line(pieces, po=po, **{"order-line-num": str(number), "line-num": place})
        for place, ((po, number), pieces) in enumerate(paper.lines, start=1)
    ]
    lines[0]["tax-amount"] = f"{paper.tax}.00"
    total = str(sum(pieces for _, pieces in paper.lines) * PRICE + paper.tax)
    totals = {"total-with-taxes": total, "gross-total": total, "status": paper.status}
    return stories.invoice(paper.key, paper.number, paper.lines[0][1], lines=lines) | totals


async def open_world(history: History, store: Store) -> HistoryWorld:
    """The two tenants with the orders of all histories, and a stored connection between them."""
    # Pauses between attempts and codes of tenants are drawn at random otherwise.
    random.seed(history.seed)
    await store.fresh()
    apps = {
        "coupa": create_coupa(clock=Clock(START), options=history.options.get("coupa")),
        "qad": create_qad(clock=Clock(START), options=history.options.get("qad")),
    }
    world = HistoryWorld(store, apps)
    _name_tenants(store)
    for system in apps:
        await world.admin(system, "seed/base")
    await world.admin("qad", "seed", {"purchaseOrders": [_order(number) for number in sorted({po for po, _ in LINES})]})
    row = ConnectionRow(NAME, "coupa_qad", "coupa-credentials/acme", "qad-credentials/acme", "", "", settings={})
    row = replace(row, settings=settings_of(history.settings))
    ended = await world.apart(lambda: world.connect(row, coupa_qad.logins(), IDENTITIES))
    assert ended == ("", "")
    return world


def _name_tenants(store: Store) -> None:
    with sqlite3.connect(store.path) as file:
        named = [("COUP", "coupa", IDENTITIES[0]), ("QADE", "qad", IDENTITIES[1])]
        file.executemany("INSERT INTO tenant VALUES (?, ?, ?, '2026-02-10 09:00:00.000000')", named)
    file.close()


def _order(number: str) -> Json:
    lines = [
        {"purchaseOrderLine": line, "itemCode": "ITEM0001", "quantityOrdered": ORDERED, "purchaseCost": PRICE}
        for po, line in LINES
        if po == number
    ]
    return {"purchaseOrderNumber": number, "supplierCode": SUPPLIER, "currencyCode": "USD", "lines": lines}
