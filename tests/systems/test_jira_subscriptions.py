"""The webhook of a project is registered once, refreshed in time, and repaired whatever happened to it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from ml_connector.clock import ManualClock
from ml_connector.errors import ConfigurationError, UnknownOutcomeError
from ml_connector.store.audit import Audit
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.ingresses import Ingresses
from ml_connector.systems.jira.config import JiraOAuthLogin, JiraTenant
from ml_connector.systems.jira.models import DynamicWebhook
from ml_connector.systems.jira.subscriptions import Renewed, Subscriber, Wanted, address, keep_subscribed, renew

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LIFE = timedelta(days=30)
URL = "https://hooks.example/webhooks/jira/app"


@dataclass
class Site:
    """A site as the app sees it: at most five webhooks with one address, each alive for thirty days."""

    now: datetime = NOW
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refuse: tuple[str, ...] = ()
    lose_answer: bool = False
    ignore_refresh: bool = False

    async def register_webhooks(self, url: str, hooks: Sequence[Mapping[str, Any]]) -> list[int | tuple[str, ...]]:
        self.calls.append("register")
        if self.refuse:
            return [self.refuse for _ in hooks]
        if any(one["url"] != url for one in self.hooks.values()):
            return [("Only a single URL per app is allowed to be registered",) for _ in hooks]
        if len(self.hooks) + len(hooks) > 5:
            return [("The limit of webhooks is reached",) for _ in hooks]
        ids: list[int | tuple[str, ...]] = []
        for hook in hooks:
            number = max(self.hooks, default=999) + 1
            self.hooks[number] = {"id": number, "url": url, **hook, "expirationDate": self._stamp(self.now + LIFE)}
            ids.append(number)
        if self.lose_answer:
            raise UnknownOutcomeError("no answer came")
        return ids

    async def list_webhooks(self) -> tuple[DynamicWebhook, ...]:
        self.calls.append("list")
        return tuple(DynamicWebhook.model_validate(one) for one in self.hooks.values())

    async def refresh_webhooks(self, ids: Sequence[int]) -> datetime:
        self.calls.append("refresh")
        for number in set(ids) & self.hooks.keys():
            if not self.ignore_refresh:
                self.hooks[number]["expirationDate"] = self._stamp(self.now + LIFE)
        return self.now + LIFE

    async def delete_webhooks(self, ids: Sequence[int]) -> None:
        self.calls.append("delete")
        for number in ids:
            self.hooks.pop(number, None)

    def add(self, wanted: Wanted, *, days: int = 30) -> int:
        """A webhook that is there already."""
        number = max(self.hooks, default=999) + 1
        ends = self._stamp(self.now + timedelta(days=days))
        self.hooks[number] = {"id": number, "url": wanted.url, **wanted.hook, "expirationDate": ends}
        return number

    @staticmethod
    def _stamp(instant: datetime) -> str:
        return instant.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


WANTED = Wanted(URL, "AP", ("Task",), ("status", "resolution", "customfield_10050"))
OLDER = Wanted(URL, "AP", ("Task",), ("status", "resolution"))


async def _renew(site: Site, *, ours: Sequence[int] = (), shared: Sequence[int] = ()) -> Renewed:
    return await renew(site, WANTED, ours=ours, shared=shared, now=site.now)


async def test_a_missing_webhook_is_registered_with_a_filter_that_jira_allows() -> None:
    site = Site()
    renewed = await _renew(site)
    assert [one.id for one in renewed.live] == [1000]
    assert (renewed.done, renewed.problems) == (("webhook 1000 registered",), ())
    assert site.hooks[1000]["jqlFilter"] == 'project = "AP" AND issuetype IN ("Task")'
    assert site.hooks[1000]["events"] == ["jira:issue_created", "jira:issue_updated", "jira:issue_deleted"]
    assert site.hooks[1000]["fieldIdsFilter"] == ["status", "resolution", "customfield_10050"]
    assert renewed.live[0].expires == NOW + LIFE


async def test_a_live_webhook_costs_one_call() -> None:
    site = Site()
    number = site.add(WANTED)
    renewed = await _renew(site, ours=[number])
    assert (renewed.done, renewed.problems, site.calls) == ((), (), ["list"])


async def test_jira_may_reword_the_filter() -> None:
    site = Site()
    number = site.add(WANTED)
    site.hooks[number]["jqlFilter"] = "project=AP and issuetype in (Task)"
    assert (await _renew(site, ours=[number])).done == ()


@pytest.mark.parametrize(("days", "refreshed"), [(21, False), (19, True), (1, True)])
async def test_what_ends_within_twenty_days_is_refreshed(days: int, refreshed: bool) -> None:
    site = Site()
    number = site.add(WANTED, days=days)
    renewed = await _renew(site, ours=[number])
    assert ("refresh" in site.calls) is refreshed
    assert renewed.live[0].expires == NOW + (LIFE if refreshed else timedelta(days=days))
    assert renewed.problems == ()


async def test_a_refresh_that_changed_nothing_is_told() -> None:
    site = Site(ignore_refresh=True)
    number = site.add(WANTED, days=3)
    renewed = await _renew(site, ours=[number])
    assert renewed.problems == (f"webhook {number} was refreshed and ends on 2026-03-05 all the same",)


async def test_a_webhook_that_somebody_deleted_is_registered_anew() -> None:
    renewed = await _renew(site := Site(), ours=[1234])
    assert [one.id for one in renewed.live] == list(site.hooks)


async def test_an_answer_that_got_lost_leaves_no_second_webhook() -> None:
    site = Site(lose_answer=True)
    with pytest.raises(UnknownOutcomeError):
        await _renew(site)
    site.lose_answer = False
    renewed = await _renew(site)
    assert [one.id for one in renewed.live] == [1000]
    assert site.calls.count("register") == 1
    twin = site.add(WANTED)
    assert [one.id for one in (await _renew(site, ours=[twin])).live] == [twin]
    assert list(site.hooks) == [twin]


async def test_changed_settings_replace_the_webhook_and_the_new_one_comes_first() -> None:
    site = Site()
    old = site.add(OLDER)
    renewed = await _renew(site, ours=[old])
    assert [one.id for one in renewed.live] == [old + 1]
    assert list(site.hooks) == [old + 1]
    assert site.calls == ["list", "register", "delete", "list"]


async def test_a_moved_address_is_let_go_first_because_an_app_has_only_one() -> None:
    site = Site()
    old = site.add(Wanted("https://former.example/webhooks/jira/app", "AP", ("Task",), WANTED.fields))
    renewed = await _renew(site, ours=[old])
    assert renewed.problems == ()
    assert site.calls == ["list", "delete", "register", "list"]


async def test_what_others_rely_on_is_not_removed() -> None:
    site = Site()
    theirs, foreign = site.add(OLDER), site.add(Wanted(URL, "OPS", ("Task",), ("status",)))
    renewed = await _renew(site, ours=[theirs], shared=[theirs])
    assert {theirs, foreign} < set(site.hooks)
    assert [one.id for one in renewed.live] == [1002]


async def test_a_refused_registration_is_told_and_the_former_webhook_goes_on_telling() -> None:
    site = Site(refuse=("The clause watchCount is unsupported",))
    old = site.add(OLDER)
    renewed = await _renew(site, ours=[old])
    assert renewed.problems == ("Jira refuses the webhook: The clause watchCount is unsupported",)
    assert [one.id for one in renewed.live] == [old]
    assert old in site.hooks


def _subscriber(connection: str = "acme", secret: str = "first") -> Subscriber:
    login = JiraOAuthLogin(
        client_id="app-1", client_secret=SecretStr(secret), site_url="https://acme.atlassian.net", cloud_id="c-1"
    )
    tenant = JiraTenant(project="AP", issue_type="Task", token_field="customfield_1", webhook="dynamic")
    return Subscriber(connection, "jira_to_qad", login, tenant, WANTED.fields)


@pytest.fixture
def doors(sqlite_db: Database, keys: Keys) -> Ingresses:
    """The doors of an empty store."""
    clock = ManualClock(NOW)
    return Ingresses(sqlite_db, keys, Audit(sqlite_db, keys, clock), clock)


async def _door(doors: Ingresses) -> None:
    options = {"client_id": "app-1", "public_url": "https://hooks.example"}
    await doors.create("app", system="jira", kind="dynamic", secrets=["first"], options=options)


async def test_whom_the_deliveries_concern_is_noted_by_site_and_webhook(doors: Ingresses) -> None:
    await _door(doors)
    site = Site()
    for connection in ("acme", "acme-eu"):
        await keep_subscribed(doors, site, _subscriber(connection), now=NOW)
    noted = await doors.subscriptions(name="app")
    # Two connections that want the same share one webhook: an app may have five.
    assert [(one.connection, one.direction, one.site, one.webhook, one.expires_at) for one in noted] == [
        ("acme", "jira_to_qad", "acme.atlassian.net", "1000", NOW + LIFE),
        ("acme-eu", "jira_to_qad", "acme.atlassian.net", "1000", NOW + LIFE),
    ]
    assert list(site.hooks) == [1000]
    assert site.hooks[1000]["url"] == address(await doors.get("app")) == URL


async def test_a_new_secret_of_the_app_is_learned_beside_the_former(doors: Ingresses) -> None:
    await _door(doors)
    await keep_subscribed(doors, Site(), _subscriber(secret="second"), now=NOW)
    assert (await doors.get("app")).secrets == ("second", "first")


async def test_without_a_door_it_says_how_to_make_one(doors: Ingresses) -> None:
    with pytest.raises(ConfigurationError, match=r"webhooks add NAME --system jira --kind dynamic --connection acme"):
        await keep_subscribed(doors, Site(), _subscriber(), now=NOW)
