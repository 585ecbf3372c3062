"""A planted secret and a planted supplier name are in clear nowhere: not with Prefect, not with us, not in a log."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from ml_connector.installation import Installation
from ml_connector.store import ledger
from sandbox import story
from tests.flows.customers import CANARIES, SUPPLIER_NAME, Customer, customer
from tests.flows.desk import Desk, until

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
        _nothing_in_clear(desk.home.root, caplog.text)


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


def _nothing_in_clear(root: Path, our_log: str) -> None:
    words = {spelled for word in CANARIES for spelled in _spellings(word)}
    found = [f"log of this process: {word!r}" for word in words if word in our_log.encode()]
    looked_at = []
    for path in sorted(one for one in root.rglob("*") if one.is_file()):
        looked_at.append(path.name)
        content = path.read_bytes()
        found += [f"{path.name}: {word!r}" for word in words if word in content]
    for path in (root / "prefect" / "prefect.db", root / "ml-connector.db"):
        text = b"\n".join(_dumped(path))
        assert b"INV-1001" in text, f"{path.name} was not read as it should be"
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
