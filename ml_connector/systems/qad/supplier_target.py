"""Suppliers as the write protocol sees them: known by their number in the shared set, created once, updated later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ml_connector.domain.writes import (
    Absent,
    Done,
    Doubt,
    Finding,
    Foreign,
    Found,
    Gone,
    NotSent,
    Order,
    Refused,
    Sent,
    Several,
)
from ml_connector.errors import ContractError, RecordRejectedError, TransientError, UnknownOutcomeError
from ml_connector.systems.qad.config import QadTenant
from ml_connector.systems.qad.errors import waits
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.ports import QadPort
from ml_connector.systems.qad.supplier_book import MEMBERS, SupplierSeen, differing
from ml_connector.systems.qad.targets import SETTLE
from ml_connector.systems.sending import send_each

# A number that somebody else created meanwhile, or a record that others keep changing: the next run sees more.
_PASSING = frozenset({"already_exists", "stale"})


class Suppliers:
    """Target: suppliers. Payload: `number`, `name`, `active`, `currency`, `credit_terms`; the last two may be empty."""

    name = "qad.supplier"
    settle = SETTLE

    def __init__(self, port: QadPort, tenant: QadTenant) -> None:
        self._port = port
        self._tenant = tenant
        self.concurrency = tenant.limits.concurrency
        self.per_second = tenant.limits.rps

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """What QAD shows of each supplier: by key where that is known, else by number, else by name alone."""
        known = [order for order in orders if order.target_id]
        unknown = [order for order in orders if not order.target_id]
        shown = await side_by_side(lambda order: self._port.get_supplier(order.target_id), known, self.concurrency)
        findings: dict[str, Finding] = {
            order.external_id: Gone(order.target_id) if one is None else _found(order, one)
            for order, one in zip(known, shown, strict=True)
        }
        return findings | (await self._by_number(unknown) if unknown else {})

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Create or update each supplier once; login, rights and lease trouble ends the whole call."""
        return await send_each(orders, self._answered, self.concurrency)

    async def _by_number(self, orders: Sequence[Order]) -> dict[str, Finding]:
        hits = await self._port.find_suppliers({str(order.payload["number"]) for order in orders})
        rest = [order for order in orders if not hits[str(order.payload["number"])]]
        names = {name for order in rest if (name := str(order.payload.get("name") or "").strip())}
        named = await self._port.find_suppliers_by_name(sorted(names)) if names else {}
        findings: dict[str, Finding] = {}
        for order in orders:
            found = hits[str(order.payload["number"])]
            alike = named.get(str(order.payload.get("name") or "").strip(), ())
            if len(found) > 1:
                findings[order.external_id] = Several(tuple(sorted(one.key for one in found)))
            elif found:
                findings[order.external_id] = _adopted(order, found[0])
            else:
                findings[order.external_id] = Foreign(alike[0]) if alike else Absent()
        return findings

    async def _answered(self, order: Order) -> Sent:
        try:
            return await self._send(order)
        except RecordRejectedError as error:
            passing = error.code in _PASSING or waits(error.code, self._tenant.refusals)
            return Refused(error.code, error.detail, passing)
        except (UnknownOutcomeError, ContractError) as error:
            return Doubt(error.message)
        except TransientError as error:
            return NotSent(error.message)

    async def _send(self, order: Order) -> Sent:
        if order.target_id:
            members = order.changed or MEMBERS
            shown = await self._port.update_supplier(order.target_id, order.payload, members, order.external_id)
        else:
            members = MEMBERS
            shown = await self._port.create_supplier(order.payload, order.external_id)
        if ignored := [name for name in differing(order.payload, shown.supplier) if name in members]:
            return Refused("not_stored", f"not stored as sent: {', '.join(ignored)}")
        return Done(shown.key, {"number": shown.supplier.number})


def _adopted(order: Order, one: SupplierSeen) -> Found:
    """A supplier that was there before us: who is blocked in QAD is not made active by being known elsewhere."""
    found = _found(order, one)
    lifted = bool(order.payload["active"])
    return replace(found, differs=tuple(name for name in found.differs if name != "active" or not lifted))


def _found(order: Order, one: SupplierSeen) -> Found:
    return Found(one.key, differing(order.payload, one.supplier), {"number": one.supplier.number})
