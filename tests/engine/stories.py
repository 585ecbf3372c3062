"""Small stories for the traps: one order, a few receipts and invoices, people at work, and a wire that breaks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml_connector.domain.outcomes import Outcome
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.work import Page
from sandbox.coupa.app import create as create_coupa
from sandbox.kit.clock import Clock
from sandbox.kit.faults import ConnectionAborted, ConnectionHung
from tests.engine import coupa_qad
from tests.engine.coupa_qad import NAME
from tests.engine.faults import Killed
from tests.engine.world import Json, World

DIRECTION = "coupa_to_qad"
STREAM = "coupa.invoices"
PO = "PO200001"
POST = r"^POST .*/supplierInvoices"
EXPORT = r"^PUT /api/invoices/\d+\?.*exported=true"
HOUR_S, DAY_S, SETTLED_S = 3600.0, 86_400.0, 900.0
Act = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class _Hook:
    pattern: str
    act: Act
    after: bool
    times: int


@dataclass(slots=True)
class Wire:
    """The way to a sandbox: it breaks as a real one does, and things can happen while a chosen call is under way."""

    app: Any
    hooks: list[_Hook] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        query = scope.get("query_string", b"").decode()
        call = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
        hook = None if "/_sandbox/" in call else self._hook(call)
        if hook and not hook.after:
            await hook.act()
        try:
            await self.app(scope, receive, send)
        except ConnectionHung as error:
            raise httpx.ReadTimeout(str(error)) from error
        except ConnectionAborted as error:
            raise httpx.ReadError(str(error)) from error
        if hook and hook.after:
            await hook.act()

    def _hook(self, call: str) -> _Hook | None:
        hook = next((one for one in self.hooks if one.times and re.search(one.pattern, call)), None)
        if hook:
            hook.times -= 1
        return hook

    def when(self, pattern: str, act: Act, *, after: bool = False, times: int = 1) -> None:
        """Let something happen before (or after) the next calls that match `METHOD /path?query`."""
        self.hooks.append(_Hook(pattern, act, after, times))


async def make(folder: Path, template: Path, *, options: dict[str, Json] | None = None, **changes: Any) -> World:
    """A connection with one order of 100 pieces at 12.00 and nothing received."""
    world = await coupa_qad.coupa_qad(folder, template, options=options, **changes)
    world.apps = {name: Wire(app) for name, app in world.apps.items()}
    await order(world)
    return world


def wire(world: World, system: str) -> Wire:
    """The way to one sandbox."""
    found: Wire = world.apps[system]
    return found


async def order(world: World, number: str = PO, *, supplier: str = "SUP00001", quantity: int = 100) -> None:
    """An order in QAD with one line at 12.00."""
    line = {"purchaseOrderLine": 1, "itemCode": "ITEM0001", "quantityOrdered": quantity, "purchaseCost": 12}
    head = {"purchaseOrderNumber": number, "supplierCode": supplier, "currencyCode": "USD", "lines": [line]}
    await world.admin("qad", "seed", {"purchaseOrders": [head]})


async def receive(world: World, quantity: int, number: str = PO) -> None:
    """A receipt of its line, negative for a return."""
    posted = {"purchaseOrderNumber": number, "purchaseOrderLine": 1, "quantity": quantity}
    await world.admin("qad", "do/post_receipt", posted)


def line(quantity: int | str = 50, *, po: str | None = PO, **members: Any) -> Json:
    """An invoice line at 12.00."""
    found = {"type": "InvoiceQuantityLine", "description": "Goods", "quantity": str(quantity), "price": "12.00"}
    found |= {"total": str(int(quantity) * 12), "tax-amount": "0.00"}
    return found | ({"po-number": po, "order-line-num": "1"} if po else {}) | members


def invoice(key: int, number: str, quantity: int = 50, **members: Any) -> Json:
    """An approved invoice over pieces of the order; a negative quantity makes it a credit note."""
    lines = members.pop("lines", None) or [line(quantity)]
    total = str(sum(int(one["total"]) for one in lines))
    found = {
        "id": key,
        "invoice-number": number,
        "invoice-date": "2026-02-09T00:00:00-08:00",
        "document-type": "Credit Note" if quantity < 0 else "Invoice",
        "currency": {"code": "USD"},
        "supplier": {"number": "SUP00001"},
        "total-with-taxes": total,
        "gross-total": total,
        "invoice-lines": lines,
    }
    return found | {name.replace("_", "-"): value for name, value in members.items()}


async def send_in(world: World, *invoices: Json) -> None:
    """Invoices appear in Coupa, approved."""
    await world.admin("coupa", "seed", {"invoices": list(invoices)})


async def do(world: World, verb: str, key: int, **more: Any) -> None:
    """A person does something to an invoice in Coupa."""
    await world.admin("coupa", f"do/{verb}", {"id": key, **more})


async def break_wire(world: World, system: str, kind: str, pattern: str, **more: Any) -> None:
    """Arm a fault of a sandbox for a path; `POST x` limits it to a method."""
    method, _, path = pattern.rpartition(" ")
    await world.admin(system, "faults", {"kind": kind, "path": path, **({"method": method} if method else {}), **more})


async def mend_wire(world: World, system: str) -> None:
    """Disarm the faults; what is on its way still arrives."""
    await world.admin(system, "faults", method="DELETE")


def dies(world: World) -> Act:
    """The process ends here."""

    async def die() -> None:
        world.faults.dead = True
        raise Killed

    return die


async def killed(work: Awaitable[object], world: World) -> None:
    """Work that ends with the process; afterwards a new one may start."""
    with pytest.raises(Killed):
        await work
    world.restart()


async def run(world: World, name: str = NAME) -> Json:
    """One run; the outcomes of what it read."""
    return dict(await world.run(DIRECTION, name))


async def later(world: World, seconds: float = SETTLED_S, name: str = NAME) -> Json:
    """Time passes, then a run."""
    await world.pass_time(seconds)
    return await run(world, name)


@asynccontextmanager
async def process(world: World, run_id: str, name: str = NAME) -> AsyncIterator[Any]:
    """The steps of one process that works on a run."""
    async with world.session(DIRECTION, name, run_id=run_id) as session:
        yield session.steps


async def prepared(world: World, run_id: str, kind: str = STREAM) -> Page:
    """A process takes the first page up to `dedupe`; what it leaves is the handle that a retry finds cached."""
    async with process(world, run_id) as steps:
        page = await steps.fetch("invoices", 0, kind, None)
        found: Page = await steps.dedupe(await steps.match_check(page))
    return found


async def retried(world: World, page: Page) -> Json:
    """A person presses Retry: another process of the same run writes the page that lies cached."""
    async with process(world, page.run) as steps:
        return dict((await steps.write(page)).counts)


async def rows(world: World) -> dict[str, LedgerRow]:
    """The ledger rows of the first Coupa instance by source id."""
    source = world.rows[NAME].source_tenant
    async with world.installation() as one:
        found = await ledger.listing(one.store.db, outcomes=list(Outcome))
    return {row.external_id.split(":")[2]: row for row in found if row.external_id.startswith(source)}


async def stands(world: World, name: str = NAME) -> dict[str, str]:
    """Outcome and reason codes by document number."""
    found = await world.standing(name)
    return {label: " ".join([row.outcome.value, *(one.code for one in row.reasons)]) for label, row in found.items()}


async def vouchers(world: World) -> list[str]:
    """What QAD really holds: references in order of posting, credit notes with a minus."""
    found = (await world.truth("qad"))["invoices"]
    return [("-" if one["type"] == "Credit Note" else "") + one["reference"] for one in found]


async def calls(world: World, system: str, pattern: str) -> list[Json]:
    """The calls a sandbox received that match `METHOD /path?query`."""
    found = (await world.admin(system, "requests", method="GET"))["requests"]
    return [one for one in found if re.search(pattern, f"{one['method']} {one['path']}?{one['query']}")]


async def writes(world: World) -> tuple[int, int]:
    """How many writes took effect in Coupa and in QAD."""
    return (await world.truth("coupa"))["writes"], (await world.truth("qad"))["writes"]


async def change_settings(world: World, **changes: Any) -> None:
    """An administrator saves other settings, which is a new settings version."""
    row = replace(world.rows[NAME], settings=coupa_qad.settings(**changes))
    await world.connect(row, world.logins[NAME], ("acme.coupahost.com", "erp.acme.example 10USA 10USACO"))


@asynccontextmanager
async def second_coupa(world: World) -> AsyncIterator[str]:
    """Another Coupa instance that posts into the same QAD entity; yields the name of its connection."""
    first, app = world.apps["coupa"], create_coupa(clock=Clock(world.clock.now()))
    world.clock.followers.append(app.state.tenant.clock)
    world.apps["coupa"] = Wire(app)
    await world.admin("coupa", "seed/base")
    name, base = NAME + "-eu", world.rows[NAME]
    row = replace(base, name=name, source_block="coupa-credentials/eu", settings_version=0)
    await world.connect(row, coupa_qad.logins(), ("acme-eu.coupahost.com", "erp.acme.example 10USA 10USACO"))
    try:
        yield name
    finally:
        world.apps["coupa"] = first
