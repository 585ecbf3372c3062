"""What a person enters about one Jira site: one of three logins, and how its project is to be spoken to."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from ml_connector.http.limits import Limits

API_URL = "https://api.atlassian.com"
AUTH_URL = "https://auth.atlassian.com"
WEBHOOK_SCOPE = "manage:jira-webhook"
DEFAULT_SCOPES = ("read:jira-work", "write:jira-work", "read:jira-user", WEBHOOK_SCOPE, "offline_access")

_SITE_URL = "Address of the site, such as https://acme.atlassian.net."
_CLOUD_ID = "The site's cloud id; connecting finds it out."


class Settings(BaseModel):
    """A group of settings that cannot be changed once read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _GatewayLogin(Settings):
    """What the two OAuth 2 logins share: they reach the site through Atlassian's gateway only."""

    client_id: str = Field(min_length=1, description="Client id, as Atlassian shows it.")
    client_secret: SecretStr = Field(description="Client secret.")
    site_url: str = Field(default="", description=_SITE_URL)
    cloud_id: str = Field(default="", description=_CLOUD_ID)
    api_url: str = Field(default=API_URL, description="Address of Atlassian's API gateway.")
    auth_url: str = Field(default=AUTH_URL, description="Address of Atlassian's login server.")

    @field_validator("cloud_id")
    @classmethod
    def _known_shape(cls, value: str) -> str:
        return checked_cloud_id(value)

    @property
    def base_url(self) -> str:
        """Where the site's REST interface begins."""
        return gateway(self.api_url, self.cloud_id)


class JiraOAuthLogin(_GatewayLogin):
    """A person's consent given to an OAuth 2.0 (3LO) app; the connector acts as that person."""

    kind: Literal["oauth"] = "oauth"
    scopes: tuple[str, ...] = Field(
        default=DEFAULT_SCOPES,
        description="Scopes to ask consent for. offline_access is needed always, manage:jira-webhook only where the "
        "app itself registers webhooks.",
    )


class JiraServiceAccountLogin(_GatewayLogin):
    """OAuth 2.0 client credentials of an Atlassian service account, the usual login for unattended work."""

    kind: Literal["service_account"] = "service_account"


class JiraApiTokenLogin(Settings):
    """E-mail address and API token; a scoped token goes through the gateway, a classic one to the site itself."""

    kind: Literal["api_token"] = "api_token"
    email: str = Field(min_length=1, description="E-mail address of the account that the token belongs to.")
    token: SecretStr = Field(description="API token.")
    site_url: str = Field(min_length=1, description=_SITE_URL)
    cloud_id: str = Field(default="", description="Cloud id of the site; only for a token with scopes.")
    api_url: str = Field(default=API_URL, description="Address of Atlassian's API gateway.")
    expires_on: date | None = Field(default=None, description="Day on which the token ends, as Atlassian shows it.")

    @field_validator("cloud_id")
    @classmethod
    def _known_shape(cls, value: str) -> str:
        return checked_cloud_id(value)

    @property
    def base_url(self) -> str:
        """Where the site's REST interface begins."""
        return gateway(self.api_url, self.cloud_id) if self.cloud_id else self.site_url.rstrip("/")


JiraLogin = JiraOAuthLogin | JiraServiceAccountLogin | JiraApiTokenLogin
JIRA_LOGINS = (JiraOAuthLogin, JiraServiceAccountLogin, JiraApiTokenLogin)


class JiraTenant(Settings):
    """How the project of one Jira site is to be spoken to: the `jira:` part of a connection's settings."""

    project: str = Field(default="", description="Key of the project that issues are created in, such as AP.")
    issue_type: str = Field(default="", description="Name of the issue type, such as Task.")
    token_field: str = Field(
        default="", description="Custom field that takes the connector's token, such as customfield_10101."
    )
    property_key: str = Field(
        default="ml-connector",
        pattern=r"^[A-Za-z0-9._-]{1,255}$",
        description="Key of the issue property that proves which issues are the connector's.",
    )
    webhook: Literal["dynamic", "admin", "none"] = Field(
        default="none",
        description="How Jira tells of changes: dynamic (the OAuth app registers it), admin (entered in Jira's "
        "settings) or none (polling only).",
    )
    poll_overlap_minutes: int = Field(
        default=10, ge=1, le=1440, description="Minutes that each look for changes reaches back behind the last one."
    )
    settle_s: int = Field(
        default=300, ge=0, description="Seconds after which Jira's search is trusted not to know an issue."
    )
    page_size: int = Field(default=100, ge=1, le=1000, description="Issues per page of a search.")
    per_second: float = Field(default=10, gt=0, description="Requests per second.")
    concurrency: int = Field(default=4, ge=1, le=16, description="Requests at the same time.")
    timeout_s: float = Field(default=60, gt=0, description="Seconds that one request may take.")
    attempts: int = Field(default=4, ge=1, description="How often a request is tried in all.")
    total_s: float = Field(default=120, gt=0, description="Seconds that all tries of a request may take together.")
    allow_private: bool = Field(default=False, description="Allow a site at a private network address.")

    @field_validator("project")
    @classmethod
    def _project_key(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Z][A-Z0-9_]{1,254}", value):
            raise ValueError(f"{value!r} is not a project key; use the capital letters before an issue's number")
        return value

    @field_validator("token_field")
    @classmethod
    def _custom_field(cls, value: str) -> str:
        if value and not re.fullmatch(r"customfield_[0-9]{1,10}", value):
            raise ValueError(f"{value!r} is not a custom field id; use one such as customfield_10101")
        return value

    @property
    def limits(self) -> Limits:
        """The pressure this site takes (README: Limits)."""
        return Limits(
            concurrency=self.concurrency,
            per_second=self.per_second,
            timeout_s=self.timeout_s,
            attempts=self.attempts,
            total_s=self.total_s,
        )


def gateway(api_url: str, cloud_id: str) -> str:
    """Where a site's REST interface begins behind Atlassian's gateway."""
    return f"{api_url.rstrip('/')}/ex/jira/{cloud_id}"


def checked_cloud_id(value: str) -> str:
    """The value if it can stand in an address as one step of it."""
    if value and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        raise ValueError(f"{value!r} is not a cloud id; it looks like 11223344-a1b2-3b33-c444-def123456789")
    return value
