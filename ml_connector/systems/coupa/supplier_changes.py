"""Suppliers as people change them in Coupa, read by the time of their last change (README: Suppliers)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

from ml_connector.domain.records import Supplier, Unreadable
from ml_connector.sync.seams import Batch
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.models import ChangedSupplier

# Longer than the sheet's two minutes: Coupa may take five to show a change.
LOOKBACK = timedelta(minutes=10)


class SupplierChanges:
    """Source: suppliers by their Coupa id; the first read takes all of them.

    Coupa's order of ids is not the order of changes, so the mark comes with the last batch, and never passes the
    newest change that was there when the read began.
    """

    stream = "coupa.suppliers"

    def __init__(self, client: CoupaClient) -> None:
        self._client = client

    async def pages(self, start: str | None, since: str | None) -> AsyncIterator[Batch[Supplier]]:
        """Page by page; the cursor carries the last id and the mark that the read may reach."""
        low = datetime.fromisoformat(since) - LOOKBACK if since else None
        last, _, reached = (start or "").partition(" ")
        if not start:
            reached = _mark(await self._client.newest_supplier_change(low))
        if not reached:
            return
        while True:
            page = await self._client.changed_suppliers(low, after_id=int(last) if last else None)
            last = str(page[-1].id) if page else last
            complete = len(page) < self._client.tenant.page_size
            mark = max(reached, since or "") if complete else ""
            yield Batch([_supplier(one) for one in page], (), f"{last or 0} {reached}", mark)
            if complete:
                return

    async def by_key(self, keys: Sequence[str]) -> dict[str, Supplier | Unreadable]:
        """The suppliers with these ids as they are now; one that Coupa does not show is absent."""
        found = await self._client.masters(ChangedSupplier, "suppliers", [int(key) for key in keys if key.isdecimal()])
        return {str(one.id): _supplier(one) for one in found}


def _supplier(one: ChangedSupplier) -> Supplier:
    term = one.payment_term.code if one.payment_term else ""
    active = one.status == "active"
    return Supplier(one.number.strip(), one.name, active=active, credit_terms=term, key=str(one.id))


def _mark(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else ""
