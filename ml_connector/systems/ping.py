"""What a connection test found out, in one shape for every system, for the person who typed the login."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PingCheck:
    """One thing that was tried; `message` says what was seen, `remedy` what to do about it."""

    name: str
    ok: bool
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class PingReport:
    """All checks of one tenant; `ok` means that the connection can be used, `who` is the identity that logged in."""

    system: str
    ok: bool
    who: str
    checks: tuple[PingCheck, ...]
