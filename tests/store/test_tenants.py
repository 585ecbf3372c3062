"""Tenants keep their code for ever; connections change only as their reader saw them; every change is audited."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ml_connector.clock import ManualClock
from ml_connector.errors import ConfigurationError
from ml_connector.store.audit import Audit
from ml_connector.store.audit_history import history
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.tenants import ConnectionRow, Connections, Tenants

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def tenants(db: Database, keys: Keys, clock: ManualClock) -> Tenants:
    return Tenants(db, Audit(db, keys, clock), clock)


@pytest.fixture
def connections(db: Database, keys: Keys, clock: ManualClock) -> Connections:
    return Connections(db, Audit(db, keys, clock), clock)


@pytest.fixture
async def acme(tenants: Tenants) -> ConnectionRow:
    """A connection that is not stored yet."""
    return ConnectionRow(
        name="acme",
        pair="coupa_qad",
        source_block="acme-coupa",
        target_block="acme-qad",
        source_tenant=await tenants.get_or_create("coupa", "acme.coupahost.example"),
        target_tenant=await tenants.get_or_create("qad", "qad.example/10USA"),
        time_zone="Europe/Berlin",
        settings={"hold_days": 30},
    )


async def test_a_tenant_code_is_four_letters_or_digits_of_base32(tenants: Tenants) -> None:
    assert re.fullmatch("[A-Z2-7]{4}", await tenants.get_or_create("qad", "qad.example/10USA"))


async def test_a_tenant_keeps_its_code(tenants: Tenants) -> None:
    assert await tenants.find("qad", "qad.example/10USA") is None
    code = await tenants.get_or_create("qad", "qad.example/10USA")
    assert await tenants.get_or_create("qad", "qad.example/10USA") == code
    assert await tenants.find("qad", "qad.example/10USA") == code


async def test_other_systems_and_identities_get_other_codes(tenants: Tenants) -> None:
    codes = [await tenants.get_or_create(system, identity) for system in ("qad", "coupa") for identity in ("a", "b")]
    assert len(set(codes)) == 4


async def test_processes_that_meet_a_tenant_at_once_agree_on_its_code(tenants: Tenants) -> None:
    assert len(set(await asyncio.gather(*(tenants.get_or_create("qad", "a") for _ in range(8))))) == 1


async def test_a_code_that_is_taken_is_drawn_again(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter("AAAA" + "AAAA" + "AAAB")
    monkeypatch.setattr("secrets.choice", lambda _alphabet: next(draws))
    assert await tenants.get_or_create("qad", "a") == "AAAA"
    assert await tenants.get_or_create("qad", "b") == "AAAB"


async def test_a_stored_connection_comes_back_as_it_was_saved(connections: Connections, acme: ConnectionRow) -> None:
    stored = await connections.save(acme)
    assert stored == replace(acme, settings_version=1, created_at=NOON, updated_at=NOON)
    assert await connections.get("acme") == stored
    assert await connections.list() == [stored]


async def test_an_unknown_connection_is_named(connections: Connections) -> None:
    with pytest.raises(ConfigurationError, match="no connection named acme"):
        await connections.get("acme")
    with pytest.raises(ConfigurationError, match="no connection named acme"):
        await connections.set_state("acme", "paused")


async def test_new_settings_raise_the_settings_version(
    connections: Connections, acme: ConnectionRow, clock: ManualClock
) -> None:
    stored = await connections.save(acme)
    clock.advance(60)
    changed = await connections.save(replace(stored, settings={"hold_days": 10}))
    assert (changed.settings_version, changed.settings) == (2, {"hold_days": 10})
    assert changed.created_at == NOON != changed.updated_at
    assert await connections.get("acme") == changed


async def test_saving_no_change_keeps_the_settings_version(connections: Connections, acme: ConnectionRow) -> None:
    stored = await connections.save(acme)
    assert await connections.save(stored) == stored


async def test_of_two_editors_the_later_one_is_told(connections: Connections, acme: ConnectionRow) -> None:
    stored = await connections.save(acme)
    await connections.save(replace(stored, settings={"hold_days": 10}))
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        await connections.save(replace(stored, settings={"hold_days": 20}))
    assert (await connections.get("acme")).settings == {"hold_days": 10}


async def test_of_eight_editors_at_the_same_time_seven_are_told(connections: Connections, acme: ConnectionRow) -> None:
    stored = await connections.save(acme)
    edits = (connections.save(replace(stored, settings={"hold_days": days})) for days in range(8))
    results = await asyncio.gather(*edits, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConfigurationError"] * 7 + ["ConnectionRow"]
    assert (await connections.get("acme")).settings_version == 2


async def test_of_two_that_take_the_same_name_one_is_told(connections: Connections, acme: ConnectionRow) -> None:
    results = await asyncio.gather(*(connections.save(acme) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConfigurationError", "ConnectionRow"]


@pytest.mark.parametrize("field", ["pair", "source_tenant", "target_tenant"])
async def test_what_a_connection_connects_never_changes(
    connections: Connections, acme: ConnectionRow, field: str
) -> None:
    stored = await connections.save(acme)
    other: dict[str, Any] = {field: "XXXX"}
    with pytest.raises(ConfigurationError, match=f"{field} never changes"):
        await connections.save(replace(stored, **other))
    assert await connections.get("acme") == stored


async def test_a_connection_needs_known_tenants(connections: Connections, acme: ConnectionRow) -> None:
    with pytest.raises(ConfigurationError, match="unknown tenant XXXX"):
        await connections.save(replace(acme, target_tenant="XXXX"))
    assert await connections.list() == []


@pytest.mark.parametrize("zone", ["", "Europe/Nowhere", "../etc/passwd"])
async def test_a_connection_needs_a_known_time_zone(connections: Connections, acme: ConnectionRow, zone: str) -> None:
    with pytest.raises(ConfigurationError, match="time_zone"):
        await connections.save(replace(acme, time_zone=zone))


async def test_a_connection_that_is_gone_is_not_brought_back(connections: Connections, acme: ConnectionRow) -> None:
    with pytest.raises(ConfigurationError, match="not stored any more"):
        await connections.save(replace(acme, settings_version=3))


async def test_pausing_keeps_the_settings_version_and_survives_an_edit(
    connections: Connections, acme: ConnectionRow
) -> None:
    stored = await connections.save(acme)
    paused = await connections.set_state("acme", "paused")
    assert (paused.state, paused.settings_version) == ("paused", 1)
    assert (await connections.save(replace(stored, settings={}))).state == "paused"
    assert (await connections.set_state("acme", "active")).state == "active"


async def test_every_change_of_a_connection_is_audited_once(
    db: Database, keys: Keys, connections: Connections, acme: ConnectionRow
) -> None:
    stored = await connections.save(acme)
    await connections.save(stored)
    await connections.save(replace(stored, settings={"hold_days": 10}))
    await connections.set_state("acme", "paused")
    await connections.set_state("acme", "paused")
    created, changed, state = await history(db, keys, "connection:acme")
    assert (created.chain, created.kind, created.data["settings_version"]) == ("admin", "connection_created", 1)
    assert changed.detail is not None
    assert (changed.kind, changed.detail["before"]["settings"]) == ("connection_changed", {"hold_days": 30})
    assert changed.detail["after"]["settings"] == {"hold_days": 10}
    assert (state.kind, state.data["from"], state.data["to"]) == ("connection_state", "active", "paused")
