"""The base of all wire models: frozen, strict about what we read, tolerant of and attentive to everything else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator

from ml_connector.errors import ContractError


class Notes(Protocol):
    """Who counts the answer members that no model reads (the HTTP client)."""

    @property
    def system(self) -> str:
        """The system's name for error messages."""
        ...

    def note_ignored(self, name: str) -> None:
        """Count one unknown member, named `Model.member`."""
        ...


class WireModel(BaseModel):
    """One object of a system's answer; aliases keep the vendor's spelling, unknown members are counted, not kept."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _note_unknown(cls, data: Any, info: ValidationInfo) -> Any:
        notes = info.context
        if notes is not None and isinstance(data, Mapping):
            for name in data.keys() - _known_names(cls):
                notes.note_ignored(f"{cls.__name__}.{name}")
        return data

    @classmethod
    def parse(cls, data: Any, client: Notes, operation: str) -> Self:
        """Read one object; a ContractError names the path that is missing or malformed, never its value."""
        try:
            return cls.model_validate(data, context=client)
        except ValidationError as error:
            message = f"{cls.__name__}.{first_problem(error)}"
            raise ContractError(message, system=client.system, operation=operation) from None


def first_problem(error: ValidationError) -> str:
    """Path and kind of the first problem, without the value that caused it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join(str(part) for part in first["loc"]) or "(object)"
    return f"{path}: {first['msg']}"


@cache
def _known_names(model: type[BaseModel]) -> frozenset[str]:
    names = set(model.model_fields)
    for info in model.model_fields.values():
        names.update(name for name in (info.alias, info.validation_alias) if isinstance(name, str))
    return frozenset(names)
