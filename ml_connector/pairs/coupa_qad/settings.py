"""The settings of one Coupa-QAD connection: one schema for the form, the file and the command line."""

from __future__ import annotations

from string import Formatter
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from ml_connector.systems.coupa.config import CoupaTenant
from ml_connector.systems.qad.config import QadTenant

SCHEMA_VERSION = 1
_CHARGES = ("shipping", "handling", "misc", "tax", "credit")
# What the mapping of suppliers writes itself, in Coupa's spelling.
_SUPPLIER_MEMBERS = ("id", "number", "name", "status", "payment-term")


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Coding(_Settings):
    """Where an amount without a goods receipt is booked in QAD."""

    account: str = Field(min_length=1, max_length=8, description="GL account.")
    sub_account: str = Field(default="", max_length=8, description="Sub-account, if the account asks for one.")
    cost_center: str = Field(default="", max_length=8, description="Cost centre, if the account asks for one.")
    project: str = Field(default="", max_length=8, description="Project, if the account asks for one.")


class Accounts(_Settings):
    """The accounts for what no goods receipt covers; an empty one rejects invoices that need it."""

    shipping: Coding | None = Field(default=None, description="Freight charges.")
    handling: Coding | None = Field(default=None, description="Handling charges.")
    misc: Coding | None = Field(default=None, description="Other charges, also those of an unknown kind.")
    tax: Coding | None = Field(default=None, description="Tax, which QAD takes as part of the gross amount.")
    credit: Coding | None = Field(default=None, description="Credits whose goods did not come back on a receiver.")
    tax_codes: dict[str, Coding] = Field(
        default_factory=dict, description="Tax by its code on the Coupa line; other codes are booked as `tax`."
    )
    lines: dict[str, Coding] = Field(
        default_factory=dict, description="Lines without a purchase order by their Coupa account code."
    )
    default: Coding | None = Field(
        default=None, description="Lines without a purchase order whose Coupa account is not among `lines`."
    )

    def coding(self, kind: str) -> Coding | None:
        """The account for a kind of charge; `misc` takes the kinds nobody named."""
        own: Coding | None = getattr(self, kind) if kind in _CHARGES else self.misc
        return own

    def of_line(self, account: str | None) -> Coding | None:
        """The account for a line that is booked by its Coupa account code."""
        return self.lines.get(account or "", self.default)

    def of_tax(self, code: str) -> Coding | None:
        """The account for tax of that code."""
        return self.tax_codes.get(code, self.tax)


class PoRule(_Settings):
    """Which QAD order the PO number on a Coupa line means: Coupa's numbers may be longer than QAD's."""

    kind: Literal["same_number", "coupa_field", "qad_slot"] = Field(
        default="same_number",
        description="Both use one number; or a custom field of Coupa's order holds QAD's number; or a member of QAD's "
        "order header holds Coupa's number.",
    )
    name: str = Field(default="", description="That custom field of Coupa or that member of QAD.")

    @model_validator(mode="after")
    def _named_where_needed(self) -> Self:
        if (self.kind == "same_number") is bool(self.name):
            raise ValueError("po_rule: name the field for coupa_field and qad_slot, and none for same_number")
        return self


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
    po_rule: PoRule = Field(default=PoRule(), description="Which QAD order a Coupa line means.")
    non_po: Literal["reject", "hold", "post"] = Field(
        default="reject", description="Lines without a purchase order: reject, wait for one, or book them by account."
    )
    non_po_status_code: str = Field(
        default="", description="QAD status code for invoices without any order; empty takes `qad.invoice.status_code`."
    )
    posting_date: Literal["today", "invoice_date"] = Field(
        default="today", description="QAD's posting date: the day of posting, or the date on the invoice."
    )
    closed_period: Literal["hold", "reject"] = Field(
        default="hold", description="When QAD's period is closed: try again each run until it opens, or reject."
    )
    on_void: Literal["exception", "correct"] = Field(
        default="exception", description="A void of a posted invoice: for a person, or an Invoice Correction in QAD."
    )
    credit_terms: str = Field(default="", description="Credit terms to send; empty takes the supplier's own in QAD.")
    accounts: Accounts = Field(default=Accounts(), description="Accounts for what no goods receipt covers.")
    reference_length: int = Field(default=40, ge=1, description="Characters of QAD's invoice reference.")
    po_number_length: int = Field(default=8, ge=1, description="Characters of a QAD purchase order number.")
    description_length: int = Field(default=40, ge=8, description="Characters of QAD's description fields.")


class PaymentRules(_Settings):
    """How QAD's payments reach the Coupa invoices that they pay."""

    enabled: bool = Field(default=True, description="Whether payments are written to Coupa.")
    first_load_days: int = Field(default=90, ge=1, description="How far back the very first run looks, in days.")
    page_size: int = Field(default=500, ge=1, le=1000, description="Records per page and cached task.")


