"""Setting up a connection: tenants known by their identity, settings validated, no record sent twice, then stored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from deployments.tenancies import Side, side
from ml_connector.errors import ConfigurationError
from ml_connector.http.models import first_problem
from ml_connector.installation import Installation
from ml_connector.pairs import base, registry
from ml_connector.pairs.base import Direction
from ml_connector.store.tenants import ConnectionRow

# Deployments and artifacts are named after it.
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connection as a person described it, its settings already a valid model."""

    name: str
    pair: str
    source: Side
    target: Side
    settings: Any


def pairs() -> list[str]:
    """All pairs by name."""
    return sorted({one.pair for one in registry.DIRECTIONS.values()})


def pairs_with(system: str) -> list[str]:
    """The pairs that have a system on one side."""
    return [pair for pair in pairs() if system in (directions_of(pair)[0].source, directions_of(pair)[0].target)]


def directions_of(pair: str) -> list[Direction]:
    """The directions of a pair; ConfigurationError when there is no such pair."""
    found = registry.of_pair(pair)
    if not found:
        raise ConfigurationError(f"there is no pair {pair}; there is: {', '.join(pairs())}")
    return found


def check_name(name: str) -> str:
    """A connection's name: lower-case letters, digits and single dashes."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"connection name {name!r}: use lower-case letters, digits and dashes, at most {_LONGEST} characters"
        )
    return name


def read_file(path: Path) -> dict[str, Any]:
    """A settings file in YAML (or JSON, which is YAML)."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"settings file {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place is not None else ""
        raise ConfigurationError(f"settings file {path} is not YAML{line}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"settings file {path} must hold named settings, such as `qad:` and `invoices:`")
    return content


def settings_of(pair: str, given: Mapping[str, Any], *, about: str) -> Any:
    """The settings of a pair as its typed model; ConfigurationError names the first member that is wrong."""
    model: type[BaseModel] = directions_of(pair)[0].settings
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigurationError(f"settings of {about}: {first_problem(error)}") from None


def describe(name: str, pair: str, blocks: tuple[str, str], logins: tuple[Any, Any], settings: Any) -> Wanted:
    """Put the parts of a connection together; refuses a block of another system."""
    direction = directions_of(pair)[0]
    ends = [
        side(system, block, login, getattr(settings, system))
        for system, block, login in zip((direction.source, direction.target), blocks, logins, strict=True)
    ]
    return Wanted(check_name(name), pair, ends[0], ends[1], settings)


def as_stored(row: ConnectionRow, logins: tuple[Any, Any]) -> Wanted:
    """A stored connection as its person described it."""
    settings = settings_of(row.pair, row.settings, about=f"connection {row.name}")
    return describe(row.name, row.pair, (row.source_block, row.target_block), logins, settings)


async def stored(installation: Installation, name: str) -> ConnectionRow | None:
    """The connection of that name, if there is one."""
    return next((row for row in await installation.connections.list() if row.name == name), None)


async def refuse_overlap(installation: Installation, wanted: Wanted) -> None:
    """ConfigurationError when another connection would send the same source records."""
    source = await installation.tenants.find(wanted.source.system, wanted.source.identity)
    direction = directions_of(wanted.pair)[0]
    await base.refuse_overlap(installation, direction, wanted.settings, name=wanted.name, source_tenant=source)


async def save(installation: Installation, wanted: Wanted) -> ConnectionRow:
    """Store the connection; saved again with other settings, its settings version rises."""
    await refuse_overlap(installation, wanted)
    known = await stored(installation, wanted.name)
    tenants = installation.tenants
    row = ConnectionRow(
        name=wanted.name,
        pair=wanted.pair,
        source_block=wanted.source.block,
        target_block=wanted.target.block,
        source_tenant=await tenants.get_or_create(wanted.source.system, wanted.source.identity),
        target_tenant=await tenants.get_or_create(wanted.target.system, wanted.target.identity),
        time_zone=wanted.settings.time_zone,
        # Only what the person said, so that a better default of a later release reaches this connection too.
        settings=wanted.settings.model_dump(mode="json", exclude_unset=True),
        schema_version=wanted.settings.schema_version,
    )
    return await installation.connections.save(replace(row, settings_version=known.settings_version if known else 0))
