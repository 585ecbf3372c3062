"""Judges a query that could be read, and finds the issues that it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.jira import adf_text, jql_fields
from sandbox.jira.errors import unmodelled
from sandbox.jira.index import SHORT_TEXTS, in_order, tokens
from sandbox.jira.jql import Clause, Node, Operand, Query, clauses
from sandbox.jira.jql_fields import DATES, TEXTS, Known
from sandbox.jira.store import Issue

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

Test = Callable[[Issue], bool]
LINKED = "issueswithremotelinksbyglobalid"
MOST_ORDER = 7
_RELATIVE = re.compile(r"([+-]?)(\d+)([mhdw]?)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "": "minutes"}
_SPECIAL = re.compile(r"\\(.)")


def complaints(tenant: JiraTenant, query: Query) -> list[str]:
    """Everything about a query that does not fit the site, in Jira's words."""
    found: list[str] = []
    for clause in clauses(query.where):
        found += _complaint(tenant, clause)
    for name, _ in query.order:
        if not jql_fields.find(tenant, name):
            found.append(f"Not able to sort using field '{name}'.")
    if len(query.order) > MOST_ORDER:
        found.append(f"A query is sorted by at most {MOST_ORDER} fields.")
    return found


def run(
    tenant: JiraTenant, query: Query, account: str | None, *, reconciled: Iterable[int] = (), fresh: bool = False
) -> list[Issue]:
    """The issues of a query in its order; archived projects are left out."""
    seen = {one.id: one for one in tenant.issues} if fresh else tenant.index.look(reconciled)
    reader = _Reader(tenant, account)
    test = reader.test(query.where) if query.where is not None else _always
    narrowed = None if fresh or reconciled else _narrowed(tenant, query.where)
    pool = seen.values() if narrowed is None else [seen[number] for number in narrowed if number in seen]
    found = [issue for issue in pool if tenant.sees(issue) and not issue.project.archived and test(issue)]
    found.sort(key=lambda issue: -issue.id)
    for name, descending in reversed(query.order):
        known = jql_fields.find(tenant, name)[0]
        found = in_order(found, known.get, descending=descending)
    return found


def meets(tenant: JiraTenant, where: Node, issue: Issue, account: str | None) -> bool:
    """Whether an issue, as given, meets a restriction."""
    return _Reader(tenant, account).test(where)(issue)


def _always(issue: Issue) -> bool:
    return True


def _complaint(tenant: JiraTenant, clause: Clause) -> list[str]:
    known = jql_fields.find(tenant, clause.field)
    if not known:
        return [f"Field '{clause.field}' does not exist or you do not have permission to view it."]
    name = known[0].name
    if not known[0].takes(clause.operator):
        return [f"The operator '{clause.operator}' is not supported by the '{name}' field."]
    if clause.operator in ("in", "not in") and not clause.listed:
        text = clause.operands[0].text
        return [f"Operator '{clause.operator}' does not support the non-list value '\"{text}\"' for field '{name}'."]
    return [text for operand in clause.operands for text in _odd(known, operand, clause)]


def _odd(known: list[Known], operand: Operand, clause: Clause) -> list[str]:
    first = known[0]
    if operand.empty:
        return []
    if operand.function is not None:
        return _odd_function(first, operand)
    if first.searcher in DATES and _moment(operand.text, datetime.now(UTC), "Etc/UTC") is None:
        return [
            f"Date value '{operand.text}' for field '{first.name}' is invalid. Valid formats include: "
            "'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', "
            "'4w 2d'."
        ]
    if first.searcher == "exactnumber" and _decimal(operand.text) is None:
        return [f"The value '{operand.text}' is not a valid number for the field '{first.name}'."]
    if first.searcher in TEXTS and operand.text.strip()[:1] in ("*", "?"):
        mark = operand.text.strip()[0]
        return [
            f"The text query '{operand.text}' for field '{clause.field}' is not allowed to start with character "
            f"'{mark}'."
        ]
    if first.ids is not None and not any(list(one.ids(operand.text)) for one in known if one.ids is not None):
        if first.searcher == "issue":
            return [f"An issue with key '{operand.text}' does not exist for field '{clause.field}'."]
        return [f"The value '{operand.text}' does not exist for the field '{first.name}'."]
    return []


