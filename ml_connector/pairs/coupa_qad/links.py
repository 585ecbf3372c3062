"""Where a person finds the records of this pair in either system."""

from __future__ import annotations

from dataclasses import dataclass

from ml_connector.domain.keys import ExternalId
from ml_connector.store.ledger import LedgerRow


@dataclass(frozen=True, slots=True)
class ToQadLinks:
    """Coupa shows an invoice at its id; QAD documents no address of a voucher, so that link leads to the tenant."""

    coupa: str
    qad: str

    def source(self, row: LedgerRow) -> str:
        """The invoice in Coupa."""
        return f"{self.coupa}/invoices/{ExternalId.parse(row.external_id).key}"

    def target(self, row: LedgerRow) -> str:
        """The QAD tenant, once there is a voucher in it."""
        return self.qad if row.target_id else ""


@dataclass(frozen=True, slots=True)
class ToCoupaLinks:
    """The same the other way round."""

    coupa: str
    qad: str

    def source(self, row: LedgerRow) -> str:
        """The QAD tenant."""
        return self.qad

    def target(self, row: LedgerRow) -> str:
        """The invoice that was paid, the supplier, or the list of lookups."""
        if not row.target_id:
            return ""
        if row.target_type == "invoice_payment":
            return f"{self.coupa}/invoices/{row.target_id.partition('#')[0]}"
        supplier = row.target_type == "supplier"
        return f"{self.coupa}/suppliers/show/{row.target_id}" if supplier else f"{self.coupa}/lookups"
