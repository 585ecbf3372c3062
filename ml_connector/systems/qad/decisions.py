"""What people decided elsewhere, written to members of a supplier invoice or an order: read, judged, written whole.

Nothing is released blindly: whoever writes sees the record as it is at that moment (README, "decisions").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from ml_connector.errors import (
    ConfigurationError,
    ConnectorError,
    ContractError,
    PermissionDeniedError,
    RecordRejectedError,
    UnknownOutcomeError,
)
from ml_connector.systems.qad.browse import same
from ml_connector.systems.qad.client import Record
from ml_connector.systems.qad.documents import DocumentError, key_parts
from ml_connector.systems.qad.errors import REFUSED, SYSTEM, Asked
from ml_connector.systems.qad.models import DecidedInvoiceRow, DecidedRow, EntityField, read_row
from ml_connector.systems.qad.reader import Reader, Row

About = Literal["invoice", "order"]
COST_CODE = "cost_code"
_RESOURCES: Mapping[str, str] = {"invoice": "supplierInvoice", "order": "purchaseOrder"}
# Lengths where the tenant does not tell them (README, "decisions").
_SHORT, _LONG, _REMARKS = 20, 255, 40


@dataclass(frozen=True, slots=True)
class Decided:
    """What a record shows of decisions: `texts` by our names, and what stands in the way of changing it.

    `cost_code` is the one that counts: that of its slot, else that of its first line with one. `lock` is our code for
    why it cannot be changed, `locked_because` QAD's own text.
    """

    texts: Mapping[str, str]
    cost_code: str = ""
    hold: Decimal = Decimal(0)
    payment_locked: bool = False
    status: str = ""
    lock: str = ""
    locked_because: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What to write: texts by our names, whether the hold is released, the status code to set (empty keeps it)."""

    texts: Mapping[str, str] = field(default_factory=dict)
    release: bool = False
    status: str = ""


Judge = Callable[[Decided], Change]


class _Unchanged(Exception):
    """Nothing has to be written: the record shows it all."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record


def cost_code_of(record: Mapping[str, Any], slot: str, lines: Iterable[Mapping[str, Any]]) -> str:
    """The cost code that counts: the record's slot, else the first line that has a cost center."""
    codes = [_text(record.get(slot)) if slot else "", *(_text(line.get("cost_center")) for line in lines)]
    return next(filter(None, codes), "")


def slots_of(record: Mapping[str, Any], *, leave_out: str = "") -> dict[str, str]:
    """The filled custom texts of a record by the tenant's names."""
    texts = {name: " ".join(value.split()) for name, value in record.items() if isinstance(value, str)}
    return {name: text for name, text in texts.items() if text and name.startswith("custom") and name != leave_out}


def key_of_order(key: str) -> dict[str, str]:
    """The members of an order's key, domain/number."""
    domain, _, number = key.partition("/")
    return {"domain": domain, "number": number}


