"""Reads JQL: words, clauses joined by AND, OR and NOT, and the order; errors say where, as Jira's do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.jira.errors import unmodelled

_WORDS = """
    abort access add after alias all alter and any as asc audit avg before begin between boolean break by byte catch
    cf changed char character check checkpoint collate collation column commit connect continue count create current
    date decimal declare decrement default defaults define delete delimiter desc difference distinct divide do
    double drop else empty encoding end equals escape exclusive exec execute exists explain false fetch file field
    first float for from function go goto grant greater group having identified if immediate in increment index
    initial inner inout input insert int integer intersect intersection into is isempty isnull join last left less
    like limit lock long max min minus mode modify modulo more multiply next noaudit not notin nowait null number
    object of on option or order outer output power previous prior privileges public raise raw remainder rename
    resource return returns revoke right row rowid rownum rows select session set share size sqrt start strict
    string subtract sum synonym table then to trans transaction trigger true uid union unique update user validate
    values view was when whenever where while with
"""
RESERVED_WORDS = frozenset(_WORDS.split())
OPERATORS = ("=", "!=", "<", ">", "<=", ">=", "~", "!~")
_LISTED = "'=', '!=', '<', '>', '<=', '>=', '~', '!~', 'IN', 'NOT IN', 'IS' and 'IS NOT'"
_RESERVED = "+.;?|*/%^$#@[]"
_TOKEN = re.compile(
    r"""\s*(?:(?P<field>(?i:cf)\[\d+\])|(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<mark>!~|!=|<=|>=|&&|\|\||[=~<>!(),])|(?P<word>[^\s"'=~<>!(),&|]+))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LEGAL = {"'": "'", '"': '"', "t": "\t", "n": "\n", "r": "\r", "\\": "\\", " ": " "}
ILLEGAL_ESCAPE = (
    "'\\{}' is an illegal JQL escape sequence. The valid escape sequences are \\', \\\", \\t, \\n, \\r, \\\\, '\\ ' "
    "and \\uXXXX."
)


class JqlError(ValueError):
    """A query that cannot be read; `words` marks plain words where an operator should stand."""

    def __init__(self, text: str, at: int, *, words: bool = False) -> None:
        super().__init__(f"Error in the JQL Query: {text} (line 1, character {at + 1})")
        self.words = words


@dataclass(frozen=True)
class Operand:
    """A text, a function call, or EMPTY."""

    text: str
    function: tuple[str, ...] | None = None
    empty: bool = False


@dataclass(frozen=True)
class Clause:
    """A field compared with one operand or a list."""

    field: str
    operator: str
    operands: tuple[Operand, ...]
    listed: bool = False


@dataclass(frozen=True)
class Join:
    """Clauses joined by and, or; a single one under not."""

    operator: str
    parts: tuple[Node, ...]


Node = Clause | Join


@dataclass(frozen=True)
class Query:
    """A whole query: its restriction, if any, and the order."""

    where: Node | None
    order: tuple[tuple[str, bool], ...]  # field, whether descending


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def low(self) -> str:
        return self.text.lower() if self.kind in ("word", "mark") else ""


def parse(text: str) -> Query:
    """Read a query; raises JqlError."""
    return _Parser(list(_tokens(text)), len(text)).query()


def clauses(node: Node | None) -> Iterator[Clause]:
    """Every clause of a restriction."""
    if isinstance(node, Clause):
        yield node
    elif node is not None:
        for part in node.parts:
            yield from clauses(part)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            start = len(text) - len(text[at:].lstrip())
            if text[start] in "\"'":
                raise JqlError(
                    f"The quoted string '{text[start + 1 :]}' has not been completed with a closing quote.", start
                )
            raise JqlError(f"The character '{text[start]}' is a reserved JQL character.", start)
        kind = found.lastgroup or "word"
        start, raw = found.start(kind), found.group(kind)
        if kind == "word":
            _check_word(raw, start)
        value = _unquoted(raw[1:-1], start) if kind == "quoted" else _unquoted(raw, start) if kind == "word" else raw
        yield _Token(kind, value, start)
        at = found.end()


def _check_word(word: str, at: int) -> None:
    for offset, letter in enumerate(word):
        escaped = offset > 0 and word[offset - 1] == "\\"
        if letter in _RESERVED and not escaped:
            code = f"\\u{ord(letter):04x}"
            raise JqlError(
                f"The character '{letter}' is a reserved JQL character. You must enclose it in a string or use the "
                f"escape '{code}' instead.",
                at + offset,
            )


def _unquoted(text: str, at: int) -> str:
    def plain(found: re.Match[str]) -> str:
        code = found.group(1)
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _LEGAL:
            raise JqlError(ILLEGAL_ESCAPE.format(code), at + found.start())
        return _LEGAL[code]

    return _ESCAPE.sub(plain, text) if "\\" in text else text


class _Parser:
    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens, self._at, self._length = tokens, 0, length

    def query(self) -> Query:
        where = None if self._low() in ("", "order") and not self._more_text() else self._or()
        order: list[tuple[str, bool]] = []
        if self._low() == "order":
            self._next()
            self._expect("by")
            order.append(self._sorting())
            while self._low() == ",":
                self._next()
                order.append(self._sorting())
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            raise JqlError(f"Expecting either 'OR' or 'AND' but got '{token.text}'.", token.at)
        return Query(where, tuple(order))

    def _more_text(self) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].kind in ("quoted", "field")

    def _or(self) -> Node:
        parts = [self._and()]
        while self._low() in ("or", "||"):
            self._next()
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Join("or", tuple(parts))

    def _and(self) -> Node:
        parts = [self._not()]
        while self._low() in ("and", "&&"):
            self._next()
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else Join("and", tuple(parts))

    def _not(self) -> Node:
        if self._low() in ("not", "!"):
            self._next()
            return Join("not", (self._not(),))
        if self._low() == "(":
            self._next()
            inner = self._or()
            self._expect(")")
            return inner
        return self._clause()

    def _clause(self) -> Clause:
        field = self._name("field")
        operator = self._operator()
        if operator in ("in", "not in"):
            return self._list(field, operator)
        operand = self._operand()
        if operator in ("is", "is not") and not operand.empty:
            raise JqlError(f"The '{operator}' operator can only be used with EMPTY.", self._here(), words=True)
        return Clause(field, operator, (operand,))

    def _list(self, field: str, operator: str) -> Clause:
        if self._low() != "(":
            operand = self._operand()
            return Clause(field, operator, (operand,), listed=operand.function is not None)
        self._next()
        operands = [self._operand()]
        while self._low() == ",":
            self._next()
            operands.append(self._operand())
        self._expect(")")
        return Clause(field, operator, tuple(operands), listed=True)

    def _operator(self) -> str:
        token = self._take("operator")
        low = token.low
        if low in OPERATORS or low == "in":
            return low
        if low == "not" and self._low() == "in":
            self._next()
            return "not in"
        if low == "is":
            if self._low() == "not":
                self._next()
                return "is not"
            return "is"
        if low in ("was", "changed"):
            raise unmodelled(f"the JQL operator {low}")
        raise JqlError(
            f"Expecting operator but got '{token.text}'. The valid operators are {_LISTED}.",
            token.at,
            words=token.kind != "mark",
        )

    def _operand(self) -> Operand:
        token = self._take("value")
        if token.kind == "word" and token.low in ("empty", "null"):
            return Operand("", empty=True)
        if token.kind == "mark":
            raise JqlError(f"Expecting either a value, list or function but got '{token.text}'.", token.at)
        if token.kind == "word" and self._low() == "(":
            self._next()
            given: list[str] = []
            while self._low() != ")":
                given.append(self._take("value").text)
                if self._low() == ",":
                    self._next()
            self._next()
            return Operand(token.text, function=tuple(given))
        self._not_reserved(token)
        return Operand(token.text)

    def _sorting(self) -> tuple[str, bool]:
        name = self._name("field")
        if self._low() in ("asc", "desc"):
            return name, self._next().low == "desc"
        return name, False

    def _name(self, what: str) -> str:
        token = self._take(what)
        if token.kind == "mark":
            raise JqlError(f"Expecting a field name but got '{token.text}'.", token.at)
        self._not_reserved(token)
        return token.text

    def _not_reserved(self, token: _Token) -> None:
        if token.kind == "word" and token.low in RESERVED_WORDS:
            raise JqlError(
                f"'{token.text}' is a reserved JQL word. You must surround it in quotation marks to use it in a query.",
                token.at,
            )

    def _expect(self, text: str) -> None:
        if self._low() != text:
            got = self._tokens[self._at].text if self._at < len(self._tokens) else "the end of the query"
            raise JqlError(f"Expecting '{text}' but got '{got}'.", self._here())
        self._next()

    def _take(self, what: str) -> _Token:
        if self._at >= len(self._tokens):
            raise JqlError(f"Expecting a {what} but the query ends here.", self._length, words=what == "operator")
        return self._next()

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _low(self) -> str:
        return self._tokens[self._at].low if self._at < len(self._tokens) else ""

    def _here(self) -> int:
        return self._tokens[self._at].at if self._at < len(self._tokens) else self._length
