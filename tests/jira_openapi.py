"""Judges every request to Jira by Atlassian's own description of the interface, where that is at hand.

The description is not part of this repository: set ML_CONNECTOR_SPECS to the folder that holds
`jira-platform-v3.openapi.json`, or keep it in `shared/specs` beside the checkout.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import orjson
from openapi_schema_validator import OAS30WriteValidator, oas30_format_checker

NAME = "jira-platform-v3.openapi.json"
ABSENT = f"the official document is not here: set ML_CONNECTOR_SPECS to the folder that holds {NAME}"
API = "/rest/api/3/"
JSON = "application/json"
# Addresses that the document leaves to the written documentation: login server, gateway, site, webhooks of admins.
UNDESCRIBED = re.compile(r"/oauth/token(/accessible-resources)?|/_edge/tenant_info|/rest/webhooks/1\.0/webhook(/\d+)?")
# Deprecated, yet the usual way to ask; any other deprecated operation is a problem.
OUTDATED = frozenset({"getResolutions", "getPriorities"})
# Verdicts on requests that may come again; a long run of different ones must not fill the memory.
MOST_REMEMBERED = 20_000


def document_path() -> Path:
    """Where the document is looked for."""
    named = os.environ.get("ML_CONNECTOR_SPECS")
    return (Path(named) if named else Path(__file__).parents[2] / "shared" / "specs") / NAME


@cache
def official() -> Judge | None:
    """The judge by the official document, read once per process; None where there is no document."""
    path = document_path()
    return Judge(orjson.loads(path.read_bytes())) if path.is_file() else None


@dataclass
class Tally:
    """What was judged since somebody last asked."""

    judged: int = 0
    unjudged: int = 0
    complaints: list[str] = field(default_factory=list)

    def take(self) -> Tally:
        """What there is, and begin anew."""
        taken = Tally(self.judged, self.unjudged, self.complaints)
        self.judged, self.unjudged, self.complaints = 0, 0, []
        return taken


# Of the whole process. A complaint stands here even when the code under test swallows the error.
TALLY = Tally()


class Judged(httpx.AsyncBaseTransport):
    """Passes on what is valid; AssertionError names operation and problem of what is not."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, judge: Judge | None = None, *, tally: Tally | None = None
    ) -> None:
        self.inner = inner
        self.judge = judge or official()
        self.tally = TALLY if tally is None else tally
        self.operations: set[str] = set()
        self.statuses: set[int] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self._look(request)
        answer = await self.inner.handle_async_request(request)
        self.statuses.add(answer.status_code)
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _look(self, request: httpx.Request) -> None:
        if UNDESCRIBED.fullmatch(request.url.path):
            return
        if self.judge is None:
            self.tally.unjudged += 1
            return
        operation, problems = self.judge.verdict(request)
        self.tally.judged += 1
        self.operations.add(operation)
        if problems:
            told = f"{operation or 'no operation'} ({request.method} {request.url.path}): {'; '.join(problems)}"
            self.tally.complaints.append(told)
            raise AssertionError(told)


@dataclass(frozen=True)
class Operation:
    """One operation of the document, with what its query and body must be like."""

    id: str
    words: tuple[str, ...]
    query: Mapping[str, Any]
    path: Mapping[str, Any]
    bodies: Mapping[str, Any]
    needs_body: bool
    deprecated: bool


