"""Where a person finds the records of this pair in either system."""

from __future__ import annotations

from dataclasses import dataclass

from ml_connector.domain.keys import ExternalId
from ml_connector.store.ledger import LedgerRow


def issue_link(site: str, issue: str) -> str:
    """An issue by its id, which outlives a move to another project; Jira opens pages by key, so it is searched for."""
    return f"{site}/issues/?jql=id%3D{issue}"


@dataclass(frozen=True, slots=True)
class ToJiraLinks:
    """QAD documents no address of a record, so that link leads to the tenant; issues are shown by Jira."""

    qad: str
    jira: str

    def source(self, row: LedgerRow) -> str:
        """The QAD tenant."""
        return self.qad

    def target(self, row: LedgerRow) -> str:
        """The issue, once there is one."""
        return issue_link(self.jira, row.target_id) if row.target_id else ""


@dataclass(frozen=True, slots=True)
class FromJiraLinks:
    """The same the other way round."""

    qad: str
    jira: str

    def source(self, row: LedgerRow) -> str:
        """The issue that was decided."""
        return issue_link(self.jira, ExternalId.parse(row.external_id).key)

    def target(self, row: LedgerRow) -> str:
        """The QAD tenant, or the issue where a refusal was told."""
        if not row.target_id:
            return ""
        return self.source(row) if row.target_type == "refusal" else self.qad
