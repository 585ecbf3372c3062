"""Jira's endpoints as far as we use them: one method each, wire models in and out, no business rule.

Catalogue and webhooks stand in files of their own; this one has the issues and puts the client together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from ml_connector.clock import Clock, SystemClock
from ml_connector.errors import ConfigurationError, ContractError, UnknownOutcomeError
from ml_connector.http.budget import Budget
from ml_connector.http.client import HttpClient
from ml_connector.http.json import loads
from ml_connector.http.tokens import TokenStore
from ml_connector.http.transport import Connections
from ml_connector.http.urls import check_base_url
from ml_connector.systems.jira.auth import LOGIN_LIMITS, ApiTokenAuth, consent_age_days, gateway_auth
from ml_connector.systems.jira.calls import MAX_LOT, lots, read_json, rows_of
from ml_connector.systems.jira.catalogue import CatalogueCalls
from ml_connector.systems.jira.config import JiraApiTokenLogin, JiraLogin, JiraTenant
from ml_connector.systems.jira.errors import SYSTEM, About, check, is_missing, judged, served_as_stranger
from ml_connector.systems.jira.hooks import HookCalls
from ml_connector.systems.jira.models import (
    Account,
    BulkAnswer,
    ChangeSeen,
    Comment,
    Created,
    Fetched,
    Issue,
    Refusal,
    Site,
    Transition,
)
from ml_connector.systems.jira.pacing import Pacing
from ml_connector.systems.jira.sites import cloud_id_at, read_sites

MAX_RECONCILED = 50


def open_client(
    login: JiraLogin,
    tenant: JiraTenant,
    *,
    name: str,
    store: TokenStore,
    slot: str,
    budget: Budget | None = None,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    deadline: Callable[[], float] | None = None,
) -> JiraClient:
    """A client that logs in by itself; ConfigurationError when an address of the login is not acceptable.

    `name` is the tenant's name in messages and budgets, `slot` the credential's place in the token store,
    `deadline` the end of the writer's lease in monotonic seconds.
    """
    clock = clock or SystemClock()
    classic = isinstance(login, JiraApiTokenLogin) and not login.cloud_id
    addressed = classic or bool(login.cloud_id)

    def checked(url: str) -> str:
        return check_base_url(url, tenant=name, allow_private=tenant.allow_private)

    site_url = checked(login.site_url) if login.site_url else ""
    base_url = checked(login.base_url)
    paced = Pacing(transport or Connections(tenant.concurrency), clock)
    http = HttpClient(
        SYSTEM, name, base_url, tenant.limits, budget=budget, clock=clock, transport=paced, deadline=deadline
    )
    if isinstance(login, JiraApiTokenLogin):
        auth: httpx.Auth = ApiTokenAuth(login, store=store, slot=slot, clock=clock)
        others: dict[str, HttpClient] = {}
    else:
        login_http = HttpClient(SYSTEM, name, checked(login.auth_url), LOGIN_LIMITS, clock=clock, transport=transport)
        auth = gateway_auth(login, login_http, store=store, slot=slot)
        api_http = HttpClient(SYSTEM, name, checked(login.api_url), LOGIN_LIMITS, clock=clock, transport=transport)
        others = {"login": login_http, "gateway": api_http}
    http.use_auth(auth)
    return JiraClient(
        http,
        tenant,
        site_url=site_url,
        auth=auth,
        addressed=addressed,
        others=others,
        tokens=(store, slot),
        transport=transport,
    )


class JiraClient(CatalogueCalls, HookCalls):
    """One Jira site."""

    def __init__(
        self,
        http: HttpClient,
        tenant: JiraTenant,
        *,
        site_url: str,
        auth: httpx.Auth,
        addressed: bool = True,
        others: Mapping[str, HttpClient] | None = None,
        tokens: tuple[TokenStore, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(http, tenant, site_url=site_url, addressed=addressed)
        self._auth = auth
        self._account = ""
        self._others = dict(others or {})
        self._tokens = tokens
        self._transport = transport

    async def aclose(self) -> None:
        """Close all connections."""
        for one in (self.http, *self._others.values()):
            await one.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Who we are

    async def who_am_i(self) -> str:
        """Prove the login; answers account and site, free of secrets and names."""
        self._account = (await self.myself()).account_id
        return self.identity

    @property
    def identity(self) -> str:
        """Account (once it is known) and site, free of secrets and names."""
        return f"{self._account or 'the account'} at {self.site_url or self.http.base_url}"

    async def myself(self) -> Account:
        """The account that the connector acts as: the one answer that is never given to a stranger."""
        about = About("read own account")
        return Account.parse(await self._get("/myself", about), self.http, about.operation)

    async def sites(self) -> tuple[Site, ...]:
        """The Jira sites that the login reaches; ConfigurationError for an API token, which belongs to one site."""
        if "gateway" not in self._others:
            raise ConfigurationError("an API token belongs to one site, so there is no list of sites", system=SYSTEM)
        return await read_sites(self._others["gateway"], auth=self._auth)

    async def cloud_id(self) -> str:
        """The cloud id that the site itself tells; ConfigurationError when its address is no Jira site."""
        private = self.tenant.allow_private
        return await cloud_id_at(self.site_url, allow_private=private, clock=self.http.clock, transport=self._transport)

    async def consent_age_days(self) -> int | None:
        """Full days since a person consented; None for a login without consent."""
        if self._tokens is None:
            return None
        store, slot = self._tokens
        return consent_age_days(await store.load(slot), self.http.clock.now())

    # Issues

    async def search(
        self,
        jql: str,
        *,
        fields: Sequence[str],
        properties: Sequence[str] = (),
        reconcile: Sequence[int] = (),
        page_size: int = 0,
    ) -> AsyncGenerator[list[Issue], None]:
        """Pages of the issues that a query finds. The index lags: what was written minutes ago may be missing or old.

        `reconcile` are up to 50 ids for which fresh data is forced. ContractError when the pages do not go forward.
        """
        about = About("search")
        body = {"jql": jql, "fields": list(fields), "maxResults": page_size or self.tenant.page_size}
        body |= {"properties": list(properties)} if properties else {}
        body |= {"reconcileIssues": list(reconcile)[:MAX_RECONCILED]} if reconcile else {}
        seen: set[str] = set()
        token = ""
        while True:
            answer = await self._ask("/search/jql", body | ({"nextPageToken": token} if token else {}), about)
            yield [Issue.parse(row, self.http, about.operation) for row in rows_of(answer, ("issues",), about)]
            token = answer.get("nextPageToken") or ""
            if not token or answer.get("isLast") is True:
                return
            if token in seen:
                raise about.error(ContractError, "nextPageToken comes again, so the pages do not go forward")
            seen.add(token)

    async def bulk_fetch(self, ids: Sequence[str], *, fields: Sequence[str], properties: Sequence[str] = ()) -> Fetched:
        """The issues with these ids as they are now, never from the index; in lots of 100, side by side."""
        about = About("fetch issues")
        shape = {"fields": list(fields), **({"properties": list(properties)} if properties else {})}

        async def lot(some: list[str]) -> list[Any]:
            answer = await self._ask("/issue/bulkfetch", {"issueIdsOrKeys": some, **shape}, about)
            return rows_of(answer, ("issues",), about)

        pages = await asyncio.gather(*(lot(some) for some in lots(ids)))
        found = [Issue.parse(row, self.http, about.operation) for rows in pages for row in rows]
        known = {one.id for one in found} | {one.key for one in found}
        return Fetched({one.id: one for one in found}, frozenset(ids) - known)

    async def get_issue(self, issue_id: str, *, fields: Sequence[str], properties: Sequence[str] = ()) -> Issue | None:
        """One issue as it is now; None when it does not exist or cannot be seen."""
        about = About("get issue", external_id=issue_id)
        params = [("fields", ",".join(fields))]
        params += [("properties", ",".join(properties))] if properties else []
        response = await self._got(f"/issue/{issue_id}", about, params)
        served_as_stranger(response, about)
        if is_missing(response):
            return None
        return Issue.parse(read_json(check(response, about), about), self.http, about.operation)

    async def create(self, document: Mapping[str, Any], external_id: str) -> Created:
        """Create one issue. There is no idempotency key: after UnknownOutcomeError it may exist."""
        about = About("create issue", external_id=external_id, write=True)
        response = await self._write("POST", "/issue", about, document)
        return _created(read_json(response, about), about)

    async def bulk_create(self, documents: Sequence[Mapping[str, Any]], external_id: str = "") -> BulkAnswer:
        """Create up to 50 issues; what Jira says of each, also when it refuses them all one by one.

        RecordRejectedError when it refuses the request as a whole. The caller judges whether the counts add up.
        """
        about = About("create issues", external_id=external_id, write=True)
        response = await self._written("POST", "/issue/bulk", about, {"issueUpdates": [dict(one) for one in documents]})
        served_as_stranger(response, about)
        if response.status_code == 400 and (failed := _refusals(_parsed_or_none(response))):
            return BulkAnswer(failed=failed)
        answer = read_json(check(response, about), about)
        if not isinstance(answer, Mapping) or not isinstance(answer.get("issues"), list):
            raise about.error(UnknownOutcomeError, "accepted, but the answer has no list of issues")
        named = [row for row in answer["issues"] if isinstance(row, Mapping) and row.get("id")]
        return BulkAnswer(tuple(_created(row, about) for row in named), _refusals(answer))

    async def edit(self, issue_id: str, fields: Mapping[str, Any], external_id: str) -> None:
        """Set fields of an issue, all or none of them."""
        about = About("edit issue", external_id=external_id, write=True)
        await self._write("PUT", f"/issue/{issue_id}", about, {"fields": dict(fields)})

    # Transitions

    async def transitions(self, issue_id: str) -> tuple[Transition, ...]:
        """The steps that an issue can take now, with the fields of their screens; none without the right to it."""
        about = About("list transitions", external_id=issue_id, one_record=True)
        params = [("expand", "transitions.fields")]
        rows = rows_of(await self._get(f"/issue/{issue_id}/transitions", about, params), ("transitions",), about)
        return tuple(one for one in self._read(Transition, rows, about) if one.available)

    async def transition(
        self, issue_id: str, transition_id: str, *, fields: Mapping[str, Any] | None = None, external_id: str
    ) -> None:
        """Let an issue take a step."""
        about = About("transition issue", external_id=external_id, write=True)
        body = {"transition": {"id": transition_id}, **({"fields": dict(fields)} if fields else {})}
        await self._write("POST", f"/issue/{issue_id}/transitions", about, body)

    # Comments, links

    async def changes(self, issue_id: str) -> tuple[ChangeSeen, ...]:
        """Which fields of an issue were changed, the oldest change first."""
        about = About("read changes", external_id=issue_id, one_record=True)
        rows = await self._pages(f"/issue/{issue_id}/changelog", about, ("values",))
        return self._read(ChangeSeen, rows, about)

    async def comments(self, issue_id: str, *, newest: int = MAX_LOT) -> tuple[Comment, ...]:
        """The newest comments of an issue, newest first."""
        about = About("list comments", external_id=issue_id, one_record=True)
        found: list[Any] = []
        while len(found) < newest:
            size = min(MAX_LOT, newest - len(found))
            params = [("orderBy", "-created"), ("startAt", str(len(found))), ("maxResults", str(size))]
            answer = await self._get(f"/issue/{issue_id}/comment", about, params)
            rows = rows_of(answer, ("comments",), about)
            found += rows
            if not rows or len(found) >= (answer.get("total") or 0):
                break
        return self._read(Comment, found, about)

    async def add_comment(
        self, issue_id: str, body: Mapping[str, Any], *, properties: Mapping[str, Any] | None = None, external_id: str
    ) -> str:
        """Add a comment (a document); answers its id. Adding it again makes a second one."""
        about = About("add comment", external_id=external_id, write=True)
        sent: dict[str, Any] = {"body": dict(body)}
        if properties:
            sent["properties"] = [{"key": key, "value": value} for key, value in properties.items()]
        answer = read_json(await self._write("POST", f"/issue/{issue_id}/comment", about, sent), about)
        found = answer.get("id") if isinstance(answer, Mapping) else None
        if not found:
            raise about.error(UnknownOutcomeError, "accepted, but the answer names no comment")
        return str(found)


def _created(row: Any, about: About) -> Created:
    found = row.get("id") if isinstance(row, Mapping) else None
    if not found:
        raise about.error(UnknownOutcomeError, "accepted, but the answer names no issue")
    return Created(str(found), str(row.get("key") or ""))


def _refusals(answer: Any) -> dict[int, Refusal]:
    """Why elements of a bulk were refused, by position; a refusal without position gets a negative one of its own."""
    rows = answer.get("errors") if isinstance(answer, Mapping) else None
    found: dict[int, Refusal] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        if not isinstance(row, Mapping) or "elementErrors" not in row:
            continue
        position, status = row.get("failedElementNumber"), row.get("status")
        sure = isinstance(position, int) and not isinstance(position, bool) and position not in found
        place = position if sure and isinstance(position, int) else -1 - number
        told = status if isinstance(status, int) else 0
        found[place] = replace(judged(row["elementErrors"], told), sure=not _is_fault(told))
    return found


def _is_fault(status: int) -> bool:
    """Whether a status says that something went wrong, rather than that something was refused."""
    return status in (408, 429) or status >= 500


def _parsed_or_none(response: httpx.Response) -> Any:
    try:
        return loads(response.content)
    except ContractError:
        return None
