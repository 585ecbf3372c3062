"""What a person enters about a QAD tenant: one of four logins, and the tenant's own names, codes and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from ml_connector.http.limits import Limits
from ml_connector.systems.qad.resources import Resource, with_defaults


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Login(_Frozen):
    base_url: str = Field(description="Address of the tenant including its context root, e.g. https://host/clouderp.")


class QadPasswordLogin(_Login):
    """OAuth 2 with user name and password."""

    kind: Literal["oauth2_password"] = "oauth2_password"
    client_id: str = Field(description="Client id that QAD's administrator issued for this connector.")
    username: str = Field(description="User name of the service account.")
    password: SecretStr = Field(description="Password of the service account.")
    token_path: str = Field(default="oauth/token", description="Path of the token endpoint below the base address.")
    credentials_in: Literal["body", "query"] = Field(
        default="body", description="Where the credentials travel; query only for a tenant that insists on it."
    )


class QadClientCredentialsLogin(_Login):
    """OAuth 2 with client id and client secret, at QAD or at the customer's identity provider."""

    kind: Literal["oauth2_client_credentials"] = "oauth2_client_credentials"
    client_id: str = Field(description="Client id of this connector.")
    client_secret: SecretStr = Field(description="Client secret of this connector.")
    token_url: str = Field(default="", description="Full address of the token endpoint; empty means QAD's own.")
    scope: str = Field(default="", description="Scope to ask for; empty means none.")
    credentials_in: Literal["body", "query"] = Field(
        default="body", description="Where the credentials travel; query only for a tenant that insists on it."
    )


class QadSessionLogin(_Login):
    """A session token for user name and password."""

    kind: Literal["jwt_session"] = "jwt_session"
    username: str = Field(description="User name of the service account.")
    password: SecretStr = Field(description="Password of the service account.")
    login_path: str = Field(default="api/qracore/login", description="Path of the login below the base address.")
    token_pointer: str = Field(default="/data/token", description="JSON pointer to the token in the answer.")
    expires_pointer: str = Field(
        default="/data/expiresInMinutes", description="JSON pointer to the token's life in minutes."
    )
    idle_pointer: str = Field(
        default="/data/idleTimeoutMinutes", description="JSON pointer to the permitted idle time in minutes."
    )
    header: str = Field(default="Authorization", description="Header that carries the token.")
    header_prefix: str = Field(default="Bearer ", description="What stands before the token in that header.")


class QadBasicLogin(_Login):
    """User name and password with every call; the last resort."""

    kind: Literal["basic"] = "basic"
    username: str = Field(description="User name of the service account.")
    password: SecretStr = Field(description="Password of the service account.")


QAD_LOGINS = (QadPasswordLogin, QadClientCredentialsLogin, QadSessionLogin, QadBasicLogin)


QadLogin = Annotated[
    QadPasswordLogin | QadClientCredentialsLogin | QadSessionLogin | QadBasicLogin, Field(discriminator="kind")
]


class SharedSets(_Frozen):
    """Which shared sets the masters of this tenant belong to."""

    supplier: str = Field(default="", description="Shared set of the suppliers; empty means any.")
    account: str = Field(default="", description="Shared set of the accounts; empty means any.")
    cost_center: str = Field(default="", description="Shared set of the cost centers; empty means any.")
    project: str = Field(default="", description="Shared set of the projects; empty means any.")


# Which of these settings names the shared set of a record type.
SHARED_SET_OF = {"supplier": "supplier", "glAccount": "account", "costCenter": "cost_center", "project": "project"}


class Paths(_Frozen):
    """Paths below the base address and the fixed addresses QAD's own services answer to."""

    api_erp: str = Field(default="api/erp", description="Path of the entities.")
    browses: str = Field(default="api/qracore/browses", description="Path of the browses.")
    metadata: str = Field(default="api/qracore/entitymetadatas", description="Path of the entity descriptions.")
    metadata_view_uri: str = Field(
        default="urn:be:com.qad.qra.adapter.entity.IEntityBuilderCRUD", description="View of the entity descriptions."
    )
    browse_fields: str = Field(
        default="urn:browse:custom:lookupBrowseFields", description="Browse that lists the fields of a browse."
    )
    browse_fields_filter: str = Field(default="browseURI", description="Field that names the browse to describe.")
    security_control: str = Field(
        default="api/qracore/securityControl", description="Path of the session rules; empty means the tenant has none."
    )
    swagger_url: str = Field(default="", description="Path of an API description below the base address; empty: none.")


