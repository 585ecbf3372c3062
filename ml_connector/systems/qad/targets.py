"""Supplier invoices as the write protocol sees them: asked for by our token, posted once each, every answer named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ml_connector.domain.keys import TENANT_CODE_LENGTH, TOKEN_LENGTH
from ml_connector.domain.money import plain
from ml_connector.domain.writes import (
    Absent,
    Done,
    Doubt,
    Finding,
    Foreign,
    Found,
    NotSent,
    Order,
    Refused,
    Sent,
    Several,
)
from ml_connector.errors import (
    ContractError,
    RecordRejectedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.systems.qad.config import QadTenant
from ml_connector.systems.qad.documents import DocumentError, InvoiceQuery, InvoiceSeen, Posted, differences
from ml_connector.systems.qad.errors import waits
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.ports import QadPort
from ml_connector.systems.sending import send_each

# A commit may come this late, so an absence counts only afterwards (README, "no idempotency key").
SETTLE = timedelta(seconds=600)


class SupplierInvoices:
    """Creates supplier invoices. The token in the invoice's own slot says which are ours."""

    name = "qad.supplier_invoice"
    settle = SETTLE

    def __init__(self, port: QadPort, tenant: QadTenant) -> None:
        self._port = port
        self._tenant = tenant
        self.concurrency = tenant.limits.concurrency
        self.per_second = tenant.limits.rps

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """What QAD shows of each write: by supplier and reference, for thorough orders by token as well."""
        queries = {order.external_id: _query(order) for order in orders}
        natural = await self._port.look_up_invoices(set(queries.values()))
        thorough = [order for order in orders if order.thorough]
        answers = await side_by_side(lambda order: self._port.find_by_token(order.token), thorough, self.concurrency)
        by_token = {order.external_id: shown for order, shown in zip(thorough, answers, strict=True)}
        return {
            order.external_id: judged(order, natural[queries[order.external_id]], by_token.get(order.external_id, ()))
            for order in orders
        }

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Post each order once. Orders of a lane go one after another and stop where the outcome is open.

        Login, rights and lease trouble ends the whole call, after the posts under way have answered.
        """
        return await send_each(orders, self.post, self.concurrency)

    async def problem(self, target_id: str, payload: Mapping[str, Any]) -> str:
        """What is wrong with a voucher's key that a person gives: its form, no such voucher, or another document."""
        try:
            found = await self._port.get_invoice(target_id)
        except DocumentError as error:
            return str(error)
        if found is None:
            return "QAD has no such voucher"
        differs = differences(payload, found)
        return f"that voucher differs in {', '.join(differs)}" if differs else ""

    async def post(self, order: Order) -> Sent:
        """Post one order and name its outcome."""
        try:
            return _done(await self._port.post_invoice(order.payload, order.external_id))
        except RecordRejectedError as error:
            return Refused(error.code, error.detail, waits(error.code, self._tenant.refusals))
        except (UnknownOutcomeError, ContractError) as error:
            return Doubt(error.message)
        except TransientError as error:
            return NotSent(error.message)


def judged(order: Order, natural: Sequence[InvoiceSeen], by_token: Sequence[InvoiceSeen]) -> Finding:
    """Whether an order is done: only our token makes an invoice ours; the same natural key alone is for a person."""
    ours = {one.key: one for one in (*natural, *by_token) if one.token == order.token}
    if len(ours) > 1:
        return Several(tuple(sorted(ours)))
    for one in ours.values():
        return Found(one.key, differences(order.payload, one), _data(one))
    alike = {one: differences(order.payload, one) for one in natural if not _another_of_ours(order, one)}
    duplicates = [one for one, fields in alike.items() if not {"supplier", "reference", "type"} & set(fields)]
    # Of several the one over the same amount is the likelier duplicate.
    for one in sorted(duplicates, key=lambda one: ("amount" in alike[one], one.key)):
        return Foreign(one.key)
    return Absent()


def _another_of_ours(order: Order, one: InvoiceSeen) -> bool:
    """Whether an invoice was written by us for another record that is plainly another document.

    Numbers recur over the years; the same date as well means that one paper was entered twice, or again and corrected.
    """
    tenant = order.token[:TENANT_CODE_LENGTH]
    written_by_us = len(one.token) == TOKEN_LENGTH and one.token.startswith(tenant)
    return written_by_us and one.invoice_date != order.payload.get("invoice_date")


def _query(order: Order) -> InvoiceQuery:
    payload = order.payload
    return InvoiceQuery(str(payload["entity"]), str(payload["supplier"]), str(payload["reference"]))


def _done(posted: Posted) -> Done:
    notes = [f"warning:{member or 'general'}" for member, _ in posted.warnings]
    if posted.hold_amount:
        notes.insert(0, f"hold_amount:{plain(posted.hold_amount)}")
    if not posted.kept_token:
        notes.append("token_not_kept")
    data: dict[str, object] = {
        "voucher": posted.voucher,
        "registration": posted.registration,
        "hold_amount": plain(posted.hold_amount),
        "status": posted.status,
        "matching_status": posted.matching_status,
    }
    if posted.warnings:
        data["warnings"] = [text for _, text in posted.warnings]
    return Done(posted.key, data, tuple(notes))


def _data(invoice: InvoiceSeen) -> dict[str, object]:
    return {
        "voucher": int(invoice.key.rsplit("/", 1)[1]),
        "hold_amount": plain(invoice.hold_amount),
        "status": invoice.status,
    }
