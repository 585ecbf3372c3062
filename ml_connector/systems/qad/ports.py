"""What the business asks of QAD, in the business's words; `QadRest` answers over the REST services.

The port names no transport, so that a second one can stand behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Protocol

from ml_connector.domain.records import GoodsReceipt, PurchaseOrder, ReceiptMatch, Supplier
from ml_connector.errors import PermissionDeniedError
from ml_connector.systems.qad.documents import InvoiceQuery, InvoiceSeen, Posted
from ml_connector.systems.qad.ledger import Ledger
from ml_connector.systems.qad.purchasing import Purchasing

__all__ = ["InvoiceQuery", "InvoiceSeen", "Posted", "QadPort", "QadRest"]


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

    async def receipt_matches(self, supplier: str, since: date, leave_out: frozenset[str]) -> tuple[ReceiptMatch, ...]:
        """What invoices of a supplier changed since then use of receipts, less those with a token in `leave_out`."""
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

    async def who_am_i(self) -> str:
        """Prove the login and say who and where we are."""
        ...


class QadRest(Purchasing, Ledger):
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
        }
    )

    async def who_am_i(self) -> str:
        """Prove the login and say who and where we are."""
        # Only some users may see the session rules; a 403 comes after the login has worked.
        with suppress(PermissionDeniedError):
            await self.client.security_control()
        return f"{self.client.who} in workspace {self.tenant.workspace_id or '(default)'}"
