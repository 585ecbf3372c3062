"""The switches of the tenant: who may log in, which documented doubts are decided how, and what is limited."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from sandbox.coupa.values import offset_zone
from sandbox.kit.deliveries import is_loopback

ALL_SCOPES = (
    "core.invoice.read",
    "core.invoice.write",
    "core.invoice.delete",
    "core.purchase_order.read",
    "core.inventory.receiving.read",
    "core.inventory.receiving.write",
    "core.inventory.transaction.read",
    "core.supplier.read",
    "core.supplier.write",
    "core.common.read",
    "core.common.write",
    "core.accounting.read",
    "core.accounting.write",
    "core.integration.read",
    "core.integration.write",
    "core.payables.invoice.read",
    "core.payables.invoice.write",
    "core.pay.payments.read",
    "core.pay.payments.write",
)


class Client(BaseModel):
    """An OAuth client of the tenant and the scopes ticked on it."""

    model_config = ConfigDict(extra="forbid")

    client_id: str
    client_secret: SecretStr
    scopes: list[str] = Field(default_factory=lambda: list(ALL_SCOPES))


def _demo_clients() -> list[Client]:
    return [Client(client_id="coupa-demo", client_secret=SecretStr("coupa-demo-secret"))]


class Options(BaseModel):
    """All switches with their defaults; each is explained in the README beside this file."""

    model_config = ConfigDict(extra="forbid")

    clients: list[Client] = Field(default_factory=_demo_clients)
    token_life: int = Field(default=86_399, gt=0, description="seconds a token lives")
    token_delay: float = Field(default=0, ge=0, description="seconds before a new token is valid; the docs ask for 5")
    company_offset: str = "-08:00"
    throttle: bool = True
    throttle_rate: float = Field(default=25, gt=0, description="calls per second")
    throttle_burst: int = Field(default=20, gt=0)
    retry_after: bool = Field(default=False, description="send Retry-After with 429")
    empty_list_404: bool = False
    export_bumps_updated_at: bool = False
    ui_edit_resets_exported: bool = False
    honour_idempotency_key: bool = False
    require_api_version: bool = False
    custom_fields: dict[str, list[str]] = Field(
        default_factory=lambda: {"invoices": ["cf-erp-invoice-number", "cf-integration-status"]},
        description="custom field names per collection; others are ignored on write",
    )
    response_filters: dict[str, list[str]] = Field(
        default_factory=dict, description="admin-defined response filters: name -> attributes they leave out"
    )
    default_filters: dict[str, str] = Field(
        default_factory=dict,
        description="collection -> filter of a call that names neither filter nor fields",
    )
    ref_code_separator: str = "-"
    webhook_url: str = Field(default="", description="where events go, on loopback; empty sends none")
    webhook_secret: SecretStr = Field(default=SecretStr(""), description="signs events; empty sends them unsigned")
    webhook_header: str = Field(default="X-Coupa-Signature", pattern=r"^[A-Za-z0-9-]+$")
    webhook_encoding: Literal["hex", "base64"] = "hex"
    webhook_prefix: bool = Field(default=False, description="write sha256= before the signature")
    webhook_duplicate: int = Field(default=1, ge=1, description="how often every event is sent")
    webhook_shuffle: bool = Field(default=False, description="events that are due together go out in disorder")
    webhook_delay_s: float = Field(default=0, ge=0, description="seconds between a change and its event")

    @field_validator("webhook_url")
    @classmethod
    def _is_near(cls, value: str) -> str:
        if value and not is_loopback(value):
            raise ValueError("events go to loopback only")
        return value

    @field_validator("company_offset")
    @classmethod
    def _is_offset(cls, value: str) -> str:
        offset_zone(value)
        return value

    @field_validator("custom_fields")
    @classmethod
    def _hyphened(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        return {collection: [name.replace("_", "-") for name in names] for collection, names in value.items()}
