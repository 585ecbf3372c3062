"""QAD's REST services, one method per service used: lists, one record, create, update, self-description.

It speaks the tenant's language outwards and ours inwards; what the records mean is decided in `ports`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ml_connector.clock import Clock
from ml_connector.errors import ContractError, RecordRejectedError, UnknownOutcomeError
from ml_connector.http.budget import Budget
from ml_connector.http.client import HttpClient
from ml_connector.http.tokens import TokenStore
from ml_connector.http.urls import check_base_url
from ml_connector.systems.qad.auth import build_auth, pointed, token_base
from ml_connector.systems.qad.browse import (
    Filter,
    Get,
    Listing,
    Row,
    Rows,
    conditions,
    identity_of,
    read_listing,
    read_one_page,
    rows_of,
    still_holds,
)
from ml_connector.systems.qad.config import QadClientCredentialsLogin, QadLogin, QadTenant
from ml_connector.systems.qad.errors import SYSTEM, Asked, read_answer, submitted, warnings, write_answer
from ml_connector.systems.qad.models import EntityField
from ml_connector.systems.qad.resources import Resource, renamed

MAX_STALE_READS = 3
_FIELD_NAME = re.compile(r"[A-Za-z_]\w*\.\w+")
Record = dict[str, Any]
Answer = TypeVar("Answer")
Reading = Callable[[Get, Listing, Callable[[Row], Any], Callable[[Row], bool], str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Written:
    """A write that QAD confirmed: the record as it answered, and its warnings as (member, text)."""

    record: Record
    warnings: tuple[tuple[str, str], ...] = ()


class QadClient:
    """One QAD tenant over REST."""

    def __init__(
        self, http: HttpClient, tenant: QadTenant, *, who: str = "", login_http: HttpClient | None = None
    ) -> None:
        self.http = http
        self.tenant = tenant
        self.who = who
        self._resources = dict(tenant.resources)
        self._login_http = login_http
        # Entity paths that have answered before: only there does a 404 mean that a record is missing.
        self._answered: set[str] = set()

    def resource(self, name: str) -> Resource:
        """Where a record type lives in this tenant."""
        return self._resources[name]

    def map_member(self, name: str, wire: str) -> None:
        """Let a member that the settings do not name, such as a custom one, be asked for under the tenant's name."""
        if wire not in self._resources[name].fields:
            self._resources[name] = self._resources[name].with_member(wire)

    async def browse(self, name: str, filters: Sequence[Filter], *, page_size: int = 0) -> Rows:
        """All records of a type that satisfy every condition, under our names; members that are not mapped stay out."""
        found = await self._list(read_listing, name, filters, page_size)
        return self._ours(name, found)

    async def browse_page(self, name: str, filters: Sequence[Filter], *, page_size: int = 0) -> Rows | None:
        """The same in one question; None when one page does not hold them all."""
        found = await self._list(read_one_page, name, filters, page_size)
        return None if found is None else self._ours(name, found)

    async def sample(self, name: str, filters: Sequence[Filter]) -> Rows:
        """At most one row of a list, for trying out rights and conditions."""
        resource = self.resource(name)
        asked = self._asked(f"list {name}", f"resources.{name}.browse and .fields")
        params = Listing(resource.browse, conditions(resource, filters), 1).params(str(uuid.uuid4()), 1)
        rows = rows_of(await self._get_browse(asked)(params), asked.operation)
        names = {logical: resource.row_name(logical) for logical in resource.fields}
        return Rows(tuple(renamed(row, names) for row in rows))

    async def get(self, name: str, keys: Mapping[str, Any]) -> Record | None:
        """One whole record with the tenant's members, or None when QAD does not have it."""
        resource, asked = self.resource(name), self._asked(f"get {name}", f"resources.{name}.path")
        path = self._entity_path(resource)
        response = await self.http.read("GET", path, operation=asked.operation, params=_keyed(resource, keys))
        if response.status_code == 404 and path in self._answered:
            return None
        answer = read_answer(response, asked)
        self._answered.add(path)
        return _first_record(answer, resource)

    async def create(self, name: str, record: Mapping[str, Any], *, external_id: str) -> Written:
        """Create a record from the tenant's members. Only the view goes into the query: a key there means update."""
        resource = self.resource(name)
        body = {**record, "dataOperation": "C", "concurrencyHash": ""}
        return await self._submit(name, body, [("viewUri", resource.view_uri)], external_id)

    async def update(
        self, name: str, keys: Mapping[str, Any], change: Callable[[Record], Mapping[str, Any]], *, external_id: str
    ) -> Written:
        """Read the whole record, let `change` say which of its members change, write the whole record back.

        A record that somebody changed in between is read and changed again, at most three times.
        """
        resource = self.resource(name)
        asked = self._asked(f"update {name}", f"resources.{name}.path", external_id)
        for _ in range(MAX_STALE_READS):
            record = await self.get(name, keys)
            if record is None:
                raise asked.rejected("not_found", f"{name} is not in QAD")
            if "MODIFY" in str(record.get("disallowedActions") or "").upper():
                raise asked.rejected("not_modifiable", str(record.get("disallowedActionsMessage") or ""))
            body = {**record, **change(record), "dataOperation": "U"}
            try:
                return await self._submit(name, body, _keyed(resource, keys), external_id)
            except RecordRejectedError as error:
                if error.code != "stale":
                    raise
        raise asked.rejected("stale", f"changed by others before each of {MAX_STALE_READS} attempts")

    async def metadata(self, entity_uri: str) -> tuple[EntityField, ...] | None:
        """The members of an entity as the tenant describes them, or None when it does not know the entity."""
        paths, asked = self.tenant.paths, self._asked("describe entity", "paths.metadata")
        params = [("entityURI", entity_uri), ("viewUri", paths.metadata_view_uri)]
        response = await self.http.read("GET", _path(paths.metadata), operation=asked.operation, params=params)
        answer = read_answer(response, asked)
        found = pointed(answer, "/data/entityMetadatas/0/entityFields")
        if found is None and not pointed(answer, "/data/entityMetadatas"):
            return None
        if not isinstance(found, list):
            raise asked.error(ContractError, "data.entityMetadatas[0].entityFields: a list is expected")
        return tuple(EntityField.parse(one, self.http, asked.operation) for one in found)

    async def browse_fields(self, browse: str) -> frozenset[str]:
        """The names of a browse's fields; empty when the tenant does not know the browse."""
        paths, asked = self.tenant.paths, self._asked("describe browse", "paths.browse_fields")
        condition = (paths.browse_fields_filter, "eq", browse)
        listing = Listing(paths.browse_fields, (condition,), self.tenant.limits.page_size)
        found = await read_listing(
            self._get_browse(asked), listing, lambda row: str(sorted(row.items())), lambda _row: True, asked.operation
        )
        values = (value for row in found for value in row.values() if isinstance(value, str))
        return frozenset(value for value in values if _FIELD_NAME.fullmatch(value))

    async def security_control(self) -> Mapping[str, Any]:
        """QAD's rules for sessions; PermissionDeniedError where the user may not see them.

        A tenant without them is asked to describe a browse instead, which proves the login just as well.
        """
        if not self.tenant.paths.security_control:
            await self.browse_fields(self.resource("supplier").browse)
            return {}
        asked = self._asked("read session rules", "paths.security_control")
        path = _path(self.tenant.paths.security_control)
        answer = read_answer(await self.http.read("GET", path, operation=asked.operation), asked)
        found = pointed(answer, "/data/securityControls/0")
        return found if isinstance(found, Mapping) else {}

    async def api_description(self) -> Mapping[str, Any]:
        """The tenant's API description, where `paths.swagger_url` names one."""
        asked = self._asked("read API description", "paths.swagger_url")
        path = _path(self.tenant.paths.swagger_url)
        return read_answer(await self.http.read("GET", path, operation=asked.operation), asked)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.http.aclose()
        if self._login_http is not None:
            await self._login_http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _submit(
        self, name: str, body: Mapping[str, Any], params: list[tuple[str, str]], external_id: str
    ) -> Written:
        resource = self.resource(name)
        asked = self._asked(f"write {name}", f"resources.{name}.path", external_id)
        response = await self.http.write(
            "POST",
            self._entity_path(resource),
            operation=asked.operation,
            external_id=external_id,
            params=params,
            json={"supplementaryMessages": [], resource.collection: [body]},
        )
        answer = write_answer(response, asked)
        submitted(answer, asked, self.tenant.refusals, _backwards(resource))
        try:
            record = _first_record(answer, resource)
        except ContractError as error:
            raise asked.error(UnknownOutcomeError, error.message) from error
        if record is None:
            raise asked.error(UnknownOutcomeError, f"data.{resource.collection}[0] is missing from a successful answer")
        return Written(record, warnings(answer, record))

    async def _list(self, read: Reading[Answer], name: str, filters: Sequence[Filter], page_size: int) -> Answer:
        resource = self.resource(name)
        asked = self._asked(f"list {name}", f"resources.{name}.browse and .fields")
        size = page_size or self.tenant.limits.page_size
        listing = Listing(resource.browse, conditions(resource, filters), size)
        keep = still_holds(resource, filters)
        return await read(self._get_browse(asked), listing, identity_of(resource), keep, asked.operation)

    def _ours(self, name: str, found: Rows) -> Rows:
        resource = self.resource(name)
        names = {logical: resource.row_name(logical) for logical in resource.fields}
        if found.rows:
            for unknown in found.rows[0].keys() - set(names.values()):
                self.http.note_ignored(f"{name}.{unknown}")
        repeated = tuple(renamed(row, names) for row in found.repeated)
        return Rows(tuple(renamed(row, names) for row in found), found.complete, repeated)

    def _get_browse(self, asked: Asked) -> Callable[[list[tuple[str, str]]], Any]:
        async def get(params: list[tuple[str, str]]) -> Mapping[str, Any]:
            path = _path(self.tenant.paths.browses)
            return read_answer(await self.http.read("GET", path, operation=asked.operation, params=params), asked)

        return get

    def _entity_path(self, resource: Resource) -> str:
        return f"{_path(self.tenant.paths.api_erp)}/{resource.path.strip('/')}"

    def _asked(self, operation: str, setting: str, external_id: str = "") -> Asked:
        return Asked(operation, setting, self.tenant.workspace_id, external_id)


