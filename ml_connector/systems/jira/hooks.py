"""Webhooks that an OAuth app registers itself: at most five per app, person and site, alive for thirty days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ml_connector.errors import ConfigurationError, ContractError, RecordRejectedError, UnknownOutcomeError
from ml_connector.systems.jira.calls import JiraCalls, read_json, rows_of
from ml_connector.systems.jira.errors import About
from ml_connector.systems.jira.models import DynamicWebhook, instant


class HookCalls(JiraCalls):
    """The calls about dynamic webhooks (README: Webhooks); PermissionDeniedError for any login but a consent."""

    async def register_webhooks(self, url: str, hooks: Sequence[Mapping[str, Any]]) -> list[int | tuple[str, ...]]:
        """Register webhooks that all call one address; for each its id or what Jira has against it.

        ConfigurationError when Jira takes none of them, for example because the address is not the app's one address.
        Registering again makes a second one, so after UnknownOutcomeError look at the list first.
        """
        about = About("register webhooks", write=True)
        body = {"url": url, "webhooks": [dict(one) for one in hooks]}
        try:
            response = await self._write("POST", "/webhook", about, body)
        except RecordRejectedError as error:
            text = f"Jira does not take the webhooks: {error.detail or error.code}"
            raise about.error(ConfigurationError, text) from None
        answer = read_json(response, about)
        rows = answer.get("webhookRegistrationResult") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list) or len(rows) != len(hooks):
            raise about.error(UnknownOutcomeError, "accepted, but the answer does not tell of each webhook")
        return [_registered(row) for row in rows]

    async def list_webhooks(self) -> tuple[DynamicWebhook, ...]:
        """The webhooks that this app has on the site."""
        about = About("list webhooks")
        return self._read(DynamicWebhook, await self._pages("/webhook", about, ("values",)), about)

    async def refresh_webhooks(self, ids: Sequence[int]) -> datetime:
        """Let webhooks live thirty more days; answers until when. Jira passes over unknown ids silently."""
        about = About("refresh webhooks", write=True)
        response = await self._write("PUT", "/webhook/refresh", about, {"webhookIds": list(ids)})
        answer = read_json(response, about)
        until = instant(answer.get("expirationDate")) if isinstance(answer, Mapping) else None
        if until is None:
            raise about.error(ContractError, "expirationDate: missing")
        return until

    async def delete_webhooks(self, ids: Sequence[int]) -> None:
        """Remove webhooks; those that do not exist any more are no error."""
        await self._write("DELETE", "/webhook", About("delete webhooks", write=True), {"webhookIds": list(ids)})


def _registered(row: Any) -> int | tuple[str, ...]:
    found = row.get("createdWebhookId") if isinstance(row, Mapping) else None
    if isinstance(found, int):
        return found
    told = rows_of(row, ("errors",), About("register webhooks"))
    return tuple(str(text) for text in told)
