"""Takes secrets out of text before anybody can read it: log lines, error messages, shown addresses."""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

HIDDEN = "***"
_NAMES = (
    r"(?:client[-_]?secret|access[-_]?token|refresh[-_]?token|id[-_]?token|api[-_]?key|password|passwd|secret|"
    r"assertion|j_password|jsessionid|token)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(rf"""(["']{_NAMES}["']\s*:\s*)(["'])(?:\\.|(?!\2).)*\2""", re.IGNORECASE), rf"\1\2{HIDDEN}\2"),
    (re.compile(rf"\b({_NAMES})=[^&\s\"'<>;,)]+", re.IGNORECASE), rf"\1={HIDDEN}"),
    (
        re.compile(r"\b((?:set-)?cookie|authorization|x-[\w-]*(?:key|token|signature))\s*:\s*[^\r\n]+", re.IGNORECASE),
        rf"\1: {HIDDEN}",
    ),
    # A session context row of QXtend: the name "password" in one element, its value in the next one.
    (
        re.compile(
            r"(<(?:\w+:)?propertyName>\s*password\s*</(?:\w+:)?propertyName>\s*<(?:\w+:)?propertyValue>)[^<]*",
            re.IGNORECASE,
        ),
        rf"\g<1>{HIDDEN}",
    ),
    (re.compile(rf"(<(?:\w+:)?{_NAMES}>)[^<]+", re.IGNORECASE), rf"\g<1>{HIDDEN}"),
    (re.compile(r"(?<=://)[^/\s@]+:[^/\s@]+@"), f"{HIDDEN}@"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), HIDDEN),
)


def redact(text: str) -> str:
    """The text without bearer and basic credentials, passwords, secrets, tokens, cookies and QXtend password rows."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def safe_url(url: str) -> str:
    """The address without query, fragment and user info, which is where secrets travel."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else parts.path


class RedactingFilter(logging.Filter):
    """Cleans every record that passes a logger, its arguments and traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass."""
        record.msg = redact(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


def quieten_transport_logs() -> None:
    """Make the HTTP libraries log warnings only, and those redacted: at INFO they print whole addresses."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not any(isinstance(known, RedactingFilter) for known in logger.filters):
            logger.addFilter(RedactingFilter())
