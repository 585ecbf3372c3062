"""The settings of one QAD-Jira connection: one schema for the form, the file and the command line."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.qad.config import QadTenant

SCHEMA_VERSION = 1
Kind = Literal["match", "hold", "late"]
FieldName = Literal[
    "po_number",
    "supplier",
    "supplier_name",
    "invoice_number",
    "document",
    "amount",
    "currency",
    "hold_amount",
    "variance",
    "cost_code",
    "kind",
    "status",
    "due_date",
]
CustomField = Annotated[str, Field(pattern=r"^customfield_[0-9]+$")]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExceptionRules(_Settings):
    """What of QAD counts as an exception."""

    kinds: tuple[Kind, ...] = Field(
        default=("match", "hold", "late"),
        description="Which exceptions become issues: failed matches, held invoices, late receipts.",
    )
    hold_status_codes: tuple[str, ...] = Field(
        default=(), description="Invoice status codes that mean a hold, beside a hold amount and a payment lock."
    )
    variance_tolerance: Decimal = Field(
        default=Decimal(0), ge=0, description="A variance up to this amount, in the invoice's currency, is none."
    )
    variance_percent: Decimal = Field(
        default=Decimal(0), ge=0, le=100, description="A variance up to this share of the invoice amount is none."
    )
    unmatched_after_days: int = Field(
        default=14, ge=1, description="An invoice that is this many days old and still unmatched is a failed match."
    )
    late_after_days: int = Field(default=0, ge=0, description="Days after its due date from which a receipt is late.")
    late_window_days: int = Field(
        default=365, ge=1, le=3650, description="How far back due dates are looked at; older lines are nobody's worry."
    )
    first_load_days: int = Field(default=90, ge=1, description="How far back the very first run looks, in days.")
    page_size: int = Field(default=500, ge=1, le=1000, description="Records per page and cached task.")


class PriorityRule(_Settings):
    """A priority for some exceptions; the first rule that fits is taken."""

    priority: str = Field(min_length=1, description="Name or id of the Jira priority.")
    kinds: tuple[Kind, ...] = Field(default=(), description="Only for these kinds; empty means all of them.")
    above: Decimal = Field(default=Decimal(0), ge=0, description="Only for amounts above this, whatever the currency.")


class IssueRules(_Settings):
    """How an exception looks as a Jira issue."""

    fields: dict[FieldName, CustomField] = Field(
        default_factory=dict, description="Which custom field, by id, shows which fact of the exception."
    )
    kind_names: dict[Kind, str] = Field(
        default={"match": "Match", "hold": "Hold", "late": "Late"},
        description="What the kinds are called in the field `kind`, such as the options of a select list.",
    )
    priorities: tuple[PriorityRule, ...] = Field(default=(), description="Priorities for new issues.")
    assignees: dict[str, str] = Field(
        default_factory=dict, description="Account id for new issues by cost code, supplier number or `default`."
    )
    labels: tuple[Annotated[str, Field(pattern=r"^\S+$", max_length=255)], ...] = Field(
        default=(), description="Labels for new issues."
    )
    link: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Address of a record in QAD with {key} for its key; empty links to the tenant.",
    )
    comments: bool = Field(default=True, description="Whether a comment says what changed in QAD, and that it cleared.")
    cleared_status: str = Field(
        default="", description="Status to move an issue to when its exception has cleared; empty leaves it."
    )
    cleared_resolution: str = Field(default="", description="Resolution for that move, where the transition has one.")
    returned_status: str = Field(
        default="", description="Status to move a closed issue to when its exception comes back; empty leaves it."
    )

    @model_validator(mode="after")
    def _one_fact_per_field(self) -> Self:
        if twice := [name for name, count in Counter(self.fields.values()).items() if count > 1]:
            raise ValueError(f"issues.fields: {twice[0]} is named for two facts")
        return self


class Slots(_Settings):
    """Members of a QAD record that a decision is written to, in QAD's spelling; an empty one is not written."""

    issue_key: str = Field(default="", description="Key of the issue.")
    resolution: str = Field(default="", description="How the issue was resolved; empty again when it is reopened.")
    approval: str = Field(default="", description="Value of the approval field.")
    cost_code: str = Field(default="", description="Cost code; it travels both ways when issues.fields names it too.")
    note: str = Field(default="", description="A line about the decision.")
    remarks: str = Field(default="", description="The same line, where the tenant has no slots.")

    @model_validator(mode="after")
    def _one_value_per_member(self) -> Self:
        if twice := [name for name, count in Counter(filter(None, dict(self).values())).items() if count > 1]:
            raise ValueError(f"{twice[0]} is named for two values")
        return self

    @property
    def used(self) -> dict[str, str]:
        """The members that are written, by our names."""
        return {name: wire for name, wire in self if wire}


