"""The login of one Coupa instance, as a person fills it in."""

from __future__ import annotations

from prefect.blocks.abstract import CredentialsBlock
from pydantic import Field, HttpUrl, SecretStr

from blocks.base import open_vault
from ml_connector.systems.coupa.client import CoupaClient, open_client
from ml_connector.systems.coupa.config import DEFAULT_SCOPES, CoupaCredentialsData, CoupaTenant


class CoupaCredentials(CredentialsBlock):
    """OAuth2 client of one Coupa instance, for connections that read invoices and write state and masters back.

    Example:
        ```python
        from blocks import CoupaCredentials

        credentials = CoupaCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "Coupa Credentials"
    _block_type_slug = "coupa-credentials"
    _documentation_url = HttpUrl(
        "https://compass.coupa.com/en-us/products/product-documentation/integration-technical-documentation"
        "/the-coupa-core-api/oauth-2.0-and-oidc"
    )

    base_url: str = Field(description="Address of the instance, such as https://acme.coupahost.com.")
    client_id: str = Field(description="Identifier of the OAuth2 client, as Coupa shows it.")
    client_secret: SecretStr = Field(description="Secret of the OAuth2 client.")
    scopes: list[str] = Field(
        default=list(DEFAULT_SCOPES),
        description="Scopes to ask for; each must be ticked on the client in Coupa. core.supplier.write and "
        "core.common.write are for keeping suppliers and lookup values up to date; drop them where that is not wanted.",
    )

    def login(self) -> CoupaCredentialsData:
        """The login as the engine takes it."""
        return CoupaCredentialsData(
            base_url=self.base_url,
            client_id=self.client_id,
            client_secret=self.client_secret,
            scopes=tuple(self.scopes),
        )

    def get_client(self, tenant: CoupaTenant | None = None) -> CoupaClient:
        """A client of this instance, with a token kept for its own lifetime only."""
        return open_client(self.login(), tenant or CoupaTenant(), name=self.base_url, store=open_vault(), slot="coupa")