DEFAULT_TYPES = {
    "invoice": "Invoice",
    "credit_note": "Credit Note",
    "invoice_correction": "Invoice Correction",
    "credit_note_correction": "Credit Note Correction",
}


class InvoiceSettings(_Frozen):
    """How supplier invoices are written."""

    mode: Literal["matched_invoice", "initial_invoice"] = Field(
        default="matched_invoice", description="Post matched with its receipts, or as an initial invoice for AP."
    )
    daybook: str = Field(default="APINV", description="Daybook of invoices.")
    credit_note_daybook: str = Field(default="", description="Daybook of credit notes; empty means that of invoices.")
    status_code: str = Field(default="AP-NOALLOC", description="Invoice status code for new invoices.")
    external_id_slot: str = Field(default="customShort0", description="Invoice member that carries our token.")
    external_id_length: int = Field(
        default=0, ge=0, description="Length of that member where QAD does not tell it; 0 means ask QAD."
    )
    reference_length: int = Field(
        default=0, ge=0, description="Longest supplier reference that the tenant keeps; 0 means not known."
    )
    types: dict[str, str] = Field(
        default_factory=lambda: dict(DEFAULT_TYPES),
        description="QAD's words for an invoice, a credit note and the corrections of both.",
    )
    negative_types: tuple[str, ...] = Field(
        default=("Credit Note", "CreditNote", "Invoice Correction"),
        description="Invoice types whose matches give a received quantity back.",
    )

    @field_validator("types", mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return {**DEFAULT_TYPES, **given} if isinstance(given, dict) else given


class StatusWords(_Frozen):
    """Codes of this tenant and what they mean."""

    order_open: tuple[str, ...] = Field(default=("", "O"), description="Purchase order states that mean open.")
    order_closed: tuple[str, ...] = Field(default=("C",), description="Purchase order states that mean closed.")
    order_cancelled: tuple[str, ...] = Field(default=("X",), description="Purchase order states that mean cancelled.")
    paid_statuses: tuple[str, ...] = Field(default=("Paid",), description="Payment states that mean paid.")
    reversed_statuses: tuple[str, ...] = Field(
        default=("Void", "Bounced"), description="Payment states that take a payment back."
    )


class RefusalRule(_Frozen):
    """Recognises one kind of refusal by the field it is about and, where that is not enough, by its text."""

    code: str = Field(description="Our code for this refusal.")
    field: str = Field(default="", description="Last part of the field name as a regular expression; empty means any.")
    message: str = Field(default="", description="Regular expression found in the message; empty means any.")
    waits: bool = Field(default=False, description="Whether time or another document can mend it.")


# QAD documents no error codes; a tenant in another language replaces the message patterns (README, "errors").
DEFAULT_REFUSALS = (
    RefusalRule(code="field_mandatory", message=r"(?i)field is mandatory\.?\s*\((?P<field>[^)]*)\)"),
    RefusalRule(code="stale", field="concurrencyHash"),
    RefusalRule(code="receiver_unknown", field="receiver(Number)?"),
    RefusalRule(code="match_quantity_exceeded", field="quantity|matchQuantity", waits=True),
    RefusalRule(code="price_variance", field="unit_price|matchUnitPrice"),
    RefusalRule(
        code="period_closed", field="posting_?([Dd]ate|[Pp]eriod|[Yy]ear)", message="(?i)clos|period", waits=True
    ),
    RefusalRule(code="already_exists", message="(?i)already exists"),
)


class GlProfiles(_Frozen):
    """The four profiles that say which accounts a supplier's documents are posted to."""

    invoice: str = Field(min_length=1, description="GL profile of invoice control.")
    credit_note: str = Field(min_length=1, description="GL profile of credit note control.")
    prepayment: str = Field(min_length=1, description="GL profile of prepayment control.")
    purchase: str = Field(min_length=1, description="GL profile of the purchase account.")


class SupplierDefaults(_Frozen):
    """What a new supplier gets where its source does not say; without these no supplier is created."""

    credit_terms: str = Field(min_length=1, description="Credit terms of new suppliers.")
    invoice_status: str = Field(min_length=1, description="Invoice status code of new suppliers.")
    currency: str = Field(min_length=1, description="Currency of new suppliers.")
    gl_profiles: GlProfiles = Field(description="GL profiles of new suppliers.")


class QadLimits(_Frozen):
    """How hard the tenant may be pressed; QAD publishes no limits."""

    concurrency: int = Field(default=2, ge=1, description="Calls at the same time.")
    rps: float = Field(default=5, gt=0, description="Calls per second.")
    timeout_s: float = Field(default=60, gt=0, description="Longest time for one call, in seconds.")
    connect_timeout_s: float = Field(default=10, gt=0, description="Longest time to connect, in seconds.")
    attempts: int = Field(default=5, ge=1, description="Attempts of one call when nothing can have happened.")
    total_s: float = Field(default=120, gt=0, description="Longest time for all attempts of one call, in seconds.")
    page_size: int = Field(default=1000, ge=1, le=1000, description="Rows per page; QAD serves at most 1000.")
    range_lookups: bool = Field(default=True, description="Look up neighbouring numbers together in one read.")

    def http(self) -> Limits:
        """The same in the words of the HTTP client."""
        return Limits(
            concurrency=self.concurrency,
            per_second=self.rps,
            timeout_s=self.timeout_s,
            connect_timeout_s=self.connect_timeout_s,
            attempts=self.attempts,
            total_s=self.total_s,
        )


class QadTenant(_Frozen):
    """One QAD tenant: where it keeps things, what it calls them and how hard it may be pressed."""

    workspace_id: str = Field(default="", description="Workspace, DOMAIN_ENTITY; empty means the user's default.")
    workspace_header: str = Field(default="x-qad-workspace-id", description="Header that carries the workspace.")
    domain: str = Field(description="Domain of purchase orders and receipts.")
    entity: str = Field(description="Entity that supplier invoices are posted in.")
    shared_sets: SharedSets = Field(default_factory=SharedSets, description="Shared sets of the masters.")
    paths: Paths = Field(default_factory=Paths, description="Paths and addresses of QAD's services.")
    write_style: Literal["entity"] = Field(default="entity", description="How records are written.")
    resources: dict[str, Resource] = Field(
        default_factory=dict, validate_default=True, description="Where each record type lives and what it looks like."
    )
    invoice: InvoiceSettings = Field(default_factory=InvoiceSettings, description="How supplier invoices are written.")
    supplier_defaults: SupplierDefaults | None = Field(
        default=None, description="What new suppliers get; empty means that no supplier is created."
    )
    status: StatusWords = Field(default_factory=StatusWords, description="Codes of this tenant and their meaning.")
    refusals: tuple[RefusalRule, ...] = Field(
        default=DEFAULT_REFUSALS, description="How refusals are recognised, first match wins."
    )
    custom_slots: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Custom members per record type that other flows may write."
    )
    session_minutes: int = Field(default=0, ge=0, description="Longest life of a token; 0 means ask QAD.")
    idle_minutes: int = Field(default=0, ge=0, description="Longest idle time of a token; 0 means ask QAD.")
    limits: QadLimits = Field(default_factory=QadLimits, description="How hard the tenant may be pressed.")
    allow_private: bool = Field(default=False, description="Whether the tenant may be on a private network.")

    def shared_set(self, resource: str) -> str:
        """The shared set of a record type; empty means any."""
        return str(getattr(self.shared_sets, SHARED_SET_OF[resource]))

    @field_validator("resources", mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return with_defaults(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _slot_is_the_token(self) -> QadTenant:
        invoice = self.resources["supplierInvoice"]
        if invoice.fields.get("token") != self.invoice.external_id_slot:
            fields = {**invoice.fields, "token": self.invoice.external_id_slot}
            self.resources["supplierInvoice"] = invoice.model_copy(update={"fields": fields})
        for name, slot in self.custom_slots.get("supplierInvoice", {}).items():
            if slot == self.invoice.external_id_slot:
                raise ValueError(f"custom_slots.supplierInvoice.{name} is {slot}, which is kept for our token alone")
        return self
