"""How calls to Jira are made: questions (also those asked by POST), pages by offset, writes, answers into models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import httpx

from ml_connector.errors import ConfigurationError, ContractError, UnknownOutcomeError
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.systems.jira.config import JiraTenant
from ml_connector.systems.jira.errors import SYSTEM, About, check
from ml_connector.systems.jira.models import JiraModel

API = "/rest/api/3"
MAX_LOT = 100
MAX_PAGES = 1000
HEADERS = {"Accept": "application/json"}
# Some writes answer 415 without it even when they have no body (README: Calls).
WRITE_HEADERS = {**HEADERS, "Content-Type": "application/json"}
Model = TypeVar("Model", bound=JiraModel)
Pairs = Sequence[tuple[str, str]]


class JiraCalls:
    """The calls that the endpoints of one site are made of."""

    def __init__(self, http: HttpClient, tenant: JiraTenant, *, site_url: str, addressed: bool = True) -> None:
        self.http = http
        self.tenant = tenant
        self.site_url = site_url
        self._addressed = addressed

    async def _get(self, path: str, about: About, params: Pairs = ()) -> Any:
        """What a GET answers, as JSON."""
        return read_json(check(await self._got(path, about, params), about), about)

    async def _got(self, path: str, about: About, params: Pairs = ()) -> httpx.Response:
        """The answer of a GET, whatever it says."""
        return await self.http.read(
            "GET",
            self._path(path),
            operation=about.operation,
            params=list(params),
            headers=HEADERS,
            external_id=about.external_id,
        )

    async def _ask(self, path: str, body: Mapping[str, Any], about: About, params: Pairs = ()) -> Any:
        """What a question answers that Jira wants by POST; it changes nothing."""
        response = await self.http.read(
            "POST",
            self._path(path),
            operation=about.operation,
            params=list(params),
            json=body,
            headers=HEADERS,
            external_id=about.external_id,
        )
        return read_json(check(response, about), about)

    async def _write(self, method: str, path: str, about: About, body: Any = None) -> httpx.Response:
        """A write that Jira has accepted; every refusal is raised."""
        return check(await self._written(method, path, about, body), about)

    async def _written(self, method: str, path: str, about: About, body: Any = None) -> httpx.Response:
        """The answer to a write, whatever it says."""
        return await self.http.write(
            method,
            self._path(path),
            operation=about.operation,
            external_id=about.external_id,
            json=body,
            headers=WRITE_HEADERS,
        )

    async def _pages(self, path: str, about: About, members: Sequence[str], params: Pairs = ()) -> list[Any]:
        """All rows of a list that is paged by offset; `members` are the names under which rows may stand."""
        found: list[Any] = []
        for _ in range(MAX_PAGES):
            paging = [("startAt", str(len(found))), ("maxResults", str(MAX_LOT))]
            answer = await self._get(path, about, [*params, *paging])
            rows = rows_of(answer, members, about)
            found += rows
            if not rows or answer.get("isLast") is True or _reached(answer, len(found)):
                return found
        raise about.error(ContractError, f"the list did not end after {MAX_PAGES} pages")

    async def _list(self, path: str, about: About, params: Pairs = ()) -> list[Any]:
        """All rows of a list that comes in one piece."""
        rows = await self._get(path, about, params)
        if not isinstance(rows, list):
            raise about.error(ContractError, "the answer is not a list")
        return rows

    def _read(self, model: type[Model], rows: Sequence[Any], about: About) -> tuple[Model, ...]:
        return tuple(model.parse(row, self.http, about.operation) for row in rows)

    def _path(self, path: str) -> str:
        if not self._addressed:
            message = f"cloud_id of tenant {self.http.tenant} is missing: connect it, and its site is looked up"
            raise ConfigurationError(message, system=SYSTEM)
        return API + path


def read_json(response: httpx.Response, about: About) -> Any:
    """The JSON of an answer; UnknownOutcomeError when it belongs to an accepted write and cannot be read."""
    try:
        return loads(response.content, system=SYSTEM, operation=about.operation)
    except ContractError as error:
        if about.write:
            raise about.error(UnknownOutcomeError, f"accepted, but {error.message}") from None
        raise


def rows_of(answer: Any, members: Sequence[str], about: About) -> list[Any]:
    """The rows of a page, under the first of these names that it has."""
    for name in members:
        rows = answer.get(name) if isinstance(answer, Mapping) else None
        if isinstance(rows, list):
            return rows
    raise about.error(ContractError, f"{members[0]}: missing or not a list")


def lots(values: Sequence[str], size: int = MAX_LOT) -> list[list[str]]:
    """Different values in lots that one call takes, in their order."""
    every = list(dict.fromkeys(values))
    return [every[start : start + size] for start in range(0, len(every), size)]


def _reached(answer: Mapping[str, Any], count: int) -> bool:
    total = answer.get("total")
    if isinstance(total, int):
        return count >= total
    return "isLast" not in answer  # a list that tells neither its length nor its end has no second page
