"""What checks and settings ask Coupa about: purchase orders, their custom fields, and the lookups that exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ml_connector.systems.coupa.client import CoupaClient

# A custom field that holds a record (a lookup value, a supplier) shows it as an object; the first of these names it.
_NAMING = ("external-ref-num", "code", "number", "name")


async def order_states(client: CoupaClient, po_numbers: Iterable[str]) -> dict[str, str]:
    """How Coupa itself shows purchase orders (issued, cancelled, ...); those it does not show are left out."""
    wanted = sorted(set(po_numbers))
    return {order.po_number: order.status for order in await client.purchase_orders(wanted)} if wanted else {}


async def order_fields(client: CoupaClient, po_numbers: Iterable[str], field: str) -> dict[str, str]:
    """A custom field of purchase orders; blank where it has no value, orders that Coupa does not show are left out."""
    name = field.replace("_", "-")
    shown = await client.order_fields(po_numbers, [name])
    return {number: _text(values.get(name)) for number, values in shown.items()}


async def order_field_known(client: CoupaClient, field: str) -> bool | None:
    """Whether purchase orders have such a custom field; None when no order is visible that could tell."""
    name = field.replace("_", "-")
    shown = await client.sample_order_fields([name])
    return None if shown is None else name in shown


async def lookups_known(client: CoupaClient, names: Iterable[str]) -> set[str]:
    """Those of the lookups that an administrator has set up."""
    wanted = set(names)
    found = {one.name.casefold() for one in await client.lookups(wanted)}
    return {name for name in wanted if name.casefold() in found}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = next((value[name] for name in _NAMING if value.get(name)), None)
    return "" if value is None else str(value).strip()
