"""The engine alone, without Prefect: the same steps of the same direction, called one after another."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from benchmarks.bare import Notebook, Recorder
from benchmarks.contender import serve
from benchmarks.tenants import WORKERS
from ml_connector.installation import Installation
from ml_connector.pairs.coupa_qad.session import COUPA_TO_QAD
from ml_connector.store.tenants import ConnectionRow
from ml_connector.sync.steps import chain
from ml_connector.systems.coupa.config import CoupaCredentialsData
from ml_connector.systems.qad.config import QadPasswordLogin

NAME = "bench"
SETTINGS: dict[str, Any] = {
    "coupa": {"per_second": 100_000, "concurrency": WORKERS},
    "qad": {"domain": "10USA", "entity": "10USACO", "limits": {"rps": 100_000, "concurrency": WORKERS}},
}


async def connect(installation: Installation) -> ConnectionRow:
    """Store the connection between the two tenants."""
    source = await installation.tenants.get_or_create("coupa", NAME)
    target = await installation.tenants.get_or_create("qad", NAME)
    blocks = f"coupa-credentials/{NAME}", f"qad-credentials/{NAME}"
    return await installation.connections.save(
        ConnectionRow(NAME, "coupa_qad", *blocks, source, target, settings=SETTINGS)
    )


def login_data(urls: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The stand-in tenants' demo logins."""
    coupa = {"base_url": urls["coupa"], "client_id": "coupa-demo", "client_secret": "coupa-demo-secret"}
    qad = {"base_url": f"{urls['qad']}/clouderp", "client_id": "qad-demo-client"}
    return coupa, qad | {"username": "qad-demo", "password": "qad-demo-password"}


async def contend(job: dict[str, Any]) -> None:
    """A first run that makes the ledger an old one, then what the parent asks for; requests are written down."""
    coupa, qad = login_data(job["urls"])
    logins = [CoupaCredentialsData.model_validate(coupa), QadPasswordLogin.model_validate(qad)]
    notebook = Notebook(Path(job["folder"]))
    async with Installation.open() as one:
        row = await connect(one)

        async def run() -> dict[str, Any]:
            transports: dict[str, httpx.AsyncBaseTransport] = {name: Recorder(name, notebook) for name in job["urls"]}
            counts: Counter[str] = Counter()
            async with COUPA_TO_QAD.open(one, row, logins, run_id=uuid4().hex, transports=transports) as session:
                for route in session.steps.run.routes:
                    for page in await chain(session.steps, route):
                        counts.update(page.counts)
                await session.finish(counts)
                streams = sum(len(getattr(one, "sources", "1")) for one in session.steps.run.routes.values())
            return {"counts": dict(counts), "streams": streams}

        async def idle() -> dict[str, Any]:
            notebook.close()
            return await run()

        await run()
        notebook.forget()
        await serve([run, idle])
