"""Which deployments there ought to be: per active connection its directions, its services and its settings form."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deployments.connecting import directions_of
from deployments.stack import POOL
from ml_connector.installation import Installation
from ml_connector.pairs.base import Direction
from ml_connector.store.tenants import ConnectionRow
from tasks.tags import TAG, connection_tag, owner_tag

if TYPE_CHECKING:
    from prefect import Flow

HOUSEKEEPING = "flows.housekeeping.housekeeping"
HOUSEKEEPING_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Service:
    """A flow that serves each connection beside its directions; `every_s` None means on demand alone.

    `system` limits it to the pairs that have this system on one side.
    """

    what: str
    flow: str
    every_s: int | None
    system: str = ""


# A new service flow takes the connection's name as its parameter `connection`; deploy, doctor and logins follow.
SERVICES = (
    Service("resolve-in-doubt", "flows.resolve_in_doubt.resolve_in_doubt", 600),
    Service("replay", "flows.replay.replay", None),
    Service("renew-jira-webhooks", "flows.renew_jira_webhooks.renew_jira_webhooks", 24 * 3600, system="jira"),
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A deployment as it ought to be; `every_s` None means that nobody but a person or an event starts it.

    `otherwise` is its name on a server where another installation has the usual one; `woken` says that deliveries of
    its source start it, too.
    """

    entrypoint: str
    name: str
    what: str
    about: str
    tags: tuple[str, ...]
    every_s: int | None
    connection: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    otherwise: str = ""
    woken: bool = False

    @property
    def flow(self) -> Flow[Any, Any]:
        """The flow itself."""
        return flow_at(self.entrypoint)

    @property
    def full_name(self) -> str:
        """Flow and deployment, as Prefect names them."""
        return f"{self.flow.name}/{self.name}"

    def values(self) -> dict[str, Any]:
        """What can be changed about a deployment that exists."""
        from prefect.utilities.callables import parameter_schema

        return {
            "entrypoint": self.entrypoint,
            "work_pool_name": POOL,
            "parameters": dict(self.parameters),
            "parameter_openapi_schema": parameter_schema(self.flow).model_dump_for_openapi(),
            "tags": list(self.tags),
            "description": f"{self.about}: {self.flow.description or ''}".strip(),
        }


async def plan(installation: Installation, *, scheduled: bool = True) -> list[Planned]:
    """Every deployment that this installation ought to have, those of connections first."""
    ours = owner_tag(installation)
    rows = [row for row in await installation.connections.list() if row.state == "active"]
    found = [one for row in rows for one in _of_connection(row, ours, scheduled)]
    return [*found, _housekeeping(ours, scheduled)]


def _of_connection(row: ConnectionRow, ours: str, scheduled: bool) -> list[Planned]:
    ways = directions_of(row.pair)
    services = [Service(one.name, one.flow, one.schedule_s) for one in ways]
    described = {one.name: f"{one.source} to {one.target}" for one in ways}
    woken = {one.name for one in ways if one.webhooks}
    systems = {"", ways[0].source, ways[0].target}
    runs = [
        Planned(
            entrypoint=one.flow,
            name=row.name,
            what=one.what,
            about=f"{described.get(one.what, one.what)} for connection {row.name}",
            tags=(TAG, ours, row.pair, connection_tag(row.name)),
            every_s=one.every_s if scheduled else None,
            connection=row.name,
            parameters={"connection": row.name},
            woken=one.what in woken,
        )
        for one in (*services, *SERVICES)
        if one.system in systems
    ]
    return [*runs, _form(row, ways[0], ours)]


def _form(row: ConnectionRow, way: Direction, ours: str) -> Planned:
    """The form that changes the connection's settings, filled in with those of today; it needs no login."""
    filled_in = {"settings": dict(row.settings), "based_on_version": row.settings_version}
    return Planned(
        entrypoint=way.settings_flow,
        name=row.name,
        what="settings",
        about=f"settings for connection {row.name}",
        tags=(TAG, ours, row.pair),
        every_s=None,
        connection=row.name,
        parameters={"connection": row.name} | filled_in,
    )


def _housekeeping(ours: str, scheduled: bool) -> Planned:
    return Planned(
        entrypoint=HOUSEKEEPING,
        name=TAG,
        what="housekeeping",
        about="of this installation",
        tags=(TAG, ours),
        every_s=HOUSEKEEPING_S if scheduled else None,
        otherwise=f"{TAG}-{ours.rpartition(':')[2]}",
    )


def flow_of(direction: Direction) -> Flow[Any, Any]:
    """The Prefect flow of a direction."""
    return flow_at(direction.flow)


def flow_at(path: str) -> Flow[Any, Any]:
    """The Prefect flow at a module path."""
    module, _, name = path.rpartition(".")
    flow: Flow[Any, Any] = getattr(importlib.import_module(module), name)
    return flow
