"""How a record takes an update: writable attributes only, references resolved, everything else ignored in silence."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.coupa.api import Call
from sandbox.coupa.errors import invalid, unknown_reference
from sandbox.coupa.schema import COLLECTIONS, MODELS, REFERENCES
from sandbox.coupa.store import Record
from sandbox.coupa.values import truth_of


def taken(call: Call, collection: str, writable: Iterable[str]) -> Record:
    """The writable part of the body in the tenant's spelling; raises ApiError for bad values and references."""
    model = COLLECTIONS[collection]
    attributes, writer, body = MODELS[model], call.tenant.writer, call.body
    return {name: writer.value(name, attributes[name], body[name]) for name in writable if name in body}


def custom_fields(call: Call, collection: str, record: Record) -> None:
    """Store the configured custom fields of the body; names the tenant does not have are ignored."""
    given = call.body.get("custom-fields")
    if not isinstance(given, dict):
        return
    known = call.tenant.options.custom_fields.get(collection, ())
    record.setdefault("custom-fields", {}).update({name: value for name, value in given.items() if name in known})


def by_id_attribute(call: Call, name: str) -> Record | None:
    """The reference given as `name` or by the twin attribute `name-id`; raises ApiError when it is unknown."""
    given = call.body.get(name)
    if given is None and call.body.get(f"{name}-id") is not None:
        given = {"id": call.body[f"{name}-id"]}
    if given is None:
        return None
    if not isinstance(given, dict):
        raise invalid(name.replace("-", "_"), f"{name.replace('-', ' ').capitalize()} is invalid.")
    model = f"{name}-ref"
    found = call.tenant.named(model, given)
    if found is None:
        _, target, keys = REFERENCES[model]
        raise unknown_reference(target, {key: given[key] for key in keys if key in given} or given, keys)
    return found


def flag(name: str, given: object) -> bool:
    """A boolean argument, given as JSON or text; raises ApiError."""
    try:
        return truth_of(given)
    except ValueError as error:
        raise invalid(name, f"{name.replace('_', ' ').capitalize()} is invalid.") from error


def required(key: str, record: Record, names: Iterable[str]) -> None:
    """Refuse a new record that lacks one of these attributes."""
    missing = [name for name in names if record.get(name) in (None, "")]
    if missing:
        raise invalid(key, *(f"{name.replace('-', ' ').capitalize()} can't be blank" for name in missing))
