"""What a person fills in for one Coupa instance: the login, and settings that all have a working default."""

from __future__ import annotations

from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from ml_connector.http.limits import Limits

DEFAULT_SCOPES = (
    "core.invoice.read",
    "core.invoice.write",
    "core.purchase_order.read",
    "core.supplier.read",
    "core.supplier.write",
    "core.common.read",
    "core.common.write",
    "core.integration.read",
    "core.integration.write",
)


class Settings(BaseModel):
    """A group of settings that cannot be changed once read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CoupaCredentialsData(Settings):
    """The OAuth2 client of one Coupa instance."""

    base_url: str = Field(description="Address of the instance, such as https://acme.coupahost.com.")
    client_id: str = Field(min_length=1, description="Identifier of the OAuth2 client, as Coupa shows it.")
    client_secret: SecretStr = Field(description="Secret of the OAuth2 client.")
    scopes: tuple[str, ...] = Field(
        default=DEFAULT_SCOPES,
        description="Scopes to ask for; each must be ticked on the client. Empty asks for everything granted. "
        "core.supplier.write and core.common.write are only needed where suppliers or lookup values are written.",
    )
    sent_in: Literal["body", "basic"] = Field(
        default="body", description="Where identifier and secret travel: in the form body or as a Basic header."
    )


class CoupaPaths(Settings):
    """Where the resources of an instance live."""

    token: str = Field(default="/oauth2/token", description="Path of the token endpoint.")
    invoices: str = Field(default="/api/invoices", description="Path of invoices.")
    purchase_orders: str = Field(default="/api/purchase_orders", description="Path of purchase orders.")
    suppliers: str = Field(default="/api/suppliers", description="Path of suppliers.")
    lookups: str = Field(default="/api/lookups", description="Path of lookups.")
    lookup_values: str = Field(default="/api/lookup_values", description="Path of lookup values.")
    currencies: str = Field(default="/api/currencies", description="Path of currencies.")
    integrations: str = Field(default="/api/integrations", description="Path of integrations.")
    history_records: str = Field(
        default="/api/integration_history_records", description="Path of integration history records."
    )
    runs: str = Field(default="/api/integration_runs", description="Path of integration runs.")


class CoupaTenant(Settings):
    """How one Coupa instance is to be spoken to."""

    api_version: str = Field(
        default="44", description="Value of the API version header, the instance's release. Empty leaves it out."
    )
    api_version_header: str = Field(
        default="X-Coupa-API-Version", min_length=1, description="Name of the API version header."
    )
    idempotency_header: str = Field(
        default="Idempotency-Key", description="Name of the idempotency header on writes. Empty leaves it out."
    )
    paths: CoupaPaths = Field(default=CoupaPaths(), description="Paths of the resources.")
    renew_before_s: int = Field(
        default=4 * 3600, ge=60, description="Seconds before its end at which a token is renewed."
    )
    page_size: int = Field(default=50, ge=1, le=50, description="Records per page; Coupa allows at most 50.")
    time_zone: str = Field(default="UTC", description="Time zone of the company in Coupa, such as Europe/Berlin.")
    per_second: float = Field(default=20, gt=0, description="Requests per second; Coupa allows 25.")
    concurrency: int = Field(default=8, ge=1, le=32, description="Requests at the same time.")
    timeout_s: float = Field(default=60, gt=0, description="Seconds that one request may take.")
    attempts: int = Field(default=5, ge=1, description="How often a request is tried in all.")
    total_s: float = Field(default=120, gt=0, description="Seconds that all tries of a request may take together.")
    allow_private: bool = Field(default=False, description="Allow an instance at a private network address.")
    custom_fields_in: Literal["custom-fields", "root"] = Field(
        default="custom-fields",
        description="Where invoices carry custom fields: under custom-fields, or at the root (global namespace).",
    )
    invoice_number_field: str = Field(
        default="", description="Invoice custom field that takes the ERP's document number. Empty writes none."
    )
    status_field: str = Field(
        default="", description="Invoice custom field that takes the integration status. Empty writes none."
    )
    monitoring: Literal["none", "custom_field", "history", "full"] = Field(
        default="none", description="How outcomes are reported inside Coupa."
    )
    integration_code: str = Field(
        default="", description="Code of the integration set up in Coupa, needed for history records and runs."
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is not a time zone; use a name such as Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _monitoring_has_what_it_needs(self) -> Self:
        if self.monitoring in ("history", "full") and not self.integration_code:
            raise ValueError(f"integration_code: monitoring {self.monitoring!r} needs the code of the integration")
        if self.monitoring in ("custom_field", "full") and not self.custom_fields:
            raise ValueError(f"status_field: monitoring {self.monitoring!r} needs a custom field to write to")
        return self

    @property
    def limits(self) -> Limits:
        """The pressure this tenant takes (README: Limits)."""
        return Limits(
            concurrency=self.concurrency,
            per_second=self.per_second,
            timeout_s=self.timeout_s,
            attempts=self.attempts,
            total_s=self.total_s,
            burst=20,
        )

    @property
    def custom_fields(self) -> tuple[str, ...]:
        """The custom fields that this tenant wants written."""
        return tuple(name for name in (self.invoice_number_field, self.status_field) if name)
