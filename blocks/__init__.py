"""What a person types into Prefect: one credentials block per system and kind of login."""

from __future__ import annotations

from blocks.coupa import CoupaCredentials
from blocks.jira_cloud import JiraApiTokenCredentials, JiraOAuthCredentials, JiraServiceAccountCredentials
from blocks.qad import QadBasicCredentials, QadClientCredentials, QadCredentials, QadSessionCredentials

__all__ = [
    "CoupaCredentials",
    "JiraApiTokenCredentials",
    "JiraOAuthCredentials",
    "JiraServiceAccountCredentials",
    "QadBasicCredentials",
    "QadClientCredentials",
    "QadCredentials",
    "QadSessionCredentials",
]
