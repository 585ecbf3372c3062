"""The rules by which a tenant spoils calls: which ones, after how many, how often and in what way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

Kind = Literal[
    "reset_before",
    "reset_after",
    "late",
    "late_hang",
    "status",
    "status_after",
    "slow",
    "hang_before",
    "hang_after",
    "malformed",
    "html",
    "truncated",
]
KINDS: tuple[str, ...] = get_args(Kind)


class FaultRule(BaseModel):
    """One rule: which calls it hits, after how many that pass, how often (-1 = for ever), and what goes wrong."""

    model_config = ConfigDict(extra="forbid")

    method: str | None = None
    path: str | None = None
    skip: int = Field(default=0, ge=0)
    times: int = Field(default=1, ge=-1)
    kind: Kind
    seconds: float = Field(default=0.0, ge=0)
    status: int = Field(default=503, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None

    @field_validator("path")
    @classmethod
    def _is_regex(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    def matches(self, method: str, target: str) -> bool:
        """Whether a call with this method and path-with-query is one the rule looks at."""
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or re.search(self.path, target) is not None


@dataclass
class ArmedRule:
    """A rule with the count of calls it has let pass and hit."""

    rule: FaultRule
    passed: int = 0
    hit: int = 0

    def takes(self, method: str, target: str) -> bool:
        """Whether this call is hit; counts it either way."""
        spent = self.rule.times != -1 and self.hit >= self.rule.times
        if spent or not self.rule.matches(method, target):
            return False
        if self.passed < self.rule.skip:
            self.passed += 1
            return False
        self.hit += 1
        return True
