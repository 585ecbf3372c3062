"""Suppliers and lookup values in Coupa: found by key, created once, updated in what differs, never doubled by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from ml_connector.domain.writes import (
    Absent,
    Done,
    Doubt,
    Finding,
    Foreign,
    Found,
    Gone,
    Order,
    Refused,
    Sent,
    Several,
)
from ml_connector.systems.coupa.ports import LookupValues, Suppliers
from tests.systems.coupa_server import Coupa, StandIn, open_coupa, order, stand_in


def supplier(number: str = "SUP00009", target_id: str = "", changed: tuple[str, ...] = (), **changes: Any) -> Order:
    payload = {"number": number, "name": f"Acme {number}", "status": "active", "payment_term": "N30", "defaults": {}}
    return upsert(f"q:supplier:{number}", payload | changes, target_id, changed)


def value(code: str = "CC10", target_id: str = "", changed: tuple[str, ...] = (), **changes: Any) -> Order:
    payload = {"lookup": "Cost Centre", "code": code, "name": f"{code} Administration", "description": "Head office"}
    return upsert(f"q:value:{code}", payload | {"active": True, "parent": ""} | changes, target_id, changed)


def upsert(name: str, payload: dict[str, Any], target_id: str, changed: tuple[str, ...]) -> Order:
    return order(external_id=name, operation="upsert", payload=payload, target_id=target_id, changed=changed)


async def found(target: Suppliers | LookupValues, one: Order) -> Finding:
    return (await target.find([one]))[one.external_id]


async def sent(target: Suppliers | LookupValues, one: Order) -> Sent:
    return (await target.send([one]))[one.external_id]


async def test_a_supplier_is_created_with_its_defaults_and_found_by_number() -> None:
    async with stand_in() as coupa:
        target = Suppliers(coupa.client)
        one = supplier(defaults={"po_method": "email", "name": "never this one"})
        assert await found(target, one) == Absent()
        answer = await sent(target, one)
        assert isinstance(answer, Done)
        assert await found(target, one) == Found(answer.target_id)
        row = await coupa.row("suppliers", int(answer.target_id))
        assert (row["number"], row["name"], row["status"]) == ("SUP00009", "Acme SUP00009", "active")
        assert (row["payment-term"]["code"], row["po-method"]) == ("N30", "email")


async def test_only_what_differs_is_written_to_a_supplier() -> None:
    async with stand_in() as coupa:
        target = Suppliers(coupa.client)
        one = supplier("SUP00001", name="Northwind Fasteners", status="inactive", payment_term="N60")
        hit = await found(target, one)
        assert isinstance(hit, Found)
        assert hit.differs == ("status", "payment_term")
        payload = {**one.payload, "defaults": {"po_method": "prompt"}}
        again = replace(one, target_id=hit.target_id, changed=hit.differs, payload=payload)
        assert await sent(target, again) == Done(hit.target_id)
        assert coupa.bodies() == [{"status": "inactive", "payment-term": {"code": "N60"}}]
        assert await found(target, again) == Found(hit.target_id)
        row = await coupa.row("suppliers", int(hit.target_id))
        assert row["po-method"] == "email"


async def test_a_payment_term_that_is_not_mapped_is_left_alone() -> None:
    async with stand_in() as coupa:
        one = supplier("SUP00001", name="Northwind Fasteners", payment_term=None)
        hit = await found(Suppliers(coupa.client), one)
        assert isinstance(hit, Found)
        assert hit.differs == ()
        again = supplier("SUP00001", hit.target_id, name="Northwind Fasteners", payment_term=None)
        assert isinstance(await sent(Suppliers(coupa.client), again), Done)
        assert "payment-term" not in coupa.bodies()[0]


@pytest.mark.parametrize("name", ["Northwind Fasteners", "NORTHWIND FASTENERS", "northwind fasteners"])
async def test_a_name_that_another_supplier_has_is_for_a_person(name: str) -> None:
    async with stand_in() as coupa:
        (owner,) = [str(row["id"]) for row in await coupa.rows("suppliers") if row["number"] == "SUP00001"]
        assert await found(Suppliers(coupa.client), supplier(name=name)) == Foreign(owner)


async def test_a_supplier_without_a_number_is_known_by_name_only() -> None:
    async with stand_in() as coupa:
        await coupa.seed(suppliers=[{"id": 77, "name": "Acme, Metals & Co"}])
        assert await found(Suppliers(coupa.client), supplier(name="Acme, Metals & Co")) == Foreign("77")


async def test_a_supplier_is_never_doubled_by_name() -> None:
    async with stand_in() as coupa:
        await coupa.seed(suppliers=[{"number": "SUP00007", "name": "iFix Tools"}])
        target = Suppliers(coupa.client)
        # A filter that looks at case hides the namesake, and then Coupa itself refuses.
        assert await found(target, supplier(name="IFIX tools")) == Absent()
        answer = await sent(target, supplier(name="IFIX tools"))
        assert answer == Refused("already_exists", "supplier: Name has already been taken", waits=True)
        assert len(await coupa.rows("suppliers")) == 4


async def test_a_supplier_created_by_somebody_else_meanwhile_waits_and_is_found() -> None:
    async with stand_in() as coupa:
        target = Suppliers(coupa.client)
        assert await found(target, supplier()) == Absent()
        await coupa.seed(suppliers=[{"id": 88, "number": "SUP00009", "name": "Acme SUP00009"}])
        answer = await sent(target, supplier())
        assert isinstance(answer, Refused)
        assert (answer.code, answer.waits) == ("already_exists", True)
        assert await found(target, supplier()) == Found("88", ("payment_term",))


async def test_a_lost_reply_creates_only_one_supplier() -> None:
    async with stand_in() as coupa:
        coupa.wire.lose_replies = 1
        target = Suppliers(coupa.client)
        assert isinstance(await sent(target, supplier()), Doubt)
        assert isinstance(await found(target, supplier()), Found)
        assert len(coupa.sent("POST")) == 1


async def test_a_member_that_coupa_ignores_is_named() -> None:
    async with stand_in() as coupa:
        coupa.wire.dropped = {"payment-term", "active"}
        answer = await sent(Suppliers(coupa.client), supplier())
        assert isinstance(answer, Refused)
        assert answer.code == "member_ignored"
        assert answer.detail.endswith("does not show as sent: payment_term")
        hit = await found(Suppliers(coupa.client), supplier())
        assert isinstance(hit, Found)
        assert hit.differs == ("payment_term",)
        answer = await sent(LookupValues(coupa.client), value(active=False))
        assert isinstance(answer, Refused)
        assert answer.detail.endswith(": active")


async def test_a_supplier_that_is_gone_is_said_to_be_gone() -> None:
    async with stand_in() as coupa:
        one = supplier(target_id="4711")
        assert await found(Suppliers(coupa.client), one) == Gone("4711")
        answer = await sent(Suppliers(coupa.client), one)
        assert isinstance(answer, Refused)
        assert answer.code == "not_found"


async def test_a_supplier_is_compared_by_id_once_it_is_known() -> None:
    async with stand_in() as coupa:
        await coupa.seed(suppliers=[{"id": 77, "number": "OLD", "name": "Acme SUP00009", "status": "draft"}])
        hit = await found(Suppliers(coupa.client), supplier(target_id="77"))
        assert hit == Found("77", ("number", "status", "payment_term"))


async def test_refusals_of_a_supplier_keep_their_reason() -> None:
    async with stand_in() as coupa:
        target = Suppliers(coupa.client)
        answer = await sent(target, supplier(payment_term="N99"))
        assert isinstance(answer, Refused)
        assert answer.code == "unknown_reference:PaymentTerm"
        assert await sent(target, supplier(status="blocked")) == Refused("invalid_value", "status blocked")
        (own,) = [str(row["id"]) for row in await coupa.rows("suppliers") if row["number"] == "SUP00001"]
        answer = await sent(target, supplier("SUP00001", own, ("name",), name="Harbour Steel"))
        assert answer == Refused("duplicate", "supplier: Name has already been taken")


async def test_a_hundred_and_twenty_suppliers_are_found_in_three_calls() -> None:
    async with stand_in() as coupa:
        numbers = [f"S{number:04d}" for number in range(120)]
        await coupa.seed(suppliers=[{"number": number, "name": f"Acme {number}"} for number in numbers])
        findings = await Suppliers(coupa.client).find([supplier(number) for number in numbers])
        assert all(isinstance(one, Found) and one.differs == ("payment_term",) for one in findings.values())
        assert len(coupa.sent("GET")) == 3


async def test_long_names_are_asked_for_in_addresses_that_pass() -> None:
    async with stand_in() as coupa:
        orders = [supplier(f"S{number}", name=f"{number} {'ÜÄÖ' * 30}") for number in range(60)]
        assert set((await Suppliers(coupa.client).find(orders)).values()) == {Absent()}
        assert max(len(str(one.url)) for one in coupa.sent("GET")) < 8000


async def test_a_number_in_other_letters_is_for_a_person() -> None:
    server = Coupa()
    row = {"id": 5, "number": "sup00009", "name": "Somebody", "status": "active"}
    server.faults = [httpx.Response(200, json=[row]), httpx.Response(200, json=[])]
    assert await found(Suppliers(open_coupa(server, concurrency=1)), supplier()) == Foreign("5")


async def test_several_suppliers_of_one_number_are_for_a_person() -> None:
    server = Coupa()
    server.tables["suppliers"] = [{"id": 1, "number": "V1", "name": "A"}, {"id": 2, "number": "V1", "name": "B"}]
    assert await found(Suppliers(open_coupa(server)), supplier("V1")) == Several(("1", "2"))


async def test_a_lookup_value_is_created_found_and_retired() -> None:
    async with stand_in() as coupa:
        target = LookupValues(coupa.client)
        assert await found(target, value()) == Absent()
        answer = await sent(target, value())
        assert isinstance(answer, Done)
        assert await found(target, value()) == Found(answer.target_id)
        retired = value(target_id=answer.target_id, active=False)
        hit = await found(target, retired)
        assert hit == Found(answer.target_id, ("active",))
        again = value(target_id=answer.target_id, changed=("active",), active=False)
        assert await sent(target, again) == Done(answer.target_id)
        assert coupa.bodies()[-1] == {"active": False}
        row = await coupa.row("lookup_values", int(answer.target_id))
        assert (row["active"], row["external-ref-code"], row["description"]) == (False, "CC10", "Head office")


async def test_the_same_code_under_another_parent_or_lookup_is_another_value() -> None:
    async with stand_in() as coupa:
        target = LookupValues(coupa.client)
        assert isinstance(await sent(target, value("ROOT")), Done)
        assert isinstance(await sent(target, value("CC10")), Done)
        assert await found(target, value("CC10", lookup="GL Account")) == Absent()
        child = value("CC10", parent="ROOT")
        assert await found(target, child) == Absent()
        answer = await sent(target, child)
        assert isinstance(answer, Done)
        row = await coupa.row("lookup_values", int(answer.target_id))
        assert row["external-ref-code"] == "ROOT-CC10"
        assert await found(target, child) == Found(answer.target_id)
        assert await found(target, value("CC10", target_id=answer.target_id)) == Found(answer.target_id, ("parent",))


async def test_a_lookup_value_known_by_name_only_is_for_a_person() -> None:
    async with stand_in() as coupa:
        target = LookupValues(coupa.client)
        answer = await sent(target, value("OLD10", name="administration"))
        assert isinstance(answer, Done)
        assert await found(target, value(name="Administration")) == Foreign(answer.target_id)
        refused = await sent(target, value(name="Administration"))
        assert isinstance(refused, Refused)
        assert (refused.code, refused.waits) == ("already_exists", True)


async def test_a_code_in_other_letters_is_for_a_person() -> None:
    server = Coupa()
    row = {"id": 5, "name": "x", "description": None, "external-ref-num": "cc10", "active": True, "parent": None}
    server.faults = [httpx.Response(200, json=[row]), httpx.Response(200, json=[])]
    client = open_coupa(server, concurrency=1)
    assert await found(LookupValues(client), value()) == Foreign("5")


async def test_unknown_lookups_and_parents_are_refused_by_name() -> None:
    async with stand_in() as coupa:
        target = LookupValues(coupa.client)
        for one, code in (
            (value(lookup="Nobody"), "unknown_reference:Lookup"),
            (value(parent="NOPE"), "unknown_reference:LookupValue"),
        ):
            answer = await sent(target, one)
            assert isinstance(answer, Refused)
            assert answer.code == code


async def test_a_hundred_and_twenty_lookup_values_are_found_in_three_calls() -> None:
    async with stand_in() as coupa:
        codes = [f"C{number:04d}" for number in range(120)]
        rows: list[dict[str, Any]] = [
            {"name": f"{code} Administration", "external-ref-num": code, "lookup": {"name": "Cost Centre"}}
            for code in codes
        ]
        await coupa.seed(lookup_values=rows)
        findings = await LookupValues(coupa.client).find([value(code) for code in codes])
        assert all(isinstance(one, Found) and one.differs == ("description",) for one in findings.values())
        assert len(coupa.sent("GET")) == 3


async def written(coupa: StandIn) -> int:
    return len(coupa.bodies())


async def test_writing_twice_the_same_writes_the_same() -> None:
    async with stand_in() as coupa:
        target = LookupValues(coupa.client)
        for code in ("CC10", "CC20"):
            assert isinstance(await sent(target, value(code)), Done)
        findings = await target.find([value("CC10"), value("CC20")])
        assert all(isinstance(one, Found) and not one.differs for one in findings.values())
        assert await written(coupa) == 2
