"""Suppliers under the write protocol: known by number, created once with the tenant's defaults, changed by member."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ml_connector.domain.writes import (
    Absent,
    Done,
    Doubt,
    Foreign,
    Found,
    Gone,
    NotSent,
    Order,
    Refused,
    Several,
)
from ml_connector.errors import PermissionDeniedError
from ml_connector.sync.seams import Target
from ml_connector.systems.qad.ports import QadRest
from ml_connector.systems.qad.supplier_target import Suppliers
from tests.systems.qad_server import Qad, Tenant, bare, open_qad, refusal, supplier, tenant_with_masters
from tests.systems.stopping import stopped_by

DEFAULTS = {
    "credit_terms": "N30",
    "invoice_status": "AP-NOALLOC",
    "currency": "USD",
    "gl_profiles": {"invoice": "AP-CTRL", "credit_note": "AP-CN", "prepayment": "AP-PRE", "purchase": "AP-PUR"},
}
NEW = {"number": "SUP00077", "name": "Nova Castings", "active": True, "currency": "EUR", "credit_terms": ""}
KNOWN = {"number": "SUP00010", "name": "Juniper Software", "active": True, "currency": "USD", "credit_terms": "N60"}


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters() as one:
        yield one


def target(tenant: Any, **more: Any) -> Suppliers:
    settings = {"supplier_defaults": DEFAULTS, **more}
    client = tenant.client(**settings) if isinstance(tenant, Tenant) else open_qad(tenant, **settings)
    return Suppliers(QadRest(client), client.tenant)


def written(payload: dict[str, Any], target_id: str = "", changed: tuple[str, ...] = ()) -> Order:
    name = f"COUPA:supplier:{payload['number']}"
    return Order(name, "", "key", "supplier", "upsert", payload, target_id=target_id, changed=changed)


async def finding(suppliers: Suppliers, order: Order) -> Any:
    return (await suppliers.find([order]))[order.external_id]


async def sent(suppliers: Suppliers, order: Order) -> Any:
    return (await suppliers.send([order]))[order.external_id]


async def stored(tenant: Tenant, number: str) -> dict[str, Any]:
    return next((one for one in await tenant.state("suppliers") if one["supplierCode"] == number), {})


def test_keeps_the_protocol_of_a_target() -> None:
    one: Target = target(Qad())
    assert (one.name, one.settle.total_seconds()) == ("qad.supplier", 600)


async def test_a_supplier_is_known_by_its_number_and_what_differs_is_named(tenant: Tenant) -> None:
    suppliers, data = target(tenant), {"number": "SUP00010"}
    assert await finding(suppliers, written(KNOWN)) == Found("SHSET/SUP00010", (), data)
    changed = KNOWN | {"name": "Juniper", "active": False, "currency": "", "credit_terms": "N30"}
    differs = ("name", "active", "credit_terms")
    assert await finding(suppliers, written(changed)) == Found("SHSET/SUP00010", differs, data)
    assert await finding(suppliers, written(changed, "SHSET/SUP00010")) == Found("SHSET/SUP00010", differs, data)


async def test_one_that_is_nowhere_is_absent_and_one_that_was_there_is_gone(tenant: Tenant) -> None:
    suppliers = target(tenant)
    assert await finding(suppliers, written(NEW)) == Absent()
    assert await finding(suppliers, written(NEW, "SHSET/SUP00077")) == Gone("SHSET/SUP00077")


async def test_the_same_name_under_another_number_is_for_a_person(tenant: Tenant) -> None:
    assert await finding(target(tenant), written(NEW | {"name": "Acme Metals"})) == Foreign("SHSET/SUP00001")


async def test_a_number_in_several_sets_is_nobodys() -> None:
    server = Qad(supplier=[supplier(), supplier(sharedSetCode="OTHER")])
    order = written(KNOWN | {"number": "SUP00001"})
    assert await finding(target(server, shared_sets={}), order) == Several(("OTHER/SUP00001", "SHSET/SUP00001"))


async def test_many_suppliers_take_few_questions() -> None:
    server = Qad(supplier=[supplier(f"SUP{number:05}") for number in range(1, 41)])
    orders = [written(KNOWN | {"number": f"SUP{number:05}"}) for number in range(1, 41)]
    found = await target(server).find(orders)
    assert len(found) == 40
    assert len(server.calls("/browses")) == 1


async def test_a_new_supplier_gets_its_business_relation_and_the_tenants_defaults(tenant: Tenant) -> None:
    suppliers = target(tenant)
    assert await sent(suppliers, written(NEW)) == Done("SHSET/SUP00077", {"number": "SUP00077"})
    shown = await stored(tenant, "SUP00077")
    assert {name: shown[name] for name in ("businessRelationCode", "addressName", "currencyCode")} == {
        "businessRelationCode": "SUP00077",
        "addressName": "Nova Castings",
        "currencyCode": "EUR",
    }
    assert (shown["creditTermsCode"], shown["invoiceStatusCode"], shown["isActive"]) == ("N30", "AP-NOALLOC", True)
    assert shown["prePaymentControlGLProfileCode"] == "AP-PRE"
    assert len(tenant.calls("/businessRelationV2s", "POST")) == 1
    assert await finding(suppliers, written(NEW)) == Found("SHSET/SUP00077", (), {"number": "SUP00077"})
    assert "ignored_members" not in await tenant.truth() or not (await tenant.truth())["ignored_members"]


async def test_a_relation_that_is_there_is_used(tenant: Tenant) -> None:
    await tenant.seed(businessRelations=[{"businessRelationCode": "SUP00077", "businessRelationName": "Nova"}])
    assert isinstance(await sent(target(tenant), written(NEW)), Done)
    assert tenant.calls("/businessRelationV2s", "POST") == []


@pytest.mark.parametrize("missing", [{"supplier_defaults": None}, {"shared_sets": {}}])
async def test_without_defaults_nothing_is_created_and_nothing_is_sent(tenant: Tenant, missing: Any) -> None:
    outcome = await sent(target(tenant, **missing), written(NEW))
    assert (outcome.code, outcome.waits) == ("supplier_defaults_missing", False)
    assert tenant.seen == []


async def test_a_create_that_lost_the_race_waits_for_the_next_run(tenant: Tenant) -> None:
    await tenant.seed(suppliers=[{"supplierCode": "SUP00077", "addressName": "Nova Castings", "currencyCode": "EUR"}])
    outcome = await sent(target(tenant), written(NEW))
    assert (outcome.code, outcome.waits) == ("already_exists", True)
    assert isinstance(await finding(target(tenant), written(NEW)), Found)


async def test_an_update_writes_only_what_changed_and_keeps_the_rest(tenant: Tenant) -> None:
    await tenant.seed(suppliers=[{"supplierCode": "SUP00010", "customShort0": "kept", "telephone": "42"}])
    before = await stored(tenant, "SUP00010")
    payload = KNOWN | {"name": "Juniper Inc", "credit_terms": "N30"}
    outcome = await sent(target(tenant), written(payload, "SHSET/SUP00010", ("name",)))
    assert outcome == Done("SHSET/SUP00010", {"number": "SUP00010"})
    after = await stored(tenant, "SUP00010")
    moved = {name for name in before if before[name] != after[name]}
    assert moved - {"concurrencyHash", "lastModifiedTime", "lastModifiedDate", "lastModifiedUser"} == {"addressName"}


async def test_an_update_without_names_brings_all_members_in_line(tenant: Tenant) -> None:
    payload = KNOWN | {"active": False, "currency": "", "credit_terms": "N30"}
    assert isinstance(await sent(target(tenant), written(payload, "SHSET/SUP00010")), Done)
    after = await stored(tenant, "SUP00010")
    assert (after["isActive"], after["creditTermsCode"], after["currencyCode"]) == (False, "N30", "USD")


def edited_meanwhile(tenant: Tenant, times: int) -> None:
    """Somebody else changes the supplier between our read and our write, so many times."""
    left = iter(range(times))

    async def before(request: httpx.Request) -> None:
        if request.method == "POST" and "/supplierV2s" in request.url.path and (turn := next(left, None)) is not None:
            tenant.clock.advance(1)
            await tenant.seed(suppliers=[{"supplierCode": "SUP00010", "telephone": str(turn)}])

    tenant.before = before


async def test_a_record_that_changed_meanwhile_is_read_and_changed_again(tenant: Tenant) -> None:
    edited_meanwhile(tenant, 2)
    payload = KNOWN | {"name": "Juniper Inc"}
    assert isinstance(await sent(target(tenant), written(payload, "SHSET/SUP00010", ("name",))), Done)
    after = await stored(tenant, "SUP00010")
    assert (after["addressName"], after["telephone"]) == ("Juniper Inc", "1")
    assert len(tenant.calls("/supplierV2s", "POST")) == 3


async def test_after_three_stale_attempts_the_next_run_tries(tenant: Tenant) -> None:
    edited_meanwhile(tenant, 9)
    outcome = await sent(target(tenant), written(KNOWN | {"name": "New"}, "SHSET/SUP00010", ("name",)))
    assert (outcome.code, outcome.waits) == ("stale", True)
    assert len(tenant.calls("/supplierV2s", "POST")) == 3


async def test_a_code_that_qad_does_not_know_is_refused(tenant: Tenant) -> None:
    outcome = await sent(target(tenant), written(NEW | {"credit_terms": "N999"}))
    assert (outcome.code, outcome.waits) == ("field_mandatory:CreditTermsCode", False)
    assert await stored(tenant, "SUP00077") == {}


async def test_a_supplier_that_is_gone_is_not_updated(tenant: Tenant) -> None:
    outcome = await sent(target(tenant), written(NEW, "SHSET/SUP00077", ("name",)))
    assert outcome == Refused("not_found", "supplier is not in QAD", False)
    assert tenant.calls("/supplierV2s", "POST") == []


def lost(tenant: Tenant, part: str) -> None:
    """The answer to the first write of a record type is lost after it took effect."""
    lives = iter([True])

    async def after(request: httpx.Request) -> None:
        if request.method == "POST" and part in request.url.path and next(lives, False):
            raise httpx.ReadError("reset", request=request)

    tenant.after = after


async def test_a_lost_answer_is_doubt_and_the_number_settles_it(tenant: Tenant) -> None:
    lost(tenant, "/supplierV2s")
    suppliers = target(tenant)
    assert isinstance(await sent(suppliers, written(NEW)), Doubt)
    assert await finding(suppliers, written(NEW)) == Found("SHSET/SUP00077", (), {"number": "SUP00077"})


async def test_a_lost_answer_about_the_relation_leaves_the_supplier_unsent(tenant: Tenant) -> None:
    lost(tenant, "/businessRelationV2s")
    suppliers = target(tenant)
    assert isinstance(await sent(suppliers, written(NEW)), NotSent)
    assert tenant.calls("/supplierV2s", "POST") == []
    assert isinstance(await sent(suppliers, written(NEW)), Done)
    assert len(tenant.calls("/businessRelationV2s", "POST")) == 1


class Forgetful(Qad):
    """A QAD that answers a write with `shown` laid over what was sent, whatever it was told."""

    def __init__(self, shown: dict[str, Any], *, found: list[dict[str, Any]]) -> None:
        super().__init__(supplier=found, businessRelation=[{"businessRelationCode": NEW["number"]}])
        self.answer = lambda record: {
            "data": {"supplierV2s": [{**record, **shown}]},
            "submitResult": {"success": True, "errorSeverity": 0, "errors": []},
        }


async def test_what_the_answer_does_not_show_as_sent_is_refused() -> None:
    server = Forgetful({"addressName": "Old"}, found=[supplier("SUP00077")])
    order = written(NEW | {"currency": "USD"}, "SHSET/SUP00077", ("name",))
    outcome = await sent(target(server), order)
    assert outcome == Refused("not_stored", "not stored as sent: name", False)


async def test_an_answer_that_shows_only_a_part_is_completed_by_reading() -> None:
    server = Qad(supplier=[supplier("SUP00077", addressName="Nova Castings", currencyCode="EUR")])
    server.records["businessRelation"] = [{"businessRelationCode": "SUP00077"}]
    success = {"success": True, "errorSeverity": 0, "errors": []}
    server.answer = lambda _record: {
        "data": {"supplierV2s": [{"supplierCode": "SUP00077"}]},
        "submitResult": success,
    }
    assert isinstance(await sent(target(server), written(NEW)), Done)
    # Written, but nobody can read it: that is doubt, never "not sent".
    gets = [call for call in server.calls("/supplierV2s") if call.method == "GET"]
    assert len(gets) == 1
    server.answer = lambda _record: _unreadable(server, success)
    assert isinstance(await sent(target(server), written(NEW)), Doubt)


def _unreadable(server: Qad, success: dict[str, Any]) -> dict[str, Any]:
    server.fail("/supplierV2s", lambda request: httpx.Response(503), times=9)
    return {"data": {"supplierV2s": [{"supplierCode": "SUP00077"}]}, "submitResult": success}


async def test_a_relation_that_somebody_else_made_meanwhile_is_no_trouble() -> None:
    server = Qad()
    replies = iter([refusal("businessRelationCode", "Business relation already exists")])

    def answer(record: dict[str, Any]) -> Any:
        if (reply := next(replies, None)) is not None:
            return reply
        success = {"success": True, "errorSeverity": 0, "errors": []}
        return {"data": {"supplierV2s": [record]}, "submitResult": success}

    server.answer = answer
    assert isinstance(await sent(target(server), written(NEW)), Done)


async def test_a_missing_right_ends_the_call() -> None:
    server = Qad(businessRelation=[{"businessRelationCode": "SUP00077"}])
    server.answer = lambda _record: bare("403", "Access is denied")
    with stopped_by(PermissionDeniedError):
        await target(server).send([written(NEW)])
