"""The switches of the site: who may log in, which open questions are decided how, and what is limited."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sandbox.jira.scopes import CLASSIC

CLOUD_ID = "11111111-2222-4333-8444-555555555555"
OTHER_CLOUD_ID = "99999999-8888-4777-8666-555555555555"
SERVICE_SCOPES = ["read:jira-work", "write:jira-work", "read:jira-user"]


class App(BaseModel):
    """An OAuth client: an app that people consent to (3lo) or the credential of a service account."""

    model_config = ConfigDict(extra="forbid")

    client_id: str
    client_secret: SecretStr
    kind: Literal["3lo", "service"]
    scopes: list[str]
    redirect_uris: list[str] = Field(default_factory=list, description="beside loopback, which always works")


def _demo_apps() -> list[App]:
    return [
        App(
            client_id="jira-demo-client",
            client_secret=SecretStr("jira-demo-secret"),
            kind="3lo",
            scopes=sorted(CLASSIC),
        ),
        App(
            client_id="jira-svc-client",
            client_secret=SecretStr("jira-svc-secret"),
            kind="service",
            scopes=SERVICE_SCOPES,
        ),
    ]


class Options(BaseModel):
    """All switches with their defaults; each is explained in the README beside this file."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    site_url: str | None = Field(default=None, description="address in `self`; without it the one that was called")
    cloud_id: str = CLOUD_ID
    apps: list[App] = Field(default_factory=_demo_apps)
    email: str = "connector@acme.example"
    api_token: SecretStr = SecretStr("jira-demo-token")
    scoped_token: SecretStr = SecretStr("jira-scoped-token")
    scoped_token_scopes: list[str] = Field(default_factory=lambda: list(SERVICE_SCOPES))
    api_tokens_valid: bool = True
    administrator: bool = Field(default=True, description="whether the owner of the API token administers Jira")
    consent: Literal["grant", "deny"] = "grant"
    access_token_life: int = Field(default=3600, gt=0, description="seconds")
    bad_token: Literal["401", "anonymous_empty"] = "401"
    semantic_errors: Literal["strict400", "empty200"] = "strict400"
    index_lag_s: float = Field(default=2.0, ge=0)
    index_flap_s: float = Field(default=0.0, ge=0, description="seconds in which a fresh issue comes and goes")
    phrases: bool = Field(default=True, description="whether phrase searches match anything")
    require_resolution: bool = Field(default=False, description="the step to done asks for a resolution on its screen")
    hidden_emails: bool = False
    max_comments: int = Field(default=5000, gt=0)
    max_remote_links: int = Field(default=2000, gt=0)
    per_issue_limit: bool = True
    burst_per_s: int = Field(default=0, ge=0, description="calls per second, verb and address; 0 = unlimited")
    quota_points: int = Field(default=0, ge=0, description="points per hour for OAuth callers; 0 = unlimited")
    retry_after: bool = Field(default=True, description="send Retry-After with 429")
    webhook_duplicate: int = Field(default=1, ge=1)
    webhook_shuffle: bool = False
    webhook_delay_s: float = Field(default=0.0, ge=0)
