"""The shape of an answer: all attributes, those asked for in `fields`, or the older return_object forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.coupa.errors import invalid
from sandbox.coupa.schema import MODELS, Attribute
from sandbox.coupa.store import Record
from sandbox.coupa.values import hyphened

# Attribute -> what of it is wanted; None means all of it.
Selection = dict[str, "Selection | None"]

_FORMS = ("none", "limited", "shallow")
_NATURAL = ("id", "code", "number", "name", "line-num", "po-number", "invoice-number", "external-ref-code")


@dataclass(frozen=True)
class Shape:
    """What an answer shows of each record."""

    selection: Selection | None = None
    form: str | None = None
    response_filter: str | None = None
    left_out: frozenset[str] = frozenset()
    custom_names: Sequence[str] = field(default_factory=tuple)

    def render(self, model: str, record: Record) -> Record:
        """The record as the answer shows it; attributes never set are null, [] or {}."""
        if self.form == "limited":
            return {"id": record["id"]}
        if self.form == "shallow":
            return _shallow(model, record)
        shown = render(model, record, self.selection)
        custom = shown.get("custom-fields")
        if custom is not None and (self.selection is None or self.selection.get("custom-fields") is None):
            shown["custom-fields"] = dict.fromkeys(self.custom_names) | custom
        return {name: value for name, value in shown.items() if name not in self.left_out}


def read_shape(model: str, given: Mapping[str, str], *, writing: bool) -> Shape:
    """Read fields, return_object and filter; raises ApiError 400."""
    form = given.get("return_object")
    if form is not None and (form not in _FORMS or (form == "none" and not writing)):
        raise invalid("base", f"Invalid return_object: {form}")
    if "fields" not in given:
        return Shape(form=form, response_filter=given.get("filter"))
    try:
        wanted = json.loads(given["fields"])
    except ValueError as error:
        raise invalid("base", "fields must be a JSON array") from error
    return Shape(selection=_selection(model, wanted), form=None)


def _selection(model: str, wanted: Any) -> Selection:
    if not isinstance(wanted, list):
        raise invalid("base", "fields must be a JSON array")
    selection: Selection = {}
    for item in wanted:
        if isinstance(item, str):
            _known(model, item)
            selection[hyphened(item)] = None
        elif isinstance(item, dict):
            for name, inner in item.items():
                selection[hyphened(name)] = _inner(_known(model, name), inner)
        else:
            raise invalid("base", "fields holds names and objects of names only")
    return selection


def _inner(attribute: Attribute, inner: Any) -> Selection | None:
    if inner in ({}, []):
        return None
    if attribute.kind == "custom" and isinstance(inner, list):
        return {hyphened(str(name)): None for name in inner}
    if attribute.model is None:
        raise invalid("base", "fields goes into an attribute that has no parts")
    return _selection(attribute.model, inner)


def _known(model: str, name: str) -> Attribute:
    attribute = MODELS[model].get(hyphened(name))
    if attribute is None:
        raise invalid("base", f"Invalid attribute in fields: {name}")
    return attribute


def render(model: str, record: Record, selection: Selection | None = None) -> Record:
    """A stored record with every attribute of its model, or those selected."""
    attributes = MODELS[model]
    names = attributes if selection is None else selection
    return {
        name: _value(attributes[name], record.get(name), None if selection is None else selection[name])
        for name in names
    }


def _value(attribute: Attribute, value: Any, inner: Selection | None) -> Any:
    if attribute.many:
        return [render(attribute.model or "", item, inner) for item in value or ()]
    if attribute.model is not None:
        return None if value is None else render(attribute.model, value, inner)
    if attribute.kind == "custom":
        held = value or {}
        return dict(held) if inner is None else {name: held.get(name) for name in inner}
    if attribute.kind == "json":
        return value if value is not None else []
    return value


def _shallow(model: str, record: Record) -> Record:
    shown: Record = {}
    for name, attribute in MODELS[model].items():
        value = record.get(name)
        if attribute.model is None:
            shown[name] = _value(attribute, value, None)
        elif attribute.many:
            shown[name] = [_named(item) for item in value or ()]
        else:
            shown[name] = _named(value) if value is not None else None
    return shown


def _named(value: Record) -> Record:
    return {name: value[name] for name in _NATURAL if value.get(name) is not None}
