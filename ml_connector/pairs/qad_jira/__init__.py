"""QAD and Jira."""
