"""Opens a run of either direction of this pair."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ml_connector.pairs import opening
from ml_connector.pairs.base import Direction
from ml_connector.pairs.opening import Opening, Plan, Way
from ml_connector.pairs.opening_jira import jira
from ml_connector.pairs.qad_jira.decisions import Missed
from ml_connector.pairs.qad_jira.links import FromJiraLinks, ToJiraLinks
from ml_connector.pairs.qad_jira.ours import BACK, FORWARD, OurIssues
from ml_connector.pairs.qad_jira.routes import Ends, to_jira, to_qad
from ml_connector.pairs.qad_jira.settings import QadJiraSettings, overlap, proven
from ml_connector.sync.seams import Route
from ml_connector.systems.jira.targets import Issues

MISSED = "missed_webhooks"


def _planned(routes: Callable[[Ends], dict[str, Route[Any]]]) -> Callable[[Opening], Plan]:
    def plan(one: Opening) -> Plan:
        missed = Missed(wanted=one.settings.jira.webhook != "none")
        qad, site = one.clients
        ours = OurIssues(one.run.store, one.installation.connections, one.row)
        issues = Issues(site, one.settings.jira, sighted=ours.sighted)
        ends = Ends(qad, site, one.settings, one.run, ours, missed, one.news, issues)
        return Plan(routes(ends), lambda: {MISSED: missed.count} if missed.count else {})

    return plan


_CLIENTS = (
    lambda end, settings: opening.qad(end, settings.qad),
    lambda end, settings: jira(end, settings.jira),
)
_TO_JIRA = Way(
    name=FORWARD,
    settings=QadJiraSettings,
    forward=True,
    page_size=lambda one: int(one.exceptions.page_size),
    clients=_CLIENTS,
    plan=_planned(to_jira),
    links=ToJiraLinks,
)
_TO_QAD = Way(
    name=BACK,
    settings=QadJiraSettings,
    forward=False,
    page_size=lambda one: int(one.exceptions.page_size),
    clients=_CLIENTS,
    plan=_planned(to_qad),
    links=FromJiraLinks,
    woken=True,
)
QAD_TO_JIRA = Direction(
    name=FORWARD,
    pair="qad_jira",
    source="qad",
    target="jira",
    settings=QadJiraSettings,
    flow="flows.qad_to_jira.qad_to_jira",
    settings_flow="flows.connection_settings.qad_jira_settings",
    open=partial(opening.opened, _TO_JIRA),
    overlap=overlap,
    proven=proven,
)
JIRA_TO_QAD = Direction(
    name=BACK,
    pair="qad_jira",
    source="jira",
    target="qad",
    settings=QadJiraSettings,
    flow="flows.jira_to_qad.jira_to_qad",
    settings_flow="flows.connection_settings.qad_jira_settings",
    open=partial(opening.opened, _TO_QAD),
    overlap=overlap,
    proven=proven,
    schedule_s=900,
    webhooks="jira",
)
