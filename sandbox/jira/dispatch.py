"""One call on its way through the site: what it asks for, and how it is found by verb and address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.jira.auth import Caller
from sandbox.jira.errors import payload, problem
from sandbox.jira.render import Renderer
from sandbox.kit import jsontext

if TYPE_CHECKING:
    from sandbox.jira.store import Issue
    from sandbox.jira.tenant import JiraTenant

WRITING = frozenset({"POST", "PUT", "DELETE"})


@dataclass
class Call:
    """One API call that has passed the gate."""

    tenant: JiraTenant
    caller: Caller
    path: dict[str, str]
    query: list[tuple[str, str]]
    raw: bytes = b""
    site: str = ""
    version: int = 3
    points: int = 1
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> str:
        """The account that acts; anonymous callers never get here with a write."""
        return self.caller.account or ""

    @property
    def base(self) -> str:
        """Where `self` links begin."""
        return f"{self.site}/rest/api/{self.version}"

    def body(self) -> Any:
        """The JSON body; raises ApiError 400."""
        try:
            return jsontext.loads(self.raw)
        except ValueError as error:
            raise payload() from error

    def argument(self, name: str) -> str | None:
        """A query argument, the first if there are several."""
        return next((value for key, value in self.query if key == name), None)

    def arguments(self, name: str) -> list[str]:
        """All values of a query argument; commas separate too."""
        return [part for key, value in self.query if key == name for part in value.split(",") if part]

    def number(self, name: str, default: int) -> int:
        """A whole number from the query; raises a problem document otherwise."""
        text = self.argument(name)
        if text is None or text == "":
            return default
        try:
            return int(text)
        except ValueError as error:
            raise problem(400, "Bad Request", f"Failed to convert '{name}' with value: '{text}'") from error

    def window(self, most: int, default: int = 50) -> tuple[int, int]:
        """startAt and maxResults; asking for more than the most gets the most."""
        start, size = self.number("startAt", 0), self.number("maxResults", default)
        if start < 0 or size < 0:
            raise problem(400, "Bad Request", "startAt and maxResults must not be negative")
        return start, min(size, most)

    def writer(self) -> Renderer:
        """Writes answers as the caller sees them."""
        user = self.tenant.users.get(self.account)
        return Renderer(self.tenant, self.site, self.version, user.zone if user is not None else "Etc/UTC")

    def limit_writes(self, issue: Issue) -> None:
        """Count a write on an issue; raises ApiError 429."""
        options = self.tenant.options
        if options.per_issue_limit:
            self.tenant.limits.write(issue.id, retry_after=options.retry_after)

    def issue(self) -> Issue:
        """The issue in the address; raises ApiError 404."""
        return self.tenant.issue(self.path["issue"])


@dataclass(frozen=True)
class Reply:
    """What a call answers with; None sends no body."""

    data: Any = None
    status: int = 200


Handler = Callable[[Call], Reply]
PAGING = ("startAt", "maxResults")


@dataclass(frozen=True)
class Operation:
    """One call of the site: verb, address below /rest/api/3, its rule and the query arguments it knows."""

    verb: str
    path: str
    handler: Handler
    query: frozenset[str] = frozenset()
    anonymous: Any = None  # what a caller without a login gets; None = refused
    also_v2: bool = False
    needs_type: bool = False  # DELETE calls that insist on a content type

    @property
    def name(self) -> str:
        """How scopes and limits know it."""
        return f"{self.verb} {self.path}"


class Router:
    """Finds operations; fixed words in an address win over placeholders."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._table: dict[tuple[str, int], list[tuple[list[str], Operation]]] = {}
        for operation in operations:
            parts = operation.path.strip("/").split("/")
            self._table.setdefault((operation.verb, len(parts)), []).append((parts, operation))
        for entries in self._table.values():
            entries.sort(key=lambda entry: [part.startswith("{") for part in entry[0]])

    def find(self, verb: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation of an address and what stands in its placeholders."""
        parts = path.strip("/").split("/")
        for template, operation in self._table.get((verb, len(parts)), ()):
            if all(one == other or one.startswith("{") for one, other in zip(template, parts, strict=True)):
                pairs = zip(template, parts, strict=True)
                return operation, {one[1:-1]: other for one, other in pairs if one.startswith("{")}
        return None


def query(*names: str) -> frozenset[str]:
    """Query arguments that an operation knows."""
    return frozenset(names)


def paged(values: list[Any], call: Call, most: int, default: int = 50) -> dict[str, Any]:
    """One page with the members that most lists of the site have."""
    start, size = call.window(most, default)
    page = values[start : start + size]
    return {
        "self": f"{call.base}",
        "maxResults": size,
        "startAt": start,
        "total": len(values),
        "isLast": start + len(page) >= len(values),
        "values": page,
    }
