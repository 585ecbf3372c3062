"""Master data: lookups and their values, accounts, account types, payment terms, currencies, exchange rates."""

from __future__ import annotations

from sandbox.coupa import changes, seeding
from sandbox.coupa.api import Call, Handler, Operation, Reply, reading
from sandbox.coupa.errors import invalid
from sandbox.coupa.query import read_query
from sandbox.coupa.schema import COLLECTIONS
from sandbox.coupa.store import Record

COMMON, ACCOUNTING = "core.common", "core.accounting"
_SEGMENTS = tuple(f"segment-{number}" for number in range(1, 21))
_VALUE_WRITABLE = ("name", "description", "external-ref-num", "active", "is-default")


def creator(collection: str, *, writable: tuple[str, ...], needed: tuple[str, ...], unique: str | None) -> Handler:
    """The rule for creating a simple master record."""

    def create(call: Call) -> Reply:
        model = COLLECTIONS[collection]
        key = model.replace("-", "_")
        record = changes.taken(call, collection, writable)
        changes.required(key, record, needed)
        _unique(call, collection, unique, record, own_id=None)
        record["id"] = call.tenant.ids.of(model, {})
        seeding.complete(call.tenant, collection, record)
        return Reply(call.tenant.add(collection, record), 201)

    return create


def updater(collection: str, *, writable: tuple[str, ...], unique: str | None) -> Handler:
    """The rule for updating a simple master record; read-only attributes are ignored."""

    def update(call: Call) -> Reply:
        record = call.record(collection)
        fresh = changes.taken(call, collection, writable)
        _unique(call, collection, unique, fresh, own_id=record["id"])
        record.update(fresh)
        if fresh:
            call.tenant.touch(collection, record)
        return Reply(record)

    return update


def _unique(call: Call, collection: str, name: str | None, record: Record, *, own_id: int | None) -> None:
    if name is None or record.get(name) is None:
        return
    if any(one["id"] != own_id for one in call.tenant.tables[collection].like(name, record[name])):
        key = COLLECTIONS[collection].replace("-", "_")
        raise invalid(key, f"{name.replace('-', ' ').capitalize()} has already been taken")


def create_account(call: Call) -> Reply:
    """Create an account from its segments; chart of accounts and segments identify it."""
    tenant = call.tenant
    record = changes.taken(call, "accounts", ("name", "active", "account-type", *_SEGMENTS))
    chart = changes.by_id_attribute(call, "account-type")
    if chart is None:
        raise invalid("account", "Account type can't be blank")
    record["account-type"] = tenant.writer.record("account-type-ref", {"id": chart["id"]})
    record["account-type-id"] = chart["id"]
    changes.required("account", record, ["segment-1"])
    seeding.complete(tenant, "accounts", record)
    same = tenant.tables["accounts"].where("code", record["code"])
    if any(one["account-type"]["id"] == chart["id"] for one in same if one.get("account-type")):
        raise invalid("account", "Code has already been taken")
    record["id"] = tenant.ids.of("account", {})
    return Reply(tenant.add("accounts", record), 201)


def create_value(call: Call) -> Reply:
    """Create a value of an existing lookup, under a parent if one is named."""
    tenant = call.tenant
    record = changes.taken(call, "lookup_values", _VALUE_WRITABLE)
    lookup = changes.by_id_attribute(call, "lookup")
    if lookup is None:
        raise invalid("lookup_value", "Lookup can't be blank")
    changes.required("lookup_value", record, ["name"])
    record["lookup"] = tenant.writer.record("lookup-ref", {"id": lookup["id"]})
    record["parent"] = _parent(call, lookup)
    _check_value(call, record, own_id=None)
    record["id"] = tenant.ids.of("lookup-value", {})
    seeding.complete(tenant, "lookup_values", record)
    return Reply(tenant.add("lookup_values", record), 201)


def update_value(call: Call) -> Reply:
    """Update a lookup value; a new ref num changes its code and those below it."""
    record = call.record("lookup_values")
    fresh = changes.taken(call, "lookup_values", _VALUE_WRITABLE)
    if fresh:
        _check_value(call, record | fresh, own_id=record["id"])
        record.update(fresh)
        call.tenant.touch("lookup_values", record)
        _recode(call, record)
    return Reply(record)


