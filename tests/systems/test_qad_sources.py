"""Payments, suppliers and codes as streams: summed, named, in a stable order, and read once per run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ml_connector.domain.records import PaymentAllocation, ReferenceCode, Supplier, Unreadable
from ml_connector.errors import ConfigurationError, ContractError
from ml_connector.sync.seams import Batch, Source
from ml_connector.systems.qad import changes
from ml_connector.systems.qad.documents import invoice_key
from ml_connector.systems.qad.sources import Payments, ReferenceCodes, SupplierChanges
from tests.systems.qad_server import Qad, Tenant, open_qad, supplier, tenant_with_masters

BEGIN = date(2026, 1, 1)
A, B = "10USACO/2026/APINV/10001", "10USACO/2026/APINV/10002"
Json = dict[str, Any]


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with tenant_with_masters() as one:
        invoices = [{"invoiceReference": name, "originalAmountTC": 100} for name in ("A", "B")]
        await one.seed(supplierInvoices=invoices)
        yield one


async def read(source: Any, start: str | None = None, since: str | None = None) -> list[Batch[Any]]:
    return [batch async for batch in source.pages(start, since)]


async def records(source: Any, **more: Any) -> dict[str, Any]:
    return {one.key: one for batch in await read(source, **more) for one in (*batch.records, *batch.unreadable)}


def payments(tenant: Tenant, **more: Any) -> Payments:
    return Payments(tenant.client(**more), begin=BEGIN)


def row(number: int = 7, voucher: Any = 10001, amount: Any = 10, **changes: Any) -> Json:
    found = {
        "entityCode": "10USACO",
        "paymentYear": 2026,
        "paymentNumber": number,
        "paymentInstrument": "Check",
        "paymentStatus": "Paid",
        "supplierCode": "SUP00001",
        "valueDate": "2026-02-09T00:00:00.000Z",
        "currencyCode": "USD",
        "invoicePostingYear": 2026,
        "invoiceDaybookCode": "APINV",
        "invoiceVoucher": voucher,
        "invoiceReference": "A",
        "allocatedAmountTC": amount,
        "discountAmountTC": 0,
        "lastModifiedDate": "2026-02-10T00:00:00.000Z",
        "lastModifiedTime": 100,
    }
    return {**found, **changes}


class Ledger(Qad):
    """A QAD whose payments have a record with rows inside, as well as rows in the list."""

    def __init__(self, *rows: Json, whole: dict[int, list[Json]] | None = None) -> None:
        super().__init__(supplierPayment=list(rows))
        self.whole = whole or {}

    def _read(self, name: str, request: httpx.Request) -> httpx.Response:
        inside = self.whole.get(int(request.url.params["paymentNumber"]))
        if inside is None:
            return httpx.Response(200, json={"data": {"supplierPayments": []}})
        body = {"data": {"supplierPayments": [{**inside[0], "supplierPaymentAllocations": inside}]}}
        return httpx.Response(200, content=json.dumps(body, default=str))


def source(server: Qad, **more: Any) -> Payments:
    return Payments(open_qad(server, **more), begin=BEGIN)


async def test_a_payment_of_two_invoices_is_two_records_with_the_documents_keys(tenant: Tenant) -> None:
    parts = [{"invoiceReference": "A", "amount": 40.1, "discount": 5}, {"invoiceReference": "B", "amount": 20}]
    await tenant.do("pay", invoices=parts)
    found = await records(payments(tenant))
    first = found[f"10USACO/2026/50001>{A}"]
    assert first == PaymentAllocation(
        key=f"10USACO/2026/50001>{A}",
        payment="10USACO/2026/50001",
        document=A,
        reference="A",
        supplier_number="SUP00001",
        state="paid",
        amount=Decimal("45.1"),
        discount=Decimal(5),
        currency="USD",
        paid_on=date(2026, 2, 10),
        instrument="Electronic Transfer",
    )
    assert (found[f"10USACO/2026/50001>{B}"].amount, len(found)) == (20, 2)
    assert first.document == invoice_key("10USACO", 2026, "APINV", 10001)


async def test_two_payments_of_one_invoice_are_two_records(tenant: Tenant) -> None:
    for amount in (40, 60):
        await tenant.do("pay", invoiceReference="A", amount=amount)
    found = await records(payments(tenant))
    assert {one.payment: one.amount for one in found.values()} == {"10USACO/2026/50001": 40, "10USACO/2026/50002": 60}
    assert {one.document for one in found.values()} == {A}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Paid", "paid"),
        ("Void", "reversed"),
        ("Bounced", "reversed"),
        ("For Collection", "open"),
        ("Allocated", "open"),
    ],
)
async def test_the_tenants_words_say_what_a_payment_is(tenant: Tenant, status: str, state: str) -> None:
    number = (await tenant.do("pay", invoiceReference="A", status="Allocated"))["paymentNumber"]
    if status != "Allocated":
        await tenant.do("set_payment_status", paymentNumber=number, status=status)
    (one,) = (await records(payments(tenant))).values()
    assert (one.state, one.amount) == (state, 100)


async def test_a_tenant_with_its_own_words_is_understood() -> None:
    server = Ledger(row(1, paymentStatus="cleared "), row(2, paymentStatus="Paid"), row(3, paymentStatus="Retour"))
    words = {"paid_statuses": ["Cleared"], "reversed_statuses": ["Retour"]}
    found = await records(source(server, status=words))
    assert [one.state for one in found.values()] == ["paid", "open", "reversed"]


async def test_a_void_after_the_mark_is_read_as_a_change(tenant: Tenant) -> None:
    await tenant.do("pay", invoiceReference="A")
    (batch,) = await read(payments(tenant))
    assert batch.mark == "2026-02-10"
    tenant.clock.advance(3 * 86400)
    assert await records(payments(tenant), since="2026-02-13") == {}
    await tenant.do("set_payment_status", paymentNumber=50001, status="Void")
    (again,) = await read(payments(tenant), since=batch.mark)
    assert ([one.state for one in again.records], again.mark) == (["reversed"], "2026-02-13")


async def test_a_payment_without_an_allocation_is_left_out_and_the_mark_goes_on(tenant: Tenant) -> None:
    await tenant.do("pay", invoiceReference="A", status="Initial")
    assert await read(payments(tenant)) == [Batch((), (), "", "2026-02-10")]


async def test_two_allocations_of_one_invoice_are_summed_from_the_whole_payment() -> None:
    parts = [row(amount=10.25), row(amount=20, discountAmountTC=1.5)]
    server = Ledger(*parts, row(8, amount=3), whole={7: parts})
    found = await records(source(server))
    one = found[f"10USACO/2026/7>{A}"]
    assert (one.amount, one.discount, len(found)) == (Decimal("31.75"), Decimal("1.5"), 2)
    assert len(server.calls("/supplierPayments")) == 1


async def test_two_allocations_that_look_alike_both_count() -> None:
    server = Ledger(row(), row(), whole={7: [row(), row()]})
    (one,) = (await records(source(server))).values()
    assert one.amount == 20


async def test_a_payment_seen_before_and_after_an_edit_counts_as_it_is_now(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 2)
    invoices = [{"invoiceReference": name, "originalAmountTC": 10} for name in "CDEF"]
    await tenant.seed(supplierInvoices=invoices)
    for name in "CDEF":
        await tenant.do("pay", invoiceReference=name)

    async def bounce(request: httpx.Request) -> None:
        if len(tenant.calls("/browses")) == 1:
            await tenant.do("set_payment_status", paymentNumber=50004, status="Bounced")

    tenant.after = bounce
    tenant.clock.advance(60)
    # Read as one day, in which the bounced payment is met in both states.
    found = await records(Payments(tenant.client(), begin=date(2026, 2, 10)))
    assert {one.payment[-1]: (one.state, one.amount) for one in found.values()} == {
        "1": ("paid", 10),
        "2": ("paid", 10),
        "3": ("paid", 10),
        "4": ("reversed", 10),
    }
    assert len(tenant.calls("/supplierPayments")) == 1


async def test_rows_of_one_payment_from_different_moments_are_not_mixed() -> None:
    later = row(voucher=10002, paymentStatus="Void", lastModifiedTime=200)
    server = Ledger(row(), later, whole={7: [later]})
    assert {key: one.state for key, one in (await records(source(server))).items()} == {
        f"10USACO/2026/7>{B}": "reversed"
    }


async def test_what_cannot_be_read_is_named_with_its_key_and_path() -> None:
    server = Ledger(
        row(1, allocatedAmountTC="much"),
        row(2, invoiceVoucher="x"),
        row(3, paymentNumber=""),
        row(4),
        row(5, valueDate=None),
    )
    found = await records(source(server))
    broken = {key: one.path for key, one in found.items() if isinstance(one, Unreadable)}
    assert "supplierPayment.allocatedAmountTC" in broken[f"10USACO/2026/1>{A}"]
    assert "supplierPayment.invoiceVoucher" in broken["10USACO/2026/2>10USACO/2026/APINV/x"]
    assert "much" not in str(broken)
    assert [path for key, path in broken.items() if key.startswith("row/")] == ["the row does not show its payment"]
    assert found[f"10USACO/2026/4>{A}"].paid_on == date(2026, 2, 9)
    assert found[f"10USACO/2026/5>{A}"].paid_on is None


async def test_a_sum_with_an_unreadable_part_is_unreadable() -> None:
    parts = [row(), row(allocatedAmountTC="much"), row(amount=1)]
    (one,) = (await records(source(Ledger(*parts, whole={7: parts})))).values()
    assert isinstance(one, Unreadable)


async def test_a_row_that_lacks_members_is_completed_from_the_whole_payment() -> None:
    server = Ledger(row(amount=12, discountAmountTC=2), row(8), whole={7: [row(amount=12, discountAmountTC=2)]})
    server.hidden_row_members = {"discountAmountTC"}
    found = await records(source(server))
    assert (found[f"10USACO/2026/7>{A}"].amount, len(server.calls("/supplierPayments"))) == (14, 2)
    lost = found[f"10USACO/2026/8>{A}"]
    assert isinstance(lost, Unreadable)
    assert "cannot be read by its key" in lost.path


async def test_a_payment_record_without_its_rows_breaks_the_contract() -> None:
    server = Qad(supplierPayment=[row()])
    with pytest.raises(ContractError, match=r"data\.supplierPayments\[0\]\.supplierPaymentAllocations"):
        await source(server).by_key([f"10USACO/2026/7>{A}"])


async def test_single_allocations_are_read_as_they_are_now(tenant: Tenant) -> None:
    await tenant.do("pay", invoices=[{"invoiceReference": "A"}, {"invoiceReference": "B", "amount": 20}])
    await tenant.do("set_payment_status", paymentNumber=50001, status="Void")
    asked = [f"10USACO/2026/50001>{A}", f"10USACO/2026/50001>{B}", f"10USACO/2026/9>{A}", "row/0", "nonsense>x"]
    found = await payments(tenant).by_key(asked)
    assert list(found) == asked[:2]
    assert {getattr(one, "state", "") for one in found.values()} == {"reversed"}
    assert len(tenant.calls("/supplierPayments")) == 2


async def test_rows_that_say_too_little_are_completed_batch_by_batch() -> None:
    server = Qad(costCenter=[center(f"CC{n}") for n in range(6)])
    server.hidden_row_members = {"description"}
    reader = ReferenceCodes(open_qad(server, limits={"page_size": 2}), "costCenter", begin=BEGIN)
    batches = reader.pages(None, None)
    assert [one.code for one in (await anext(batches)).records] == ["CC0", "CC1"]
    assert len(server.calls("/costCenters")) == 2
    assert [one.description async for batch in batches for one in batch.records] == ["Center"] * 4
    assert len(server.calls("/costCenters")) == 6


def center(code: str) -> Json:
    found = {"sharedSetCode": "SH", "costCenterCode": code, "description": "Center", "isActive": True}
    return {**found, "lastModifiedDate": "2026-02-10T00:00:00.000Z", "lastModifiedTime": 5}


async def test_pages_come_in_order_and_one_read_serves_them_all(tenant: Tenant) -> None:
    reader = ReferenceCodes(tenant.client(limits={"page_size": 2, "rps": 10_000}), "costCenter", begin=BEGIN)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        batch = await anext(reader.pages(cursor, None))
        seen += [one.code for one in batch.records]
        cursor = batch.cursor
    assert seen == ["CC10", "CC20", "CC30", "CC40", "CC90"]
    assert len(tenant.calls("/browses")) == 1


async def test_a_resumed_run_reads_again_and_goes_on_behind_its_cursor(tenant: Tenant) -> None:
    small = {"limits": {"page_size": 2, "rps": 10_000}}
    first = await read(ReferenceCodes(tenant.client(**small), "costCenter", begin=BEGIN))
    tenant.clock.advance(60)
    await tenant.seed(costCenters=[{"costCenterCode": "CC10", "description": "Renamed"}])
    resumed = ReferenceCodes(tenant.client(**small), "costCenter", begin=BEGIN)
    codes = [one.code for batch in await read(resumed, start=first[0].cursor) for one in batch.records]
    # What was edited meanwhile stands behind everything else and comes once more.
    assert codes == ["CC30", "CC40", "CC90", "CC10"]
    assert await read(resumed, start=first[-1].cursor + "~") != []


async def test_a_new_read_asks_again_and_another_mark_does_too(tenant: Tenant) -> None:
    reader = ReferenceCodes(tenant.client(), "costCenter", begin=BEGIN)
    (batch,) = await read(reader)
    await read(reader)
    assert len(tenant.calls("/browses")) == 2
    await read(reader, start=batch.cursor)
    assert len(tenant.calls("/browses")) == 2
    await read(reader, start=batch.cursor, since=batch.mark)
    assert len(tenant.calls("/browses")) == 3


async def test_a_page_before_the_last_moves_the_mark_only_to_its_own_day(tenant: Tenant) -> None:
    for day in range(3):
        await tenant.seed(costCenters=[{"costCenterCode": f"N{day}", "description": "New"}])
        tenant.clock.advance(86400)
    small = {"limits": {"page_size": 1, "rps": 10_000}}
    batches = await read(ReferenceCodes(tenant.client(**small), "costCenter", begin=date(2026, 2, 11)))
    assert [(one.records[0].code, one.mark) for one in batches] == [("N1", "2026-02-11"), ("N2", "2026-02-12")]
    (only,) = await read(ReferenceCodes(tenant.client(), "costCenter", begin=date(2026, 2, 12)))
    assert only.mark == "2026-02-12"


async def test_suppliers_are_read_with_their_terms_and_by_number(tenant: Tenant) -> None:
    reader: Source[Supplier] = SupplierChanges(tenant.client(), begin=BEGIN)
    (batch,) = [one async for one in reader.pages(None, None)]
    assert reader.stream == "qad.suppliers"
    assert Supplier("SUP00010", "Juniper Software", True, "USD", "N60") in batch.records
    found = await reader.by_key(["SUP00009", "SUP00001", "NOBODY"])
    assert {key: getattr(one, "active", None) for key, one in found.items()} == {"SUP00009": False, "SUP00001": True}


async def test_a_supplier_row_that_says_too_little_is_completed() -> None:
    server = Qad(supplier=[supplier(lastModifiedDate="2026-02-10T00:00:00.000Z"), supplier("SUP00002")])
    server.hidden_row_members = {"creditTermsCode"}
    found = await SupplierChanges(open_qad(server), begin=BEGIN).by_key(["SUP00001"])
    assert found == {"SUP00001": Supplier("SUP00001", "Acme Metals", True, "USD", "N30")}
    assert len(server.calls("/supplierV2s")) == 1


async def test_an_unreadable_supplier_does_not_stop_the_others() -> None:
    day = {"lastModifiedDate": "2026-02-10T00:00:00.000Z"}
    server = Qad(supplier=[supplier(**day), supplier("SUP00002", isActive="perhaps", **day)])
    (batch,) = await read(SupplierChanges(open_qad(server), begin=BEGIN))
    assert [one.number for one in batch.records] == ["SUP00001"]
    assert [one.key for one in batch.unreadable] == ["SUP00002"]
    assert "supplierV2.isActive" in batch.unreadable[0].path


@pytest.mark.parametrize(
    ("resource", "stream", "code", "expected"),
    [
        ("costCenter", "qad.cost_centers", "CC90", ReferenceCode("CC90", "Closed department", False)),
        ("glAccount", "qad.gl_accounts", "6100", ReferenceCode("6100", "Office supplies", True)),
        ("project", "qad.projects", "PX", ReferenceCode("PX", "Plant extension", False)),
    ],
)
async def test_codes_are_read_by_change_and_by_code(
    tenant: Tenant, resource: Any, stream: str, code: str, expected: ReferenceCode
) -> None:
    await tenant.seed(projects=[{"projectCode": "PX", "description": "Plant extension", "isActive": False}])
    reader = ReferenceCodes(tenant.client(), resource, begin=BEGIN)
    (batch,) = await read(reader)
    assert reader.stream == stream
    assert expected in batch.records
    assert await reader.by_key([code, "NONE"]) == {code: expected}


def project(code: str, **changes: Any) -> Json:
    row = {"sharedSetCode": "SHPR", "projectCode": code, "description": f"Project {code}", "isActive": True}
    return {**row, "lastModifiedDate": "2026-02-10T00:00:00.000Z", "lastModifiedTime": 5, **changes}


async def test_projects_come_from_their_own_list() -> None:
    server = Qad(project=[project("P1"), project("P2", isActive=False), project("P1", sharedSetCode="OTHER")])
    client = open_qad(server, shared_sets={"project": "SHPR"})
    (batch,) = await read(ReferenceCodes(client, "project", begin=BEGIN))
    assert list(batch.records) == [ReferenceCode("P1", "Project P1"), ReferenceCode("P2", "Project P2", False)]
    assert server.calls("/browses")[0].url.params["browseId"] == "urn:browse:bebrowse:com.qad.erp.base.projects"


async def test_a_code_of_several_sets_asks_for_the_setting() -> None:
    server = Qad(project=[project("P1"), project("P1", sharedSetCode="OTHER")])
    with pytest.raises(ConfigurationError, match=r"shared_sets\.project"):
        await read(ReferenceCodes(open_qad(server), "project", begin=BEGIN))
