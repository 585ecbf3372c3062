"""The login of one QAD tenant: one block per kind of login, so that each form asks for just what it needs."""

from __future__ import annotations

from typing import Any, Literal

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, HttpUrl, SecretStr

from blocks.base import open_vault
from ml_connector.systems.qad.client import QadClient, open_client
from ml_connector.systems.qad.config import (
    QadBasicLogin,
    QadClientCredentialsLogin,
    QadPasswordLogin,
    QadSessionLogin,
    QadTenant,
)

_DOCUMENTATION = HttpUrl("https://www.qad.com/documentation")
_BASE_URL: Any = Field(description="Address of the tenant with its context root, e.g. https://host/clouderp.")


class _OpensClient:
    """What the QAD blocks share; no block itself, or Prefect would offer it in its catalogue."""

    base_url: str

    def login(self) -> Any:
        """The login as the engine takes it."""
        raise TypeError(f"{type(self).__name__} is not a kind of login")

    def get_client(self, tenant: QadTenant) -> QadClient:
        """A client of this tenant, with a token kept for its own lifetime only."""
        return open_client(self.login(), tenant, name=self.base_url, store=open_vault(), slot="qad")


class QadCredentials(_OpensClient, CredentialsBlock):
    """OAuth 2 login of one QAD tenant with user name and password, the usual one.

    Example:
        ```python
        from blocks import QadCredentials

        credentials = QadCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "QAD Credentials"
    _block_type_slug = "qad-credentials"
    _documentation_url = _DOCUMENTATION

    base_url: str = _BASE_URL
    client_id: str = Field(description="Client id that QAD's administrator issued for this connector.")
    username: str = Field(description="User name of the service account.")
    password: SecretStr = Field(description="Password of the service account.")
    credentials_in: Literal["body", "query"] = Field(
        default="body", description="Where the credentials travel; query only for a tenant that insists on it."
    )

    def login(self) -> QadPasswordLogin:
        """The login as the engine takes it."""
        return QadPasswordLogin(
            base_url=self.base_url,
            client_id=self.client_id,
            username=self.username,
            password=self.password,
            credentials_in=self.credentials_in,
        )


class QadClientCredentials(_OpensClient, CredentialsBlock):
    """OAuth 2 login of one QAD tenant with client id and secret, at QAD or at an identity provider.

    Example:
        ```python
        from blocks import QadClientCredentials

        credentials = QadClientCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "QAD Client Credentials"
    _block_type_slug = "qad-client-credentials"
    _documentation_url = _DOCUMENTATION

    base_url: str = _BASE_URL
    client_id: str = Field(description="Client id of this connector.")
    client_secret: SecretStr = Field(description="Client secret of this connector.")
    token_url: str = Field(default="", description="Full address of the token endpoint; empty means QAD's own.")
    scope: str = Field(default="", description="Scope to ask for; empty means none.")

    def login(self) -> QadClientCredentialsLogin:
        """The login as the engine takes it."""
        return QadClientCredentialsLogin(
            base_url=self.base_url,
            client_id=self.client_id,
            client_secret=self.client_secret,
            token_url=self.token_url,
            scope=self.scope,
        )


class QadSessionCredentials(_OpensClient, CredentialsBlock):
    """Session login of one QAD tenant: user name and password for a token of limited life.

    Example:
        ```python
        from blocks import QadSessionCredentials

        credentials = QadSessionCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "QAD Session Credentials"
    _block_type_slug = "qad-session-credentials"
    _documentation_url = _DOCUMENTATION

    base_url: str = _BASE_URL
    username: str = Field(description="User name of the service account.")
    password: SecretStr = Field(description="Password of the service account.")
    login_path: str = Field(default="api/qracore/login", description="Path of the login below the base address.")

    def login(self) -> QadSessionLogin:
        """The login as the engine takes it."""
        return QadSessionLogin(
            base_url=self.base_url, username=self.username, password=self.password, login_path=self.login_path
        )


class QadBasicCredentials(_OpensClient, CredentialsBlock):
    """User name and password sent with every call to one QAD tenant; the last resort.

    Example:
        ```python
        from blocks import QadBasicCredentials

        credentials = QadBasicCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "QAD Basic Credentials"
    _block_type_slug = "qad-basic-credentials"
    _documentation_url = _DOCUMENTATION

    base_url: str = _BASE_URL
    username: str = Field(description="User name of the service account.")
    password: SecretStr = Field(description="Password of the service account.")

    def login(self) -> QadBasicLogin:
        """The login as the engine takes it."""
        return QadBasicLogin(base_url=self.base_url, username=self.username, password=self.password)
