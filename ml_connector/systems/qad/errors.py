"""What an answer of QAD means for the caller: the status decides first, then the envelope inside an HTTP 200.

    status                       read                        write
    200, JSON                    the data                    the envelope decides, see `submitted`
    200, HTML or not JSON        ConfigurationError          UnknownOutcomeError
    400                          ConfigurationError          RecordRejectedError
    401 (after one renewal)      AuthenticationError         AuthenticationError
    403                          PermissionDeniedError       PermissionDeniedError
    404                          ConfigurationError          ConfigurationError
    408                          TransientError              UnknownOutcomeError
    other 4xx                    ContractError               RecordRejectedError, UnknownOutcomeError without JSON

429 and 5xx never arrive here: the HTTP client judges them. QAD's own words go into `detail` alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from ml_connector.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    ContractError,
    PermissionDeniedError,
    RecordRejectedError,
    TransientError,
    UnknownOutcomeError,
)
from ml_connector.http.json import loads
from ml_connector.systems.qad.config import RefusalRule

SYSTEM = "qad"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as its errors describe it; `setting` names the setting that chose path and fields."""

    operation: str
    setting: str = "base_url"
    workspace: str = ""
    external_id: str = ""

    def error(self, kind: type[ConnectorError], message: str) -> ConnectorError:
        """An error about this call."""
        return kind(message, system=SYSTEM, operation=self.operation, external_id=self.external_id)

    def rejected(self, code: str, detail: str) -> RecordRejectedError:
        """A definite refusal of one record."""
        return RecordRejectedError(
            f"refused: {code}",
            code=code,
            detail=detail,
            system=SYSTEM,
            operation=self.operation,
            external_id=self.external_id,
        )


def read_answer(response: httpx.Response, asked: Asked) -> Mapping[str, Any]:
    """The JSON object of an answer to a question, or the error that it means."""
    status = response.status_code
    _login_and_rights(response, asked)
    if looks_like_page(response):
        text = f"an HTML page came back (HTTP {status}): check host and context root in base_url, and {asked.setting}"
        raise asked.error(ConfigurationError, text)
    if status == 404:
        raise asked.error(ConfigurationError, f"HTTP 404, QAD does not know this path: check {asked.setting}")
    if status == 400:
        raise asked.error(ConfigurationError, f"HTTP 400, a field or filter is unknown to QAD: check {asked.setting}")
    if status == 408:
        raise asked.error(TransientError, "HTTP 408")
    if status >= 400:
        raise asked.error(ContractError, f"HTTP {status} is not an answer to a read")
    answer = loads(response.content, system=SYSTEM, operation=asked.operation)
    if not isinstance(answer, Mapping):
        raise asked.error(ContractError, "$: an object is expected")
    _bare_errors(answer, asked)
    return answer


def write_answer(response: httpx.Response, asked: Asked) -> Mapping[str, Any]:
    """The JSON object of an answer to a write, or the error that it means; anything unclear is doubt."""
    status = response.status_code
    _login_and_rights(response, asked)
    if status == 404:
        raise asked.error(ConfigurationError, f"HTTP 404, nothing was written: check {asked.setting}")
    if status == 408:
        raise asked.error(UnknownOutcomeError, "HTTP 408")
    answer = _object_or_none(response)
    if status == 400 or (status > 400 and answer is not None):
        raise asked.rejected(REFUSED, _told(_errors_of(answer or {})) or f"HTTP {status}")
    if answer is None:
        raise asked.error(UnknownOutcomeError, f"HTTP {status} without a readable answer")
    return answer


def submitted(answer: Mapping[str, Any], asked: Asked, rules: Sequence[RefusalRule], names: Mapping[str, str]) -> None:
    """Return when QAD says that it wrote; RecordRejectedError when it says no, UnknownOutcomeError if neither.

    `names` translates wire members back into our names, so that the rules hold whatever the members are called.
    """
    result = answer.get("submitResult")
    success = result.get("success") if isinstance(result, Mapping) else None
    if success in (True, "true"):
        return
    if not isinstance(result, Mapping) or success not in (False, "false"):
        raise asked.error(UnknownOutcomeError, "submitResult.success is missing from the answer to a write")
    errors = _errors_of(result)
    raise asked.rejected(refusal_code(errors, rules, names), _told(errors) or "QAD gave no reason")


