"""What ends a `send` early travels inside `Stopped`, beside the answers until then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ml_connector.domain.writes import Stopped


@contextmanager
def stopped_by(cause: type[Exception], match: str = "") -> Iterator[None]:
    """The block ends with `Stopped` for that cause."""
    with pytest.raises(Stopped) as stopped:
        yield
    assert isinstance(stopped.value.cause, cause)
    assert re.search(match, str(stopped.value.cause))
