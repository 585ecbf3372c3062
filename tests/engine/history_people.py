"""What people and goods do in the two tenants during a history, and the diary of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.engine.histories import PRICE, History, Line, Step
from tests.engine.history_seeds import SUPPLIER, coupa_invoice
from tests.engine.history_world import HistoryWorld
from tests.engine.world import Json

_VOUCHER = ("entityCode", "postingYear", "daybookCode", "voucher")
_PAYMENT = ("entityCode", "paymentYear", "paymentNumber")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, and whether anything had been done to it."""

    direction: str
    name: str
    text: str
    struck: bool


@dataclass(slots=True)
class Diary:
    """What happened when, as the tenants saw it: the evidence for the oracle."""

    versions: dict[int, list[tuple[datetime, Json]]] = field(default_factory=lambda: defaultdict(list))
    received: dict[Line, list[tuple[datetime, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    by_hand: list[tuple[datetime, Json]] = field(default_factory=list)
    resets: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    runs: list[Ended] = field(default_factory=list)
    last_writes: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))


class People:
    """Buyers and suppliers in Coupa, clerks and the warehouse in QAD: a verb each, by the admin API."""

    def __init__(self, history: History, world: HistoryWorld) -> None:
        self.history, self.world, self.diary = history, world, Diary()
        self.papers = {paper.key: paper for paper in history.papers}
        self.paid: list[tuple[int, Json]] = []

    async def ask(self, system: str, path: str, body: Json | None = None, method: str = "POST") -> Any:
        """An admin call; None when the tenant says that it cannot be."""
        transport = httpx.ASGITransport(app=self.world.apps[system])
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            answer = await http.request(method, f"/_sandbox/{path}", json=body)
        assert answer.status_code < 500, answer.text
        return answer.json() if answer.status_code < 300 else None

    async def _coupa(self, verb: str, key: int, **more: Any) -> Any:
        before = await self._invoice(key)
        answer = await self.ask("coupa", f"do/{verb}", {"id": key, **more}) if before else None
        after = await self._invoice(key)
        if answer is not None and after is not None:
            self.diary.versions[key].append((self.world.clock.now(), after))
            self.diary.resets[key] += bool(before and before["exported"] and not after["exported"])
        return answer

    async def _invoice(self, key: int) -> Json | None:
        found = await self.ask("coupa", "state/invoices", method="GET")
        return next((one for one in found if one["id"] == key), None)

    async def arrive(self, step: Step) -> None:
        paper = self.papers[step.key]
        if await self._invoice(paper.key) is None:
            await self.ask("coupa", "seed", {"invoices": [coupa_invoice(paper)]})
            found = await self._invoice(paper.key)
            assert found is not None
            self.diary.versions[paper.key].append((self.world.clock.now(), found))

    async def edit(self, step: Step) -> None:
        paper = self.papers[step.key]
        line, pieces = paper.lines[0]
        changed = replace(paper, lines=((line, step.number if pieces > 0 else -step.number), *paper.lines[1:]))
        whole = coupa_invoice(changed)
        members = ("invoice-lines", "total-with-taxes", "gross-total")
        await self._coupa("edit_invoice", step.key, changes={name: whole[name] for name in members})

    async def note(self, step: Step) -> None:
        await self._coupa("edit_invoice", step.key, changes={"supplier-note": f"seen {self.world.clock.now()}"})

    async def status(self, step: Step) -> None:
        await self._coupa(f"{step.verb}_invoice", step.key)

    async def reset_exported(self, step: Step) -> None:
        await self._coupa("reset_exported", step.key)

    async def refuse(self, step: Step) -> None:
        message = "Billing account is inactive" if step.verb == "refuse" else None
        await self._coupa("refuse_updates", step.key, message=message)

    async def receive(self, step: Step) -> None:
        assert step.line is not None
        po, number = step.line
        posted = {"purchaseOrderNumber": po, "purchaseOrderLine": number, "quantity": step.number}
        if await self.ask("qad", "do/post_receipt", posted):
            before = self.diary.received[step.line]
            total = (before[-1][1] if before else Decimal(0)) + step.number
            before.append((self.world.clock.now(), total))

    async def key_by_hand(self, step: Step) -> None:
        paper = self.papers[step.key]
        amount = sum(pieces for _, pieces in paper.lines) * PRICE + paper.tax
        await self._hand({"invoiceReference": paper.number, "originalAmountTC": amount})

    async def match_by_hand(self, step: Step) -> None:
        assert step.line is not None
        po, number = step.line
        for receipt in await self.ask("qad", "state/receipt", method="GET"):
            if (receipt["purchaseOrderNumber"], receipt["purchaseOrderLine"]) == (po, number):
                match = {"purchaseOrderNumber": po, "purchaseOrderLine": number, "isFinished": False}
                match |= {"receiverNumber": receipt["receiverNumber"], "matchUnitPrice": PRICE}
                found = {"receiverMatchingLines": [match | {"matchQuantity": step.number}]}
                reference = f"HAND-{len(self.diary.by_hand)}"
                if await self._hand(found | {"invoiceReference": reference, "originalAmountTC": step.number * PRICE}):
                    return

    async def _hand(self, members: Json) -> Any:
        keyed = await self.ask(
            "qad", "do/key_invoice_by_hand", {"supplierCode": SUPPLIER, "currencyCode": "USD"} | members
        )
        if keyed:
            self.diary.by_hand.append((self.world.clock.now(), members | {"key": keyed["key"]}))
        return keyed

    async def pay(self, step: Step) -> None:
        voucher = await self._voucher(step.key)
        if voucher is not None:
            owed = int(voucher["balanceTC"])
            amount = owed * step.number // 100
            given = voucher | {"amount": amount, "status": "Initial" if step.text == "Initial" else "Paid"}
            if step.text == "discount":
                given |= {"amount": amount - amount // 10, "discount": amount // 10}
            paid = await self.ask("qad", "do/pay", given) if amount else None
            if paid:
                self.paid.append((step.key, {name: paid[name] for name in _PAYMENT}))

    async def pay_status(self, step: Step) -> None:
        payment = next((one for key, one in reversed(self.paid) if key == step.key), None)
        voucher = await self._voucher(step.key)
        if payment is not None and voucher is not None:
            shown = await self.ask("qad", "state/supplierPayment", method="GET")
            number = payment["paymentNumber"]
            bare = not any(one["supplierPaymentAllocations"] for one in shown if one["paymentNumber"] == number)
            given = {"invoices": [{name: voucher[name] for name in _VOUCHER}]} if bare else {}
            await self.ask("qad", "do/set_payment_status", payment | {"status": step.text} | given)

    async def add_payment(self, step: Step) -> None:
        await self._coupa("add_payment_by_hand", step.key, **{"amount-paid": f"{step.number}.00", "notes": "by hand"})

    async def _voucher(self, key: int) -> Json | None:
        found = await self.ask("qad", "state/supplierInvoice", method="GET")
        ours = [one for one in found if one["customShort0"] and one["description"] == f"Coupa invoice {key}"]
        return {name: ours[0][name] for name in (*_VOUCHER, "balanceTC")} if ours else None

    async def supplier(self, step: Step) -> None:
        active = step.verb == "supplier_on"
        await self.ask("qad", "seed", {"suppliers": [{"supplierCode": SUPPLIER, "isActive": active}]})

    async def period(self, step: Step) -> None:
        await self.ask("qad", f"do/{step.verb}", {"period": "2026/02"})
