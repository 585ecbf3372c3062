"""Coupa's endpoints as far as we use them: one method each, wire models in and out, no business rule."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import httpx
from pydantic import ValidationError

from ml_connector.clock import Clock
from ml_connector.errors import ContractError
from ml_connector.http.budget import Budget
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.http.models import first_problem
from ml_connector.http.tokens import TokenStore
from ml_connector.http.urls import check_base_url
from ml_connector.systems.coupa import errors
from ml_connector.systems.coupa.auth import CoupaLogin
from ml_connector.systems.coupa.config import CoupaCredentialsData, CoupaTenant
from ml_connector.systems.coupa.models import (
    CoupaModel,
    Created,
    Currency,
    HistoryRecord,
    Integration,
    IntegrationRun,
    Invoice,
    InvoiceFlags,
    PurchaseOrder,
    Supplier,
    Unparsed,
    wire_fields,
)

MAX_IN = 50
Model = TypeVar("Model", bound=CoupaModel)
Row = TypeVar("Row")
Pairs = list[tuple[str, str]]
ExportedMark = tuple[int, bool, str, datetime | None]


def open_client(
    credentials: CoupaCredentialsData,
    tenant: CoupaTenant,
    *,
    name: str,
    store: TokenStore,
    slot: str,
    budget: Budget | None = None,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    deadline: Callable[[], float] | None = None,
) -> CoupaClient:
    """A client that logs in by itself; ConfigurationError when the instance's address is not acceptable.

    `name` is the tenant's name in messages and budgets, `slot` the credential's place in the token store,
    `deadline` the end of the writer's lease in monotonic seconds.
    """
    base_url = check_base_url(credentials.base_url, tenant=name, allow_private=tenant.allow_private)
    http = HttpClient(
        "coupa", name, base_url, tenant.limits, budget=budget, clock=clock, transport=transport, deadline=deadline
    )
    http.use_auth(CoupaLogin(http, credentials, tenant).auth(store, slot))
    return CoupaClient(http, tenant, client_id=credentials.client_id)


class CoupaClient:
    """One Coupa instance."""

    def __init__(self, http: HttpClient, tenant: CoupaTenant, *, client_id: str = "") -> None:
        self.http = http
        self.tenant = tenant
        self.client_id = client_id
        self._paths = tenant.paths

    async def who_am_i(self) -> str:
        """Prove the login with the cheapest read; answers OAuth2 client and instance."""
        await self.currencies(limit=1)
        return self.identity

    @property
    def identity(self) -> str:
        """OAuth2 client and instance, free of secrets."""
        return f"{self.client_id or 'client'} at {self.http.base_url}"

    # Invoices

    async def invoices(
        self,
        *,
        after_id: int | None = None,
        statuses: Sequence[str] = (),
        exported: bool | None = None,
        limit: int | None = None,
        filters: Iterable[tuple[str, str]] = (),
    ) -> list[Invoice | Unparsed]:
        """One page of invoices above an id, by growing id; ContractError when the ids do not grow."""
        params: Pairs = [("exported", _word(exported))] if exported is not None else []
        params += _one_of("status", statuses)
        params += filters
        rows = await self._keyset("invoices", params, wire_fields(Invoice), after_id, limit)
        return [self._invoice(row) for row in rows]

    async def get_invoices(self, ids: Iterable[int]) -> list[Invoice | Unparsed]:
        """The invoices with these ids, as far as they exist; asked in lots of 50 at the same time."""
        return [self._invoice(row) for row in await self._by_ids(ids, wire_fields(Invoice))]

    async def mark_exported(self, invoice_id: int, *, external_id: str, key: str) -> ExportedMark:
        """Set the exported flag and nothing else; answers id, exported, status, updated-at (README: Exported flag)."""
        response = await self._write(
            "PUT",
            f"{self._paths.invoices}/{invoice_id}",
            resource="invoices",
            operation="mark exported",
            external_id=external_id,
            key=key,
            params=[("exported", "true"), _fields(wire_fields(InvoiceFlags))],
        )
        flags = self._parsed(InvoiceFlags, response, "mark exported")
        return flags.id, flags.exported, flags.status, flags.updated_at

    async def invoice_flags(self, ids: Iterable[int]) -> dict[int, ExportedMark]:
        """The same members for several invoices, by id."""
        rows = await self._by_ids(ids, wire_fields(InvoiceFlags))
        flags = [InvoiceFlags.parse(row, self.http, "invoice flags") for row in rows]
        return {one.id: (one.id, one.exported, one.status, one.updated_at) for one in flags}

    async def set_custom_fields(
        self, invoice_id: int, values: Mapping[str, str], *, external_id: str, key: str
    ) -> dict[str, Any]:
        """Write custom fields; answers what Coupa shows afterwards, because unknown names are ignored with a 200."""
        nested = self.tenant.custom_fields_in == "custom-fields"
        response = await self._write(
            "PUT",
            f"{self._paths.invoices}/{invoice_id}",
            resource="invoices",
            operation="set custom fields",
            external_id=external_id,
            key=key,
            params=[_fields(self._custom_field_names(values))],
            body={"custom-fields": dict(values)} if nested else dict(values),
        )
        row = loads(response.content, system="coupa", operation="set custom fields")
        return self._custom_values(row, "set custom fields")[1]

    async def custom_fields(self, ids: Iterable[int], names: Iterable[str]) -> dict[int, dict[str, Any]]:
        """The custom fields of several invoices, by id; names are hyphenated."""
        rows = await self._by_ids(ids, self._custom_field_names(names))
        return dict(self._custom_values(row, "custom fields") for row in rows)

    # Purchase orders, suppliers, currencies

    async def purchase_orders(self, po_numbers: Iterable[str]) -> list[PurchaseOrder]:
        """The orders with these numbers, with their lines, as far as they exist."""
        return await self._by_values(PurchaseOrder, "purchase_orders", "po_number", po_numbers)

    async def suppliers(self, numbers: Iterable[str]) -> list[Supplier]:
        """The suppliers with these numbers, as far as they exist."""
        return await self._by_values(Supplier, "suppliers", "number", numbers)

    async def currencies(self, limit: int = 1) -> list[Currency]:
        """Some currencies: the cheapest read there is."""
        params = [("limit", str(limit)), _fields(wire_fields(Currency))]
        rows = await self._list("currencies", params)
        return [Currency.parse(row, self.http, "list currencies") for row in rows]

    # Integration monitoring

    async def integrations(self, code: str) -> list[Integration]:
        """The integration with that code, if an administrator has set it up."""
        params = [("code", code), ("limit", "1"), _fields(wire_fields(Integration))]
        rows = await self._list("integrations", params)
        return [Integration.parse(row, self.http, "list integrations") for row in rows]

    async def history_records(
        self, document_type: str, document_ids: Iterable[int], resolved: bool | None = None
    ) -> list[HistoryRecord]:
        """All history records of these documents, by growing id."""
        found: list[HistoryRecord] = []
        for lot in _lots(document_ids):
            params = [("document_type", document_type), *_one_of("document_id", lot)]
            if resolved is not None:
                params.append(("resolved", _word(resolved)))
            rows = await self._drain("history_records", params, wire_fields(HistoryRecord))
            found += [HistoryRecord.parse(row, self.http, "list history_records") for row in rows]
        return found

    async def create_history_record(self, body: Mapping[str, Any], *, alert: bool, external_id: str, key: str) -> int:
        """Report an outcome about a document, with a mail to the contacts when `alert`; answers the record's id."""
        response = await self._write(
            "POST",
            self._paths.history_records + ("/create_alert" if alert else ""),
            resource="history_records",
            operation="create history record",
            external_id=external_id,
            key=key,
            params=[_fields(("id",))],
            body=body,
        )
        return self._parsed(Created, response, "create history record").id

    async def resolve_history_record(self, record_id: int, *, external_id: str, key: str) -> None:
        """Close a history record; closing it again does no harm."""
        await self._write(
            "PUT",
            f"{self._paths.history_records}/{record_id}/resolve",
            resource="history_records",
            operation="resolve history record",
            external_id=external_id,
            key=key,
        )

    async def create_run(self, integration_code: str, *, external_id: str, key: str) -> IntegrationRun:
        """Announce a run of an integration."""
        body = {"integration": {"code": integration_code}}
        return await self._run("POST", "", "create run", body, external_id, key)

    async def start_run(self, run_id: int, total_records: int, *, external_id: str, key: str) -> IntegrationRun:
        """Say that a run has begun and how many records it will handle."""
        body = {"total_records": total_records}
        return await self._run("PUT", f"/{run_id}/run", "start run", body, external_id, key)

    async def end_run(
        self, run_id: int, result: Literal["success", "fail"], *, external_id: str, key: str
    ) -> IntegrationRun:
        """Say how a run ended."""
        return await self._run("PUT", f"/{run_id}/{result}", f"{result} run", None, external_id, key)

    # How every call is made

    async def _run(
        self, method: str, tail: str, operation: str, body: Mapping[str, Any] | None, external_id: str, key: str
    ) -> IntegrationRun:
        path = self._paths.runs + tail
        response = await self._write(
            method, path, resource="runs", operation=operation, external_id=external_id, key=key, body=body
        )
        return self._parsed(IntegrationRun, response, operation)

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
        paging += [("order_by", "id"), ("dir", "asc"), ("limit", str(limit or self.tenant.page_size)), _fields(fields)]
        rows = await self._list(resource, [*params, *paging])
        last = after_id or 0
        for number, row in enumerate(rows):
            row_id = _row_id(row, f"list {resource}", number)
            if row_id <= last:
                message = f"{number}.id: {row_id} after {last}, so the pages do not go forward"
                raise ContractError(message, system="coupa", operation=f"list {resource}")
            last = row_id
        return rows

    async def _drain(self, resource: str, params: Pairs, fields: Sequence[Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = await self._keyset(resource, params, fields, int(found[-1]["id"]) if found else None)
            found += page
            if len(page) < self.tenant.page_size:
                return found

    async def _by_ids(self, ids: Iterable[int], fields: Sequence[Any]) -> list[dict[str, Any]]:
        wanted = set(ids)
        params = [[*_one_of("id", lot), ("limit", str(MAX_IN)), _fields(fields)] for lot in _lots(sorted(wanted))]
        pages = await asyncio.gather(*(self._list("invoices", one) for one in params))
        rows = [row for page in pages for row in page]
        return [row for number, row in enumerate(rows) if _row_id(row, "list invoices", number) in wanted]

    async def _by_values(self, model: type[Model], resource: str, field: str, values: Iterable[str]) -> list[Model]:
        wanted = sorted(set(values))
        # A comma separates the values of an `in` list, so a value that contains one is asked for alone.
        lots = [[value] for value in wanted if "," in value]
        lots += _lots(value for value in wanted if "," not in value)
        asked = [[(field, lot[0])] if len(lot) == 1 else _one_of(field, lot) for lot in lots]
        fields = wire_fields(model)
        pages = await asyncio.gather(*(self._drain(resource, params, fields) for params in asked))
        return [model.parse(row, self.http, f"list {resource}") for page in pages for row in page]

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

    def _invoice(self, row: dict[str, Any]) -> Invoice | Unparsed:
        try:
            return Invoice.model_validate(row, context=self.http)
        except ValidationError as error:
            return Unparsed(int(row["id"]), first_problem(error))

    def _custom_field_names(self, names: Iterable[str]) -> list[Any]:
        if self.tenant.custom_fields_in == "custom-fields":
            return ["id", {"custom_fields": {}}]
        return ["id", *(name.replace("-", "_") for name in names)]

    def _custom_values(self, row: Any, operation: str) -> tuple[int, dict[str, Any]]:
        row_id = _row_id(row, operation, 0)
        values = row if self.tenant.custom_fields_in == "root" else row.get("custom-fields")
        if not isinstance(values, Mapping):
            raise ContractError("custom-fields: missing or not an object", system="coupa", operation=operation)
        return row_id, {name.replace("_", "-"): value for name, value in values.items()}


def _row_id(row: Any, operation: str, number: int) -> int:
    value = row.get("id") if isinstance(row, Mapping) else None
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ContractError(f"{number}.id: missing or not a number", system="coupa", operation=operation)


def _fields(wanted: Sequence[Any]) -> tuple[str, str]:
    return "fields", json.dumps(wanted, separators=(",", ":"))


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def _one_of(name: str, values: Sequence[Any]) -> Pairs:
    if len(values) == 1:
        return [(name, str(values[0]))]
    return [(f"{name}[in]", ",".join(str(value) for value in values))] if values else []


def _lots(values: Iterable[Row]) -> list[list[Row]]:
    every = list(values)
    return [every[start : start + MAX_IN] for start in range(0, len(every), MAX_IN)]