def _odd_function(known: Known, operand: Operand) -> list[str]:
    low = operand.text.lower()
    fits = {"currentuser": known.searcher.startswith("user"), "now": known.searcher in DATES}
    if low == LINKED:
        return [] if known.searcher == "issue" and len(operand.function or ()) >= 1 else ["Wrong use of a function."]
    if low not in fits:
        raise unmodelled(f"the JQL function {operand.text}")
    return [] if fits[low] else [f"A value provided by the function '{operand.text}' is invalid for this field."]


def _narrowed(tenant: JiraTenant, node: Node | None) -> set[int] | None:
    """Ids among which every issue of a restriction is, from what is indexed; None when all must be looked at."""
    if node is None or isinstance(node, Clause):
        return _indexed(tenant, node) if node is not None else None
    found = [_narrowed(tenant, part) for part in node.parts]
    known = [one for one in found if one is not None]
    if node.operator == "and":
        return min(known, key=len, default=None)
    if node.operator == "or" and len(known) == len(found):
        return set().union(*known)
    return None


def _indexed(tenant: JiraTenant, clause: Clause) -> set[int] | None:
    fields = jql_fields.find(tenant, clause.field)
    if clause.operator not in ("~", "=", "in") or len(fields) != 1 or any(one.function for one in clause.operands):
        return None
    known, text = fields[0], clause.operands[0].text
    if known.searcher == "issue" and known.ids is not None:
        return {number for operand in clause.operands for number in known.ids(operand.text)}
    words = tokens(_SPECIAL.sub(" ", text))
    short = known.field is not None and known.field.kind in SHORT_TEXTS
    if clause.operator == "~" and known.field is not None and short and words and "*" not in text:
        return tenant.index.with_word(known.field.id, words[0])
    return None


