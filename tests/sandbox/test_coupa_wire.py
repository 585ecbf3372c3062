"""The stand-in Coupa tenant over real connections: lost answers, late payments, spoiled logins, the rate limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from sandbox.coupa.app import create
from sandbox.kit.serve import running
from tests.sandbox.coupa_visitor import Visitor

PAYMENT = {"payments": [{"amount-paid": "108.00", "notes": "t1 QAD Check#1"}]}
ENTRY = {"notes": "t1 QAD Check#1", "amount-paid": "108.00"}


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[Visitor]:
    app = create(options=options)
    async with running(app) as url, httpx.AsyncClient(base_url=url, timeout=5) as http:
        guest = Visitor(http, app)
        await guest.login()
        await guest.seed(invoices=[{"id": 4835}])
        yield guest


async def test_payment_whose_answer_was_reset_is_there_and_a_blind_retry_doubles_it() -> None:
    async with served() as guest:
        await guest.fault(kind="reset_after", method="PUT", path="/api/invoices/4835$")
        with pytest.raises(httpx.ReadError):
            await guest.put("invoices/4835", PAYMENT)
        assert (await guest.truth())["payments"] == {"4835": [ENTRY]}
        await guest.put("invoices/4835", PAYMENT)
        assert (await guest.truth())["payments"] == {"4835": [ENTRY, ENTRY]}


async def test_payment_whose_call_was_reset_before_is_not_there() -> None:
    async with served() as guest:
        await guest.fault(kind="reset_before", method="PUT")
        with pytest.raises(httpx.ReadError):
            await guest.put("invoices/4835", PAYMENT)
        assert (await guest.truth())["payments"] == {}


async def test_payment_asked_for_at_once_is_absent_and_commits_late() -> None:
    async with served() as guest:
        await guest.fault(kind="late", seconds=300, method="PUT")
        with pytest.raises(httpx.ReadError):
            await guest.put("invoices/4835", PAYMENT)
        assert (await guest.get("invoices/4835")).json()["payments"] == []
        await guest.advance(300)
        assert len((await guest.get("invoices/4835")).json()["payments"]) == 1


@pytest.mark.parametrize("kind", ["hang_after", "truncated", "malformed", "status_after"])
async def test_export_takes_effect_though_its_answer_is_spoiled(kind: str) -> None:
    async with served() as guest:
        await guest.fault(kind=kind, path=r"exported=true")
        guest.http.timeout = httpx.Timeout(0.3)
        try:
            answer = await guest.put("invoices/4835?exported=true")
        except httpx.TransportError:
            answer = None
        guest.http.timeout = httpx.Timeout(5)
        assert answer is None or answer.status_code == 503 or not answer.text.endswith("}")
        assert (await guest.truth())["exported"] == {"4835": 1}


@pytest.mark.parametrize(
    ("rule", "status"), [({"kind": "status", "status": 401}, 401), ({"kind": "html"}, 200), ({"kind": "status"}, 503)]
)
async def test_export_has_no_effect_when_it_is_refused_on_the_way(rule: dict[str, Any], status: int) -> None:
    async with served() as guest:
        await guest.fault(path=r"exported=true", **rule)
        assert (await guest.put("invoices/4835?exported=true")).status_code == status
        assert (await guest.truth())["exported"] == {}


async def test_login_that_ends_mid_run_answers_401_until_renewed() -> None:
    async with served() as guest:
        assert (await guest.get("invoices")).status_code == 200
        await guest.do("expire_tokens")
        assert (await guest.get("invoices")).status_code == 401
        await guest.login()
        assert (await guest.get("invoices")).status_code == 200


async def test_rate_limit_is_on_by_default_over_the_wire() -> None:
    async with served() as guest:
        await guest.do("set_option", throttle_rate=0.01)  # so slow a refill that a busy machine does not matter
        codes = [(await guest.get("invoices", limit=1)).status_code for _ in range(25)]
        assert codes == [200] * 20 + [429] * 5
        noted = (await guest.http.get("/_sandbox/requests")).json()["requests"]
        assert sum(one["status"] == 429 for one in noted) == codes.count(429)


async def test_drain_by_keyset_exports_everything_exactly_once() -> None:
    async with served(throttle=False) as guest:
        await guest.seed(invoices=[{} for _ in range(60)])
        last = 0
        while page := (await guest.get("invoices", exported="false", **{"id[gt]": last})).json():
            for one in page:
                await guest.put(f"invoices/{one['id']}?exported=true&return_object=none")
            last = page[-1]["id"]
        truth = await guest.truth()
        assert len(truth["exported"]) == 61
        assert set(truth["exported"].values()) == set(truth["exported_calls"].values()) == {1}
