"""The one rule by which a text is shortened to fit another system's field."""

from __future__ import annotations

ELLIPSIS = "…"


def shortened(text: str, limit: int) -> str:
    """The text on one line, cut to `limit` characters with `…` as the last one when it was longer.

    Only descriptions and names are shortened; numbers that identify a document never are.
    """
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= limit else one_line[: limit - 1].rstrip() + ELLIPSIS