def refusal_code(errors: Sequence[Mapping[str, Any]], rules: Sequence[RefusalRule], names: Mapping[str, str]) -> str:
    """Our code for a refusal; among several errors the first that waiting does not mend."""
    found = [_one_code(error, rules, names) for error in errors]
    lasting = [code for code, waits in found if not waits]
    return (lasting or [code for code, _ in found] or [REFUSED])[0]


def waits(code: str, rules: Sequence[RefusalRule]) -> bool:
    """Whether time or another document can mend this refusal."""
    return any(rule.waits for rule in rules if rule.code == code)


def warnings(answer: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Field and text of every message that came with a success, wherever QAD put it."""
    data = answer.get("data")
    places = (answer, data if isinstance(data, Mapping) else {}, record)
    messages: list[Any] = [one for place in places for one in _list(place.get("supplementaryMessages"))]
    result = answer.get("submitResult")
    messages += _errors_of(result) if isinstance(result, Mapping) else []
    pairs = [(_text(one, "fieldName"), _text(one, "message")) for one in messages if isinstance(one, Mapping)]
    return tuple(dict.fromkeys(pairs))


def looks_like_page(response: httpx.Response) -> bool:
    """Whether a web page came back instead of an answer, which is what a wrong context root gives."""
    return response.headers.get("Content-Type", "").startswith("text/html") or response.content.lstrip()[:1] == b"<"


def _login_and_rights(response: httpx.Response, asked: Asked) -> None:
    if response.status_code == 401:
        raise asked.error(AuthenticationError, "QAD refuses the login (HTTP 401)")
    if response.status_code == 403:
        raise _no_right(asked)


def _no_right(asked: Asked) -> ConnectorError:
    where = f", or workspace {asked.workspace} is not open to it" if asked.workspace else ""
    text = f"access is denied (403): the user has no right to {asked.operation}{where}"
    return asked.error(PermissionDeniedError, text)


def _bare_errors(answer: Mapping[str, Any], asked: Asked) -> None:
    if "data" in answer or not isinstance(answer.get("errors"), list):
        return
    codes = {_text(error, "code") for error in _errors_of(answer)}
    if "401" in codes:
        raise asked.error(AuthenticationError, "QAD refuses the login (code 401 inside the answer)")
    if "403" in codes:
        raise _no_right(asked)
    raise asked.error(ContractError, "errors: QAD answered with an error instead of data")


def _object_or_none(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        answer = loads(response.content, system=SYSTEM)
    except ContractError:
        return None
    return answer if isinstance(answer, Mapping) else None


def _one_code(error: Mapping[str, Any], rules: Iterable[RefusalRule], names: Mapping[str, str]) -> tuple[str, bool]:
    wire = re.split(r"[.\]]", _text(error, "fieldName"))[-1]
    fields = {wire, names.get(wire, wire)}
    for rule in rules:
        hit = re.search(rule.message, _text(error, "message"))
        if hit and (not rule.field or any(re.fullmatch(rule.field, field) for field in fields)):
            return _with_field(rule.code, hit), rule.waits
    return REFUSED, False


def _with_field(code: str, hit: re.Match[str]) -> str:
    field = hit.groupdict().get("field")
    return code if field is None else f"{code}:{re.sub(r'[^A-Za-z0-9_ ]', '', field)[:60]}"


def _errors_of(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [error for error in _list(holder.get("errors")) if isinstance(error, Mapping)]


def _told(errors: Iterable[Mapping[str, Any]]) -> str:
    texts = []
    for error in errors:
        field, code = _text(error, "fieldName"), _text(error, "code")
        texts.append(f"{field + ': ' if field else ''}{_text(error, 'message')}{f' ({code})' if code else ''}")
    return "; ".join(texts)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(holder: Any, name: str) -> str:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return "" if value is None else str(value)
