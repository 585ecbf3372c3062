"""The whole chain: flow runs in this process, recorded by a real Prefect server."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from benchmarks.contender import serve
from benchmarks.engine import NAME, connect, login_data
from benchmarks.layers import Layers
from blocks import CoupaCredentials, QadCredentials
from flows.coupa_to_qad import coupa_to_qad
from ml_connector.installation import Installation


async def contend(job: dict[str, Any]) -> None:
    """A first run that makes the ledger an old one, then one run with work, one with nothing to do."""
    await _save_blocks(job["urls"])
    async with Installation.open() as one:
        await connect(one)
    await coupa_to_qad(NAME, return_state=True)
    await serve([_profiled if job.get("layers") else _run, _run])


async def _run() -> dict[str, Any]:
    state: Any = await coupa_to_qad(NAME, return_state=True)
    return {"state": state.name, "message": state.message}


async def _profiled() -> dict[str, Any]:
    with Layers() as layers:
        found = await _run()
    return found | {"layers": layers.shares()}


async def _save_blocks(urls: dict[str, str]) -> None:
    coupa, qad = login_data(urls)
    secret, password = SecretStr(coupa.pop("client_secret")), SecretStr(qad.pop("password"))
    await CoupaCredentials(**coupa, client_secret=secret).asave(NAME, overwrite=True)
    await QadCredentials(**qad, password=password).asave(NAME, overwrite=True)
