"""How records are looked up in QAD: many numbers in few questions, and gaps of a list filled from the whole record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ml_connector.errors import ContractError, TransientError
from ml_connector.systems.qad.browse import Filter, Rows, same
from ml_connector.systems.qad.client import QadClient
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.lookups import among, neighbours, side_by_side

Row = Mapping[str, Any]


class Reader:
    """What all operations on one tenant share."""

    def __init__(self, client: QadClient) -> None:
        self.client = client
        self.tenant = client.tenant
        self.workers = client.tenant.limits.concurrency

    async def look_up(
        self, name: str, field: str, numbers: Collection[str], where: Sequence[Filter]
    ) -> dict[str, list[Row]]:
        """The rows of each number, asked for in as few questions as the filters allow."""

        async def ask(group: tuple[str, ...]) -> Rows:
            return await self.client.browse(name, [*where, *among(field, group)])

        rows: dict[str, list[Row]] = {same(number): [] for number in numbers}
        for answer in await side_by_side(ask, self.groups(numbers), self.workers):
            for row in self.whole(answer):
                place = rows.get(same(self.member(name, row, field)))
                if place is not None:
                    place.append(row)
        return {number: rows[same(number)] for number in numbers}

    async def completed(self, name: str, row: Row, needed: Iterable[str]) -> Row:
        """The row with what only the whole record shows; a list may leave members out (README, "reading")."""
        if all(member in row for member in needed):
            return row
        resource = self.client.resource(name)
        record = await self.client.get(name, {key: self.member(name, row, key) for key in resource.key})
        return row if record is None else {**row, **resource.logical(record)}

    def groups(self, numbers: Iterable[str]) -> list[tuple[str, ...]]:
        # Asked as "eq" once per spelling that QAD does not tell apart.
        distinct = {same(number): number for number in numbers}.values()
        if not self.tenant.limits.range_lookups:
            return [(number,) for number in distinct]
        return neighbours(distinct, most=self.tenant.limits.page_size)

    def member(self, name: str, row: Row, member: str) -> Any:
        if row.get(member) in (None, ""):
            wire = self.client.resource(name).row_name(member)
            raise ContractError(f"{wire}: is missing", system=SYSTEM, operation=f"list {name}")
        return row[member]

    def whole(self, rows: Rows) -> Rows:
        # Whoever asks whether an invoice exists must not get "no" from a list that kept moving.
        if not rows.complete:
            raise TransientError("rows kept moving while the list was read", system=SYSTEM, operation="find invoices")
        return rows