class DecisionRules(_Settings):
    """What of an issue goes back to QAD, and where."""

    decided_when: Literal["done", "resolution", "statuses"] = Field(
        default="done",
        description="An issue is decided in any status of category done, with a resolution, or in certain statuses.",
    )
    statuses: tuple[str, ...] = Field(default=(), description="Those statuses, by name or id.")
    approval_field: CustomField | Literal[""] = Field(default="", description="Custom field with the approval.")
    approval_pending: tuple[str, ...] = Field(
        default=("Pending",), description="Values of that field that decide nothing, such as its default."
    )
    invoice: Slots = Field(
        default=Slots(issue_key="customShort1", resolution="customShort2", note="customNote"),
        description="Members of the supplier invoice.",
    )
    order: Slots = Field(
        default=Slots(issue_key="customShort0", resolution="customShort1", note="customNote"),
        description="Members of the purchase order's header.",
    )
    release_on: tuple[str, ...] = Field(
        default=(), description="Resolutions that release the hold of an invoice; none unless named here."
    )
    release_status: str = Field(default="", description="Invoice status code to set with a release; empty keeps it.")

    @model_validator(mode="after")
    def _says_which_statuses(self) -> Self:
        if (self.decided_when == "statuses") is not bool(self.statuses):
            raise ValueError("decisions.statuses: name them when decided_when is `statuses`, and only then")
        return self

    @model_validator(mode="after")
    def _shows_what_it_releases(self) -> Self:
        if self.release_on and not (self.invoice.resolution or self.invoice.issue_key):
            # By that slot a release whose answer was lost is recognised, instead of being made once more.
            raise ValueError("decisions.release_on: needs a slot for the invoice's resolution or issue_key")
        return self


class QadJiraSettings(_Settings):
    """One connection between a QAD entity and a Jira project."""

    schema_version: Literal[1] = Field(default=1, description="Version of this settings schema.")
    time_zone: str = Field(default="UTC", description="IANA time zone of the QAD entity; its days decide what is late.")
    qad: QadTenant = Field(description="The QAD domain and entity.")
    jira: JiraTenant = Field(description="The Jira project.")
    exceptions: ExceptionRules = Field(default=ExceptionRules(), description="What counts as an exception.")
    issues: IssueRules = Field(default=IssueRules(), description="How exceptions look in Jira.")
    decisions: DecisionRules = Field(default=DecisionRules(), description="What goes back to QAD.")

    def merged_cost_code(self, subject: Literal["invoice", "order"]) -> str:
        """The Jira field of the cost code where it travels both ways for this kind of record, else empty."""
        slots: Slots = getattr(self.decisions, subject)
        return self.issues.fields.get("cost_code", "") if slots.cost_code else ""

    @property
    def cost_code_name(self) -> str:
        """Under which name both directions agree on cost codes: in another slot stands another value."""
        return f"cost_code {self.decisions.invoice.cost_code}/{self.decisions.order.cost_code}"


def overlap(one: QadJiraSettings, other: QadJiraSettings) -> str:
    """What two connections of one QAD entity would both make issues of, with the remedy; empty when nothing."""
    both = [kind for kind in one.exceptions.kinds if kind in other.exceptions.kinds]
    # One invoice has one issue, whether it is held or fails the match.
    if {"match", "hold"} & set(one.exceptions.kinds) and {"match", "hold"} & set(other.exceptions.kinds):
        both = [*both, "match", "hold"]
    names = ", ".join(dict.fromkeys(both))
    return f"issues of {names}; give both connections exceptions.kinds of their own" if names else ""


def proven(settings: QadJiraSettings) -> tuple[str, ...]:
    """The settings that name the tenants: they were proven at connect time and never change."""
    return settings.qad.domain, settings.qad.entity, settings.jira.project