class DecisionBook(Reader):
    """Reads and writes decisions on supplier invoices and on the headers of orders."""

    async def decided(self, about: About, key: str, slots: Mapping[str, str]) -> Decided | None:
        """What a record shows in these members (ours to the tenant's), or None when QAD does not have it."""
        keys = _parts(about, key)
        record = await self.client.get(_RESOURCES[about], keys) if keys else None
        if record is None:
            return None
        lines: Iterable[Row] = ()
        slot = slots.get(COST_CODE)
        if about == "order" and slot and not _text(record.get(slot)):
            lines = (await self.look_up("purchaseOrderLine", "po_number", [keys["number"]], []))[keys["number"]]
            lines = sorted(lines, key=lambda line: int(line.get("line") or 0))
        return self._shown(about, record, slots, lines)

    async def decide(
        self, about: About, key: str, slots: Mapping[str, str], judge: Judge, *, external_id: str
    ) -> Decided:
        """Write what `judge` says of the record as it is now, and nothing else; what QAD then shows.

        A record that others change meanwhile is judged again. RecordRejectedError when QAD or the judge refuses or QAD
        does not keep what was sent, UnknownOutcomeError when nobody can tell.
        """
        name, keys = _RESOURCES[about], _parts(about, key)
        if not keys:
            raise _rejected(external_id, "not_found", f"{key} is no key")
        sent: dict[str, Any] = {}

        def change(record: Record) -> Mapping[str, Any]:
            shown = self._readable(about, record, slots, external_id)
            if shown.lock:
                raise _rejected(external_id, shown.lock, shown.locked_because)
            sent.clear()
            sent.update(self._wire(name, judge(shown), slots))
            if not sent:
                raise _Unchanged(record)
            return sent

        try:
            written = await self.client.update(name, keys, change, external_id=external_id)
        except _Unchanged as done:
            return self._shown(about, done.record, slots)
        except RecordRejectedError as error:
            raise await self._explained(about, keys, error) from error
        record = await self._stored(name, keys, written.record, sent, external_id)
        return self._shown(about, record, slots)

    async def slot_lengths(self, about: About) -> Mapping[str, int]:
        """How many characters the members hold that the tenant describes; empty where it does not let us see."""
        try:
            described = await self._described(about)
        except (PermissionDeniedError, ConfigurationError, ContractError):
            return {}
        return {one.json_name: one.max_length for one in described if one.max_length}

    async def slot_problem(self, about: About, wire: str) -> str:
        """Why decisions cannot be written to this member; empty when the tenant describes it as a text of its own."""
        # The settings' names, because what is asked for later is mapped under the tenant's own.
        named = {member: name for name, member in self.tenant.resources[_RESOURCES[about]].fields.items()}
        if named.get(wire, "description") != "description":
            return f"{wire} is the {named[wire].replace('_', ' ')} of the record and not for decisions"
        described = {one.json_name: one for one in await self._described(about)}
        if wire not in described:
            what = "supplier invoices" if about == "invoice" else "purchase orders"
            return f"{what} have no member {wire}"
        kind = described[wire].data_type
        return "" if kind in ("", "character") else f"{wire} holds no text but a {kind}"

    async def _described(self, about: About) -> tuple[EntityField, ...]:
        return await self.client.metadata(self.client.resource(_RESOURCES[about]).view_uri) or ()

    def _shown(self, about: About, record: Record, slots: Mapping[str, str], lines: Iterable[Row] = ()) -> Decided:
        resource = self.client.resource(_RESOURCES[about])
        values = resource.logical(record)
        shape: type[DecidedRow] = DecidedInvoiceRow if about == "invoice" else DecidedRow
        row = read_row(shape, resource, values, f"get {_RESOURCES[about]}")
        texts = {name: _text(record.get(wire)) for name, wire in slots.items()}
        lock = self._lock(about, row, record)
        return Decided(
            texts=texts,
            cost_code=cost_code_of(record, slots.get(COST_CODE, ""), values.get("lines", lines)),
            hold=row.hold_amount,
            payment_locked=row.payment_locked,
            status=row.status,
            lock=lock,
            locked_because=_text(record.get("disallowedActionsMessage")) if lock else "",
        )

    def _readable(self, about: About, record: Record, slots: Mapping[str, str], external_id: str) -> Decided:
        try:
            return self._shown(about, record, slots)
        except ContractError as error:
            raise _rejected(external_id, "unreadable", error.message) from error

    def _lock(self, about: About, row: DecidedRow, record: Record) -> str:
        """Why a record cannot be changed; an order's state counts only where QAD says that it may not be."""
        if about == "invoice" and row.submitted:
            return "submitted_for_approval"
        if about == "invoice" and row.selected:
            return "selected_for_payment"
        if "MODIFY" not in _text(record.get("disallowedActions")).upper():
            return ""
        words = self.tenant.status
        for code, states in (("closed", words.order_closed), ("cancelled", words.order_cancelled)):
            if about == "order" and same(row.status) in {same(one) for one in states}:
                return code
        return "not_modifiable"

    def _wire(self, name: str, change: Change, slots: Mapping[str, str]) -> dict[str, Any]:
        fields = self.client.resource(name).fields
        wire: dict[str, Any] = {slots[member]: text for member, text in change.texts.items()}
        if change.release:
            wire[fields["hold_amount"]] = Decimal(0)
        if change.status:
            wire[fields["status"]] = change.status
        return wire

    async def _explained(self, about: About, keys: Mapping[str, str], error: RecordRejectedError) -> ConnectorError:
        """The refusal under the name of what the record shows, whatever language QAD refuses in."""
        if error.code not in ("not_modifiable", REFUSED):
            return error
        try:
            record = await self.client.get(_RESOURCES[about], keys)
            lock = self._shown(about, record, {}).lock if record is not None else ""
        except ConnectorError:
            return error
        return _rejected(error.external_id, lock, error.detail) if lock else error

    async def _stored(
        self, name: str, keys: Mapping[str, str], answered: Record, sent: Mapping[str, Any], external_id: str
    ) -> Record:
        """The record as QAD shows it after a write; what the answer leaves out is read."""
        record: Record | None = answered
        if any(wire not in answered for wire in (*sent, *self._judged_by(name))):
            try:
                record = await self.client.get(name, keys)
            except ConnectorError as error:
                # It was written: whatever keeps us from seeing it, it must not count as not sent.
                raise _unknown(error.message, external_id) from error
        if record is None:
            raise _unknown("the record is not there after it was written", external_id)
        if lost := sorted(wire for wire, value in sent.items() if not _kept(record.get(wire), value)):
            raise _rejected(external_id, "not_stored", f"not stored as sent: {', '.join(lost)}")
        return record

    def _judged_by(self, name: str) -> list[str]:
        fields = self.client.resource(name).fields
        return [wire for one in ("status", "hold_amount", "payment_locked") if (wire := fields.get(one))]


def default_length(wire: str) -> int:
    """How many characters a member holds where the tenant does not tell."""
    if wire.startswith(("customLong", "customNote")):
        return _LONG
    return _REMARKS if wire == "remarks" else _SHORT


def _parts(about: About, key: str) -> dict[str, str]:
    """The members of a record's key; empty when it is none."""
    if about == "order":
        return key_of_order(key) if "/" in key else {}
    try:
        return key_parts(key)
    except DocumentError:
        return {}


def _kept(shown: Any, sent: Any) -> bool:
    if isinstance(sent, Decimal):
        return isinstance(shown, int | Decimal) and not isinstance(shown, bool) and shown == sent
    return _text(shown) == _text(sent)


def _text(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def _rejected(external_id: str, code: str, detail: str) -> RecordRejectedError:
    return Asked("write decision", external_id=external_id).rejected(code, detail)


def _unknown(text: str, external_id: str) -> UnknownOutcomeError:
    return UnknownOutcomeError(text, system=SYSTEM, operation="write decision", external_id=external_id)
