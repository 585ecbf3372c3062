"""The bare loop: the requests that the engine made, again, by httpx alone with the same connections per system."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.contender import serve
from benchmarks.scenes import WORKERS, scene_of
from ml_connector.http.transport import Connections

LOGINS, REQUESTS = "logins", "requests"


class Notebook:
    """What both systems were asked, in its order, logins in a file of their own."""

    def __init__(self, folder: Path) -> None:
        self._logins = (folder / LOGINS).open("w", encoding="utf-8")
        self._requests = (folder / REQUESTS).open("w", encoding="utf-8")

    def note(self, system: str, request: httpx.Request, content: str) -> None:
        """Write a request down, without its token, as long as the notebook is open."""
        if self._requests.closed:
            return
        headers = {key: value for key, value in request.headers.items() if key != "authorization"}
        file = self._logins if "/oauth" in request.url.path else self._requests
        file.write(json.dumps([system, request.method, str(request.url), headers, content]) + "\n")

    def forget(self) -> None:
        """Keep the logins only: what came so far is not part of the measurement."""
        self._requests.seek(0)
        self._requests.truncate()

    def close(self) -> None:
        """Finish both files."""
        self._logins.close()
        self._requests.close()


class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on over the connector's own connections and writes them down for the bare loop."""

    def __init__(self, system: str, notebook: Notebook) -> None:
        self._inner = Connections(WORKERS)
        self._system, self._notebook = system, notebook

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._notebook.note(self._system, request, (await request.aread()).decode())
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def contend(job: dict[str, Any]) -> None:
    """Log in, then make all requests in their order, at most as many at the same time as the engine may."""
    folder = Path(job["folder"])
    limits = httpx.Limits(max_connections=WORKERS, max_keepalive_connections=WORKERS)
    clients = {name: httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) for name in job["urls"]}
    tokens = dict(scene_of(job["pair"]).authorization(job["urls"]))
    for system, method, url, headers, content in _read(folder / LOGINS):
        answer = await clients[system].request(method, url, headers=headers, content=content)
        tokens[system] = f"Bearer {answer.raise_for_status().json()['access_token']}"
    kept = list(_read(folder / REQUESTS))
    for system, _method, _url, headers, _content in kept:
        headers["authorization"] = tokens[system]

    async def replay() -> dict[str, Any]:
        waiting = iter(kept)
        await asyncio.gather(*(_work(clients, waiting) for _ in range(WORKERS)))
        return {"calls": len(kept)}

    # What was loaded belongs to the measurement, not to the loop: the garbage collector shall not look at it.
    gc.freeze()
    await serve([replay])
    for client in clients.values():
        await client.aclose()


def _read(path: Path) -> Iterable[tuple[str, str, str, dict[str, str], str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            system, method, url, headers, content = json.loads(line)
            yield system, method, url, headers, content


async def _work(clients: dict[str, httpx.AsyncClient], waiting: Iterable[Any]) -> None:
    for system, method, url, headers, content in waiting:
        answer = await clients[system].request(method, url, headers=headers, content=content)
        answer.raise_for_status()
        answer.json()
