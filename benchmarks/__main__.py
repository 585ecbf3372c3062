"""`make bench`: post invoices through the engine, then replay exactly its requests in a bare httpx loop.

Both go over real HTTP to stand-in tenants in processes of their own. Three rounds, the median is shown; read the
ratio, not the absolute numbers, which belong to the machine.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from ml_connector.clock import SystemClock
from ml_connector.domain.outcomes import Outcome
from ml_connector.installation import Installation
from ml_connector.pairs.coupa_qad.session import COUPA_TO_QAD
from ml_connector.settings import Settings
from ml_connector.store import ledger
from ml_connector.store.crypto import Keys
from ml_connector.store.database import Database
from ml_connector.store.migrate import upgrade
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.steps import chain
from ml_connector.systems.coupa.config import CoupaCredentialsData
from ml_connector.systems.qad.config import QadPasswordLogin

INVOICES, ROUNDS, WORKERS = 500, 3, 8
Recorded = tuple[str, httpx.Request, bytes]


class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on and keeps them for the bare loop."""

    def __init__(self, system: str, kept: list[Recorded]) -> None:
        limits = httpx.Limits(max_connections=WORKERS, max_keepalive_connections=WORKERS)
        self._inner = httpx.AsyncHTTPTransport(limits=limits)
        self._system, self._kept = system, kept

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._kept.append((self._system, request, await request.aread()))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@contextmanager
def tenant(name: str, *options: str) -> Iterator[str]:
    """A stand-in tenant in its own process; gives its address."""
    command = [sys.executable, "-m", "sandbox", name, "--port", "0", "--seed", "base", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield json.loads(line)["url"]
        finally:
            process.terminate()


async def seed(urls: dict[str, str]) -> None:
    """One order with enough receipts, and invoices of one piece each."""
    order = {"purchaseOrderNumber": "PO300001", "supplierCode": "SUP00001", "currencyCode": "USD"}
    line = {"purchaseOrderLine": 1, "itemCode": "ITEM0001", "quantityOrdered": INVOICES, "purchaseCost": 12}
    receipt = {"purchaseOrderNumber": "PO300001", "purchaseOrderLine": 1, "receiverNumber": "RC000001"}
    receipt |= {"quantityReceived": INVOICES, "supplierCode": "SUP00001", "receiptDate": "2026-02-03"}
    qad = {"purchaseOrders": [{**order, "lines": [line]}], "receipts": [receipt]}
    async with httpx.AsyncClient(timeout=60) as http:
        for name, document in (("qad", qad), ("coupa", {"invoices": [invoice(n) for n in range(1, INVOICES + 1)]})):
            (await http.post(f"{urls[name]}/_sandbox/reset")).raise_for_status()
            (await http.post(f"{urls[name]}/_sandbox/seed/base")).raise_for_status()
            (await http.post(f"{urls[name]}/_sandbox/seed", json=document)).raise_for_status()


def invoice(number: int) -> dict[str, Any]:
    """An approved invoice over one piece."""
    line = {"line-num": 1, "type": "InvoiceQuantityLine", "po-number": "PO300001", "order-line-num": "1"}
    return {
        "id": number,
        "invoice-number": f"B-{number:05}",
        "invoice-date": "2026-02-09T00:00:00-08:00",
        "status": "approved",
        "currency": {"code": "USD"},
        "supplier": {"number": "SUP00001"},
        "line-level-taxation": True,
        "total-with-taxes": "12.00",
        "gross-total": "12.00",
        "payment-channel": "ERP",
        "invoice-lines": [line | {"quantity": "1", "price": "12.00", "total": "12.00", "tax-amount": "0.00"}],
    }


async def engine(urls: dict[str, str], folder: Path) -> tuple[float, list[Recorded]]:
    """Seconds that the engine needs, and the requests it made."""
    kept: list[Recorded] = []
    database = Database(f"sqlite+aiosqlite:///{folder / 'store.db'}")
    await upgrade(database)
    one = Installation.assemble(Settings(home=folder), database, Keys.generate(), SystemClock())
    limits = {"rps": 100_000, "concurrency": WORKERS}
    settings = {
        "coupa": {"per_second": 100_000, "concurrency": WORKERS},
        "qad": {"domain": "10USA", "entity": "10USACO", "limits": limits},
    }
    row = ConnectionRow("bench", "coupa_qad", "coupa-credentials/bench", "qad-credentials/bench", "", "")
    source = await one.tenants.get_or_create("coupa", "bench")
    target = await one.tenants.get_or_create("qad", "bench")
    row = await one.connections.save(
        ConnectionRow(row.name, row.pair, row.source_block, row.target_block, source, target, settings=settings)
    )
    transports = {name: Recorder(name, kept) for name in urls}
    started = time.perf_counter()
    async with COUPA_TO_QAD.open(one, row, logins(urls), run_id=uuid4().hex, transports=transports) as session:
        for page in await chain(session.steps, "invoices"):
            if set(page.counts) - {"created"}:
                waiting = await ledger.listing(database, outcomes=[Outcome.HELD, Outcome.REJECTED, Outcome.IN_DOUBT])
                raise SystemExit(f"{page.counts}: {[one.text for row in waiting for one in row.reasons][:3]}")
    seconds = time.perf_counter() - started
    await database.close()
    return seconds, kept


def logins(urls: dict[str, str]) -> list[Any]:
    """The stand-in tenants' demo logins."""
    return [
        CoupaCredentialsData.model_validate(
            {"base_url": urls["coupa"], "client_id": "coupa-demo", "client_secret": "coupa-demo-secret"}
        ),
        QadPasswordLogin.model_validate(
            {
                "base_url": f"{urls['qad']}/clouderp",
                "client_id": "qad-demo-client",
                "username": "qad-demo",
                "password": "qad-demo-password",
            }
        ),
    ]


async def bare(kept: list[Recorded]) -> float:
    """Seconds that a loop needs which only makes the same requests, system by system in the same order."""
    limits = httpx.Limits(max_connections=WORKERS, max_keepalive_connections=WORKERS)
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:
        started = time.perf_counter()
        tokens: dict[str, str] = {}
        waiting = iter([one for one in kept if "/oauth" in str(one[1].url)])

        async def work() -> None:
            for system, request, content in waiting:
                headers = {name: value for name, value in request.headers.items() if name != "authorization"}
                if system in tokens:
                    headers["authorization"] = f"Bearer {tokens[system]}"
                answer = await http.request(request.method, request.url, headers=headers, content=content)
                if "access_token" in answer.text[:200]:
                    tokens[system] = answer.json()["access_token"]
                answer.raise_for_status()

        await work()
        waiting = iter([one for one in kept if "/oauth" not in str(one[1].url)])
        await asyncio.gather(*(work() for _ in range(WORKERS)))
        return time.perf_counter() - started


async def measure(urls: dict[str, str]) -> tuple[float, float, int]:
    """One round: engine seconds, bare seconds, calls."""
    await seed(urls)
    with tempfile.TemporaryDirectory() as folder:
        seconds, kept = await engine(urls, Path(folder))
    await seed(urls)
    return seconds, await bare(kept), len(kept)


def main() -> None:
    """Measure and print the table."""
    with tenant("coupa", "--option", "throttle=false") as coupa, tenant("qad") as qad:
        urls = {"coupa": coupa, "qad": qad}
        rounds = [asyncio.run(measure(urls)) for _ in range(ROUNDS)]
    ours, loop = (statistics.median(one[n] for one in rounds) for n in (0, 1))
    ratio = statistics.median(one[1] / one[0] for one in rounds)
    sys.stdout.write(
        f"{INVOICES} invoices, single writes, {WORKERS} connections, median of {ROUNDS}\n"
        f"engine (ledger, lookup, audit, sealing): {INVOICES / ours:8.1f} records/s\n"
        f"bare loop, the same requests:            {INVOICES / loop:8.1f} records/s\n"
        f"ratio {ratio:.2f}; calls per record {rounds[0][2] / INVOICES:.2f}\n"
    )


if __name__ == "__main__":
    main()
