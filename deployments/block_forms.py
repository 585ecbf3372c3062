"""A credentials block filled in at the terminal: its own model says what is asked, and what is a secret."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from deployments.asking import ask, choose
from ml_connector.errors import ConfigurationError
from ml_connector.http.models import first_problem

KIND = "kind"
# The first one is the usual one. Names in `blocks`, which is imported only when a block is filled in: it needs Prefect.
KINDS: Mapping[str, Mapping[str, str]] = {
    "coupa": {"client": "CoupaCredentials"},
    "qad": {
        "password": "QadCredentials",
        "client": "QadClientCredentials",
        "session": "QadSessionCredentials",
        "basic": "QadBasicCredentials",
    },
    "jira": {
        "oauth": "JiraOAuthCredentials",
        "service-account": "JiraServiceAccountCredentials",
        "api-token": "JiraApiTokenCredentials",
    },
}
# What connecting finds out, or hardly anybody changes: taken from --field alone.
UNASKED: Mapping[str, frozenset[str]] = {"jira": frozenset({"cloud_id", "api_url", "auth_url"})}


@dataclass(frozen=True, slots=True)
class Given:
    """What was said on the command line: answers by field name, and the file that holds the secret."""

    fields: Mapping[str, str]
    secret_file: Path | None = None

    @classmethod
    def read(cls, fields: Sequence[str], secret_file: Path | None) -> Given:
        """Split `name=value`; ConfigurationError for anything else."""
        found = {}
        for text in fields:
            name, equals, value = text.partition("=")
            if not equals or not name:
                raise ConfigurationError(f"--field {name or '...'}: write it as name=value")
            found[name.strip()] = value
        return cls(found, secret_file)


def block_types(system: str) -> dict[str, Any]:
    """The kinds of block that hold a login of this system, by the short name a person chooses."""
    import blocks

    return {kind: getattr(blocks, name) for kind, name in KINDS[system].items()}


def choose_type(system: str, given: Given) -> Any:
    """Which kind of login it is: what was said, the only one, or what a person chooses."""
    kinds = block_types(system)
    kind = given.fields.get(KIND, "")
    if not kind:
        kind = next(iter(kinds)) if len(kinds) == 1 else choose("kind of login", list(kinds), f"--field {KIND}=...")
    if kind not in kinds:
        raise ConfigurationError(f"there is no login of kind {kind} for {system}; there is: {', '.join(kinds)}")
    return kinds[kind]


def fill_in(block_type: Any, given: Given, *, unasked: frozenset[str] = frozenset()) -> Any:
    """The block with every field answered; ConfigurationError names the first answer that is wrong, never a value.

    `unasked` fields keep their defaults unless they were said.
    """
    fields: dict[str, FieldInfo] = block_type.model_fields
    secrets = [name for name, field in fields.items() if field.annotation is SecretStr]
    unknown = sorted(given.fields.keys() - fields.keys() - {KIND})
    if unknown:
        raise ConfigurationError(f"--field {unknown[0]}: there is no such field; there is: {', '.join(fields)}")
    for name in secrets:
        if name in given.fields:
            raise ConfigurationError(f"--field {name}: a secret is typed at the prompt or read from --secret-file")
    asked = [name for name in fields if name in given.fields or name not in unasked]
    answers = {name: _answer(name, fields[name], given) for name in asked}
    try:
        return block_type(**answers)
    except ValidationError as error:
        raise ConfigurationError(f"{block_type._block_type_name}: {first_problem(error)}") from None


def required_settings(model: type[BaseModel], path: str = "") -> dict[str, Any]:
    """Ask for each setting of a pair that has no default, groups within groups included."""
    answers: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if not field.is_required():
            continue
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            answers[name] = required_settings(inner, f"{path}{name}.")
        else:
            answers[name] = ask(_question(path + name, field), f"--settings with {path}{name}")
    return answers


def _answer(name: str, field: FieldInfo, given: Given) -> Any:
    option = f"--field {name}=..."
    if field.annotation is SecretStr:
        return SecretStr(_secret(name, field, given))
    said = given.fields.get(name)
    if typing.get_origin(field.annotation) is list:
        default = " ".join(field.get_default(call_default_factory=True) or ())
        listed = ask(_question(name, field), option, default=default) if said is None else said
        return listed.replace(",", " ").split()
    if said is not None:
        return said
    return _plain(name, field, option)


def _plain(name: str, field: FieldInfo, option: str) -> str | None:
    default = None if field.is_required() else str(field.get_default(call_default_factory=True))
    question = _question(name, field)
    if not field.is_required() and field.default is None:
        return ask(question, option, default="") or None
    if typing.get_origin(field.annotation) is Literal:
        question += f" {'/'.join(map(str, typing.get_args(field.annotation)))}"
    return ask(question, option, default=default)


def _secret(name: str, field: FieldInfo, given: Given) -> str:
    if given.secret_file is None:
        return ask(_question(name, field), "--secret-file", hidden=True)
    try:
        secret = given.secret_file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"secret file {given.secret_file} cannot be read: {reason}") from None
    if not secret:
        raise ConfigurationError(f"secret file {given.secret_file} is empty")
    return secret


def _question(name: str, field: FieldInfo) -> str:
    described = (field.description or "").rstrip(".")
    return f"{name} ({described})" if described else name
