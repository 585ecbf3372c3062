"""What the business asks of QAD, in the business's words; `QadRest` answers over the REST services.

The port names no transport, so that a second one can stand behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Protocol

from ml_connector.domain.records import GoodsReceipt, PurchaseOrder, ReceiptMatch, ReferenceCode, Supplier
from ml_connector.errors import PermissionDeniedError
from ml_connector.http.client import HttpClient
from ml_connector.systems.qad.decisions import About, Decided, DecisionBook, Judge
from ml_connector.systems.qad.documents import InvoiceQuery, InvoiceSeen, Posted
from ml_connector.systems.qad.ledger import Ledger, Ours
from ml_connector.systems.qad.masters import Code, GlAccount, Masters
from ml_connector.systems.qad.purchasing import Purchasing
from ml_connector.systems.qad.supplier_book import SupplierBook, SupplierSeen

__all__ = [
    "Code",
    "Decided",
    "GlAccount",
    "InvoiceQuery",
    "InvoiceSeen",
    "Posted",
    "QadPort",
    "QadRest",
    "SupplierSeen",
]


class QadPort(Protocol):
    """The business operations of one QAD tenant, whatever carries them."""

    @property
    def capabilities(self) -> frozenset[str]:
        """Which operations this transport can do."""
        ...

    async def suppliers(self, numbers: Collection[str]) -> dict[str, Supplier]:
        """The suppliers with these numbers; one that QAD does not have is left out."""
        ...

    async def purchase_orders(self, numbers: Collection[str]) -> dict[str, PurchaseOrder]:
        """The orders with these numbers and their lines; one that QAD does not have is left out."""
        ...

    async def goods_receipts(self, po_numbers: Collection[str]) -> dict[str, tuple[GoodsReceipt, ...]]:
        """All posted receipts of these orders, returns and corrections negative."""
        ...

    async def receipt_matches(self, supplier: str, since: date, ours: Ours) -> tuple[ReceiptMatch, ...]:
        """What invoices of a supplier changed since then use of receipts, less those whose token `ours` knows."""
        ...

    async def find_invoices(self, supplier: str, reference: str) -> tuple[InvoiceSeen, ...]:
        """All documents of a supplier with this reference."""
        ...

    async def look_up_invoices(self, queries: Collection[InvoiceQuery]) -> dict[InvoiceQuery, tuple[InvoiceSeen, ...]]:
        """The same for many at once."""
        ...

    async def find_by_token(self, token: str) -> tuple[InvoiceSeen, ...]:
        """All documents that carry a token of ours."""
        ...

    async def get_invoice(self, key: str) -> InvoiceSeen | None:
        """The document with this key as it is now, or None."""
        ...

    async def post_invoice(self, document: Mapping[str, Any], external_id: str) -> Posted:
        """Post one document; RecordRejectedError when QAD refuses it, UnknownOutcomeError when nobody can tell."""
        ...

    async def gl_accounts(self, codes: Collection[str]) -> dict[str, GlAccount]:
        """The accounts with these codes; one that QAD does not have is left out."""
        ...

    async def reference_codes(self, resource: Code, codes: Collection[str]) -> dict[str, ReferenceCode]:
        """The cost centers, projects or accounts with these codes; one that QAD does not have is left out."""
        ...

    async def orders_by_slot(self, member: str, values: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The numbers of the orders whose custom member (as the tenant calls it) has each value; () where none has."""
        ...

    async def order_slot_problem(self, member: str) -> str:
        """Why orders cannot be found by this custom member; empty when the tenant proves that they can."""
        ...

    async def find_suppliers(self, numbers: Collection[str]) -> dict[str, tuple[SupplierSeen, ...]]:
        """The suppliers with each number, with their keys."""
        ...

    async def find_suppliers_by_name(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The keys of the suppliers that have each name."""
        ...

    async def get_supplier(self, key: str) -> SupplierSeen | None:
        """The supplier with this key as it is now, or None."""
        ...

    async def create_supplier(self, payload: Mapping[str, Any], external_id: str) -> SupplierSeen:
        """Create a supplier; RecordRejectedError when it is refused, UnknownOutcomeError when nobody can tell."""
        ...

    async def update_supplier(
        self, key: str, payload: Mapping[str, Any], members: Iterable[str], external_id: str
    ) -> SupplierSeen:
        """Change these members of a supplier and nothing else; errors as for a create."""
        ...

    async def decided(self, about: About, key: str, slots: Mapping[str, str]) -> Decided | None:
        """What an invoice or order shows in these members (ours to the tenant's), or None when QAD does not have it."""
        ...

    async def decide(
        self, about: About, key: str, slots: Mapping[str, str], judge: Judge, *, external_id: str
    ) -> Decided:
        """Write what `judge` says of the record as it is now; errors as for a create, and when it is not kept."""
        ...

    async def slot_lengths(self, about: About) -> Mapping[str, int]:
        """How many characters the members hold that the tenant describes; empty where it does not let us see."""
        ...

    async def slot_problem(self, about: About, wire: str) -> str:
        """Why decisions cannot be written to this member; empty when the tenant describes it as a text of its own."""
        ...

    async def who_am_i(self) -> str:
        """Prove the login and say who and where we are."""
        ...


class QadRest(Purchasing, Ledger, Masters, SupplierBook, DecisionBook):
    """The business operations over QAD's REST services."""

    capabilities = frozenset(
        {
            "suppliers.read",
            "purchase_orders.read",
            "goods_receipts.read",
            "receipt_matches.read",
            "invoices.find",
            "invoices.find_by_token",
            "invoices.post",
            "gl_accounts.read",
            "reference_codes.read",
            "purchase_orders.find_by_slot",
            "suppliers.write",
            "decisions.write",
        }
    )

    @property
    def http(self) -> HttpClient:
        """The connections to the tenant."""
        return self.client.http

    async def who_am_i(self) -> str:
        """Prove the login and say who and where we are."""
        # Only some users may see the session rules; a 403 comes after the login has worked.
        with suppress(PermissionDeniedError):
            await self.client.security_control()
        return self.identity

    @property
    def identity(self) -> str:
        """User and workspace, free of secrets."""
        return f"{self.client.who} in workspace {self.tenant.workspace_id or '(default)'}"
