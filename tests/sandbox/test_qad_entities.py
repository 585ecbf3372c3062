"""The entity API of the stand-in QAD tenant: envelopes, whole-object updates, lock hashes, metadata."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.qad_visitor import VIEWS, Json, Visitor, refusal, stored, visiting

SUPPLIER_KEY = {"sharedSetCode": "SHSET", "supplierCode": "SUP00077"}
SUPPLIER = SUPPLIER_KEY | {
    "businessRelationCode": "BR77",
    "addressName": "Nova Castings",
    "isActive": True,
    "currencyCode": "USD",
    "creditTermsCode": "N30",
    "invoiceStatusCode": "AP-INITIAL",
    "invoiceControlGLProfileCode": "AP-CTRL",
    "creditNoteControlGLProfileCode": "AP-CN",
    "prePaymentControlGLProfileCode": "AP-PRE",
    "purchaseAccountGLProfileCode": "AP-PUR",
    "customShort0": "note",
    "dataOperation": "C",
    "concurrencyHash": "",
}
RELATION = {"businessRelationCode": "BR77", "businessRelationName": "Nova Castings Inc", "dataOperation": "C"}


async def create_supplier(visitor: Visitor, **changes: Any) -> Json:
    await visitor.post("businessRelationV2s", RELATION)
    return await visitor.post("supplierV2s", SUPPLIER | changes)


async def test_read_by_key_answers_the_whole_record_with_its_technical_members() -> None:
    async with visiting() as visitor:
        record = await visitor.get("supplierV2s", sharedSetCode="SHSET", supplierCode="SUP00001", domainCode="")
        assert record["uri"] == "urn:be:com.qad.base.supplier.ISupplierV2:SHSET.SUP00001"
        assert record["addressName"] == "Acme Metals"
        assert (record["dataOperation"], record["disallowedActions"]) == ("", "")
        assert len(record["concurrencyHash"]) == 16
        assert isinstance(record["lastModifiedTime"], int)


async def test_dots_inside_a_key_are_escaped_in_the_address() -> None:
    async with visiting() as visitor:
        await visitor.seed(items=[{"itemCode": "A.1"}])
        record = await visitor.get("items", domainCode="10USA", itemCode="A.1")
        assert record["uri"] == "urn:be:com.qad.base.item.IItem:10USA.A%2E1"


@pytest.mark.parametrize(
    "key", [{"supplierCode": "SUP00001"}, {"sharedSetCode": "SHSET", "supplierCode": "NOBODY"}, {}]
)
async def test_not_found_is_an_empty_collection(key: dict[str, str]) -> None:
    async with visiting() as visitor:
        assert await visitor.get("supplierV2s", **key) == {}


async def test_view_must_be_named() -> None:
    async with visiting() as visitor:
        for method in ("GET", "POST"):
            answer = await visitor.call(method, "erp/supplierV2s", params=SUPPLIER_KEY)
            assert (answer.status_code, answer.json()["errors"][0]["fieldName"]) == (400, "viewUri")


async def test_supplier_hangs_on_a_business_relation() -> None:
    async with visiting() as visitor:
        lonely = await visitor.post("supplierV2s", SUPPLIER)
        assert refusal(lonely) == ("businessRelationCode", "Field is mandatory. (BusinessRelationCode)")
        record = stored(await create_supplier(visitor), "supplierV2s")
        assert record["businessRelationName"] == "Nova Castings Inc"
        assert record["supplierID"] > 0
        truth = await visitor.truth()
        assert truth["writes"] == 2
        assert truth["suppliers"]["SUP00077"]["addressName"] == "Nova Castings"


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("currencyCode", "XXX", "CurrencyCode"),
        ("creditTermsCode", "N999", "CreditTermsCode"),
        ("invoiceStatusCode", "NOPE", "InvoiceStatusCode"),
        ("purchaseAccountGLProfileCode", "NOPE", "PurchaseAccountGLProfileCode"),
        ("purchaseAccountGLProfileCode", "", "PurchaseAccountGLProfileCode"),
        ("sharedSetCode", "OTHER", "SharedSetCode"),
    ],
)
async def test_code_that_does_not_resolve_is_called_mandatory(name: str, value: str, field: str) -> None:
    async with visiting() as visitor:
        answer = await create_supplier(visitor, **{name: value})
        assert refusal(answer) == (name, f"Field is mandatory. ({field})")


async def test_second_create_already_exists() -> None:
    async with visiting() as visitor:
        stored(await create_supplier(visitor), "supplierV2s")
        assert refusal(await visitor.post("supplierV2s", SUPPLIER)) == ("supplierCode", "Supplier already exists")
        again = await visitor.post("businessRelationV2s", RELATION)
        assert refusal(again) == ("businessRelationCode", "Business relation already exists")


async def test_create_with_the_key_in_the_query_is_looked_up_and_fails() -> None:
    async with visiting() as visitor:
        await visitor.post("businessRelationV2s", RELATION)
        answer = await visitor.post("supplierV2s", SUPPLIER, **SUPPLIER_KEY)
        assert refusal(answer) == ("", "Record not found")
        assert await visitor.get("supplierV2s", **SUPPLIER_KEY) == {}


async def test_update_without_the_key_in_the_query_is_taken_for_a_create() -> None:
    async with visiting() as visitor:
        record = stored(await create_supplier(visitor), "supplierV2s")
        answer = await visitor.post("supplierV2s", record | {"dataOperation": "U"})
        assert refusal(answer) == ("supplierCode", "Supplier already exists")


async def test_update_replaces_the_whole_object_so_missing_members_are_blanked() -> None:
    async with visiting() as visitor:
        record = stored(await create_supplier(visitor), "supplierV2s")
        partial = {
            key: value for key, value in record.items() if key not in ("customShort0", "addressName", "isActive")
        }
        changed = stored(
            await visitor.post("supplierV2s", partial | {"dataOperation": "U"}, **SUPPLIER_KEY), "supplierV2s"
        )
        assert (changed["customShort0"], changed["addressName"], changed["isActive"]) == ("", "", False)
        assert changed["supplierID"] == record["supplierID"]
        assert changed["concurrencyHash"] != record["concurrencyHash"]


async def test_required_member_left_out_of_an_update_is_mandatory() -> None:
    async with visiting() as visitor:
        record = stored(await create_supplier(visitor), "supplierV2s")
        partial = {"customShort0": "x", "concurrencyHash": record["concurrencyHash"], "dataOperation": "U"}
        answer = await visitor.post("supplierV2s", partial, **SUPPLIER_KEY)
        assert answer["submitResult"]["success"] is False
        assert "currencyCode" in {error["fieldName"] for error in answer["submitResult"]["errors"]}


async def test_outdated_lock_hash_is_refused() -> None:
    async with visiting() as visitor:
        record = stored(await create_supplier(visitor), "supplierV2s")
        change = record | {"dataOperation": "U", "telephone": "1"}
        stored(await visitor.post("supplierV2s", change, **SUPPLIER_KEY), "supplierV2s")
        stale = await visitor.post("supplierV2s", change | {"telephone": "2"}, **SUPPLIER_KEY)
        assert refusal(stale) == ("concurrencyHash", "Record was changed by another user")
        blank = await visitor.post("supplierV2s", change | {"concurrencyHash": ""}, **SUPPLIER_KEY)
        assert refusal(blank)[0] == "concurrencyHash"


async def test_every_write_moves_the_change_stamps() -> None:
    async with visiting() as visitor:
        record = stored(await create_supplier(visitor), "supplierV2s")
        await visitor.advance(minutes=1)
        changed = stored(
            await visitor.post("supplierV2s", record | {"dataOperation": "U"}, **SUPPLIER_KEY), "supplierV2s"
        )
        assert changed["lastModifiedTime"] == record["lastModifiedTime"] + 60
        assert changed["lastModifiedUser"] == "qad-demo"


async def test_key_cannot_change() -> None:
    async with visiting() as visitor:
        record = stored(await create_supplier(visitor), "supplierV2s")
        moved = record | {"dataOperation": "U", "supplierCode": "SUP00078"}
        answer = await visitor.post("supplierV2s", moved, **SUPPLIER_KEY)
        assert refusal(answer) == ("supplierCode", "Key cannot be changed")


async def test_text_longer_than_its_field_is_refused() -> None:
    async with visiting() as visitor:
        answer = await create_supplier(visitor, customShort0="x" * 21)
        assert refusal(answer) == ("customShort0", "Value exceeds the maximum length of 20")


async def test_record_must_say_what_it_wants() -> None:
    async with visiting() as visitor:
        assert refusal(await create_supplier(visitor, dataOperation=""))[0] == "dataOperation"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"supplierV2s": []}',
        b'{"supplierV2s": [{}, {}]}',
        b'{"suppliers": [{}]}',
        b'{"supplierV2s": [1]}',
    ],
)
async def test_broken_envelope_is_a_bare_400(body: bytes) -> None:
    async with visiting() as visitor:
        view = {"viewUri": VIEWS["supplierV2s"]}
        answer = await visitor.call("POST", "erp/supplierV2s", params=view, content=body)
        assert (answer.status_code, list(answer.json())) == (400, ["errors"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("isActive", "true"), ("supplierCode", 77), ("customInteger0", 1.5), ("customDecimal0", "1"), ("customNote", [])],
)
async def test_wrong_json_type_is_a_bare_400(name: str, value: Any) -> None:
    async with visiting() as visitor:
        view = {"viewUri": VIEWS["supplierV2s"]}
        body = {"supplierV2s": [SUPPLIER | {name: value}]}
        answer = await visitor.call("POST", "erp/supplierV2s", params=view, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["fieldName"]) == (400, name)


async def test_member_nobody_knows_is_dropped_and_counted() -> None:
    async with visiting() as visitor:
        record = stored(await create_supplier(visitor, adressName="typo"), "supplierV2s")
        assert "adressName" not in record
        assert (await visitor.truth())["ignored_members"] == {"supplierV2s.adressName": 1}


@pytest.mark.parametrize("collection", ["glAccounts", "costCenters", "projects", "items", "supplierPayments"])
async def test_read_only_resources_refuse_writes(collection: str) -> None:
    async with visiting() as visitor:
        body = {collection: [{"dataOperation": "C"}]}
        answer = await visitor.call("POST", f"erp/{collection}", params={"viewUri": VIEWS[collection]}, json=body)
        assert answer.status_code == 403


async def test_masters_can_be_read() -> None:
    async with visiting() as visitor:
        account = await visitor.get("glAccounts", sharedSetCode="SHGL", accountCode="6300")
        assert (account["isActive"], account["isCostCenterRequired"]) == (True, True)
        center = await visitor.get("costCenters", sharedSetCode="SHCC", costCenterCode="CC90")
        assert center["isActive"] is False
        project = await visitor.get("projects", sharedSetCode="SHPR", projectCode="PRJ90")
        assert (project["description"], project["isActive"]) == ("Finished audit", False)
        rows = await visitor.rows("urn:browse:bebrowse:com.qad.erp.base.projects", "project.isActive,eq,true,literal")
        assert sorted(row["project.projectCode"] for row in rows) == ["PRJ01", "PRJ02"]
        assert {"project.sharedSetCode", "project.lastModifiedDate", "project.lastModifiedTime"} <= set(rows[0])
        assert len(await visitor.rows("urn:browse:mfg:gp309")) == len(
            await visitor.rows("urn:browse:bebrowse:com.qad.erp.base.glAccounts")
        )
        (item,) = await visitor.rows("urn:browse:mfg:pp100", "pt_mstr.pt_part,eq,MEMO,literal")
        assert item["pt_mstr.pt_um"] == "EA"


async def test_metadata_describes_every_mapped_entity() -> None:
    async with visiting() as visitor:
        builder = "urn:be:com.qad.qra.adapter.entity.IEntityBuilderCRUD"
        for collection, uri in VIEWS.items():
            query = {"entityURI": uri, "viewUri": builder}
            answer = await visitor.call("GET", "qracore/entitymetadatas", params=query)
            (found,) = answer.json()["data"]["entityMetadatas"]
            assert found["entityCode"] == collection[0].upper() + collection[1:]
            assert {"primaryKey", "isRequired", "maxLength", "jsonName", "dataType", "entityFieldCode"} == set(
                found["entityFields"][0]
            )
        fields = {item["jsonName"]: item for item in found["entityFields"]}
        assert fields["itemCode"]["primaryKey"] == 2
        for query in ({"entityURI": uri}, {"entityURI": "urn:be:nobody", "viewUri": builder}):
            answer = await visitor.call("GET", "qracore/entitymetadatas", params=query)
            assert answer.json() == {"data": {"entityMetadatas": []}}


async def test_metadata_agrees_with_what_writes_demand() -> None:
    async with visiting() as visitor:
        query = {
            "entityURI": VIEWS["supplierInvoices"],
            "viewUri": "urn:be:com.qad.qra.adapter.entity.IEntityBuilderCRUD",
        }
        answer = await visitor.call("GET", "qracore/entitymetadatas", params=query)
        fields = {item["jsonName"]: item for item in answer.json()["data"]["entityMetadatas"][0]["entityFields"]}
        assert fields["customShort0"] == {
            "entityFieldCode": "CustomShort0",
            "jsonName": "customShort0",
            "dataType": "character",
            "maxLength": 20,
            "isRequired": False,
            "primaryKey": 0,
        }
        refused = await visitor.post("supplierInvoices", {"dataOperation": "C"})
        demanded = {error["fieldName"] for error in refused["submitResult"]["errors"]}
        assert demanded == {name for name, item in fields.items() if item["isRequired"]}


async def test_swagger_lists_paths_unless_switched_off() -> None:
    async with visiting() as visitor:
        paths = (await visitor.call("GET", "qracore/swagger.json")).json()["paths"]
        assert set(paths["/clouderp/api/erp/supplierInvoices"]) == {"get", "post"}
        assert set(paths["/clouderp/api/erp/glAccounts"]) == {"get"}
    async with visiting(swagger=False) as visitor:
        assert (await visitor.call("GET", "qracore/swagger.json")).status_code == 404
