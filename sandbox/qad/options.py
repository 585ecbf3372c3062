"""What can be chosen about a stand-in tenant: its users, workspaces, policies and clock habits."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class User(BaseModel):
    """A login of the tenant and the OAuth client it belongs to."""

    model_config = ConfigDict(extra="forbid")

    username: str = "qad-demo"
    password: SecretStr = SecretStr("qad-demo-password")
    client_id: str = "qad-demo-client"
    client_secret: SecretStr = SecretStr("qad-demo-client-secret")
    workspaces: list[str] = Field(default_factory=list)  # empty: every workspace; the first is the default


class Options(BaseModel):
    """Settings of the tenant; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    context_root: str = "clouderp"
    users: list[User] = Field(default_factory=lambda: [User()])
    workspaces: list[str] = Field(default_factory=lambda: ["10USA_10USACO"])
    denied: list[str] = Field(default_factory=list)  # resources (or securityControl, entitymetadatas) answered with 403
    session_minutes: int = 30
    idle_minutes: int = 15
    refresh_minutes: int = 480
    max_access_failures: int = 10
    policy_variance: Literal["hold", "reject"] = "hold"
    tolerance_pct: Decimal = Decimal(0)
    tolerance_amount: Decimal = Decimal(0)
    finished_closes_receipt: bool = True
    approval_workflow: bool = False
    read_lag_seconds: float = 0
    utc_offset_hours: float = 0  # the server's local time, which dates and times are written in
    closed_periods: list[str] = Field(default_factory=list)  # "2026/01"
    shared_set_supplier: str = "SHSET"
    shared_set_account: str = "SHGL"
    shared_set_cost_center: str = "SHCC"
    shared_set_project: str = "SHPR"
    sites: list[str] = Field(default_factory=lambda: ["10-100", "10-200"])
    daybook_sets: list[str] = Field(default_factory=lambda: ["PO-SET"])
    gl_profiles: list[str] = Field(default_factory=lambda: ["AP-CTRL", "AP-CN", "AP-PRE", "AP-PUR"])
    swagger: bool = True
