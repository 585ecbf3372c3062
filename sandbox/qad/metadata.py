"""The field catalogue of the stand-in tenant: one table that drives metadata, browse columns, checks and blanking."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from sandbox.qad import catalogue
from sandbox.qad.catalogue_financials import TABLES

KINDS = {"c": "character", "i": "integer", "d": "decimal", "l": "logical", "t": "date", "x": "table"}


@dataclass(frozen=True)
class Field:
    """One member of a record: its wire name, type and role."""

    name: str
    kind: str
    length: int = 0
    key: int = 0
    required: bool = False
    server: bool = False  # QAD fills it; what a caller sends is not taken
    browse: bool = False
    children: tuple[Field, ...] = ()

    @property
    def code(self) -> str:
        """The field code of the dictionary: the wire name in PascalCase."""
        return self.name[0].upper() + self.name[1:]

    @property
    def label(self) -> str:
        """A caption such as a browse shows above the column."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.code)


@dataclass(frozen=True)
class Browse:
    """One browse: its address and which column shows which member."""

    uri: str
    resource: str
    columns: dict[str, Field] = field(hash=False)


@dataclass(frozen=True)
class Resource:
    """One mapped resource: where it lives on the wire and which members it has."""

    name: str
    collection: str
    entity_uri: str
    scope: str  # domain, entity or shared: which part of the workspace limits it
    fields: tuple[Field, ...]
    has_view: bool = True

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Fields by wire name."""
        return {item.name: item for item in self.fields}

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Wire names of the primary key, in order."""
        ranked = sorted((item for item in self.fields if item.key), key=lambda item: item.key)
        return tuple(item.name for item in ranked)

    @property
    def entity_code(self) -> str:
        """The component's name as metadata prints it."""
        return self.collection[0].upper() + self.collection[1:]


def parse_fields(text: str, tables: dict[str, str] | None = None) -> tuple[Field, ...]:
    """Read catalogue lines `name type[length] flags`; flags: kN key, r required, s server's, b shown by the browse."""
    fields = []
    for line in text.strip().splitlines():
        name, spec, *flags = line.split()
        rank = next((int(flag[1:]) for flag in flags if flag[0] == "k"), 0)
        children = parse_fields((tables or {})[name]) if spec == "x" else ()
        fields.append(
            Field(
                name,
                KINDS[spec[0]],
                length=int(spec[1:] or 0),
                key=rank,
                required="r" in flags,
                server="s" in flags,
                browse="b" in flags or bool(rank),
                children=children,
            )
        )
    return tuple(fields)


def _custom_slots() -> tuple[Field, ...]:
    slots = [Field(f"customShort{n}", "character", 20, browse=True) for n in range(20)]
    slots += [Field(f"customLong{n}", "character", 255) for n in range(2)]
    slots += [Field("customNote", "character", 2000)]
    slots += [Field(f"customCombo{n}", "character", 20) for n in range(15)]
    slots += [Field(f"customDecimal{n}", "decimal") for n in range(5)]
    slots += [Field(f"customInteger{n}", "integer") for n in range(5)]
    return tuple(slots)


_STAMPS = parse_fields(
    "lastModifiedDate t s b\nlastModifiedTime i s b\nlastModifiedUser c20 s b",
)


def _resource(name: str) -> Resource:
    collection, uri, scope, options, text = catalogue.RESOURCES[name]
    fields = parse_fields(text, TABLES)
    if "custom" in options:
        fields += _custom_slots()
    return Resource(name, collection, uri, scope, fields + _STAMPS, has_view="noview" not in options)


RESOURCES: dict[str, Resource] = {name: _resource(name) for name in catalogue.RESOURCES}
BY_COLLECTION: dict[str, Resource] = {item.collection: item for item in RESOURCES.values()}


def _component_browse(uri: str, prefix: str, resource: Resource) -> Browse:
    columns = {f"{prefix}.{item.name}": item for item in resource.fields if item.browse}
    return Browse(uri, resource.name, columns)


def _classic_browse(uri: str, resource: Resource, columns: str) -> Browse:
    pairs = (pair.split("=") for pair in columns.split())
    return Browse(uri, resource.name, {column: resource.by_name[name] for column, name in pairs})


def _browses() -> dict[str, Browse]:
    found = {}
    for uri, (prefix, name) in catalogue.COMPONENT_BROWSES.items():
        found[uri] = _component_browse(uri, prefix, RESOURCES[name])
    for uri, (name, columns) in catalogue.CLASSIC_BROWSES.items():
        found[uri] = _classic_browse(uri, RESOURCES[name], columns)
    found[PAYMENT_BROWSE] = _payment_browse()
    return found


def _payment_browse() -> Browse:
    """The payment browse shows one row per allocation, so it joins header and allocation members."""
    resource = RESOURCES["supplierPayment"]
    header = [item for item in resource.fields if item.browse]
    joined = [*header, *resource.by_name["supplierPaymentAllocations"].children]
    return Browse(PAYMENT_BROWSE, resource.name, {f"supplierPayment.{item.name}": item for item in joined})


PAYMENT_BROWSE = "urn:browse:bebrowse:com.qad.erp.financials.supplierPayments"
LOOKUP_BROWSE = "urn:browse:custom:lookupBrowseFields"
BUILDER_VIEW = "urn:be:com.qad.qra.adapter.entity.IEntityBuilderCRUD"
BROWSES: dict[str, Browse] = _browses()


def describe(resource: Resource) -> dict[str, object]:
    """One entry of the entitymetadatas answer."""
    return {
        "entityURI": resource.entity_uri,
        "entityCode": resource.entity_code,
        "doNotExtend": False,
        "entityFields": [
            {
                "entityFieldCode": item.code,
                "jsonName": item.name,
                "dataType": item.kind,
                "maxLength": item.length,
                "isRequired": item.required,
                "primaryKey": item.key,
            }
            for item in resource.fields
        ],
    }
