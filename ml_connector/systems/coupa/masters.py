"""Coupa's endpoints for suppliers, lookups and lookup values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ml_connector.systems.coupa.calls import CoupaCalls, Model, Pairs, asked
from ml_connector.systems.coupa.models import ChangedSupplier, Lookup, LookupValue, Supplier, wire_fields


class MasterCalls(CoupaCalls):
    """The endpoints of the masters that we read and keep up to date."""

    async def suppliers(self, numbers: Iterable[str]) -> list[Supplier]:
        """The suppliers with these numbers, as far as they exist."""
        return await self._by_values(Supplier, "suppliers", "number", numbers)

    async def changed_suppliers(self, low: datetime | None, *, after_id: int | None) -> list[ChangedSupplier]:
        """One page of suppliers changed since then, by growing id."""
        rows = await self._keyset("suppliers", _changed_since(low), wire_fields(ChangedSupplier), after_id)
        return [ChangedSupplier.parse(row, self.http, "list suppliers") for row in rows]

    async def newest_supplier_change(self, low: datetime | None) -> datetime | None:
        """When the supplier that was changed last was changed, or None when there is none since then."""
        newest = [("order_by", "updated_at"), ("dir", "desc"), ("limit", "1"), asked(wire_fields(ChangedSupplier))]
        rows = await self._list("suppliers", [*_changed_since(low), *newest])
        return ChangedSupplier.parse(rows[0], self.http, "list suppliers").updated_at if rows else None

    async def suppliers_named(self, names: Iterable[str]) -> list[Supplier]:
        """The suppliers with these names, as far as they exist."""
        return await self._by_values(Supplier, "suppliers", "name", names)

    async def lookup_values(self, lookup: str, codes: Iterable[str]) -> list[LookupValue]:
        """The values of a lookup with these ref nums, whatever their parent, as far as they exist."""
        within = [("lookup[name]", lookup)]
        return await self._by_values(LookupValue, "lookup_values", "external_ref_num", codes, within)

    async def lookup_values_named(self, lookup: str, names: Iterable[str]) -> list[LookupValue]:
        """The values of a lookup with these names, whatever their parent, as far as they exist."""
        return await self._by_values(LookupValue, "lookup_values", "name", names, [("lookup[name]", lookup)])

    async def lookups(self, names: Iterable[str]) -> list[Lookup]:
        """The lookups with these names, as far as they exist."""
        return await self._by_values(Lookup, "lookups", "name", names)

    async def masters(self, model: type[Model], resource: str, ids: Iterable[int]) -> list[Model]:
        """The masters of a resource with these ids, as far as they exist."""
        rows = await self._by_ids(resource, ids, wire_fields(model))
        return [model.parse(row, self.http, f"list {resource}") for row in rows]

    async def write_master(
        self,
        model: type[Model],
        resource: str,
        body: Mapping[str, Any],
        *,
        object_id: str = "",
        external_id: str,
        key: str,
    ) -> Model:
        """Create a master, or change the members in the body of the one with that id; answers what Coupa stored."""
        path: str = getattr(self._paths, resource)
        operation = f"{'update' if object_id else 'create'} {resource}"
        response = await self._write(
            "PUT" if object_id else "POST",
            f"{path}/{object_id}" if object_id else path,
            resource=resource,
            operation=operation,
            external_id=external_id,
            key=key,
            params=[asked(wire_fields(model))],
            body=body,
        )
        return self._parsed(model, response, operation)


def _changed_since(low: datetime | None) -> Pairs:
    return [("updated_at[gt_or_eq]", low.astimezone(UTC).isoformat(timespec="seconds"))] if low else []