def open_client(
    login: QadLogin,
    tenant: QadTenant,
    *,
    name: str,
    store: TokenStore,
    slot: str,
    clock: Clock | None = None,
    budget: Budget | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    deadline: Callable[[], float] | None = None,
) -> QadClient:
    """A client for a tenant; `name` is what error messages call the tenant, `slot` names the credential's token."""
    base_url = check_base_url(login.base_url, tenant=name, allow_private=tenant.allow_private)
    headers = {"Accept": "application/json"}
    workspace = {tenant.workspace_header: tenant.workspace_id} if tenant.workspace_id else {}
    limits = tenant.limits.http()
    http = HttpClient(
        SYSTEM,
        name,
        base_url,
        limits,
        budget=budget,
        clock=clock,
        transport=transport,
        headers={**headers, **workspace},
        deadline=deadline,
    )
    login_http = None
    if elsewhere := token_base(login):
        checked = check_base_url(elsewhere, tenant=name, allow_private=tenant.allow_private)
        login_http = HttpClient(SYSTEM, name, checked, limits, clock=clock, transport=transport, headers=headers)
    http.use_auth(build_auth(login, tenant, store=store, slot=slot, http=http, login_http=login_http or http))
    user = login.client_id if isinstance(login, QadClientCredentialsLogin) else login.username
    return QadClient(http, tenant, who=user, login_http=login_http)


def _path(path: str) -> str:
    return "/" + path.strip("/")


def _keyed(resource: Resource, keys: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [(resource.fields[name], str(keys[name])) for name in resource.key]
    return [*pairs, ("viewUri", resource.view_uri)] if resource.view_uri else pairs


def _first_record(answer: Mapping[str, Any], resource: Resource) -> Record | None:
    data = answer.get("data")
    if not isinstance(data, Mapping):
        raise ContractError("data: an object is expected", system=SYSTEM)
    records = data.get(resource.collection)
    if not records:
        return None
    if not isinstance(records, list) or not isinstance(records[0], dict):
        raise ContractError(f"data.{resource.collection}: a list of objects is expected", system=SYSTEM)
    return records[0]


def _backwards(resource: Resource) -> dict[str, str]:
    names = {wire: logical for logical, wire in resource.fields.items()}
    for child in resource.children.values():
        names |= {wire: logical for logical, wire in child.fields.items()}
    return names
