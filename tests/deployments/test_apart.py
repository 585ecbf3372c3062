"""Two connections that do not overlap share nothing by accident, even when one's name begins with the other's."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from deployments import connecting, planning
from deployments.home import Home
from ml_connector.installation import Installation
from ml_connector.pairs import registry
from ml_connector.settings import Settings
from ml_connector.store import marks, pages
from ml_connector.store.leases import Lease
from tasks.artifacts import _key
from tasks.runtime import ActiveRun
from tasks.tags import connection_tag
from tests.engine.coupa_qad import logins, settings

# Names that would meet in any key that is put together carelessly.
NAMES = ("acme", "acme-coupa-to-qad", "acme-qad-to-coupa", "acme-login", "ml-connector")
WAYS = tuple(registry.DIRECTIONS)
SHOWN = ("progress", "outcomes", "waiting")


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """An installation's own home."""
    found = Settings(home=tmp_path / "home")
    Home.open(found)
    return found


async def _connect(one: Installation) -> None:
    source, target = logins()
    for name in NAMES:
        apart = settings(invoices={"chart_of_accounts": name}, suppliers={"direction": "none"})
        model = connecting.settings_of("coupa_qad", apart, about=name)
        blocks = (f"coupa-credentials/{name}", f"qad-credentials/{name}")
        await connecting.save(one, connecting.describe(name, "coupa_qad", blocks, (source, target), model))


async def test_each_has_deployments_of_its_own(home: Settings) -> None:
    async with Installation.open(home) as one:
        await _connect(one)
        planned = await planning.plan(one)
    names = [item.full_name for item in planned]
    ways = registry.of_pair("coupa_qad")
    services = [one for one in planning.SERVICES if one.system in ("", "coupa", "qad")]
    assert len(names) == len(set(names)) == len(NAMES) * (len(ways) + len(services) + 1) + 1
    for item in planned:
        assert item.connection in (*NAMES, "")
        assert item.parameters.get("connection", "") == item.connection
        others = {connection_tag(name) for name in NAMES if name != item.connection}
        assert not others & set(item.tags)


def test_each_has_artifacts_of_its_own() -> None:
    keys = [_key(ActiveRun(name, way), what) for name, way, what in product(NAMES, WAYS, SHOWN)]
    keys += [f"{name}-login" for name in NAMES]
    assert len(keys) == len(set(keys))


async def test_each_has_leases_and_marks_of_its_own(home: Settings) -> None:
    async with Installation.open(home) as one:
        store = one.store
        held = [Lease(store.db, store.clock, name=f"{name}/{way}", owner=name) for name, way in product(NAMES, WAYS)]
        for lease in [*held, Lease(store.db, store.clock, name="/deployments", owner="deploy")]:
            await lease.acquire(wait_s=0)
        for name in NAMES:
            async with store.db.write() as tx:
                await marks.advance(store.db, tx, where=(name, "qad.payments"), value=name, now=store.clock.now())
        assert [await marks.get_mark(store.db, name, "qad.payments") for name in NAMES] == list(NAMES)


async def test_each_run_has_pages_of_its_own(home: Settings) -> None:
    async with Installation.open(home) as one:
        db, now = one.store.db, one.store.clock.now()
        # A flow run's id, and the parts of one that works on several directions.
        runs = ["run", *(f"run/{way}" for way in WAYS)]
        for run in runs:
            async with db.write() as tx:
                await pages.put(db, tx, where=(run, "invoices", 0, "fetched"), blob=run.encode(), now=now)
        found = [await pages.get(db, (run, "invoices", 0, "fetched")) for run in runs]
        assert found == [run.encode() for run in runs]


async def test_each_block_has_a_slot_of_its_own_and_shares_it_only_with_its_own_login(home: Settings) -> None:
    async with Installation.open(home) as one:
        coupa, qad = logins()
        slots = [one.slot(f"coupa-credentials/{name}", coupa) for name in NAMES]
        slots += [one.slot(f"qad-credentials/{name}", qad) for name in NAMES]
        assert len(slots) == len(set(slots))
        await one.vault.deny(slots[0], "refused")
        for slot in slots[1:]:
            await one.vault.check_allowed(slot)
