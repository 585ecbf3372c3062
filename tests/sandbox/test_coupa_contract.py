"""Holds the stand-in Coupa tenant against the official interface description, where that is at hand.

The description is not part of this repository: set ML_CONNECTOR_SPECS to the folder that holds `coupa/*.json`, or keep
it in `shared/specs` beside the checkout. Where neither exists the run says so at its end.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from sandbox.coupa.app import OPERATIONS
from sandbox.coupa.schema import COLLECTIONS, MODELS
from tests.sandbox.coupa_visitor import visitor
from tests.specs import specs

DEFINITIONS = {
    "invoices": "InvoiceHeader",
    "purchase_orders": "OrderHeader",
    "purchase_order_lines": "OrderLine",
    "suppliers": "Supplier",
    "integrations": "Integration",
    "integration_contacts": "IntegrationContact",
    "integration_runs": "IntegrationRun",
    "integration_history_records": "IntegrationHistoryRecord",
    "integration_errors": "IntegrationError",
    "lookups": "Lookup",
    "lookup_values": "LookupValue",
    "accounts": "Account",
    "account_types": "AccountType",
    "payment_terms": "PaymentTerm",
    "currencies": "Currency",
    "exchange_rates": "ExchangeRate",
    "receiving_transactions": "InventoryTransaction",
}
# The description gives these lists the type of their owner, or leaves the attribute to the written documentation.
MISTYPED = {"invoices.dispute-reasons", "invoices.tags", "suppliers.business-groups"}
# Documented in prose and in working clients, but not in the description of release 39.
PROSE_ONLY = {("GET", "/matching_allocations"), ("GET", "/matching_allocations/{id}")}


def documents() -> list[dict[str, Any]]:
    place = specs("coupa")
    return [json.loads(path.read_text()) for path in sorted(place.glob("*.json"))] if place is not None else []


def definitions() -> dict[str, Any]:
    return {name: one for document in documents() for name, one in document["definitions"].items()}


def strangers(record: dict[str, Any], name: str, known: dict[str, Any], at: str) -> list[str]:
    """Keys of an answer, at any depth, that the description does not have."""
    found: list[str] = []
    properties = known[name]["properties"]
    for key, value in record.items():
        here = f"{at}.{key}"
        if key == "custom-fields" or here in MISTYPED:
            continue
        if key not in properties:
            found.append(here)
            continue
        target = (properties[key].get("items") or properties[key]).get("$ref", "").rpartition("/")[2]
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                found += strangers(item, target, known, here)
    return found


def full(model: str, depth: int = 0) -> dict[str, Any]:
    """A seed record with every attribute of the model set, so that every key shows in the answer."""
    samples: dict[str, Any] = {"int": 1, "text": "1", "bool": True, "time": "2026-03-02T00:00:00Z", "json": []}
    record: dict[str, Any] = {}
    for name, attribute in MODELS[model].items():
        if attribute.model is not None:
            if depth < 3:
                inner = full(attribute.model, depth + 1)
                record[name] = [inner] if attribute.many else inner
        elif attribute.kind != "custom":
            record[name] = samples.get(attribute.kind, "1.00")
    return record


def test_a_named_folder_of_descriptions_holds_some() -> None:
    named = os.environ.get("ML_CONNECTOR_SPECS")
    assert named is None or definitions(), f"ML_CONNECTOR_SPECS is {named}, but there is no coupa/*.json in it"


@pytest.mark.parametrize("collection", sorted(DEFINITIONS))
async def test_answers_use_only_keys_of_the_description(collection: str) -> None:
    known = definitions()
    async with visitor() as guest:
        if collection == "purchase_order_lines":
            await guest.seed(purchase_orders=[{"order-lines": [full("order-line")]}])
        elif collection == "lookup_values":
            root = {"id": 1, "external-ref-num": "1", "lookup": {"name": "1"}}
            await guest.seed(lookup_values=[root, full("lookup-value") | {"id": 2}])
        else:
            await guest.seed(**{collection: [full(COLLECTIONS[collection])]})
        shown = (await guest.get(collection)).json()
    assert shown
    assert set(MODELS[COLLECTIONS[collection]]) == set(shown[-1])
    if known:
        assert strangers(shown[-1], DEFINITIONS[collection], known, collection) == []


def test_every_call_stands_in_the_description() -> None:
    paths = {
        (verb.upper(), path) for document in documents() for path, verbs in document["paths"].items() for verb in verbs
    }
    ours = {(one.verb, one.path.removeprefix("/api")) for one in OPERATIONS} - PROSE_ONLY
    assert ours
    if paths:
        assert ours - paths == set()