class SupplierRules(_Settings):
    """Which system owns the suppliers, and what the other one is told about them."""

    direction: Literal["qad_to_coupa", "coupa_to_qad", "none"] = Field(
        default="qad_to_coupa", description="Which way suppliers travel; one way only."
    )
    payment_terms: dict[str, str] = Field(
        default_factory=dict, description="QAD credit terms and the Coupa payment term code they mean; others: none."
    )
    defaults: dict[str, JsonValue] = Field(
        default_factory=dict, description="Further members for suppliers that are created in Coupa, in Coupa's names."
    )

    @field_validator("defaults")
    @classmethod
    def _leaves_our_members_alone(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(name for name in value if name.replace("_", "-").lower() in _SUPPLIER_MEMBERS):
            raise ValueError(f"{', '.join(taken)}: comes from QAD and takes no default")
        return value


class ReferenceData(_Settings):
    """QAD codes that are kept as the values of a Coupa lookup."""

    source: Literal["cost_centers", "projects", "gl_accounts"] = Field(description="Which codes of QAD.")
    lookup: str = Field(min_length=1, description="Name of the Coupa lookup; it must exist.")
    parent: str = Field(default="", description="External reference code of the value they hang under; empty: none.")
    name: str = Field(
        default="{code} {description}", description="Name of a value, made of {code} and {description}; unique there."
    )
    account_segment: bool = Field(
        default=True, description="Whether accounts are built of the values, which forbids a hyphen in a code."
    )

    @field_validator("name")
    @classmethod
    def _names_the_code(cls, value: str) -> str:
        try:
            parts = [part[1:] for part in Formatter().parse(value) if part[1] is not None]
        except ValueError as error:
            raise ValueError("write {code} and {description}, and braces nowhere else") from error
        plain = all(name in ("code", "description") and not spec and not how for name, spec, how in parts)
        if not plain or "code" not in {name for name, _, _ in parts}:
            raise ValueError("a name holds {code}, and {description} if wanted, and no other braces")
        return value

    def label(self, code: str, description: str) -> str:
        """The name of one value, on one line."""
        return " ".join(self.name.format(code=code, description=description).split())


class CoupaQadSettings(_Settings):
    """One connection between a Coupa instance and a QAD entity."""

    schema_version: Literal[1] = Field(default=1, description="Version of this settings schema.")
    time_zone: str = Field(default="UTC", description="IANA time zone of the QAD entity; posting dates follow it.")
    coupa: CoupaTenant = Field(default_factory=CoupaTenant, description="The Coupa instance.")
    qad: QadTenant = Field(description="The QAD domain and entity.")
    invoices: InvoiceRules = Field(default=InvoiceRules(), description="Rules for invoices from Coupa to QAD.")
    payments: PaymentRules = Field(default=PaymentRules(), description="Rules for payments from QAD to Coupa.")
    suppliers: SupplierRules = Field(default=SupplierRules(), description="Rules for suppliers.")
    reference_data: tuple[ReferenceData, ...] = Field(
        default=(), description="QAD codes that are kept as Coupa lookup values."
    )

    @model_validator(mode="after")
    def _each_code_has_one_home(self) -> Self:
        sources = [one.source for one in self.reference_data]
        homes = [(one.lookup.casefold(), one.parent.casefold()) for one in self.reference_data]
        if len(set(sources)) < len(sources):
            raise ValueError("reference_data: each source is kept in one lookup at most")
        if len(set(homes)) < len(homes):
            raise ValueError("reference_data: two sources under one parent of one lookup would overwrite each other")
        return self

    @property
    def posting(self) -> QadTenant:
        """The QAD tenant as the posting of invoices sees it: whether a closed period is waited for is the pair's."""
        if self.invoices.closed_period == "hold":
            return self.qad
        rules = (
            rule.model_copy(update={"waits": False}) if rule.code == "period_closed" else rule
            for rule in self.qad.refusals
        )
        return self.qad.model_copy(update={"refusals": tuple(rules)})


def overlap(one: CoupaQadSettings, other: CoupaQadSettings) -> str:
    """What two connections of one Coupa instance would both write, with the remedy; empty when nothing."""
    channels = sorted(set(one.invoices.payment_channels) & set(other.invoices.payment_channels))
    charts = {one.invoices.chart_of_accounts, other.invoices.chart_of_accounts} - {None, ""}
    if channels and len(charts) < 2:
        chart = f"chart_of_accounts {next(iter(charts))}" if charts else "every chart of accounts"
        names = ", ".join(name or "(none)" for name in channels)
        remedy = "give both connections an invoices.chart_of_accounts or invoices.payment_channels of their own"
        return f"the invoices of {chart}, payment_channels {names}; {remedy}"
    if one.suppliers.direction == other.suppliers.direction == "qad_to_coupa":
        return "the suppliers in Coupa; set suppliers.direction to none in one of them"
    if both := sorted(_homes(one) & _homes(other)):
        return f"the values of lookup {both[0][0]}; keep them in reference_data of one of them"
    return ""


def _homes(settings: CoupaQadSettings) -> set[tuple[str, str]]:
    return {(one.lookup.casefold(), one.parent.casefold()) for one in settings.reference_data}


def proven(settings: CoupaQadSettings) -> tuple[str, str]:
    """The settings that name the QAD tenant: they were proven at connect time and never change."""
    return settings.qad.domain, settings.qad.entity
