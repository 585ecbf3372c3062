"""Suppliers, purchase orders and goods receipts as QAD shows them."""

from __future__ import annotations

from collections.abc import Collection

from ml_connector.domain.records import GoodsReceipt, PurchaseOrder, PurchaseOrderLine, Supplier
from ml_connector.errors import ConfigurationError
from ml_connector.systems.qad.browse import Filter, same
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.models import OrderLineRow, OrderRow, ReceiptRow, SupplierRow, read_row
from ml_connector.systems.qad.reader import Reader, Row


class Purchasing(Reader):
    """Reads what a billed line is matched against."""

    async def suppliers(self, numbers: Collection[str]) -> dict[str, Supplier]:
        """The suppliers with these numbers; one that QAD does not have is left out."""
        shared_set = self.tenant.shared_sets.supplier
        where = [Filter("shared_set", "eq", shared_set)] if shared_set else []
        found: dict[str, Supplier] = {}
        for number, rows in (await self.look_up("supplier", "number", numbers, where)).items():
            if len(rows) > 1:
                text = "several suppliers have the same number: set shared_sets.supplier"
                raise ConfigurationError(text, system=SYSTEM, operation="list supplier")
            for row in rows:
                values = await self.completed("supplier", {"shared_set": shared_set, **row}, ("active",))
                supplier = read_row(SupplierRow, self.client.resource("supplier"), values, "list supplier")
                name = supplier.name or supplier.business_name
                found[number] = Supplier(
                    supplier.number, name, supplier.active, supplier.currency, supplier.credit_terms
                )
        return found

    async def purchase_orders(self, numbers: Collection[str]) -> dict[str, PurchaseOrder]:
        """The orders with these numbers and their lines; one that QAD does not have is left out."""
        where = [Filter("domain", "eq", self.tenant.domain)]
        heads = await self.look_up("purchaseOrder", "number", numbers, where)
        known = [number for number, rows in heads.items() if rows]
        lines = await self.look_up("purchaseOrderLine", "po_number", known, [])
        found = {}
        for number in known:
            row = {"domain": self.tenant.domain, **heads[number][0]}
            values = await self.completed("purchaseOrder", row, ("supplier", "currency", "status"))
            head = read_row(OrderRow, self.client.resource("purchaseOrder"), values, "list purchaseOrder")
            read = sorted((self._order_line(row) for row in lines[number]), key=lambda line: line.number)
            found[number] = PurchaseOrder(
                number, head.supplier, head.currency, self._order_status(head.status), tuple(read)
            )
        return found

    async def goods_receipts(self, po_numbers: Collection[str]) -> dict[str, tuple[GoodsReceipt, ...]]:
        """All posted receipts of these orders, returns and corrections negative; an order without any has ()."""
        resource = self.client.resource("receipt")
        found = {}
        for number, rows in (await self.look_up("receipt", "po_number", po_numbers, [])).items():
            read = [read_row(ReceiptRow, resource, row, "list receipt") for row in rows]
            found[number] = tuple(
                GoodsReceipt(one.receiver, number, one.line, one.quantity, one.received_on, one.supplier)
                for one in sorted(read, key=lambda one: (one.received_on, one.receiver, one.line))
            )
        return found

    def _order_line(self, row: Row) -> PurchaseOrderLine:
        resource = self.client.resource("purchaseOrderLine")
        line = read_row(OrderLineRow, resource, row, "list purchaseOrderLine")
        return PurchaseOrderLine(
            line.line, line.item, line.quantity, line.price, line.unit, self._order_status(line.status)
        )

    def _order_status(self, word: str) -> str:
        words = self.tenant.status
        meanings = {"open": words.order_open, "closed": words.order_closed, "cancelled": words.order_cancelled}
        for status, known in meanings.items():
            if same(word) in {same(one) for one in known}:
                return status
        # Unknown counts as closed: then only receipts that are already there may be billed.
        self.client.http.note_ignored("PurchaseOrder.status")
        return "closed"
