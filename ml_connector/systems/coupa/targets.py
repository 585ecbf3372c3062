"""The marks that a posted invoice gets inside Coupa: exported flag, custom fields, history records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from ml_connector.domain.writes import Absent, Done, Doubt, Finding, Found, NotSent, Order, Refused, Sent
from ml_connector.errors import ContractError, RecordRejectedError, TransientError, UnknownOutcomeError
from ml_connector.systems.coupa.client import CoupaClient, ExportedMark
from ml_connector.systems.coupa.models import HistoryRecord
from ml_connector.systems.sending import SendOne, send_each

SETTLE = timedelta(seconds=300)


class ExportedFlag:
    """Target: the exported flag of an invoice, set after its document exists in the ERP.

    Payload: `expected_status`, `expected_updated_at`. A status that changed meanwhile (a void) would leave every
    query with the flag set, so it is compared: it comes back as the note `status_changed:<status>`, to be reversed.
    """

    name = "coupa.exported_flag"
    settle = SETTLE

    def __init__(self, client: CoupaClient) -> None:
        self._client = client
        self.concurrency = client.tenant.concurrency
        self.per_second = client.tenant.per_second

    async def find(self, orders: Sequence[Order]) -> dict[str, Finding]:
        """Read the flags."""
        flags = await self._client.invoice_flags(int(order.target_id) for order in orders)
        return {order.external_id: self._finding(order, flags.get(int(order.target_id))) for order in orders}

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Set the flags, one request each."""
        return await send_each(orders, partial(answered, self._send), self.concurrency)

    def _finding(self, order: Order, mark: ExportedMark | None) -> Finding:
        if mark is None or not mark[1]:
            return Absent()
        return Found(order.target_id, data={"status": mark[2], "notes": list(_changes(order, mark))})

    async def _send(self, order: Order) -> Sent:
        mark = await self._client.mark_exported(int(order.target_id), external_id=order.external_id, key=order.key)
        if not mark[1]:
            return Refused("exported_ignored", "the answer still shows exported=false")
        expected = order.payload.get("expected_status")
        reverse = bool(expected) and mark[2] != expected
        notes = _changes(order, mark)
        changed = any(note.startswith("updated_at_changed:") for note in notes)
        return Done(order.target_id, data={"status": mark[2]}, notes=notes, reverse=reverse, changed=changed)


def _changes(order: Order, mark: ExportedMark) -> tuple[str, ...]:
    _, _, status, updated_at = mark
    notes = []
    expected = order.payload.get("expected_status")
    if expected and status != expected:
        notes.append(f"status_changed:{status}")
    seen = order.payload.get("expected_updated_at")
    # Whether Coupa counts our own request as an update is not documented, so this alone proves no edit.
    if seen and updated_at is not None and datetime.fromisoformat(str(seen)) != updated_at:
        notes.append(f"updated_at_changed:{updated_at.isoformat()}")
    return tuple(notes)


