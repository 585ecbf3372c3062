"""The token vault: one refresher at a time, nothing minted is lost, and a refused login is never tried twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from ml_connector.clock import ManualClock, ShiftedClock, SystemClock
from ml_connector.errors import AuthenticationError, ConfigurationError, TransientError
from ml_connector.store import schema
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.vault import Vault
from tests.store.processes import SLOT, finish, start, text_vault

Mint = Callable[[str | None], Awaitable[str]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2025, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def vault(db: Database, keys: Keys, clock: ManualClock) -> Vault[str]:
    return text_vault(db, keys, clock)


def minting(token: str, seen: list[str | None] | None = None) -> Mint:
    async def mint(current: str | None) -> str:
        if seen is not None:
            seen.append(current)
        return token

    return mint


async def never(_current: str | None) -> str:
    raise AssertionError("nothing had to be minted")


async def refused(_current: str | None) -> str:
    raise AuthenticationError("invalid_grant")


async def test_an_empty_slot_has_no_token(vault: Vault[str]) -> None:
    assert await vault.load(SLOT) is None


async def test_mints_the_first_token_and_stores_it_before_returning(vault: Vault[str]) -> None:
    assert await vault.renew(SLOT, None, minting("first")) == "first"
    assert await vault.load(SLOT) == "first"


async def test_mints_from_the_current_token(vault: Vault[str]) -> None:
    await vault.renew(SLOT, None, minting("first"))
    seen: list[str | None] = []
    assert await vault.renew(SLOT, "first", minting("second", seen)) == "second"
    assert seen == ["first"]
    assert await vault.load(SLOT) == "second"


@pytest.mark.parametrize("stale", [None, "older"])
async def test_a_token_that_somebody_renewed_already_is_returned_without_minting(
    vault: Vault[str], stale: str | None
) -> None:
    await vault.renew(SLOT, None, minting("current"))
    assert await vault.renew(SLOT, stale, never) == "current"


async def test_slots_do_not_touch_each_other(vault: Vault[str]) -> None:
    await vault.renew("a", None, minting("token a"))
    await vault.renew("b", None, minting("token b"))
    await vault.deny("b", "invalid_grant")
    assert await vault.load("a") == "token a"
    await vault.check_allowed("a")


async def test_eight_refreshers_in_two_processes_mint_once(db: Database, tmp_path: Path) -> None:
    keys = Keys.create(tmp_path / "keys.json")
    await text_vault(db, keys, SystemClock()).renew(SLOT, None, minting("stale"))
    processes = [await start("renew", db, tmp_path) for _ in range(2)]
    said = [await finish(process) for process in processes]
    assert said == ["fresh fresh fresh fresh"] * 2
    assert (tmp_path / "minted").read_text() == "stale\n"


async def test_a_killed_refresher_holds_up_the_others_for_its_lease_and_no_longer(db: Database, tmp_path: Path) -> None:
    keys = Keys.create(tmp_path / "keys.json")
    await text_vault(db, keys, SystemClock()).renew(SLOT, None, minting("stale"))
    process = await start("hang", db, tmp_path)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"minting\n"
    process.kill()
    await process.communicate()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(text_vault(db, keys, SystemClock()).renew(SLOT, "stale", never), 0.5)
    a_minute_later = text_vault(db, keys, ShiftedClock(61))
    assert await a_minute_later.renew(SLOT, "stale", minting("heir")) == "heir"
    assert await a_minute_later.load(SLOT) == "heir"


async def test_a_waiting_refresher_takes_over_when_the_lease_ends(vault: Vault[str], clock: ManualClock) -> None:
    started = asyncio.Event()

    async def hang(_current: str | None) -> str:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that event")

    first = asyncio.create_task(vault.renew(SLOT, None, hang))
    await started.wait()
    before = clock.monotonic()
    assert await vault.renew(SLOT, None, minting("heir")) == "heir"
    assert 60 <= clock.monotonic() - before < 61
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await vault.load(SLOT) == "heir"


async def test_gives_up_waiting_when_refreshers_die_one_after_another(
    db: Database, vault: Vault[str], clock: ManualClock
) -> None:
    await vault.renew(SLOT, None, minting("stale"))
    forever = datetime(2030, 1, 1, tzinfo=UTC)
    async with db.write() as tx:
        await tx.execute(update(schema.vault).values(renew_owner="another", renew_until=forever))
    before = clock.monotonic()
    with pytest.raises(TransientError, match="renewed elsewhere"):
        await vault.renew(SLOT, "stale", never)
    assert 75 <= clock.monotonic() - before < 76


async def test_a_failed_minting_gives_the_turn_back_at_once(vault: Vault[str], clock: ManualClock) -> None:
    async def unreachable(_current: str | None) -> str:
        raise TransientError("503")

    with pytest.raises(TransientError, match="503"):
        await vault.renew(SLOT, None, unreachable)
    before = clock.monotonic()
    assert await vault.renew(SLOT, None, minting("later")) == "later"
    assert clock.monotonic() == before
    await vault.check_allowed(SLOT)


async def test_a_cancelled_minting_gives_the_turn_back_at_once(vault: Vault[str], clock: ManualClock) -> None:
    started = asyncio.Event()

    async def hang(_current: str | None) -> str:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that event")

    first = asyncio.create_task(vault.renew(SLOT, None, hang))
    await started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    before = clock.monotonic()
    assert await vault.renew(SLOT, None, minting("later")) == "later"
    assert clock.monotonic() == before


async def test_a_refresher_that_outlived_its_lease_still_stores_its_token(
    vault: Vault[str], clock: ManualClock
) -> None:
    async def slow(_current: str | None) -> str:
        clock.advance(61)
        return "rotated"

    assert await vault.renew(SLOT, None, slow) == "rotated"
    assert await vault.load(SLOT) == "rotated"


async def test_a_refresher_overtaken_while_minting_uses_the_token_that_was_stored(
    vault: Vault[str], clock: ManualClock
) -> None:
    async def slow(_current: str | None) -> str:
        clock.advance(61)
        assert await vault.renew(SLOT, None, minting("heir")) == "heir"
        return "late"

    assert await vault.renew(SLOT, None, slow) == "heir"
    assert await vault.load(SLOT) == "heir"


async def test_a_late_store_leaves_the_lease_of_the_heir_alone(
    db: Database, vault: Vault[str], clock: ManualClock
) -> None:
    heir_minting, first_stored = asyncio.Event(), asyncio.Event()
    heirs: list[asyncio.Task[str]] = []

    async def second(_current: str | None) -> str:
        heir_minting.set()
        await first_stored.wait()
        return "heir"

    async def slow(_current: str | None) -> str:
        clock.advance(61)
        heirs.append(asyncio.create_task(vault.renew(SLOT, None, second)))
        await heir_minting.wait()
        return "rotated"

    assert await vault.renew(SLOT, None, slow) == "rotated"
    async with db.read() as tx:
        assert (await tx.execute(select(schema.vault.c.renew_owner))).scalar_one() is not None
    first_stored.set()
    assert await heirs[0] == "rotated"
    assert await vault.load(SLOT) == "rotated"


async def test_a_refusal_of_an_outdated_refresh_token_denies_nobody(vault: Vault[str], clock: ManualClock) -> None:
    async def overtaken(_current: str | None) -> str:
        clock.advance(61)
        await vault.renew(SLOT, None, minting("heir"))
        raise AuthenticationError("refresh token was used already")

    assert await vault.renew(SLOT, None, overtaken) == "heir"
    await vault.check_allowed(SLOT)


async def test_a_denied_login_is_not_tried_again_and_says_why(vault: Vault[str]) -> None:
    await vault.deny(SLOT, "invalid_grant")
    with pytest.raises(AuthenticationError, match="invalid_grant"):
        await vault.check_allowed(SLOT)
    with pytest.raises(AuthenticationError, match="invalid_grant"):
        await vault.renew(SLOT, None, never)


async def test_a_wrong_password_is_tried_once_by_eight_waiting_refreshers(
    db: Database, keys: Keys, vault: Vault[str]
) -> None:
    tries: list[str | None] = []

    async def wrong(current: str | None) -> str:
        tries.append(current)
        await asyncio.sleep(0.05)
        raise AuthenticationError("wrong password")

    patient = text_vault(db, keys, SystemClock())
    results = await asyncio.gather(*(patient.renew(SLOT, None, wrong) for _ in range(8)), return_exceptions=True)
    assert tries == [None]
    assert [type(result) for result in results] == [AuthenticationError] * 8
    with pytest.raises(AuthenticationError, match="wrong password"):
        await vault.check_allowed(SLOT)


async def test_forgetting_lifts_the_refusal_and_drops_the_token(vault: Vault[str]) -> None:
    await vault.renew(SLOT, None, minting("old"))
    with pytest.raises(AuthenticationError):
        await vault.renew(SLOT, "old", refused)
    await vault.forget(SLOT)
    await vault.check_allowed(SLOT)
    assert await vault.load(SLOT) is None
    assert await vault.renew(SLOT, None, minting("new")) == "new"


async def test_a_renewal_of_the_forgotten_login_is_not_stored(vault: Vault[str]) -> None:
    async def overtaken(_current: str | None) -> str:
        await vault.forget(SLOT)
        return "of the old login"

    with pytest.raises(TransientError, match="was changed"):
        await vault.renew(SLOT, None, overtaken)
    assert await vault.load(SLOT) is None


async def test_a_token_copied_into_another_slot_is_refused(db: Database, vault: Vault[str]) -> None:
    await vault.renew("mine", None, minting("token"))
    await vault.renew("yours", None, minting("another"))
    async with db.write() as tx:
        blob = (await tx.execute(select(schema.vault.c.blob).where(schema.vault.c.slot == "yours"))).scalar_one()
        await tx.execute(update(schema.vault).where(schema.vault.c.slot == "mine").values(blob=blob))
    with pytest.raises(ConfigurationError, match="another login"):
        await vault.load("mine")


async def test_tokens_survive_a_new_data_key_and_are_sealed_anew(db: Database, keys: Keys, vault: Vault[str]) -> None:
    async def stored() -> bytes:
        async with db.read() as tx:
            return bytes((await tx.execute(select(schema.vault.c.blob))).scalar_one())

    await vault.renew(SLOT, None, minting("token"))
    before = await stored()
    keys.add_data_key()
    assert await vault.load(SLOT) == "token"
    assert await vault.reseal() == 1
    assert await stored() != before
    assert await vault.load(SLOT) == "token"
