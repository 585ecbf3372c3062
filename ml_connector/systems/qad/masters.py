"""The codes a document line names, and purchase orders found by a custom member: what checks and rules ask for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from ml_connector.domain.records import ReferenceCode
from ml_connector.errors import ConfigurationError, ConnectorError
from ml_connector.systems.qad.browse import Filter
from ml_connector.systems.qad.config import SHARED_SET_OF
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.models import AccountRow, CodeRow, read_row
from ml_connector.systems.qad.reader import Reader, Row

# A value that no tenant has, so that a read costs nothing and only its being allowed is tried.
NOBODY = "zz-no-such"
Code = Literal["costCenter", "project", "glAccount"]
_ANALYSIS = ("needs_sub_account", "needs_cost_center", "needs_project")


@dataclass(frozen=True, slots=True)
class GlAccount:
    """An account and what a document line on it has to name beside it."""

    code: str
    active: bool
    needs_sub_account: bool = False
    needs_cost_center: bool = False
    needs_project: bool = False


class Masters(Reader):
    """Reads accounts, cost centers and projects by code, and orders by a custom member."""

    async def gl_accounts(self, codes: Collection[str]) -> dict[str, GlAccount]:
        """The accounts with these codes; one that QAD does not have is left out."""
        found = {}
        for code, row in (await self._by_code("glAccount", codes, ("active", *_ANALYSIS))).items():
            one = read_row(AccountRow, self.client.resource("glAccount"), row, "list glAccount")
            found[code] = GlAccount(
                one.code, one.active, one.needs_sub_account, one.needs_cost_center, one.needs_project
            )
        return found

    async def reference_codes(self, resource: Code, codes: Collection[str]) -> dict[str, ReferenceCode]:
        """The cost centers, projects or accounts with these codes; one that QAD does not have is left out."""
        found = {}
        for code, row in (await self._by_code(resource, codes, ("active", "description"))).items():
            one = read_row(CodeRow, self.client.resource(resource), row, f"list {resource}")
            found[code] = ReferenceCode(one.code, one.description, one.active)
        return found

    async def orders_by_slot(self, member: str, values: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The numbers of the orders whose custom member (as the tenant calls it) has each value; () where none has."""
        self.client.map_member("purchaseOrder", member)
        wanted = [value for value in dict.fromkeys(values) if value.strip()]
        rows = await self.look_up("purchaseOrder", member, wanted, [Filter("domain", "eq", self.tenant.domain)])
        return {
            value: tuple(sorted({str(self.member("purchaseOrder", row, "number")) for row in rows.get(value, ())}))
            for value in values
        }

    async def order_slot_problem(self, member: str) -> str:
        """Why orders cannot be found by this custom member; empty when the tenant proves that they can."""
        self.client.map_member("purchaseOrder", member)
        resource = self.client.resource("purchaseOrder")
        try:
            described = await self.client.metadata(resource.view_uri)
            if member not in {field.json_name for field in described or ()}:
                return f"purchase orders have no member {member}"
            if resource.row_name(member) not in await self.client.browse_fields(resource.browse):
                return f"the list of purchase orders does not show {member}"
            rows = await self.client.sample("purchaseOrder", [Filter(member, "eq", NOBODY)])
        except ConnectorError as error:
            return f"purchase orders cannot be searched by {member}: {error.message}"
        return f"the list of purchase orders ignores a condition on {member}" if len(rows) else ""

    async def _by_code(self, name: Code, codes: Collection[str], needed: tuple[str, ...]) -> dict[str, Row]:
        shared_set = self.tenant.shared_set(name)
        where = [Filter("shared_set", "eq", shared_set)] if shared_set else []
        found: dict[str, Row] = {}
        for code, rows in (await self.look_up(name, "code", [one for one in codes if one.strip()], where)).items():
            if len(rows) > 1:
                text = f"several {name} records have the same code: set shared_sets.{SHARED_SET_OF[name]}"
                raise ConfigurationError(text, system=SYSTEM, operation=f"list {name}")
            for row in rows:
                found[code] = await self.completed(name, {"shared_set": shared_set, **row}, needed)
        return found
