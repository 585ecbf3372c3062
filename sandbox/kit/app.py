"""Builds a tenant's application: its own routes, the journal, the faults, and the admin API under /_sandbox/."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.kit import jsontext
from sandbox.kit.clock import Clock
from sandbox.kit.deliveries import Deliveries
from sandbox.kit.faults import FaultMiddleware, FaultRule, Faults
from sandbox.kit.requests import Journal, JournalMiddleware

Document = dict[str, Any]
Action = Callable[[Document], Document]
Endpoint = Callable[[Request], Awaitable[Response]]


class UnknownRecord(LookupError):
    """An admin call named a record, collection, seed or action that is not there (answered with 404)."""


class BadRequest(ValueError):
    """An admin call cannot be understood or carried out (answered with 400)."""


class Tenant(Protocol):
    """The state of one stand-in tenant, as the admin API sees it."""

    name: str
    clock: Clock
    actions: dict[str, Action]

    def seed(self, document: Document) -> Document:
        """Add records in the system's own spelling; returns how many of each collection."""

    def reset(self) -> None:
        """Forget every record, masters included."""

    def truth(self) -> Document:
        """Counters of what really took effect, per external key."""

    def state(self, collection: str) -> list[Document]:
        """Raw records of one collection; raises UnknownRecord for an unknown one."""


def build_app(tenant: Tenant, routes: Sequence[BaseRoute], deliveries: Deliveries | None = None) -> Starlette:
    """The tenant's routes with journal, faults and admin API; the parts stand on app.state for in-process tests.

    A tenant that sends webhooks hands its queue in: the admin verb `deliver` and every advance of the clock then send
    what is due, GET /_sandbox/deliveries shows what was sent, and a reset forgets it.
    """
    faults, journal = Faults(tenant.clock), Journal(tenant.clock)
    admin = _Admin(tenant, faults, journal, deliveries or Deliveries(tenant.clock))
    app = Starlette(
        routes=[*admin.routes(), *routes],
        middleware=[Middleware(JournalMiddleware, journal=journal), Middleware(FaultMiddleware, faults=faults)],
    )
    app.state.tenant = tenant
    app.state.faults = faults
    app.state.journal = journal
    return app


def seeds_folder(system: str) -> Path:
    """Where the named seeds of a system lie."""
    return Path(__file__).parent.parent / system / "seeds"


def answer(payload: object, status: int = 200) -> Response:
    """A JSON answer; Decimals are written as numbers with the digits they have."""
    return Response(jsontext.dumps(payload), status_code=status, media_type="application/json")


async def read_json(request: Request) -> Any:
    """The JSON body of a call, numbers as Decimal, {} when there is none; raises BadRequest on bad text."""
    body = await request.body()
    if not body.strip():
        return {}
    try:
        return jsontext.loads(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


class _Admin:
    """The endpoints under /_sandbox/: no login, for loopback only."""

    def __init__(self, tenant: Tenant, faults: Faults, journal: Journal, deliveries: Deliveries) -> None:
        self._tenant, self._faults, self._journal, self._deliveries = tenant, faults, journal, deliveries

    def routes(self) -> list[BaseRoute]:
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "health", self._health),
            ("POST", "seed", self._seed),
            ("POST", "seed/{name}", self._seed_named),
            ("POST", "reset", self._reset),
            ("POST", "do/deliver", self._deliver),
            ("GET", "deliveries", self._list_deliveries),
            ("POST", "do/{action}", self._do),
            ("POST", "clock", self._advance),
            ("GET", "faults", self._list_faults),
            ("POST", "faults", self._add_faults),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "truth", self._truth),
            ("GET", "state/{collection}", self._state),
            ("GET", "requests", self._requests),
        ]
        return [Route(f"/_sandbox/{path}", _guarded(endpoint), methods=[verb]) for verb, path, endpoint in table]

    async def _health(self, request: Request) -> Response:
        return answer({"sandbox": self._tenant.name, "time": self._tenant.clock.now().isoformat()})

    async def _seed(self, request: Request) -> Response:
        return answer(self._tenant.seed(_object(await read_json(request))))

    async def _seed_named(self, request: Request) -> Response:
        return answer(seed_by_name(self._tenant, request.path_params["name"]))

    async def _reset(self, request: Request) -> Response:
        self._tenant.reset()
        self._faults.clear()
        self._faults.late.clear()
        self._journal.clear()
        self._deliveries.clear()
        return answer({"reset": True})

    async def _do(self, request: Request) -> Response:
        name = request.path_params["action"]
        action = self._tenant.actions.get(name)
        if action is None:
            raise UnknownRecord(f"no action {name}; there are {sorted(self._tenant.actions)}")
        return answer(action(_object(await read_json(request))))

    async def _deliver(self, request: Request) -> Response:
        before = len(self._deliveries.sent)
        await self._deliveries.flush()
        return answer({"sent": len(self._deliveries.sent) - before, "waiting": self._deliveries.waiting})

    async def _list_deliveries(self, request: Request) -> Response:
        sent = [{**one._asdict(), "at": one.at.isoformat()} for one in self._deliveries.sent]
        return answer({"waiting": self._deliveries.waiting, "sent": sent})

    async def _advance(self, request: Request) -> Response:
        seconds = _object(await read_json(request)).get("advance", 0)
        try:
            self._tenant.clock.advance(float(seconds))
        except (TypeError, ValueError) as error:
            raise BadRequest(f"cannot advance by {seconds!r}: {error}") from error
        await self._deliveries.flush()
        return answer({"time": self._tenant.clock.now().isoformat()})

    async def _list_faults(self, request: Request) -> Response:
        return answer(self._faults.describe())

    async def _add_faults(self, request: Request) -> Response:
        body = await read_json(request)
        rules = [FaultRule.model_validate(item) for item in (body if isinstance(body, list) else [body])]
        for rule in rules:
            self._faults.add(rule)
        return answer({"faults": len(rules)})

    async def _clear_faults(self, request: Request) -> Response:
        self._faults.clear()
        return answer({"faults": 0})

    async def _truth(self, request: Request) -> Response:
        return answer(self._tenant.truth())

    async def _state(self, request: Request) -> Response:
        return answer(self._tenant.state(request.path_params["collection"]))

    async def _requests(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdigit():
            raise BadRequest("since must be a running number")
        return answer({"last": self._journal.last, "requests": self._journal.since(int(since))})


def seed_by_name(tenant: Tenant, name: str) -> Document:
    """Load a named seed file into the tenant; raises UnknownRecord when there is none."""
    path = seeds_folder(tenant.name) / f"{name}.json"
    if not name.replace("-", "").replace("_", "").isalnum() or not path.is_file():
        raise UnknownRecord(f"no seed {name}")
    return tenant.seed(jsontext.loads(path.read_bytes()))


def _guarded(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except UnknownRecord as error:
            return answer({"error": str(error)}, 404)
        except BadRequest as error:
            return answer({"error": str(error)}, 400)
        except ValidationError as error:
            return answer({"error": error.errors(include_url=False, include_context=False)}, 400)

    return guarded


def _object(value: Any) -> Document:
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value