class Judge:
    """What a document says of requests."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._paths = [(tuple(template.split("/")), template) for template in document["paths"]]
        self._operations: dict[tuple[str, str], Operation] = {}
        self._validators: dict[str, Any] = {}
        # By a hash of the body.
        self._remembered: dict[tuple[str, bytes, str, bytes], tuple[str, tuple[str, ...]]] = {}

    def verdict(self, request: httpx.Request) -> tuple[str, tuple[str, ...]]:
        """The operation's id, empty for none, and what is wrong with the request; needs the body to be read."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        about = (request.method, request.url.raw_path, media)
        known = (*about, blake2b(request.content, digest_size=16).digest())
        if known not in self._remembered:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[known] = self._judged(*about, request.content)
        return self._remembered[known]

    def _judged(self, method: str, raw: bytes, media: str, content: bytes) -> tuple[str, tuple[str, ...]]:
        path, _, query = raw.decode().partition("?")
        if API not in path:
            return "", ("the address is not below /rest/api/3",)
        words = tuple(unquote(word) for word in path[path.index(API) :].split("/"))
        operation = self._find(method, words)
        if operation is None:
            return "", ("not in the document",)
        problems = [
            *self._of_path(operation, words),
            *self._of_query(operation, parse_qsl(query, keep_blank_values=True)),
            *self._of_body(operation, media, content),
        ]
        if operation.deprecated and operation.id not in OUTDATED:
            problems.append("is deprecated")
        return operation.id, tuple(problems)

    # Operations

    def _find(self, method: str, words: tuple[str, ...]) -> Operation | None:
        """The operation of an address; fixed words win over placeholders, from left to right."""
        fitting = [
            ([word[:1] == "{" for word in ours], template)
            for ours, template in self._paths
            if len(ours) == len(words)
            and all(mine == theirs or mine[:1] == "{" for mine, theirs in zip(ours, words, strict=True))
            and method.lower() in self._document["paths"][template]
        ]
        return self._operation(method, min(fitting)[1]) if fitting else None

    def _operation(self, method: str, template: str) -> Operation:
        if (method, template) not in self._operations:
            item = self._document["paths"][template]
            told = item[method.lower()]
            given = [self._resolved(one) for one in (*item.get("parameters", ()), *told.get("parameters", ()))]
            body = self._resolved(told.get("requestBody", {}))
            self._operations[method, template] = Operation(
                id=told["operationId"],
                words=tuple(template.split("/")),
                query={one["name"]: one for one in given if one["in"] == "query"},
                path={one["name"]: one for one in given if one["in"] == "path"},
                bodies=body.get("content", {}),
                needs_body=body.get("required", False),
                deprecated=told.get("deprecated", False),
            )
        return self._operations[method, template]

    def _resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        while reference := part.get("$ref"):
            part = self._document
            for word in str(reference).removeprefix("#/").split("/"):
                part = part[word.replace("~1", "/").replace("~0", "~")]
        return part

    # The parts of a request

    def _of_path(self, operation: Operation, words: Sequence[str]) -> Iterator[str]:
        for name, word in zip(operation.words, words, strict=True):
            if name[:1] != "{":
                continue
            if not word:
                yield f"{name} is empty"
            elif told := operation.path.get(name.strip("{}")):
                yield from self._of_value(f"{operation.id} {name}", told["schema"], [word])

    def _of_query(self, operation: Operation, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
        given: dict[str, list[str]] = {}
        for name, value in pairs:
            given.setdefault(name, []).append(value)
        yield from (f"{name}: no such query parameter" for name in given if name not in operation.query)
        for name, told in operation.query.items():
            if name in given:
                yield from self._of_value(f"{operation.id} {name}", told["schema"], given[name], name)
            elif told.get("required"):
                yield f"{name}: required query parameter is missing"

    def _of_value(self, key: str, schema: Mapping[str, Any], texts: list[str], name: str = "") -> Iterator[str]:
        """What is wrong with the values of a parameter; a list comes as one pair for each element."""
        label = name or key.rpartition(" ")[2]
        whole = self._resolved(schema)
        if whole.get("type") == "array":
            inner = self._resolved(whole.get("items", {})).get("type")
            value: Any = [_typed(inner, text) for text in texts]
        elif len(texts) > 1:
            yield f"{label}: given {len(texts)} times"
            return
        else:
            value = _typed(whole.get("type"), texts[0])
        yield from self._of_schema(key, schema, value, label)

    def _of_body(self, operation: Operation, media: str, content: bytes) -> Iterator[str]:
        if not content:
            if operation.needs_body:
                yield "the body is missing"
            return
        if not operation.bodies:
            yield "takes no body"
        elif media not in operation.bodies:
            yield f"content type {media or 'not given'}, documented are {', '.join(operation.bodies)}"
        elif media == JSON:
            try:
                value = orjson.loads(content)
            except orjson.JSONDecodeError as error:
                yield f"the body is no JSON: {error}"
            else:
                yield from self._of_schema(operation.id, operation.bodies[JSON].get("schema", {}), value, "body")

    def _of_schema(self, key: str, schema: Mapping[str, Any], value: Any, label: str) -> Iterator[str]:
        if key not in self._validators:
            # One document for the references to point into.
            whole = {"allOf": [schema], "components": self._document.get("components", {})}
            self._validators[key] = OAS30WriteValidator(whole, format_checker=oas30_format_checker)
        for error in self._validators[key].iter_errors(value):
            place = ".".join(str(one) for one in (label, *error.absolute_path))
            yield f"{place}: {error.message[:200]}"


def _typed(kind: str | None, text: str) -> Any:
    """The value that a text in an address stands for; itself when it does not fit, for the schema to refuse."""
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    return text == "true" if kind == "boolean" and text in ("true", "false") else text
