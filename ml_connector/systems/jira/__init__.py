"""Jira Cloud, as the connector sees it."""
