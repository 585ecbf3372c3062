"""The gate of every API call: rate limit, login, formats, the call's own rule, then the shape of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.coupa import xmltext
from sandbox.coupa.errors import ApiError, invalid, not_found, throttled
from sandbox.coupa.query import Pairs, read_query, shape_of
from sandbox.coupa.schema import COLLECTIONS
from sandbox.coupa.store import Record
from sandbox.coupa.values import hyphen_keys
from sandbox.kit import jsontext

if TYPE_CHECKING:
    from sandbox.coupa.tenant import CoupaTenant

WRITING = frozenset({"POST", "PUT", "PATCH"})


@dataclass
class Call:
    """One API call that has passed the gate."""

    tenant: CoupaTenant
    path: dict[str, str]
    pairs: Pairs
    body: Record = field(default_factory=dict)

    def record(self, collection: str, name: str = "id") -> Record:
        """The record in the address; raises ApiError 404."""
        text = self.path[name]
        found = self.tenant.tables[collection].get(int(text)) if text.isdigit() else None
        if found is None:
            raise not_found()
        return found

    def argument(self, name: str) -> str | None:
        """The last value of a query argument, in either spelling."""
        values = [value for key, value in self.pairs if key.replace("-", "_") == name]
        return values[-1] if values else None


@dataclass(frozen=True)
class Reply:
    """What a call answers with: one record or a list."""

    data: Record | list[Record]
    status: int = 200


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Operation:
    """One documented call: verb, address, scope it needs, collection it speaks of, and its rule."""

    verb: str
    path: str
    scope: str
    collection: str
    handler: Handler


def reading(collection: str, scope: str) -> list[Operation]:
    """The two reading calls that every collection has."""

    def index(call: Call) -> Reply:
        return Reply(read_query(COLLECTIONS[collection], call.pairs).pick(call.tenant.tables[collection]))

    def show(call: Call) -> Reply:
        return Reply(call.record(collection))

    return [
        Operation("GET", f"/api/{collection}", scope, collection, index),
        Operation("GET", f"/api/{collection}/{{id}}", scope, collection, show),
    ]


class Gate:
    """Lets one operation be called over HTTP."""

    def __init__(self, tenant: CoupaTenant, operation: Operation) -> None:
        self._tenant = tenant
        self._operation = operation

    async def __call__(self, request: Request) -> Response:
        """Serve one call; nothing is awaited between reading and changing the tenant's state."""
        body = await request.body()
        as_json = _wants_json(request)
        try:
            return self._serve(request, body, as_json=as_json is True)
        except ApiError as error:
            return _refused(error, as_json=as_json is True)

    def _serve(self, request: Request, body: bytes, *, as_json: bool) -> Response:
        tenant, operation = self._tenant, self._operation
        options = tenant.options
        if options.throttle and not tenant.bucket.take():
            raise throttled(retry_after=options.retry_after)
        tenant.tokens.check(request.headers.get("authorization", ""), operation.scope)
        if options.require_api_version and not request.headers.get("x-coupa-api-version"):
            raise invalid("base", "X-Coupa-API-Version is required.")
        if _wants_json(request) is None:
            raise ApiError(406, {"base": ["The requested format is not supported."]})
        pairs = list(request.query_params.multi_items())
        call = Call(tenant, dict(request.path_params), pairs, _read_body(request, body))
        if operation.verb not in WRITING:
            return self._answer(call, operation.handler(call), as_json=as_json)
        return self._write(request, call, as_json=as_json)

    def _write(self, request: Request, call: Call, *, as_json: bool) -> Response:
        tenant = self._tenant
        key = request.headers.get("idempotency-key")
        seen = (request.method, request.url.path, key or "")
        if tenant.options.honour_idempotency_key and key and seen in tenant.answered:
            status, content = tenant.answered[seen]
            return Response(content, status, media_type="application/json")
        shape_of(COLLECTIONS[self._operation.collection], call.pairs, writing=True)  # refuse before anything changes
        reply = self._operation.handler(call)
        tenant.writes += 1
        response = self._answer(call, reply, as_json=as_json)
        if tenant.options.honour_idempotency_key and key:
            tenant.answered[seen] = response.status_code, bytes(response.body)
        return response

    def _answer(self, call: Call, reply: Reply, *, as_json: bool) -> Response:
        collection = self._operation.collection
        model, options = COLLECTIONS[collection], self._tenant.options
        shape = shape_of(model, call.pairs, writing=self._operation.verb in WRITING)
        if shape.form == "none":
            return Response(b"", reply.status)
        named = shape.response_filter
        if named is None and shape.selection is None:
            named = options.default_filters.get(collection)
        if named is not None and named not in options.response_filters:
            raise invalid("base", f"Invalid filter: {named}")
        left_out = frozenset(name.replace("_", "-") for name in options.response_filters.get(named or "", ()))
        shape = replace(shape, left_out=left_out, custom_names=options.custom_fields.get(collection, ()))
        if isinstance(reply.data, list):
            return self._list([shape.render(model, record) for record in reply.data], as_json=as_json)
        shown = shape.render(model, reply.data)
        if as_json:
            return _json(shown, reply.status)
        return _xml(xmltext.element(model, shown), reply.status)

    def _list(self, shown: list[Record], *, as_json: bool) -> Response:
        collection = self._operation.collection
        if not shown and (not as_json or self._tenant.options.empty_list_404):
            raise ApiError(404, {"base": ["No results match your search criteria."]})
        if as_json:
            return _json(shown, 200)
        return _xml(xmltext.listing(collection.replace("_", "-"), COLLECTIONS[collection], shown), 200)


def _wants_json(request: Request) -> bool | None:
    """True for JSON, False for XML (also when nothing is said), None for anything else."""
    accept = request.headers.get("accept", "").lower()
    if "application/json" in accept:
        return True
    return False if not accept or "xml" in accept or "*/*" in accept else None


def _read_body(request: Request, body: bytes) -> Record:
    if request.method not in WRITING or not body.strip():
        return {}
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ApiError(415, {"base": ["The content type is not supported."]})
    try:
        parsed: Any = hyphen_keys(jsontext.loads(body))
    except ValueError as error:
        raise invalid("base", "The request body could not be parsed.") from error
    if not isinstance(parsed, dict):
        raise invalid("base", "The request body must hold one object.")
    return parsed


def _json(payload: object, status: int) -> Response:
    return Response(jsontext.dumps(payload), status, media_type="application/json")


def _xml(text: str, status: int) -> Response:
    return Response(xmltext.DECLARATION + text, status, media_type="application/xml")


def _refused(error: ApiError, *, as_json: bool) -> Response:
    if as_json:
        response = _json({"errors": error.errors}, error.status)
    else:
        response = _xml(xmltext.errors([text for texts in error.errors.values() for text in texts]), error.status)
    response.headers.update(error.headers)
    return response


async def unknown_address(request: Request) -> Response:
    """Answer a call to an address or verb the API does not have."""
    return _refused(not_found(), as_json=_wants_json(request) is True)
