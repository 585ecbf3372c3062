"""What writing to a project needs to know of it and nobody types in: what its fields hold, how the token is indexed."""

from __future__ import annotations

from ml_connector.errors import ConfigurationError
from ml_connector.systems.jira.client import JiraClient
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.documents import Shapes, shapes_of
from ml_connector.systems.jira.errors import SYSTEM


class Layout:
    """Read from Jira on first use, and kept as long as the client: a screen does not change in a run."""

    def __init__(
        self, client: JiraClient, tenant: JiraTenant, shapes: Shapes | None = None, token_searcher: str | None = None
    ) -> None:
        self._client = client
        self._tenant = tenant
        self._shapes = shapes
        self._searcher = token_searcher

    async def shapes(self) -> Shapes:
        """What the fields on the create screen hold; ConfigurationError when the project has no such issue type."""
        if self._shapes is None:
            wanted = self._tenant.issue_type.casefold()
            types = await self._client.issue_types(self._tenant.project)
            type_id = next((one.id for one in types if wanted in (one.name.casefold(), one.id)), None)
            if type_id is None:
                text = f"issue_type: {self._tenant.issue_type} cannot be created in project {self._tenant.project}"
                raise ConfigurationError(text, system=SYSTEM)
            self._shapes = shapes_of(await self._client.create_fields(self._tenant.project, type_id))
        return self._shapes

    async def token_searcher(self) -> str:
        """How Jira indexes the token field; ConfigurationError when it is not indexed."""
        if self._searcher is None:
            field = self._tenant.token_field
            self._searcher = (await self._client.field_searchers([field])).get(field, "") if field else ""
        return self._searcher
