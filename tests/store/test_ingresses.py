"""The doors for webhooks: their secrets are sealed, several are valid at once, every change is audited."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from ml_connector.clock import ManualClock
from ml_connector.errors import ConfigurationError, ContractError
from ml_connector.store.audit import Audit
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.ingresses import Ingresses, Subscription
from ml_connector.store.schema import audit, ingress

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def doors(db: Database, keys: Keys) -> Ingresses:
    clock = ManualClock(NOON)
    return Ingresses(db, keys, Audit(db, keys, clock), clock)


async def made(doors: Ingresses, name: str = "jira", *secrets: str) -> None:
    await doors.create(name, system="jira", kind="admin", secrets=secrets or ("one",), options={"site": "acme"})


async def test_a_door_comes_back_as_it_was_made(doors: Ingresses) -> None:
    await made(doors)
    door = await doors.get("jira")
    assert (door.name, door.system, door.kind, door.options) == ("jira", "jira", "admin", {"site": "acme"})
    assert (door.secrets, door.created_at, door.updated_at) == (("one",), NOON, NOON)
    assert await doors.list() == [door]


async def test_secrets_are_added_dropped_and_replaced(doors: Ingresses) -> None:
    await made(doors)
    assert (await doors.rotate("jira", "two")).secrets == ("two", "one")
    assert (await doors.rotate("jira", "three")).secrets == ("three", "two", "one")
    assert (await doors.rotate("jira", "one")).secrets == ("one", "three", "two")
    assert (await doors.drop_old_secrets("jira")).secrets == ("one",)
    assert (await doors.set_secrets("jira", ["four", "five"])).secrets == ("four", "five")
    assert (await doors.get("jira")).secrets == ("four", "five")


async def test_a_secret_is_never_stored_shown_or_audited_in_clear(doors: Ingresses, db: Database) -> None:
    await made(doors, "jira", "canary-1")
    await doors.rotate("jira", "canary-2")
    assert "canary" not in repr(await doors.get("jira"))
    async with db.read() as tx:
        for table in (ingress, audit):
            assert "canary" not in str((await tx.execute(select(table))).all())


async def test_secrets_moved_to_another_door_do_not_open(doors: Ingresses, db: Database) -> None:
    await made(doors)
    await made(doors, "other", "two")
    async with db.write() as tx:
        moved = (await tx.execute(select(ingress.c.secrets).where(ingress.c.name == "other"))).scalar_one()
        await tx.execute(ingress.update().where(ingress.c.name == "jira").values(secrets=moved))
    with pytest.raises(ContractError):
        await doors.get("jira")


@pytest.mark.parametrize("name", ["", "Jira", "a/b", "a b", "-a", "ä", "a" * 65, "a.b"])
async def test_a_name_has_to_fit_into_an_address(doors: Ingresses, name: str) -> None:
    with pytest.raises(ConfigurationError):
        await made(doors, name)


@pytest.mark.parametrize("secret", ["", "  "])
async def test_an_empty_secret_is_none(doors: Ingresses, secret: str) -> None:
    with pytest.raises(ConfigurationError):
        await doors.create("jira", system="jira", kind="admin", secrets=["one", secret])
    await made(doors)
    with pytest.raises(ConfigurationError):
        await doors.rotate("jira", secret)
    assert (await doors.get("jira")).secrets == ("one",)


async def test_a_name_is_taken_once(doors: Ingresses) -> None:
    await made(doors)
    with pytest.raises(ConfigurationError, match="already"):
        await made(doors, "jira", "two")
    assert (await doors.get("jira")).secrets == ("one",)


async def test_what_is_not_there_cannot_be_changed(doors: Ingresses) -> None:
    for attempt in (
        doors.get("x"),
        doors.rotate("x", "s"),
        doors.drop_old_secrets("x"),
        doors.set_options("x", {}),
        doors.remove("x"),
        doors.subscribe("x", "acme", []),
    ):
        with pytest.raises(ConfigurationError, match="no webhook ingress named x"):
            await attempt


async def test_a_connection_replaces_its_own_subscriptions_only(doors: Ingresses) -> None:
    await made(doors)
    await doors.subscribe("jira", "other", [Subscription("other", "jira_to_qad", "site", "9")])
    for hooks in (("1", "2"), ("2", "3"), ()):
        mine = [Subscription("acme", "jira_to_qad", "site", hook, NOON) for hook in hooks]
        await doors.subscribe("jira", "acme", mine)
        found = await doors.subscriptions(name="jira", connection="acme")
        assert [(one.webhook, one.expires_at, one.ingress) for one in found] == [(hook, NOON, "jira") for hook in hooks]
    assert [one.connection for one in await doors.subscriptions()] == ["other"]


async def test_a_removed_door_takes_its_subscriptions_along(doors: Ingresses) -> None:
    await made(doors)
    await made(doors, "second")
    for name in ("jira", "second"):
        await doors.subscribe(name, "acme", [Subscription("acme", "jira_to_qad")])
    await doors.remove("jira")
    assert [one.name for one in await doors.list()] == ["second"]
    assert [one.ingress for one in await doors.subscriptions(connection="acme")] == ["second"]


async def test_every_change_is_audited(doors: Ingresses, db: Database) -> None:
    await made(doors)
    await doors.rotate("jira", "two")
    await doors.drop_old_secrets("jira")
    await doors.set_options("jira", {})
    await doors.subscribe("jira", "acme", [])
    await doors.remove("jira")
    async with db.read() as tx:
        kinds = (await tx.execute(select(audit.c.kind).order_by(audit.c.seq))).scalars().all()
    assert kinds == [
        "ingress_created",
        "ingress_secret_added",
        "ingress_secrets_dropped",
        "ingress_options_set",
        "ingress_subscribed",
        "ingress_removed",
    ]
