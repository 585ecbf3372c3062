"""How calls to Coupa are made: headers, pages by growing id, lots of values, writes, answers read into models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from ml_connector.errors import ContractError
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.systems.coupa import errors
from ml_connector.systems.coupa.config import CoupaTenant
from ml_connector.systems.coupa.models import CoupaModel, wire_fields

MAX_IN = 50
# One less than a page, so that a lot of values which exist once each needs no second page to prove that it ended.
MAX_VALUES = 49
# Addresses longer than about 8,000 characters are refused by common proxies, and long names add up.
MAX_LIST_CHARS = 4000
Model = TypeVar("Model", bound=CoupaModel)
Row = TypeVar("Row")
Pairs = list[tuple[str, str]]


class CoupaCalls:
    """The calls that the endpoints of one instance are made of."""

    def __init__(self, http: HttpClient, tenant: CoupaTenant, *, client_id: str = "") -> None:
        self.http = http
        self.tenant = tenant
        self.client_id = client_id
        self._paths = tenant.paths

    async def _list(self, resource: str, params: Pairs) -> list[Any]:
        operation = f"list {resource}"
        path: str = getattr(self._paths, resource)
        response = await self.http.read("GET", path, operation=operation, params=params, headers=self._headers())
        if response.status_code == 404 and errors.read_error(response)[0] != "html_page":
            return []  # an index without a hit; a page for people means a wrong path (README: Paging)
        errors.check(response, resource=resource, operation=operation)
        rows = loads(response.content, system="coupa", operation=operation)
        if not isinstance(rows, list):
            raise ContractError("the answer is not a list", system="coupa", operation=operation)
        return rows

    async def _keyset(
        self, resource: str, params: Pairs, fields: Sequence[Any], after_id: int | None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        paging = [("id[gt]", str(after_id))] if after_id is not None else []
        paging += [("order_by", "id"), ("dir", "asc"), ("limit", str(limit or self.tenant.page_size)), asked(fields)]
        rows = await self._list(resource, [*params, *paging])
        last = after_id or 0
        for number, row in enumerate(rows):
            found = row_id(row, f"list {resource}", number)
            if found <= last:
                message = f"{number}.id: {found} after {last}, so the pages do not go forward"
                raise ContractError(message, system="coupa", operation=f"list {resource}")
            last = found
        return rows

    async def _drain(self, resource: str, params: Pairs, fields: Sequence[Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = await self._keyset(resource, params, fields, int(found[-1]["id"]) if found else None)
            found += page
            if len(page) < self.tenant.page_size:
                return found

    async def _by_ids(self, resource: str, ids: Iterable[int], fields: Sequence[Any]) -> list[dict[str, Any]]:
        wanted = set(ids)
        params = [[*one_of("id", lot), ("limit", str(MAX_IN)), asked(fields)] for lot in lots(sorted(wanted))]
        pages = await asyncio.gather(*(self._list(resource, one) for one in params))
        rows = [row for page in pages for row in page]
        return [row for number, row in enumerate(rows) if row_id(row, f"list {resource}", number) in wanted]

    async def _by_values(
        self, model: type[Model], resource: str, field: str, values: Iterable[str], within: Pairs | None = None
    ) -> list[Model]:
        rows = await self._rows_by_values(resource, field, values, wire_fields(model), within)
        return [model.parse(row, self.http, f"list {resource}") for row in rows]

    async def _rows_by_values(
        self, resource: str, field: str, values: Iterable[str], fields: Sequence[Any], within: Pairs | None = None
    ) -> list[dict[str, Any]]:
        questions = [[*(within or []), *one_of(field, lot)] for lot in value_lots(values)]
        pages = await asyncio.gather(*(self._drain(resource, params, fields) for params in questions))
        return [row for page in pages for row in page]

    async def _write(
        self,
        method: str,
        path: str,
        *,
        resource: str,
        operation: str,
        external_id: str,
        key: str,
        params: Pairs | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        headers = self._headers()
        if self.tenant.idempotency_header and key:
            headers[self.tenant.idempotency_header] = key
        response = await self.http.write(
            method, path, operation=operation, external_id=external_id, params=params, json=body, headers=headers
        )
        return errors.check(response, resource=resource, operation=operation, external_id=external_id, write=True)

    def _headers(self) -> dict[str, str]:
        # Both must name the same format; without Accept Coupa answers XML (README: Headers).
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.tenant.api_version:
            headers[self.tenant.api_version_header] = self.tenant.api_version
        return headers

    def _parsed(self, model: type[Model], response: httpx.Response, operation: str) -> Model:
        return model.parse(loads(response.content, system="coupa", operation=operation), self.http, operation)

    def _custom_field_names(self, names: Iterable[str]) -> list[Any]:
        if self.tenant.custom_fields_in == "custom-fields":
            return ["id", {"custom_fields": {}}]
        return ["id", *(name.replace("-", "_") for name in names)]

    def _custom_values(self, row: Any, operation: str) -> tuple[int, dict[str, Any]]:
        """Id and custom fields of a row; names are hyphenated."""
        found = row_id(row, operation, 0)
        values = row if self.tenant.custom_fields_in == "root" else row.get("custom-fields")
        if not isinstance(values, Mapping):
            raise ContractError("custom-fields: missing or not an object", system="coupa", operation=operation)
        return found, {name.replace("_", "-"): value for name, value in values.items()}


def row_id(row: Any, operation: str, number: int) -> int:
    """The id of a row, whichever way it is written; ContractError when it has none."""
    value = row.get("id") if isinstance(row, Mapping) else None
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ContractError(f"{number}.id: missing or not a number", system="coupa", operation=operation)


def asked(fields: Sequence[Any]) -> tuple[str, str]:
    """The `fields` argument."""
    return "fields", json.dumps(fields, separators=(",", ":"))


def word(flag: bool) -> str:
    """A boolean as an argument."""
    return "true" if flag else "false"


def one_of(name: str, values: Sequence[Any]) -> Pairs:
    """A condition that the attribute has one of these values; none when there are no values."""
    if len(values) == 1:
        return [(name, str(values[0]))]
    return [(f"{name}[in]", ",".join(str(value) for value in values))] if values else []


def lots(values: Iterable[Row]) -> list[list[Row]]:
    """The values in lots that one list condition takes."""
    every = list(values)
    return [every[start : start + MAX_IN] for start in range(0, len(every), MAX_IN)]


def value_lots(values: Iterable[str]) -> list[list[str]]:
    """Different texts in lots, each short enough for an address."""
    wanted = sorted({value for value in values if value})
    # A comma separates the values of an `in` list and blanks around them are cut, so such a value is asked for alone.
    alone = [value for value in wanted if "," in value or value != value.strip()]
    found: list[list[str]] = []
    room = 0
    for value in sorted(set(wanted) - set(alone)):
        size = len(quote(value)) + 3
        if not found or len(found[-1]) == MAX_VALUES or size > room:
            found.append([])
            room = MAX_LIST_CHARS
        found[-1].append(value)
        room -= size
    return [[value] for value in alone] + found
