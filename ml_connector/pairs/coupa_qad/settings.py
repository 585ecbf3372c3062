"""The settings of one Coupa-QAD connection: one schema for the form, the file and the command line."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_connector.systems.coupa.config import CoupaTenant
from ml_connector.systems.qad.config import QadTenant

SCHEMA_VERSION = 1


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Coding(_Settings):
    """Where an amount without a goods receipt is booked in QAD."""

    account: str = Field(min_length=1, max_length=8, description="GL account.")
    sub_account: str = Field(default="", max_length=8, description="Sub-account, if the account asks for one.")
    cost_center: str = Field(default="", max_length=8, description="Cost centre, if the account asks for one.")
    project: str = Field(default="", max_length=8, description="Project, if the account asks for one.")


class Accounts(_Settings):
    """The accounts for what is billed beside the goods; an empty one rejects invoices that need it."""

    shipping: Coding | None = Field(default=None, description="Freight charges.")
    handling: Coding | None = Field(default=None, description="Handling charges.")
    misc: Coding | None = Field(default=None, description="Other charges, also those of an unknown kind.")
    tax: Coding | None = Field(default=None, description="Tax, which QAD takes as part of the gross amount.")
    credit: Coding | None = Field(default=None, description="Credits whose goods did not come back on a receiver.")

    def coding(self, kind: str) -> Coding | None:
        """The account for a kind of charge; `misc` takes the kinds nobody named."""
        own: Coding | None = getattr(self, kind, None) if kind in Accounts.model_fields else self.misc
        return own


class InvoiceRules(_Settings):
    """How approved Coupa invoices become QAD supplier invoices."""

    page_size: int = Field(default=500, ge=1, le=1000, description="Records per page and cached task.")
    hold_limit_days: int = Field(default=30, ge=1, description="A hold older than this is rejected for a person.")
    payment_channels: tuple[str, ...] = Field(
        default=("", "ERP"), description="Payment channels that are posted; others, as Coupa Pay, are skipped."
    )
    chart_of_accounts: str | None = Field(
        default=None, description="Only invoices of this Coupa account type; empty means all of them."
    )
    credit_terms: str = Field(default="", description="Credit terms to send; empty takes the supplier's own in QAD.")
    accounts: Accounts = Field(default=Accounts(), description="Accounts for charges, tax and credits.")
    reference_length: int = Field(default=40, ge=1, description="Characters of QAD's invoice reference.")
    po_number_length: int = Field(default=8, ge=1, description="Characters of a QAD purchase order number.")
    description_length: int = Field(default=40, ge=8, description="Characters of QAD's description fields.")


class CoupaQadSettings(_Settings):
    """One connection between a Coupa instance and a QAD entity."""

    schema_version: Literal[1] = Field(default=1, description="Version of this settings schema.")
    time_zone: str = Field(default="UTC", description="IANA time zone of the QAD entity; posting dates follow it.")
    coupa: CoupaTenant = Field(default_factory=CoupaTenant, description="The Coupa instance.")
    qad: QadTenant = Field(description="The QAD domain and entity.")
    invoices: InvoiceRules = Field(default=InvoiceRules(), description="Rules for invoices from Coupa to QAD.")

    @model_validator(mode="after")
    def _any_needs_initial_invoices(self) -> Self:
        if self.qad.match.receipt_gate == "any" and self.qad.invoice.mode != "initial_invoice":
            raise ValueError("receipt_gate 'any' needs invoice mode 'initial_invoice': QAD matches no more than came")
        return self


def overlap(one: CoupaQadSettings, other: CoupaQadSettings) -> str:
    """How the source filters of two connections overlap; empty when no invoice passes both."""
    channels = sorted(set(one.invoices.payment_channels) & set(other.invoices.payment_channels))
    charts = {one.invoices.chart_of_accounts, other.invoices.chart_of_accounts} - {None, ""}
    if not channels or len(charts) > 1:
        return ""
    chart = f"chart_of_accounts {next(iter(charts))}" if charts else "every chart of accounts"
    return f"{chart}, payment_channels {', '.join(name or '(none)' for name in channels)}"


def proven(settings: CoupaQadSettings) -> tuple[str, str]:
    """The settings that name the QAD tenant: they were proven at connect time and never change."""
    return settings.qad.domain, settings.qad.entity
