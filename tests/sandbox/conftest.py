"""Says so when the official descriptions were not there to compare with."""

from __future__ import annotations

import pytest

from tests.specs import specs


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if specs("coupa") is None:
        terminalreporter.write_line(
            "Coupa's official description was not found, so its keys were compared with nothing: "
            "set ML_CONNECTOR_SPECS to the folder that holds coupa/*.json"
        )
