"""Supplier invoices under the write protocol: whose an invoice is, and one named outcome per write."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ml_connector.clock import ManualClock
from ml_connector.domain.writes import Absent, Done, Doubt, Foreign, Found, NotSent, Order, Refused, Several
from ml_connector.errors import AuthenticationError, LeaseLostError, PermissionDeniedError
from ml_connector.http.tokens import MemoryTokenStore
from ml_connector.sync.seams import Target
from ml_connector.systems.qad.client import open_client
from ml_connector.systems.qad.config import QadTenant
from ml_connector.systems.qad.ports import QadRest
from ml_connector.systems.qad.targets import SupplierInvoices
from tests.systems.qad_server import LOGIN, NOW, TENANT, Qad, bare, invoice, open_qad, refusal
from tests.systems.stopping import stopped_by
from tests.systems.test_qad_client_writing import DOCUMENT

TOKEN = str(DOCUMENT["token"])
OURS = {"customShort0": TOKEN, "invoiceReference": "INV-20418", "originalAmountTC": 610.1}


def target(server: Any, **tenant: Any) -> SupplierInvoices:
    client = open_qad(server, **tenant)
    return SupplierInvoices(QadRest(client), client.tenant)


def written(number: int = 1, *, lane: str = "", thorough: bool = True, **changes: Any) -> Order:
    payload = {**DOCUMENT, **changes}
    name = f"ACME:invoice:{number}"
    return Order(name, str(payload["token"]), "key", "create", "create", payload, thorough=thorough, lane=lane)


async def finding(server: Qad, order: Order | None = None) -> Any:
    order = order or written()
    return (await target(server).find([order]))[order.external_id]


def posts(server: Qad) -> int:
    return len([call for call in server.calls("/supplierInvoices") if call.method == "POST"])


def test_keeps_the_protocol_of_a_target() -> None:
    one: Target = target(Qad())
    assert (one.name, one.settle.total_seconds(), one.per_second) == ("qad.supplier_invoice", 600, 5)


async def test_our_token_makes_an_invoice_ours() -> None:
    data = {"voucher": 7, "hold_amount": "25", "status": "AP-NOALLOC"}
    assert await finding(Qad(supplierInvoice=[invoice(7, **OURS)])) == Found("10USACO/2026/APINV/7", (), data)


async def test_our_invoice_with_other_content_names_what_differs() -> None:
    changed = invoice(7, customShort0=TOKEN, supplierCode="SUP00002", invoiceType="Credit Note")
    found = await finding(Qad(supplierInvoice=[changed]))
    assert found.differs == ("supplier", "reference", "type", "amount")


async def test_without_a_doubt_only_the_natural_key_is_asked() -> None:
    server = Qad(supplierInvoice=[invoice(7, **{**OURS, "invoiceReference": "MOVED"})])
    assert await finding(server, written(thorough=False)) == Absent()
    assert len(server.calls("/browses")) == 1
    assert isinstance(await finding(server, written()), Found)


async def test_several_invoices_with_our_token_are_nobodys() -> None:
    server = Qad(supplierInvoice=[invoice(7, **OURS), invoice(8, **{**OURS, "invoiceReference": "COPY"})])
    assert await finding(server) == Several(("10USACO/2026/APINV/7", "10USACO/2026/APINV/8"))


async def test_the_same_number_without_our_token_is_a_possible_duplicate() -> None:
    by_hand = {"invoiceReference": "INV-20418", "customShort0": ""}
    server = Qad(supplierInvoice=[invoice(7, **by_hand), invoice(8, **by_hand, originalAmountTC=610.1)])
    assert await finding(server) == Foreign("10USACO/2026/APINV/8")


async def test_the_same_number_of_another_type_is_no_duplicate() -> None:
    credit = invoice(7, invoiceReference="INV-20418", invoiceType="Credit Note")
    assert await finding(Qad(supplierInvoice=[credit])) == Absent()


async def test_many_orders_are_asked_for_in_few_calls() -> None:
    server = Qad()
    orders = [written(number, reference=f"INV-{1000 + number}", thorough=False) for number in range(50)]
    found = await target(server).find(orders)
    assert set(found.values()) == {Absent()}
    assert len(found) == 50
    assert len(server.calls("/browses")) == 1


async def test_a_posted_invoice_is_done_with_its_hold_and_warnings() -> None:
    server = Qad()
    warning = {"severity": 2, "fieldName": "invoiceReference", "message": "The reference already exists"}

    def held(record: dict[str, Any]) -> Any:
        answer = server.accept(record)
        answer["data"]["supplierInvoices"][0]["holdAmountTC"] = 25.5
        return {**answer, "supplementaryMessages": [warning]}

    server.answer = held
    data = {
        "voucher": 10453,
        "registration": "88121",
        "hold_amount": "25.5",
        "status": "AP-NOALLOC",
        "matching_status": "FINISHED",
        "warnings": ["The reference already exists"],
    }
    expected = Done("10USACO/2026/APINV/10453", data, ("hold_amount:25.5", "warning:invoiceReference"))
    assert (await target(server).send([written()])) == {"ACME:invoice:1": expected}


@pytest.mark.parametrize(
    ("field", "message", "outcome"),
    [
        ("receiverMatchingLines[0].receiverNumber", "Receiver RC1 not found", Refused("receiver_unknown", "", False)),
        ("receiverMatchingLines[0].matchQuantity", "exceeds", Refused("match_quantity_exceeded", "", True)),
        ("receiverMatchingLines[0].matchUnitPrice", "variance", Refused("price_variance", "", False)),
        ("postingDate", "The period is closed", Refused("period_closed", "", True)),
        ("x", "Field is mandatory. (Daybook)", Refused("field_mandatory:Daybook", "", False)),
        ("", "No", Refused("refused", "", False)),
    ],
)
async def test_a_refusal_says_whether_waiting_helps(field: str, message: str, outcome: Refused) -> None:
    server = Qad()
    server.answer = lambda record: refusal(field, message)
    sent: Any = (await target(server).send([written()]))["ACME:invoice:1"]
    assert (sent.code, sent.waits) == (outcome.code, outcome.waits)
    assert message in sent.detail


async def test_unclear_answers_are_doubt_and_unsent_ones_are_not() -> None:
    server = Qad()
    server.fail("/supplierInvoices", lambda request: httpx.ReadError("reset", request=request))
    server.fail("/supplierInvoices", lambda request: httpx.Response(302, headers={"Location": "/"}))
    server.fail("/supplierInvoices", lambda request: httpx.ConnectError("refused", request=request), times=9)
    sent = await target(server, limits={"concurrency": 1}).send([written(1), written(2), written(3)])
    assert [type(one) for one in sent.values()] == [Doubt, Doubt, NotSent]
    server.faults.clear()
    assert isinstance((await target(server).send([written()]))["ACME:invoice:1"], Done)


async def test_an_incomplete_document_is_refused_without_a_call() -> None:
    server = Qad()
    sent = await target(server).send([written(amount="x")])
    assert sent == {"ACME:invoice:1": Refused("document_incomplete", "amount: is not a number")}
    assert server.seen == []


class Slow:
    """A QAD that takes a moment, to see what runs at the same time."""

    def __init__(self) -> None:
        self.server = Qad()
        self.running: list[str] = []
        self.together = 0
        self.order: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST" or "/supplierInvoices" not in request.url.path:
            return self.server(request)
        answer = self.server(request)
        reference = str(self.server.posted[-1]["invoiceReference"])
        self.order.append(reference)
        self.running.append(reference)
        assert len([one for one in self.running if one.startswith("LANE")]) <= 1
        self.together = max(self.together, len(self.running))
        for _ in range(5):
            await asyncio.sleep(0)
        self.running.remove(reference)
        return answer


async def test_orders_of_a_lane_go_one_after_another_and_the_rest_side_by_side() -> None:
    slow = Slow()
    orders = [written(number, reference=f"LANE-{number}", lane="a") for number in range(3)]
    orders += [written(number, reference=f"FREE-{number}") for number in range(3, 7)]
    sent = await target(slow).send(orders)
    assert all(isinstance(one, Done) for one in sent.values())
    assert [one for one in slow.order if one.startswith("LANE")] == ["LANE-0", "LANE-1", "LANE-2"]
    assert slow.together == 2


async def test_a_lane_stops_where_an_outcome_is_open() -> None:
    server = Qad()
    server.fail("/supplierInvoices", lambda request: httpx.Response(500))
    sent = await target(server).send([written(1, lane="a"), written(2, lane="a"), written(3, lane="b")])
    assert isinstance(sent["ACME:invoice:2"], NotSent)
    assert {type(one) for one in sent.values()} == {Doubt, NotSent, Done}


@pytest.mark.parametrize(
    ("answer", "error"),
    [(bare("401", "Unauthorized"), AuthenticationError), (bare("403", "Access is denied"), PermissionDeniedError)],
)
async def test_login_and_rights_end_the_call_and_nothing_more_is_sent(answer: httpx.Response, error: Any) -> None:
    server = Qad()
    server.answer = lambda record: answer
    with stopped_by(error):
        await target(server, limits={"concurrency": 1}).send([written(1), written(2), written(3)])
    assert len({call.content for call in server.calls("/supplierInvoices")}) == 1


async def test_a_write_under_way_gets_its_answer_before_the_call_ends() -> None:
    slow = Slow()
    slow.server.fail("/supplierInvoices", lambda request: bare("403", "Access is denied"))

    async def denied_once(request: httpx.Request) -> httpx.Response:
        posting = request.method == "POST" and "/supplierInvoices" in request.url.path
        if not posting or not slow.server.faults:
            return await slow(request)
        answer = slow.server(request)
        for _ in range(3):
            await asyncio.sleep(0)
        return answer

    with stopped_by(PermissionDeniedError):
        await target(denied_once).send([written(1), written(2), written(3)])
    assert slow.running == []
    assert len(slow.server.posted) == 1


async def test_a_write_is_not_begun_when_the_lease_is_about_to_end() -> None:
    server, clock = Qad(), ManualClock(NOW)
    client = open_client(
        LOGIN,
        QadTenant(**TENANT),
        name="acme",
        store=MemoryTokenStore(),
        slot="qad-acme",
        clock=clock,
        transport=httpx.MockTransport(server),
        deadline=lambda: clock.monotonic() + 59,
    )
    with stopped_by(LeaseLostError):
        await SupplierInvoices(QadRest(client), client.tenant).send([written()])
    assert posts(server) == 0


async def test_amounts_are_compared_exactly() -> None:
    server = Qad(supplierInvoice=[invoice(7, **{**OURS, "originalAmountTC": Decimal("610.11")})])
    assert (await finding(server)).differs == ("amount",)
