"""A planted secret and a planted supplier name are in clear nowhere: not with Prefect, not with us, not in a log."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import UUID

import httpx
import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from ml_connector.installation import Installation
from ml_connector.store import ledger
from ml_connector.store.ingresses import Ingresses
from sandbox import story
from tests.engine.qad_jira import BACK, THERE
from tests.flows.customers import CANARIES, QAD_PASSWORD, SUPPLIER_NAME, Customer, customer
from tests.flows.desk import Desk, until
from tests.flows.jira_desk import API_TOKEN, APP_SECRET, Exceptions, exceptions, receiving, token_of
from tests.webhooks.senders import issue_event, signature

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORY = {"coupa": story.coupa(), "qad": story.qad()}
NAMED = f"Supplier {SUPPLIER_NAME} is on hold"
REFUSAL = {"submitResult": {"success": "false", "errors": [{"fieldName": "supplierCode", "message": NAMED}]}}
# Every step that takes part in a run, so that what it hands to Prefect was looked at.
STEPS = {"auth", "fetch", "match_check", "dedupe", "write"}


async def test_canaries_are_in_clear_nowhere(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async with customer(desk, "canary", STORY) as acme:
        # QAD's own words name the supplier, once in a refusal of a record and once in a failure that ends the run.
        post = {"method": "POST", "path": "supplierInvoices"}
        await acme.spoil("qad", **post, kind="status", status=200, body=REFUSAL)
        first = await acme.run()
        assert first.name == "Held"
        assert list((await acme.outcomes()).values()).count("rejected") == 2
        await acme.admin("qad", "do/post_receipt", _receipt_of_the_held_one())
        await acme.spoil("qad", **post, kind="status", status=403, body={"errors": [{"message": NAMED}]})
        failed = await acme.run_by_worker()
        assert failed.state is not None and failed.state.is_failed()
        await acme.repair("qad")
        ended = await desk.retry(failed.id)

        await _the_names_did_travel(acme)
        await _steps_take_names_and_handles(desk, ended.id)
        _nothing_in_clear(desk.home.root, caplog.text, CANARIES, seen="INV-1001")


async def test_canaries_of_jira_and_its_webhooks_are_in_clear_nowhere(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    dynamic, admin = {"webhook": "dynamic"}, {"webhook": "admin"}
    async with (
        receiving(desk.stack) as url,
        exceptions(desk, "canary-app", login="oauth", jira=dynamic) as app,
        exceptions(desk, "canary-token", jira=admin) as site,
    ):
        words = [API_TOKEN, APP_SECRET, QAD_PASSWORD, await site.open_door(url), await _registered(app, url)]
        first = await token_of(app.name)
        for one in (app, site):
            assert (await one.run(THERE)).message == "3 read: 3 created"
            await one.finish(await one.issue_of("INV-3002"))
        await _careless(f"{url}/webhooks/jira/{site.name}", words)
        for one in (app, site):
            await one.quiet()
            assert (await one.shown("INV-3002"))["customShort2"] == "Done"
        # The app's token is renewed once; the next time the login server repeats what it was sent.
        await app.admin("jira", "do/expire_tokens", {})
        assert (await app.run_by_worker(BACK)).state is not None
        second = await token_of(app.name)
        assert second.refresh != first.refresh
        words += [first.refresh, first.access, second.refresh, second.access]
        await _refused_with(app, " ".join(words))
        await _refused_with(site, API_TOKEN)
        _nothing_in_clear(desk.home.root, caplog.text, words, seen="AP-2")


async def _registered(app: Exceptions, url: str) -> str:
    """The app has registered its webhook at a door that is sealed with its own secret, which is returned."""
    await app.open_door(url, kind="dynamic")
    ended = await app.run_by_worker("renew-jira-webhooks")
    assert ended.state is not None and ended.state.is_completed(), ended.state
    (hook,) = await app.admin("jira", "state/webhooks", method="GET")
    assert hook["kind"] == "dynamic"
    async with Installation.open() as one:
        (secret,) = (
            await Ingresses(one.store.db, one.store.keys, one.store.audit, one.store.clock).get(app.name)
        ).secrets
    assert secret == APP_SECRET
    return secret


async def _careless(url: str, words: Sequence[str]) -> None:
    """Senders that show secrets where none belong: in the address, in headers, and in a body nobody signed."""
    told = " ".join(words)
    body = issue_event(10_001, site="127.0.0.1", timestamp=None, note=told)
    async with httpx.AsyncClient(trust_env=False) as http:
        bare = await http.post(url, params={"secret": told}, headers={"X-Secret": told}, content=body)
        assert bare.status_code == 401
        signed = {"X-Hub-Signature": signature(body, words[3]), "X-Told": told}
        assert (await http.post(url, headers=signed, content=body)).status_code == 202
        broken = {"X-Hub-Signature": signature(told.encode(), words[3])}
        assert (await http.post(url, headers=broken, content=told.encode())).status_code == 400


async def _refused_with(one: Exceptions, told: str) -> None:
    """Jira refuses everything from now on, and its answers repeat the secrets."""
    answer = {"error": "invalid_grant", "error_description": told, "errorMessages": [told], "message": told}
    await one.spoil("jira", kind="status", status=403, path="oauth/token", body=answer, times=-1)
    seraph = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED", "X-Told": "yes"}
    await one.spoil("jira", kind="status", status=401, path="/rest/", body=answer, headers=seraph, times=-1)
    state = (await one.run_by_worker(BACK)).state
    assert state is not None and state.is_failed(), state


def _receipt_of_the_held_one() -> dict[str, object]:
    return {"purchaseOrderNumber": "PO100005", "purchaseOrderLine": 1, "quantity": 40}


async def _the_names_did_travel(acme: Customer) -> None:
    """They are in our store, sealed; otherwise finding nothing in clear would prove nothing."""
    async with Installation.open() as one:
        opened = b""
        for row in (await acme.standing()).values():
            for blob in await ledger.sealed(one.store.db, row.id):
                opened += one.store.keys.open(blob, about=row.id) if blob else b""
    assert opened.count(SUPPLIER_NAME.encode()) >= 4
    assert NAMED.encode() in opened


async def _steps_take_names_and_handles(desk: Desk, run: UUID) -> None:
    which = FlowRunFilter(id=FlowRunFilterId(any_=[run]))

    async def probe() -> list[str] | None:
        steps = await desk.client.read_task_runs(flow_run_filter=which)
        told = [step.model_dump_json() for step in steps]
        return told if {step.name.split(" ")[0] for step in steps} >= STEPS else None

    for told in await until(probe, "every step to be recorded", within=15):
        assert not [word for word in CANARIES if word in told]


def _nothing_in_clear(root: Path, our_log: str, canaries: Sequence[str], *, seen: str) -> None:
    """`seen` stands in both databases, to prove that they were read."""
    words = {spelled for word in canaries for spelled in _spellings(word)}
    found = [f"log of this process: {word!r}" for word in words if word in our_log.encode()]
    looked_at = []
    for path in sorted(one for one in root.rglob("*") if one.is_file()):
        looked_at.append(path.name)
        content = path.read_bytes()
        found += [f"{path.name}: {word!r}" for word in words if word in content]
    for path in (root / "prefect" / "prefect.db", root / "ml-connector.db"):
        text = b"\n".join(_dumped(path))
        assert seen.encode() in text, f"{path.name} was not read as it should be"
        found += [f"{path.name}, dumped: {word!r}" for word in words if word in text]
    assert {"prefect.db", "prefect.db-wal", "prefect-server.log", "prefect-worker.log"} <= set(looked_at)
    assert len(looked_at) > 30
    assert found == []


def _spellings(word: str) -> Iterator[bytes]:
    """The word as it stands, in a query, in Base64 at each of the three offsets, and in hexadecimal."""
    yield word.encode()
    yield quote(word).encode()
    yield quote_plus(word).encode()
    yield word.encode().hex().encode()
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + word.encode())
        yield whole[4 if offset else 0 : -4]


def _dumped(path: Path) -> Iterator[bytes]:
    """Every row of a database as text, also one that SQLite spreads over several pages."""
    with closing(sqlite3.connect(path)) as database:
        for (name,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in database.execute(f'select * from "{name}"'):
                yield b"|".join(one if isinstance(one, bytes) else str(one).encode() for one in row)
