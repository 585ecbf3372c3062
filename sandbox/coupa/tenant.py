"""The state of the tenant: its records, its switches, and what really took effect."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import ValidationError

from sandbox.coupa import actions, seeding
from sandbox.coupa.auth import Tokens
from sandbox.coupa.errors import ApiError, unknown_reference
from sandbox.coupa.limits import Bucket
from sandbox.coupa.options import Options
from sandbox.coupa.schema import COLLECTIONS, MODELS, REFERENCES
from sandbox.coupa.store import Ids, Record, Table
from sandbox.coupa.values import Writer, offset_zone
from sandbox.coupa.webhooks import Webhooks
from sandbox.kit.app import Action, BadRequest, Document, UnknownRecord
from sandbox.kit.clock import Clock
from sandbox.kit.deliveries import Deliveries

# Attributes that calls look records up by; without these a large tenant would answer by scanning.
_INDEXED: dict[str, tuple[str, ...]] = {
    "invoices": ("invoice-number",),
    "suppliers": ("number", "name"),
    "purchase_orders": ("po-number",),
    "lookup_values": ("external-ref-num", "external-ref-code"),
    "integration_history_records": ("document-id", "external-id"),
    "integration_errors": ("document-id",),
    "matching_allocations": ("invoice-line-id",),
    "accounts": ("code",),
}


class CoupaTenant:
    """One Coupa instance in memory."""

    name = "coupa"

    def __init__(self, clock: Clock, options: dict[str, Any]) -> None:
        self.clock = clock
        self.options = Options()
        self.tokens = Tokens(clock)
        self.actions: dict[str, Action] = actions.table(self)
        self.bucket = Bucket(clock)
        self.deliveries, self.webhooks = Deliveries(clock), Webhooks(self)
        self.reset()
        self.change_options(options)

    def reset(self) -> None:
        """Forget every record and every count; clients, tokens and switches stay."""
        self.ids = Ids()
        self.tables = {name: Table(_INDEXED.get(name, ())) for name in COLLECTIONS}
        self.writer = Writer(offset_zone(self.options.company_offset), self.ids, self.resolve)
        self.writes = 0
        self.exported: Counter[int] = Counter()
        self.exported_calls: Counter[int] = Counter()
        self.alerts: Counter[str] = Counter()
        self.refusals: dict[int, str] = {}
        self.answered: dict[tuple[str, ...], tuple[int, bytes]] = {}

    def change_options(self, changes: dict[str, Any]) -> None:
        """Set some switches; raises BadRequest for an unknown one or a bad value."""
        current = self.options.model_dump() | changes
        try:
            self.options = Options.model_validate(current)
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise BadRequest(f"bad option: {reasons}") from error
        self.writer = Writer(offset_zone(self.options.company_offset), self.ids, self.resolve)
        self.bucket.set(self.options.throttle_rate, self.options.throttle_burst)
        self.deliveries.duplicate = self.options.webhook_duplicate
        self.deliveries.shuffle = self.options.webhook_shuffle
        self.deliveries.delay_s = self.options.webhook_delay_s

    def now(self) -> str:
        """The present instant as Coupa writes it."""
        return self.writer.instant(self.clock.now())

    def add(self, collection: str, record: Record) -> Record:
        """Store a new record with its stamps."""
        if "created-at" in MODELS[COLLECTIONS[collection]]:
            self.stamp(record)
        return self.tables[collection].add(record)

    def stamp(self, record: Record) -> None:
        """Note when a new record or part of one was made, unless it says so itself."""
        record.setdefault("created-at", self.now())
        record.setdefault("updated-at", record["created-at"])

    def touch(self, collection: str, record: Record) -> None:
        """Stamp a record that has changed, and tell whoever subscribed."""
        record["updated-at"] = self.now()
        if "lock-version-key" in record:
            record["lock-version-key"] += 1
        self.tables[collection].reindex(record)
        self.webhooks.changed(collection, record)

    def find(self, collection: str, number: object) -> Record:
        """The record with this id, for the admin API; raises UnknownRecord."""
        found = self.tables[collection].get(number) if isinstance(number, int) else None
        if found is None:
            raise UnknownRecord(f"no {COLLECTIONS[collection]} {number!r}")
        return found

    def named(self, model: str, given: Record) -> Record | None:
        """The record that a reference names by one of its keys, the first given key deciding."""
        collection, _, keys = REFERENCES[model]
        table = self.tables[collection]
        for key in keys:
            value = given.get(key)
            if value is None:
                continue
            if key != "id":
                return next(table.where(key, value), None)
            return table.get(int(value)) if str(value).isdigit() else None
        return None

    def resolve(self, model: str, given: Any, seeding_now: bool) -> Record:
        """What a reference shows of the record it names; an unknown one is created while seeding, else refused."""
        collection, target, keys = REFERENCES[model]
        if not isinstance(given, dict):
            raise TypeError("a reference must be an object")
        found = self.named(model, given)
        if found is None and seeding_now:
            if collection == "purchase_order_lines":
                return given
            found = seeding.add(self, collection, given)
        if found is None:
            raise unknown_reference(target, {key: given[key] for key in keys if key in given} or given, keys)
        return {name: found[name] for name in MODELS[model] if name in found}

    def seed(self, document: Document) -> Document:
        """Add records in wire spelling; raises BadRequest for unknown collections or attributes."""
        try:
            return seeding.seed(self, document)
        except ApiError as error:
            raise BadRequest(str(error)) from error

    def state(self, collection: str) -> list[Document]:
        """Raw records of a collection, only the members that were ever set."""
        if collection not in self.tables:
            raise UnknownRecord(f"no collection {collection}; there are {sorted(self.tables)}")
        return list(self.tables[collection])

    def truth(self) -> Document:
        """Counters per external key of what really took effect."""
        invoices = list(self.tables["invoices"])
        return {
            "writes": self.writes,
            "exported": {str(number): count for number, count in sorted(self.exported.items())},
            "exported_calls": {str(number): count for number, count in sorted(self.exported_calls.items())},
            "custom_fields": {str(one["id"]): one["custom-fields"] for one in invoices if one.get("custom-fields")},
            "history": dict(sorted(Counter(map(_history_key, self.tables["integration_history_records"])).items())),
            "errors": dict(sorted(Counter(map(_history_key, self.tables["integration_errors"])).items())),
            "alerts": dict(sorted(self.alerts.items())),
            "payments": {
                str(one["id"]): [{key: paid.get(key) for key in ("notes", "amount-paid")} for paid in one["payments"]]
                for one in invoices
                if one.get("payments")
            },
            "paid": {str(one["id"]): one["payment-date"] for one in invoices if one.get("paid")},
            "suppliers": dict(Counter(str(one.get("number") or "") for one in self.tables["suppliers"])),
            "lookup_values": dict(
                Counter(f"{one['lookup']['name']}/{one['external-ref-code']}" for one in self.tables["lookup_values"])
            ),
        }


def _history_key(record: Record) -> str:
    words = (record.get(name) for name in ("document-type", "document-id", "external-id", "status"))
    return "/".join("" if word is None else str(word) for word in words)
