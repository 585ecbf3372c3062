"""An issue of a tracker as the connector reads it back: how far people have come with it and what they chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class IssueState:
    """What one issue shows; `key` is its lasting id in the tracker, `issue_key` the name that people use for now.

    `category` is new, indeterminate, done or undefined; `fields` are the chosen custom fields as plain text, by our
    names; `updated` is an aware instant, `assignee` an account id or empty. `moved_at` is when the category last
    changed, as the tracker writes it: an issue that was reopened and finished again is another decision.
    """

    key: str
    issue_key: str
    status_id: str
    status: str
    category: str
    resolution: str
    fields: Mapping[str, str]
    updated: datetime
    assignee: str = ""
    moved_at: str = ""