class InvoiceCustomFields:
    """Target: custom fields of an invoice, such as the ERP's document number. Payload: `fields`, name to text.

    Coupa ignores unknown fields with a 200, so only the echoed value counts.
    """

    name = "coupa.invoice_custom_fields"
    settle = SETTLE

    def __init__(self, client: CoupaClient) -> None:
        self._client = client
        self.concurrency = client.tenant.concurrency
        self.per_second = client.tenant.per_second

    async def find(self, orders: Sequence[Order]) -> dict[str, Finding]:
        """Compare the values."""
        names = {name for order in orders for name in order.payload["fields"]}
        seen = await self._client.custom_fields((int(order.target_id) for order in orders), sorted(names))
        findings: dict[str, Finding] = {}
        for order in orders:
            values = seen.get(int(order.target_id))
            same = values is not None and not _ignored(order.payload["fields"], values)
            findings[order.external_id] = Found(order.target_id) if same else Absent()
        return findings

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Write the values, one request per invoice."""
        return await send_each(orders, partial(answered, self._send), self.concurrency)

    async def _send(self, order: Order) -> Sent:
        fields = order.payload["fields"]
        echoed = await self._client.set_custom_fields(
            int(order.target_id), fields, external_id=order.external_id, key=order.key
        )
        if ignored := _ignored(fields, echoed):
            return Refused("custom_field_ignored", f"not stored as sent: {', '.join(ignored)}")
        return Done(order.target_id)


def _ignored(sent: Mapping[str, str], shown: Mapping[str, object]) -> list[str]:
    def text(value: object) -> str:
        return "" if value is None else str(value)

    return [name for name, value in sent.items() if text(shown.get(name.replace("_", "-"))) != text(value)]


class InvoiceHistory:
    """Target: history records, which show an outcome on the invoice inside Coupa and may mail the contacts.

    Payload: `status` (Success or Error), `document_type`, `document_status`, `integration_code`, `code`, `message`,
    `alert`. The order's token travels as the record's external id.
    """

    name = "coupa.invoice_history"
    settle = SETTLE

    def __init__(self, client: CoupaClient) -> None:
        self._client = client
        self.concurrency = client.tenant.concurrency
        self.per_second = client.tenant.per_second

    async def find(self, orders: Sequence[Order]) -> dict[str, Finding]:
        """Look for a record of the same document with our token, status and code; a closed error is an old one."""
        by_type: dict[str, list[Order]] = {}
        for order in orders:
            by_type.setdefault(order.payload["document_type"], []).append(order)
        findings: dict[str, Finding] = {}
        for document_type, group in by_type.items():
            records = await self._client.history_records(document_type, {int(order.target_id) for order in group})
            for order in group:
                hit = next((record for record in records if _reports(record, order)), None)
                findings[order.external_id] = Found(str(hit.id), data=_about(order)) if hit else Absent()
        return findings

    async def send(self, orders: Sequence[Order]) -> dict[str, Sent]:
        """Write the records, one request each; before a Success the open errors of its document are closed."""
        return await send_each(orders, partial(answered, self._send), self.concurrency)

    async def _send(self, order: Order) -> Sent:
        payload = order.payload
        notes: tuple[str, ...] = ()
        if payload["status"] == "Success":
            # First, so that a lost reply to the record itself cannot leave errors open behind it.
            try:
                notes = await self._close_errors(order)
            except (UnknownOutcomeError, ContractError) as error:
                return NotSent(f"errors not closed yet: {error.message}")
        record_id = await self._client.create_history_record(
            _history_body(order), alert=bool(payload.get("alert")), external_id=order.external_id, key=order.key
        )
        return Done(str(record_id), data=_about(order), notes=notes)

    async def _close_errors(self, order: Order) -> tuple[str, ...]:
        document_type, code = order.payload["document_type"], order.payload["integration_code"]
        records = await self._client.history_records(document_type, [int(order.target_id)], resolved=False)
        notes = []
        for record in records:
            if record.status != "Error" or record.resolved or (record.integration and record.integration.code) != code:
                continue
            try:
                await self._client.resolve_history_record(
                    record.id, external_id=order.external_id, key=f"{order.key}:resolve:{record.id}"
                )
            except RecordRejectedError as error:
                notes.append(f"history_record_left_open:{record.id}:{error.code}")
        return tuple(notes)


def _reports(record: HistoryRecord, order: Order) -> bool:
    payload = order.payload
    if record.document_id != int(order.target_id) or record.external_id != order.token:
        return False
    if record.status != payload["status"] or (record.status == "Error" and record.resolved):
        return False
    if record.integration and record.integration.code != payload["integration_code"]:
        return False
    return not record.codes or payload["code"] in record.codes


def _about(order: Order) -> dict[str, str]:
    return {"invoice": order.target_id}


def _history_body(order: Order) -> dict[str, object]:
    payload = order.payload
    return {
        "document-type": payload["document_type"],
        "document-id": int(order.target_id),
        "document-status": payload["document_status"],
        "contact-alert-type": "Functional",
        "status": payload["status"],
        "integration": {"code": payload["integration_code"]},
        "external-id": order.token,
        "responses": [{"response-code": payload["code"], "response-message": payload["message"]}],
    }


async def answered(one: SendOne, order: Order) -> Sent:
    """One write with its error named by what it means for the record; what concerns the whole run is raised."""
    try:
        return await one(order)
    except RecordRejectedError as error:
        return Refused(error.code, error.detail)
    except (UnknownOutcomeError, ContractError) as error:
        return Doubt(str(error))
    except TransientError as error:
        return NotSent(str(error))
