"""A refused login is tried once; one run of a direction writes at a time, and whoever hung finds the door closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ml_connector.errors import AuthenticationError, BusyError, LeaseLostError, TransientError
from ml_connector.store.leases import LENGTH_S
from tests.engine import coupa_qad
from tests.engine import stories as tell
from tests.engine.coupa_qad import NAME
from tests.engine.stories import DIRECTION, POST, invoice, later, make, prepared, receive, retried, run, vouchers
from tests.engine.world import World

QAD_TOKEN, COUPA_TOKEN = r"^POST /clouderp/oauth/token", r"^POST /oauth2/token"


async def _ready(folder: Path, template: Path, **changes: Any) -> World:
    world = await make(folder, template, **changes)
    await receive(world, 50)
    await tell.send_in(world, invoice(1, "A-1"))
    return world


def _new_password(world: World, password: str, name: str = NAME) -> None:
    coupa, qad = world.logins[name]
    world.logins[name] = [coupa, qad.model_copy(update={"password": SecretStr(password)})]


# ---- logins


async def test_an_expired_password_is_tried_once_by_all_connections_together(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await run(world)
    await world.admin("qad", "do/change_password", {"password": "changed"})
    await tell.send_in(world, invoice(2, "A-2"))
    async with tell.second_coupa(world) as other:
        await tell.send_in(world, invoice(7, "EU-7"))
        for name in (other, other, other, NAME):
            with pytest.raises(AuthenticationError):
                await later(world, 4000, name)
    for _ in range(12):
        with pytest.raises(AuthenticationError):
            await later(world, 4000)
    assert (await world.truth("qad"))["logins"]["failed"] == 1
    _new_password(world, "changed")
    await receive(world, 50)
    assert await later(world, 60) == {"created": 1}
    assert await vouchers(world) == ["A-1", "A-2"]


async def test_a_password_that_expires_between_two_posts_loses_and_doubles_nothing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    limits = {"rps": 1000, "concurrency": 1}
    world = await _ready(tmp_path, sqlite_template, qad={"limits": limits})
    await receive(world, 40)
    await tell.send_in(world, invoice(2, "A-2", 20), invoice(3, "A-3", 20))

    async def expire() -> None:
        await world.admin("qad", "do/change_password", {"password": "changed"})
        await world.admin("qad", "do/expire_tokens", {"refresh": True})

    tell.wire(world, "qad").when(POST, expire, after=True)
    with pytest.raises(AuthenticationError):
        await run(world)
    _new_password(world, "changed")
    await later(world, 300)
    await later(world, 700)
    await later(world, 60)
    assert sorted(await vouchers(world)) == ["A-1", "A-2", "A-3"]
    assert {row.outcome.value for row in (await tell.rows(world)).values()} == {"created"}


async def test_tokens_that_end_in_the_middle_are_renewed_and_the_post_goes_once(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)

    async def end() -> None:
        await world.admin("qad", "do/expire_tokens", {})

    tell.wire(world, "qad").when(POST, end)
    assert await run(world) == {"created": 1}
    assert await vouchers(world) == ["A-1"]


@pytest.mark.parametrize(("system", "path"), [("qad", QAD_TOKEN), ("coupa", COUPA_TOKEN)])
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_trouble_at_the_token_endpoint_locks_nobody_out(
    tmp_path: Path, sqlite_template: Path, system: str, path: str, status: int
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.break_wire(world, system, "status", path.split(" ")[1], status=status, times=-1)
    with pytest.raises(TransientError):
        await run(world)
    await tell.mend_wire(world, system)
    assert await later(world, 60) == {"created": 1}


async def test_a_maintenance_page_instead_of_a_token_locks_nobody_out(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await tell.break_wire(world, "qad", "html", "/oauth/token", times=-1)
    with pytest.raises(TransientError):
        await run(world)
    await tell.mend_wire(world, "qad")
    assert await later(world, 60) == {"created": 1}


async def test_a_revoked_coupa_client_is_asked_for_once(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    await run(world)
    asked = len(await tell.calls(world, "coupa", COUPA_TOKEN))
    await world.admin("coupa", "do/revoke_client", {"client_id": "coupa-demo"})
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            await later(world, 60)
    assert len(await tell.calls(world, "coupa", COUPA_TOKEN)) == asked + 1


# ---- leases


async def test_two_runs_at_once_leave_one_effect_and_the_second_is_busy(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    async with tell.process(world, "first") as steps:
        page = await steps.fetch("invoices", 0, tell.STREAM, None)
        page = await steps.dedupe(await steps.match_check(page))
        before = await world.calls("coupa") + await world.calls("qad")
        with pytest.raises(BusyError):
            await run(world)
        assert await world.calls("coupa") + await world.calls("qad") == before
        assert (await steps.write(page)).counts == {"created": 1}
    assert await run(world) == {}
    assert await vouchers(world) == ["A-1"]


async def test_work_that_a_busy_run_left_is_done_by_the_next(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    async with tell.process(world, "first"):
        with pytest.raises(BusyError):
            await run(world)
    assert await run(world) == {"created": 1}


@pytest.mark.parametrize("step", ["match_check", "dedupe", "write"])
async def test_a_worker_that_hung_past_its_lease_sends_nothing_when_it_comes_back(
    tmp_path: Path, sqlite_template: Path, step: str
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    async with tell.process(world, "hung") as steps:
        page = await steps.fetch("invoices", 0, tell.STREAM, None)
        if step != "match_check":
            page = await steps.match_check(page)
        if step == "write":
            page = await steps.dedupe(page)
        world.clock.advance(LENGTH_S + 1)
        assert await run(world) == {"created": 1}
        before = await tell.writes(world)
        with pytest.raises(LeaseLostError):
            for name in ("match_check", "dedupe", "write")[("match_check", "dedupe", "write").index(step) :]:
                page = await getattr(steps, name)(page)
        assert await tell.writes(world) == before
    assert await run(world) == {}


async def test_a_worker_that_hung_sends_nothing_of_what_it_read_before(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    async with tell.process(world, "hung") as steps:
        page = await steps.fetch("invoices", 0, tell.STREAM, None)
        page = await steps.dedupe(await steps.match_check(page))
        world.clock.advance(LENGTH_S * 3)
        with pytest.raises(LeaseLostError):
            await steps.write(page)
    assert await vouchers(world) == []
    assert await later(world, 60) == {"created": 1}
    assert await vouchers(world) == ["A-1"]


async def test_nothing_is_sent_so_late_that_its_answer_could_outlive_the_lease(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template, qad={"limits": {"rps": 1000, "concurrency": 1}})
    await receive(world, 50)
    await tell.send_in(world, invoice(2, "A-2"))

    async def hang() -> None:
        world.clock.advance(LENGTH_S - 50)

    tell.wire(world, "qad").when(POST, hang)
    with pytest.raises(LeaseLostError):
        await run(world)
    assert len(await tell.calls(world, "qad", POST)) == 1
    await later(world, 300)
    await later(world, 700)
    assert sorted(await vouchers(world)) == ["A-1", "A-2"]


async def test_a_post_of_a_hung_worker_that_lands_under_its_successor_is_one_voucher(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await _ready(tmp_path, sqlite_template)
    page = await prepared(world, "hung")
    await tell.break_wire(world, "qad", "late", "POST supplierInvoices", seconds=400)

    async def hang() -> None:
        world.clock.advance(LENGTH_S + 1)

    tell.wire(world, "qad").when(POST, hang)
    with pytest.raises(LeaseLostError):
        await retried(world, page)
    assert await run(world) == {"in_doubt": 1}
    assert len(await tell.calls(world, "qad", POST)) == 1
    await later(world, 500)
    await later(world, 400)
    assert await vouchers(world) == ["A-1"]
    assert (await tell.rows(world))["1"].complete


async def test_a_connection_of_another_login_is_not_stopped(tmp_path: Path, sqlite_template: Path) -> None:
    world = await _ready(tmp_path, sqlite_template)
    _new_password(world, "mistyped")
    with pytest.raises(AuthenticationError):
        await run(world)
    world.logins[NAME] = coupa_qad.logins()
    assert await world.run(DIRECTION, NAME) == {"created": 1}
