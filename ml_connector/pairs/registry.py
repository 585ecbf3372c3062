"""Every direction by name; a new pair adds its own here and nothing else changes."""

from __future__ import annotations

from ml_connector.errors import ConfigurationError
from ml_connector.pairs.base import Direction
from ml_connector.pairs.coupa_qad.session import COUPA_TO_QAD, QAD_TO_COUPA
from ml_connector.pairs.qad_jira.session import JIRA_TO_QAD, QAD_TO_JIRA

DIRECTIONS: dict[str, Direction] = {one.name: one for one in (COUPA_TO_QAD, QAD_TO_COUPA, QAD_TO_JIRA, JIRA_TO_QAD)}


def direction(name: str) -> Direction:
    """The direction with that name."""
    try:
        return DIRECTIONS[name]
    except KeyError:
        known = ", ".join(sorted(DIRECTIONS))
        raise ConfigurationError(f"direction {name} does not exist; there is {known}") from None


def of_pair(pair: str) -> list[Direction]:
    """The directions of a pair."""
    return [one for one in DIRECTIONS.values() if one.pair == pair]
