"""Coupa's endpoints as far as we use them: one method each, wire models in and out, no business rule.

Masters and monitoring stand in files of their own; this one has the documents and puts the client together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
from pydantic import ValidationError

from ml_connector.clock import Clock
from ml_connector.http.budget import Budget
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.http.models import first_problem
from ml_connector.http.tokens import TokenStore
from ml_connector.http.urls import check_base_url
from ml_connector.systems.coupa.auth import CoupaLogin
from ml_connector.systems.coupa.calls import Model, Pairs, asked, one_of, word
from ml_connector.systems.coupa.config import CoupaCredentialsData, CoupaTenant
from ml_connector.systems.coupa.masters import MasterCalls
from ml_connector.systems.coupa.models import (
    Currency,
    Invoice,
    InvoiceFlags,
    PaidInvoice,
    PurchaseOrder,
    Stamped,
    Unparsed,
    wire_fields,
)
from ml_connector.systems.coupa.monitoring import MonitoringCalls

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


class CoupaClient(MasterCalls, MonitoringCalls):
    """One Coupa instance."""

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
        params: Pairs = [("exported", word(exported))] if exported is not None else []
        params += one_of("status", statuses)
        params += filters
        rows = await self._keyset("invoices", params, wire_fields(Invoice), after_id, limit)
        return [self._readable(Invoice, row) for row in rows]

    async def newest_invoice(
        self, *, statuses: Sequence[str] = (), filters: Iterable[tuple[str, str]] = ()
    ) -> datetime | None:
        """When the last changed invoice of a stream was changed; None when the stream is empty."""
        params = [*one_of("status", statuses), *filters, ("order_by", "updated_at"), ("dir", "desc"), ("limit", "1")]
        rows = await self._list("invoices", [*params, asked(wire_fields(InvoiceFlags))])
        newest = [InvoiceFlags.parse(row, self.http, "newest invoice").updated_at for row in rows]
        return newest[0] if newest else None

    async def shown_instant(self) -> datetime | None:
        """When some invoice was changed, at the offset in which Coupa shows it; None when no invoice shows one."""
        params = [("limit", "1"), asked(wire_fields(Stamped))]
        rows = [Stamped.parse(row, self.http, "list invoices") for row in await self._list("invoices", params)]
        moment = datetime.fromisoformat(rows[0].updated_at) if rows and rows[0].updated_at else None
        return moment if moment is not None and moment.tzinfo is not None else None

    async def get_invoices(self, ids: Iterable[int]) -> list[Invoice | Unparsed]:
        """The invoices with these ids, as far as they exist; asked in lots of 50 at the same time."""
        return [self._readable(Invoice, row) for row in await self._by_ids("invoices", ids, wire_fields(Invoice))]

    async def mark_exported(self, invoice_id: int, *, external_id: str, key: str) -> ExportedMark:
        """Set the exported flag and nothing else; answers id, exported, status, updated-at (README: Exported flag)."""
        response = await self._write(
            "PUT",
            f"{self._paths.invoices}/{invoice_id}",
            resource="invoices",
            operation="mark exported",
            external_id=external_id,
            key=key,
            params=[("exported", "true"), asked(wire_fields(InvoiceFlags))],
        )
        flags = self._parsed(InvoiceFlags, response, "mark exported")
        return flags.id, flags.exported, flags.status, flags.updated_at

    async def invoice_flags(self, ids: Iterable[int]) -> dict[int, ExportedMark]:
        """The same members for several invoices, by id."""
        rows = await self._by_ids("invoices", ids, wire_fields(InvoiceFlags))
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
            params=[asked(self._custom_field_names(values))],
            body={"custom-fields": dict(values)} if nested else dict(values),
        )
        row = loads(response.content, system="coupa", operation="set custom fields")
        return self._custom_values(row, "set custom fields")[1]

    async def custom_fields(self, ids: Iterable[int], names: Iterable[str]) -> dict[int, dict[str, Any]]:
        """The custom fields of several invoices, by id; names are hyphenated."""
        rows = await self._by_ids("invoices", ids, self._custom_field_names(names))
        return dict(self._custom_values(row, "custom fields") for row in rows)

    async def paid_invoices(self, ids: Iterable[int]) -> list[PaidInvoice | Unparsed]:
        """What was paid on these invoices, as far as they exist; asked in lots of 50 at the same time."""
        rows = await self._by_ids("invoices", ids, wire_fields(PaidInvoice))
        return [self._readable(PaidInvoice, row) for row in rows]

    async def append_payments(
        self, invoice_id: int, entries: Sequence[Mapping[str, str]], *, external_id: str, key: str
    ) -> PaidInvoice:
        """Append payment entries, which can never be taken back; answers the invoice with all of its entries."""
        body = {"payments": [dict(entry) for entry in entries]}
        return await self._pay(invoice_id, body, "append payments", external_id, key)

    async def set_paid(
        self, invoice_id: int, paid: bool, payment_date: str | None, *, external_id: str, key: str
    ) -> PaidInvoice:
        """Set the paid flag and its date (ISO instant; None clears it); answers what Coupa shows afterwards."""
        body = {"paid": paid, "payment-date": payment_date}
        return await self._pay(invoice_id, body, "set paid flag", external_id, key)

    # Purchase orders, currencies

    async def purchase_orders(self, po_numbers: Iterable[str]) -> list[PurchaseOrder]:
        """The orders with these numbers, with their lines, as far as they exist."""
        return await self._by_values(PurchaseOrder, "purchase_orders", "po_number", po_numbers)

    async def order_fields(self, po_numbers: Iterable[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The custom fields of these orders, by order number; names are hyphenated."""
        fields = ["po_number", *self._custom_field_names(names)]
        rows = await self._rows_by_values("purchase_orders", "po_number", po_numbers, fields)
        return {str(row.get("po-number")): self._custom_values(row, "order custom fields")[1] for row in rows}

    async def sample_order_fields(self, names: Sequence[str]) -> dict[str, Any] | None:
        """The custom fields of some order; None when no order is visible."""
        rows = await self._keyset("purchase_orders", [], self._custom_field_names(names), None, 1)
        return self._custom_values(rows[0], "order custom fields")[1] if rows else None

    async def currencies(self, limit: int = 1) -> list[Currency]:
        """Some currencies: the cheapest read there is."""
        params = [("limit", str(limit)), asked(wire_fields(Currency))]
        rows = await self._list("currencies", params)
        return [Currency.parse(row, self.http, "list currencies") for row in rows]

    async def _pay(
        self, invoice_id: int, body: Mapping[str, Any], operation: str, external_id: str, key: str
    ) -> PaidInvoice:
        response = await self._write(
            "PUT",
            f"{self._paths.invoices}/{invoice_id}",
            resource="invoices",
            operation=operation,
            external_id=external_id,
            key=key,
            params=[asked(wire_fields(PaidInvoice))],
            body=body,
        )
        return self._parsed(PaidInvoice, response, operation)

    def _readable(self, model: type[Model], row: dict[str, Any]) -> Model | Unparsed:
        try:
            return model.model_validate(row, context=self.http)
        except ValidationError as error:
            return Unparsed(int(row["id"]), first_problem(error))
