"""The supplier master of the shared set: suppliers as QAD shows them, new ones, and changes to what we own of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_connector.domain.records import Supplier
from ml_connector.errors import ContractError, RecordRejectedError, TransientError, UnknownOutcomeError
from ml_connector.systems.qad.browse import Filter, same
from ml_connector.systems.qad.client import Record, Written
from ml_connector.systems.qad.config import SupplierDefaults
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.models import SupplierRow, read_row
from ml_connector.systems.qad.reader import Reader, Row

MEMBERS = ("name", "active", "currency", "credit_terms")
DEFAULTS_MISSING = "supplier_defaults_missing"


@dataclass(frozen=True, slots=True)
class SupplierSeen:
    """A supplier as QAD shows it; `key` is shared set and number."""

    key: str
    supplier: Supplier


def supplier_key(shared_set: str, number: str) -> str:
    """The key of a supplier as one text."""
    return f"{shared_set}/{number}"


def differing(payload: Mapping[str, Any], shown: Supplier) -> tuple[str, ...]:
    """Which members of a payload QAD shows otherwise; currency and terms count only where the payload names them."""
    found = []
    if "name" in payload and str(payload["name"]).strip() != shown.name.strip():
        found.append("name")
    if "active" in payload and bool(payload["active"]) != shown.active:
        found.append("active")
    for name, value in (("currency", shown.currency), ("credit_terms", shown.credit_terms)):
        if payload.get(name) and same(payload[name]) != same(value):
            found.append(name)
    return tuple(found)


class SupplierBook(Reader):
    """Finds, creates and changes suppliers."""

    async def find_suppliers(self, numbers: Collection[str]) -> dict[str, tuple[SupplierSeen, ...]]:
        """The suppliers with each number; several only where the shared set is not configured."""
        found = {}
        for number, rows in (await self.look_up("supplier", "number", numbers, self._in_set())).items():
            found[number] = tuple([await self._listed(row) for row in rows])
        return found

    async def find_suppliers_by_name(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The keys of the suppliers that have each name."""

        async def ask(name: str) -> tuple[str, ...]:
            rows = self.whole(await self.client.browse("supplier", [*self._in_set(), Filter("name", "eq", name)]))
            return tuple(sorted(self._key(row) for row in rows))

        distinct = list(dict.fromkeys(names))
        return dict(zip(distinct, await side_by_side(ask, distinct, self.workers), strict=True))

    async def get_supplier(self, key: str) -> SupplierSeen | None:
        """The supplier with this key as it is now, or None."""
        record = await self.client.get("supplier", _parts(key))
        return None if record is None else self._whole(record, "get supplier")

    async def create_supplier(self, payload: Mapping[str, Any], external_id: str) -> SupplierSeen:
        """Create a supplier, its business relation first where that is missing; what QAD then shows of it.

        RecordRejectedError when QAD refuses or the tenant's defaults are missing (then nothing was sent),
        UnknownOutcomeError when nobody can tell.
        """
        defaults, shared_set = self.tenant.supplier_defaults, self.tenant.shared_sets.supplier
        if defaults is None or not shared_set:
            missing = "supplier_defaults" if defaults is None else "shared_sets.supplier"
            raise RecordRejectedError(
                "nothing was sent", code=DEFAULTS_MISSING, detail=f"{missing}: is not configured", system=SYSTEM
            )
        await self._relation(str(payload["number"]), str(payload["name"]), external_id)
        fields = self.client.resource("supplier").fields
        values = _new(payload, defaults, shared_set)
        wire = {fields[name]: value for name, value in values.items()}
        written = await self.client.create("supplier", wire, external_id=external_id)
        return await self._confirmed(written, supplier_key(shared_set, str(payload["number"])), external_id)

    async def update_supplier(
        self, key: str, payload: Mapping[str, Any], members: Iterable[str], external_id: str
    ) -> SupplierSeen:
        """Change these members of a supplier and nothing else; what QAD then shows of it. Errors as for a create."""
        fields = self.client.resource("supplier").fields
        change = {fields[name]: payload[name] for name in members if _given(payload, name)}
        written = await self.client.update("supplier", _parts(key), lambda _record: change, external_id=external_id)
        return await self._confirmed(written, key, external_id)

    async def _relation(self, code: str, name: str, external_id: str) -> None:
        if await self.client.get("businessRelation", {"code": code}) is not None:
            return
        fields = self.client.resource("businessRelation").fields
        wire = {fields["code"]: code, fields["name"]: name}
        try:
            await self.client.create("businessRelation", wire, external_id=external_id)
        except RecordRejectedError as error:
            # It came between the question and the create, or an earlier create was committed late.
            if error.code != "already_exists":
                raise
        except UnknownOutcomeError as error:
            # The next attempt asks for it again, so only the supplier counts: that was not sent.
            text = "nobody can tell whether its business relation was created; the supplier was not sent"
            raise TransientError(text, system=SYSTEM, operation=error.operation, external_id=external_id) from error

    async def _confirmed(self, written: Written, key: str, external_id: str) -> SupplierSeen:
        """What QAD shows after a write; an answer that shows only a part is completed by reading the record."""
        shown = self.client.resource("supplier").logical(written.record)
        try:
            if all(name in shown for name in ("number", *MEMBERS)):
                return self._whole(written.record, "write supplier")
            found = await self.get_supplier(key)
        except (ContractError, TransientError) as error:
            raise _unknown(error.message, external_id) from error
        if found is None:
            raise _unknown("the supplier is not there after it was written", external_id)
        return found

    async def _listed(self, row: Row) -> SupplierSeen:
        keyed = {"shared_set": self.tenant.shared_sets.supplier, **row}
        values = await self.completed("supplier", keyed, MEMBERS)
        return SupplierSeen(self._key(keyed), self._supplier(values, "list supplier"))

    def _whole(self, record: Record, operation: str) -> SupplierSeen:
        values = self.client.resource("supplier").logical(record)
        keyed = {"shared_set": self.tenant.shared_sets.supplier, **values}
        return SupplierSeen(self._key(keyed), self._supplier(values, operation))

    def _supplier(self, values: Row, operation: str) -> Supplier:
        one = read_row(SupplierRow, self.client.resource("supplier"), values, operation)
        return Supplier(one.number, one.name or one.business_name, one.active, one.currency, one.credit_terms)

    def _key(self, row: Row) -> str:
        keyed = {"shared_set": self.tenant.shared_sets.supplier, **row}
        parts = (self.member("supplier", keyed, name) for name in ("shared_set", "number"))
        return supplier_key(*(str(part) for part in parts))

    def _in_set(self) -> list[Filter]:
        shared_set = self.tenant.shared_sets.supplier
        return [Filter("shared_set", "eq", shared_set)] if shared_set else []


def _new(payload: Mapping[str, Any], defaults: SupplierDefaults, shared_set: str) -> dict[str, Any]:
    profiles = defaults.gl_profiles
    return {
        "shared_set": shared_set,
        "number": payload["number"],
        "name": payload["name"],
        "business_relation": payload["number"],
        "active": bool(payload.get("active", True)),
        "currency": payload.get("currency") or defaults.currency,
        "credit_terms": payload.get("credit_terms") or defaults.credit_terms,
        "invoice_status": defaults.invoice_status,
        "gl_invoice": profiles.invoice,
        "gl_credit_note": profiles.credit_note,
        "gl_prepayment": profiles.prepayment,
        "gl_purchase": profiles.purchase,
    }


def _given(payload: Mapping[str, Any], name: str) -> bool:
    # An empty currency or term means that the source does not say, never that QAD's is to be blanked.
    return name in MEMBERS and name in payload and (name in ("name", "active") or bool(payload[name]))


def _parts(key: str) -> dict[str, str]:
    shared_set, _, number = key.partition("/")
    return {"shared_set": shared_set, "number": number}


def _unknown(text: str, external_id: str) -> UnknownOutcomeError:
    return UnknownOutcomeError(text, system=SYSTEM, operation="write supplier", external_id=external_id)
