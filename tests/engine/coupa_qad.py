"""The world of a Coupa-QAD connection, with the story's data or any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ml_connector.store.tenants import ConnectionRow
from ml_connector.systems.coupa.config import CoupaCredentialsData
from ml_connector.systems.qad.config import QadPasswordLogin
from sandbox import story
from sandbox.coupa.app import create as create_coupa
from sandbox.kit.clock import Clock
from sandbox.qad.app import create as create_qad
from tests.engine.world import START, Json, World

NAME = "acme"
COUPA = "http://127.0.0.1"
QAD = "http://127.0.0.1/clouderp"


def logins() -> list[Any]:
    """The demo logins of both sandboxes."""
    return [
        CoupaCredentialsData(base_url=COUPA, client_id="coupa-demo", client_secret=SecretStr("coupa-demo-secret")),
        QadPasswordLogin(
            base_url=QAD,
            client_id="qad-demo-client",
            username="qad-demo",
            password=SecretStr("qad-demo-password"),
        ),
    ]


def settings(**changes: Any) -> Json:
    """Settings of the connection; `coupa`, `qad` and `invoices` are merged member by member."""
    base: Json = {
        "coupa": {
            # The stand-in's company keeps one time all year.
            "time_zone": "Etc/GMT+8",
            "invoice_number_field": "cf-erp-invoice-number",
            "monitoring": "history",
            "integration_code": "QAD_INV",
        },
        "qad": {"domain": "10USA", "entity": "10USACO", "workspace_id": "10USA_10USACO", "limits": {"rps": 1000}},
        "invoices": {
            "accounts": {
                "shipping": {"account": "6200"},
                "misc": {"account": "7200"},
                "tax": {"account": "7100"},
                "credit": {"account": "6100"},
            }
        },
    }
    for part, members in changes.items():
        base[part] = base.get(part, {}) | members if isinstance(members, dict) else members
    return base


async def coupa_qad(
    folder: Path, template: Path, *, options: dict[str, Json] | None = None, url: str = "", **changes: Any
) -> World:
    """A world with both tenants' masters and a stored connection; seed documents on top."""
    options = options or {}
    apps = {
        "coupa": create_coupa(clock=Clock(START), options=options.get("coupa")),
        "qad": create_qad(clock=Clock(START), options=options.get("qad")),
    }
    world = World(folder, template, apps, url=url)
    await world.admin("coupa", "seed/base")
    await world.admin("qad", "seed/base")
    row = ConnectionRow(
        NAME, "coupa_qad", "coupa-credentials/acme", "qad-credentials/acme", "", "", settings=settings(**changes)
    )
    await world.connect(row, logins(), ("acme.coupahost.com", "erp.acme.example 10USA 10USACO"))
    return world


async def told(folder: Path, template: Path, **changes: Any) -> World:
    """The world of the story: seven approved invoices."""
    world = await coupa_qad(folder, template, **changes)
    await world.admin("coupa", "seed", story.coupa())
    await world.admin("qad", "seed", story.qad())
    return world
