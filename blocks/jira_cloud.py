"""The login of one Jira site: one block per kind of login, so that each form asks for just what it needs."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, HttpUrl, SecretStr

from blocks.base import open_vault
from ml_connector.systems.jira.client import JiraClient, open_client
from ml_connector.systems.jira.config import (
    API_URL,
    AUTH_URL,
    DEFAULT_SCOPES,
    JiraApiTokenLogin,
    JiraOAuthLogin,
    JiraServiceAccountLogin,
    JiraTenant,
)

_SITE_URL: Any = Field(description="Address of the site, such as https://acme.atlassian.net.")
_CLOUD_ID: Any = Field(default="", description="Cloud id of the site; connecting fills it in.")
_API_URL: Any = Field(default=API_URL, description="Address of Atlassian's API gateway; rarely changed.")
_AUTH_URL: Any = Field(default=AUTH_URL, description="Address of Atlassian's login server; rarely changed.")


class _OpensClient:
    """What the Jira blocks share; no block itself, or Prefect would offer it in its catalogue."""

    site_url: str

    def login(self) -> Any:
        """The login as the engine takes it."""
        raise TypeError(f"{type(self).__name__} is not a kind of login")

    def get_client(self, tenant: JiraTenant | None = None) -> JiraClient:
        """A client of this site, with a token kept for its own lifetime only."""
        return open_client(self.login(), tenant or JiraTenant(), name=self.site_url, store=open_vault(), slot="jira")


class JiraOAuthCredentials(_OpensClient, CredentialsBlock):
    """OAuth 2.0 (3LO) app that a person has given consent to; the connector acts as that person.

    The consent itself is no part of the block: `ml-connector connect jira` asks for it and keeps it encrypted.

    Example:
        ```python
        from blocks import JiraOAuthCredentials

        credentials = JiraOAuthCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Jira OAuth Credentials"
    _block_type_slug = "jira-oauth-credentials"
    _documentation_url = HttpUrl("https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/")

    client_id: str = Field(description="Client id of the OAuth 2.0 app, as Atlassian's developer console shows it.")
    client_secret: SecretStr = Field(description="Client secret of the OAuth 2.0 app.")
    site_url: str = _SITE_URL
    cloud_id: str = _CLOUD_ID
    scopes: list[str] = Field(
        default=list(DEFAULT_SCOPES),
        description="Scopes to ask consent for; each must be ticked on the app. offline_access is needed always, "
        "manage:jira-webhook only where the app itself registers webhooks.",
    )
    api_url: str = _API_URL
    auth_url: str = _AUTH_URL

    def login(self) -> JiraOAuthLogin:
        """The login as the engine takes it."""
        return JiraOAuthLogin(
            client_id=self.client_id,
            client_secret=self.client_secret,
            site_url=self.site_url,
            cloud_id=self.cloud_id,
            scopes=tuple(self.scopes),
            api_url=self.api_url,
            auth_url=self.auth_url,
        )


class JiraServiceAccountCredentials(_OpensClient, CredentialsBlock):
    """OAuth 2.0 credential of an Atlassian service account, the usual login for unattended work.

    Example:
        ```python
        from blocks import JiraServiceAccountCredentials

        credentials = JiraServiceAccountCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Jira Service Account Credentials"
    _block_type_slug = "jira-service-account-credentials"
    _documentation_url = HttpUrl(
        "https://support.atlassian.com/user-management/docs/create-oauth-2-0-credential-for-service-accounts/"
    )

    client_id: str = Field(description="Client id of the service account's credential.")
    client_secret: SecretStr = Field(description="Client secret, which Atlassian shows once.")
    site_url: str = _SITE_URL
    cloud_id: str = _CLOUD_ID
    api_url: str = _API_URL
    auth_url: str = _AUTH_URL

    def login(self) -> JiraServiceAccountLogin:
        """The login as the engine takes it."""
        return JiraServiceAccountLogin(
            client_id=self.client_id,
            client_secret=self.client_secret,
            site_url=self.site_url,
            cloud_id=self.cloud_id,
            api_url=self.api_url,
            auth_url=self.auth_url,
        )


class JiraApiTokenCredentials(_OpensClient, CredentialsBlock):
    """E-mail address and API token of one account; a token with scopes also needs the site's cloud id.

    Example:
        ```python
        from blocks import JiraApiTokenCredentials

        credentials = JiraApiTokenCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Jira API Token Credentials"
    _block_type_slug = "jira-api-token-credentials"
    _documentation_url = HttpUrl(
        "https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/"
    )

    email: str = Field(description="E-mail address of the account that the token belongs to.")
    token: SecretStr = Field(description="API token.")
    site_url: str = _SITE_URL
    cloud_id: str = Field(default="", description="Cloud id of the site; only for a token with scopes.")
    expires_on: date | None = Field(default=None, description="Day on which the token ends, as Atlassian shows it.")
    api_url: str = _API_URL

    def login(self) -> JiraApiTokenLogin:
        """The login as the engine takes it."""
        return JiraApiTokenLogin(
            email=self.email,
            token=self.token,
            site_url=self.site_url,
            cloud_id=self.cloud_id,
            api_url=self.api_url,
            expires_on=self.expires_on,
        )
