"""Errors named by consequence: what the caller has to do decides the class, never which call failed.

    ConnectorError
    ├── ConfigurationError     stop before any call: a setting is missing or wrong
    ├── ContractError          stop the run: a system answered something the contract does not allow
    ├── AuthenticationError    stop the connection and ask a person for a working login
    ├── PermissionDeniedError  stop the run: the login works, a right is missing
    ├── BusyError              end quietly: another run holds the direction's lease
    ├── LeaseLostError         end at once: this run may no longer write
    ├── TransientError         retried, bounded; the next run goes on
    │   └── RateLimitedError   the same, after `retry_after` seconds
    ├── UnknownOutcomeError    a write may have taken effect: the record is in doubt
    ├── RecordRejectedError    one record needs a person; the batch goes on
    └── SignatureError         a webhook that nobody we trust has signed
"""

from __future__ import annotations

__all__ = [
    "AuthenticationError",
    "BusyError",
    "ConfigurationError",
    "ConnectorError",
    "ContractError",
    "LeaseLostError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RecordRejectedError",
    "SignatureError",
    "TransientError",
    "UnknownOutcomeError",
]


class ConnectorError(Exception):
    """Something a user can act on; the message is already free of secrets and business data."""

    def __init__(self, message: str, *, system: str = "", operation: str = "", external_id: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.system = system
        self.operation = operation
        self.external_id = external_id

    def __str__(self) -> str:
        where = " ".join(part for part in (self.system, self.operation) if part)
        record = f" [{self.external_id}]" if self.external_id else ""
        return f"{where}{record}: {self.message}" if where else f"{self.message}{record}"


class ConfigurationError(ConnectorError):
    """A setting is missing or wrong; the message names field, tenant and remedy."""


class ContractError(ConnectorError):
    """A system's answer breaks its contract; the message names the path that is missing or malformed."""


class AuthenticationError(ConnectorError):
    """A system definitely refused the login; nobody tries again before a person has mended it."""


class PermissionDeniedError(ConnectorError):
    """The login works but lacks a scope or right that the operation needs."""


class BusyError(ConnectorError):
    """Another run of this direction holds the lease."""


class LeaseLostError(ConnectorError):
    """The lease ended or went to another run, so nothing more may be sent."""


class TransientError(ConnectorError):
    """The call provably changed nothing and may work later."""


class RateLimitedError(TransientError):
    """The system asked for a pause of `retry_after` seconds (None: it did not say how long)."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        system: str = "",
        operation: str = "",
        external_id: str = "",
    ) -> None:
        super().__init__(message, system=system, operation=operation, external_id=external_id)
        self.retry_after = retry_after


class UnknownOutcomeError(ConnectorError):
    """A write may or may not have taken effect; only asking the system can tell."""


class RecordRejectedError(ConnectorError):
    """A system or a check definitely refused one record; `code` names the reason, `detail` is the system's own text."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "refused",
        detail: str = "",
        system: str = "",
        operation: str = "",
        external_id: str = "",
    ) -> None:
        super().__init__(message, system=system, operation=operation, external_id=external_id)
        self.code = code
        self.detail = detail


class SignatureError(ConnectorError):
    """A delivery carries no valid signature."""