class _Reader:
    """Turns clauses into tests, for one caller at one moment."""

    def __init__(self, tenant: JiraTenant, account: str | None) -> None:
        self._tenant, self._account = tenant, account
        user = tenant.users.get(account) if account else None
        self._zone = user.zone if user is not None else "Etc/UTC"
        self._now = tenant.clock.now()

    def test(self, node: Node) -> Test:
        if isinstance(node, Clause):
            return self._clause(node)
        tests = [self.test(part) for part in node.parts]
        if node.operator == "not":
            return lambda issue: not tests[0](issue)
        if node.operator == "and":
            return lambda issue: all(test(issue) for test in tests)
        return lambda issue: any(test(issue) for test in tests)

    def _clause(self, clause: Clause) -> Test:
        tests = [_at_home(known, self._one(known, clause)) for known in jql_fields.find(self._tenant, clause.field)]
        return tests[0] if len(tests) == 1 else lambda issue: any(test(issue) for test in tests)

    def _one(self, known: Known, clause: Clause) -> Test:
        operator, get = clause.operator, known.get
        first = clause.operands[0]
        if first.empty and not clause.listed:
            wants_empty = operator in ("is", "=")
            return lambda issue: (get(issue) in (None, "", ())) is wants_empty
        if operator in ("~", "!~"):
            matches = self._text(known, first.text)
            # An issue without the text meets neither.
            return lambda issue: get(issue) is not None and matches(issue) is (operator == "~")
        if operator in ("<", ">", "<=", ">="):
            return self._range(known, operator, first)
        values, empty = self._values(known, clause.operands)
        negated = operator in ("!=", "not in")
        return lambda issue: _meets(get(issue), values, empty, negated=negated)

    def _values(self, known: Known, operands: Iterable[Operand]) -> tuple[set[Any], bool]:
        values: set[Any] = set()
        empty = False
        for operand in operands:
            if operand.empty:
                empty = True
            elif operand.function is not None:
                values |= self._function(operand)
            elif known.searcher in DATES:
                values.add(_moment(operand.text, self._now, self._zone))
            elif known.searcher == "exactnumber":
                values.add(_decimal(operand.text))
            elif known.ids is not None:
                values |= set(known.ids(operand.text))
            else:
                values.add(operand.text)
        return values, empty

    def _function(self, operand: Operand) -> set[Any]:
        if operand.text.lower() == "currentuser":
            return {self._account}
        wanted = set(operand.function or ())
        return {one.id for one in self._tenant.issues if any(link.global_id in wanted for link in one.links)}

    def _range(self, known: Known, operator: str, operand: Operand) -> Test:
        compare: Callable[[Any, Any], bool] = {
            "<": lambda a, b: a < b,
            ">": lambda a, b: a > b,
            "<=": lambda a, b: a <= b,
            ">=": lambda a, b: a >= b,
        }[operator]
        bound: Any
        if known.searcher in DATES:
            now = operand.function is not None
            bound = self._now if now else _moment(operand.text, self._now, self._zone)
        elif known.searcher == "issue":
            bound = next(iter(known.ids(operand.text)), 0) if known.ids is not None else 0
        else:
            bound = _decimal(operand.text)
        dated = known.searcher in DATES

        def test(issue: Issue) -> bool:
            value = known.get(issue)
            return value is not None and compare(self._moment_of(value) if dated else value, bound)

        return test

    def _moment_of(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        if len(value) == 10:
            return datetime.combine(date.fromisoformat(value), time(), ZoneInfo(self._zone))
        return datetime.fromisoformat(value)

    def _text(self, known: Known, wanted: str) -> Test:
        phrases = [tokens(part) for part in re.findall(r'"([^"]*)"', wanted)]
        loose = _SPECIAL.sub(" ", re.sub(r'"[^"]*"', " ", wanted))
        if re.search(r"(^|\s)[-!]\S", loose):
            raise unmodelled("text searches that exclude words")
        prefixes = [tokens(part[:-1])[-1:] for part in loose.split() if part.endswith("*")]
        words = [word for part in loose.split() if not part.endswith("*") for word in tokens(part)]
        if not (words or any(phrases) or any(prefixes)) or (any(phrases) and not self._tenant.options.phrases):
            return lambda issue: False

        def test(issue: Issue) -> bool:
            value = known.get(issue)
            has = tokens(adf_text.plain(value) or "" if isinstance(value, dict) else str(value or ""))
            return (
                set(words) <= set(has)
                and all(_adjacent(phrase, has) for phrase in phrases)
                and all(any(word.startswith(start) for word in has) for part in prefixes for start in part)
            )

        return test


def _at_home(known: Known, test: Test) -> Test:
    """A project's own field says nothing about the issues of others."""
    home = known.field.project if known.field is not None else None
    return test if home is None else lambda issue: issue.project.key == home and test(issue)


def _meets(value: Any, wanted: set[Any], empty: bool, *, negated: bool) -> bool:
    if value in (None, "", ()):
        return not negated and empty
    held = set(value) if isinstance(value, tuple) else {value}
    return not (held & wanted) if negated else bool(held & wanted)


def _adjacent(phrase: list[str], has: list[str]) -> bool:
    return any(has[at : at + len(phrase)] == phrase for at in range(len(has) - len(phrase) + 1))


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _moment(text: str, now: datetime, zone: str) -> datetime | None:
    """An instant from a date in the caller's zone, or from a distance to now."""
    for pattern in ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=ZoneInfo(zone))
        except ValueError:
            continue
    moved = now
    for part in text.split():
        found = _RELATIVE.fullmatch(part)
        if found is None:
            return None
        sign = -1 if found.group(1) == "-" or text.startswith("-") else 1
        moved += sign * timedelta(**{_UNITS[found.group(3)]: int(found.group(2))})
    return moved if text.strip() else None