def _parent(call: Call, lookup: Record) -> Record | None:
    given = call.body.get("parent")
    if isinstance(given, dict) and "id" not in given and "external-ref-code" in given:
        # The code is only unique within one lookup.
        code = given["external-ref-code"]
        found = call.tenant.tables["lookup_values"].where("external-ref-code", code)
        own = next((one for one in found if one["lookup-id"] == lookup["id"]), None)
        given = {"id": own["id"]} if own is not None else given
    elif given is None and call.body.get("parent-id") is not None:
        given = {"id": call.body["parent-id"]}
    return None if given is None else call.tenant.writer.record("lookup-value-ref", given)


def _check_value(call: Call, record: Record, *, own_id: int | None) -> None:
    parent = record.get("parent")
    place = record["lookup"]["id"], parent["id"] if parent else None
    table = call.tenant.tables["lookup_values"]
    texts = [
        f"{name.replace('-', ' ').capitalize()} has already been taken"
        for name in ("name", "external-ref-num")
        if record.get(name) is not None
        and any(
            one["id"] != own_id and (one["lookup-id"], one["parent-id"]) == place
            for one in table.like(name, record[name])
        )
    ]
    if texts:
        raise invalid("lookup_value", *texts)


def _recode(call: Call, record: Record) -> None:
    tenant = call.tenant
    seeding.ref_code(tenant, record)
    tenant.tables["lookup_values"].reindex(record)
    for child in tenant.tables["lookup_values"]:
        if child["parent-id"] == record["id"]:
            child["parent"] = tenant.writer.record("lookup-value-ref", {"id": record["id"]})
            _recode(call, child)


def exchange_rates(call: Call) -> Reply:
    """List exchange rates; a filter on both currencies at once finds nothing, as documented."""
    query = read_query("exchange-rate", call.pairs)
    asked = {condition.path[0] for condition in query.conditions}
    if {"from-currency", "to-currency"} <= asked:
        return Reply([])
    return Reply(query.pick(call.tenant.tables["exchange_rates"]))


def _masters(
    collection: str, scope: str, *, writable: tuple[str, ...], needed: tuple[str, ...], unique: str | None
) -> list[Operation]:
    write, path = f"{scope}.write", f"/api/{collection}"
    create = creator(collection, writable=writable, needed=needed, unique=unique)
    update = updater(collection, writable=writable, unique=unique)
    return [
        *reading(collection, f"{scope}.read"),
        Operation("POST", path, write, collection, create),
        *(Operation(verb, f"{path}/{{id}}", write, collection, update) for verb in ("PUT", "PATCH")),
    ]


_TERM = ("code", "description", "active", "type", "days-for-net-payment", "days-for-discount-payment", "discount-rate")
_TYPE = ("name", "currency", "active", "legal-entity-name")
_create_type = creator("account_types", writable=_TYPE, needed=("name", "currency"), unique="name")
_rename = updater("accounts", writable=("name", "active"), unique=None)

OPERATIONS: list[Operation] = [
    *reading("currencies", f"{COMMON}.read"),
    Operation("GET", "/api/exchange_rates", f"{COMMON}.read", "exchange_rates", exchange_rates),
    reading("exchange_rates", f"{COMMON}.read")[1],
    *_masters("payment_terms", COMMON, writable=_TERM, needed=("code",), unique="code"),
    *reading("account_types", f"{ACCOUNTING}.read"),
    Operation("POST", "/api/account_types", f"{ACCOUNTING}.write", "account_types", _create_type),
    *_masters("lookups", COMMON, writable=("name", "description", "active"), needed=("name",), unique="name"),
    *reading("accounts", f"{ACCOUNTING}.read"),
    Operation("POST", "/api/accounts", f"{ACCOUNTING}.write", "accounts", create_account),
    *(Operation(verb, "/api/accounts/{id}", f"{ACCOUNTING}.write", "accounts", _rename) for verb in ("PUT", "PATCH")),
    *reading("lookup_values", f"{COMMON}.read"),
    Operation("POST", "/api/lookup_values", f"{COMMON}.write", "lookup_values", create_value),
    *(
        Operation(verb, "/api/lookup_values/{id}", f"{COMMON}.write", "lookup_values", update_value)
        for verb in ("PUT", "PATCH")
    ),
]
