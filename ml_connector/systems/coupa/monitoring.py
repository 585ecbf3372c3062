"""Coupa's integration monitoring: the integrations set up there, history records of documents, runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ml_connector.systems.coupa.calls import CoupaCalls, asked, lots, one_of, word
from ml_connector.systems.coupa.models import Created, HistoryRecord, Integration, IntegrationRun, wire_fields


class MonitoringCalls(CoupaCalls):
    """The endpoints by which outcomes are shown inside Coupa."""

    async def integrations(self, code: str) -> list[Integration]:
        """The integration with that code, if an administrator has set it up."""
        params = [("code", code), ("limit", "1"), asked(wire_fields(Integration))]
        rows = await self._list("integrations", params)
        return [Integration.parse(row, self.http, "list integrations") for row in rows]

    async def history_records(
        self, document_type: str, document_ids: Iterable[int], resolved: bool | None = None
    ) -> list[HistoryRecord]:
        """All history records of these documents, by growing id."""
        found: list[HistoryRecord] = []
        for lot in lots(document_ids):
            params = [("document_type", document_type), *one_of("document_id", lot)]
            if resolved is not None:
                params.append(("resolved", word(resolved)))
            rows = await self._drain("history_records", params, wire_fields(HistoryRecord))
            found += [HistoryRecord.parse(row, self.http, "list history_records") for row in rows]
        return found

    async def create_history_record(self, body: Mapping[str, Any], *, alert: bool, external_id: str, key: str) -> int:
        """Report an outcome about a document, with a mail to the contacts when `alert`; answers the record's id."""
        response = await self._write(
            "POST",
            self._paths.history_records + ("/create_alert" if alert else ""),
            resource="history_records",
            operation="create history record",
            external_id=external_id,
            key=key,
            params=[asked(("id",))],
            body=body,
        )
        return self._parsed(Created, response, "create history record").id

    async def resolve_history_record(self, record_id: int, *, external_id: str, key: str) -> None:
        """Close a history record; closing it again does no harm."""
        await self._write(
            "PUT",
            f"{self._paths.history_records}/{record_id}/resolve",
            resource="history_records",
            operation="resolve history record",
            external_id=external_id,
            key=key,
        )

    async def create_run(self, integration_code: str, *, external_id: str, key: str) -> IntegrationRun:
        """Announce a run of an integration."""
        body = {"integration": {"code": integration_code}}
        return await self._run("POST", "", "create run", body, external_id, key)

    async def start_run(self, run_id: int, total_records: int, *, external_id: str, key: str) -> IntegrationRun:
        """Say that a run has begun and how many records it will handle."""
        body = {"total_records": total_records}
        return await self._run("PUT", f"/{run_id}/run", "start run", body, external_id, key)

    async def end_run(
        self, run_id: int, result: Literal["success", "fail"], *, external_id: str, key: str
    ) -> IntegrationRun:
        """Say how a run ended."""
        return await self._run("PUT", f"/{run_id}/{result}", f"{result} run", None, external_id, key)

    async def _run(
        self, method: str, tail: str, operation: str, body: Mapping[str, Any] | None, external_id: str, key: str
    ) -> IntegrationRun:
        path = self._paths.runs + tail
        response = await self._write(
            method, path, resource="runs", operation=operation, external_id=external_id, key=key, body=body
        )
        return self._parsed(IntegrationRun, response, operation)
