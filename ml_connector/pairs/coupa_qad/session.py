"""Opens a run of either direction of this pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from ml_connector.domain.keys import ExternalId, token
from ml_connector.domain.matching import LineKey
from ml_connector.pairs import opening
from ml_connector.pairs.base import Direction
from ml_connector.pairs.coupa_qad.links import ToCoupaLinks, ToQadLinks
from ml_connector.pairs.coupa_qad.ours import OurVouchers
from ml_connector.pairs.coupa_qad.routes import Ends, to_qad
from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings, overlap, proven
from ml_connector.pairs.coupa_qad.way_back import to_coupa
from ml_connector.pairs.opening import Opening, Plan, Way
from ml_connector.store import reservations
from ml_connector.store.reservations import LineUse
from ml_connector.sync.inbox import InboxSource
from ml_connector.sync.seams import Route
from ml_connector.systems.coupa.ports import ApprovedInvoices

# A void that is older than this when a connection first looks was seen when it was made, or concerns nothing of ours.
_VOIDS_SINCE = timedelta(days=90)


def _planned(routes: Callable[[Ends], dict[str, Route[Any]]]) -> Callable[[Opening], Plan]:
    return lambda one: Plan(routes(_ends(one)))


def _ends(one: Opening) -> Ends:
    run, row, (coupa, qad) = one.run, one.row, one.clients
    db = run.store.db

    async def read_uses(numbers: Iterable[str]) -> Mapping[LineKey, LineUse]:
        async with db.read() as tx:
            return await reservations.uses(tx, row.target_tenant, numbers)

    async def read_tokens(tokens: frozenset[str]) -> frozenset[str]:
        return await reservations.known_tokens(db, row.target_tenant, tokens)

    def token_of(record_type: str, key: str) -> str:
        return token(ExternalId(run.source_tenant, record_type, key), run.target_tenant)

    return Ends(
        coupa=coupa,
        qad=qad,
        settings=one.settings,
        vouchers=OurVouchers(run.store, one.installation.connections, row),
        read_uses=read_uses,
        read_tokens=read_tokens,
        token_of=token_of,
        voids_since=run.now - _VOIDS_SINCE,
        today=run.today,
        box=(_box(one),) if one.news else (),
    )


def _box(one: Opening) -> InboxSource[Any]:
    """Deliveries only say that it is time to look: an invoice is posted when its stream shows it, never by an event."""
    invoices, run = ApprovedInvoices(one.clients[0]), one.run
    return InboxSource("coupa.events", run.store, run.connection, run.direction, topics=(), inner=invoices)


_CLIENTS = (
    lambda end, settings: opening.coupa(end, settings.coupa),
    lambda end, settings: opening.qad(end, settings.qad),
)
_TO_QAD = Way(
    name="coupa_to_qad",
    settings=CoupaQadSettings,
    forward=True,
    page_size=lambda one: int(one.invoices.page_size),
    clients=_CLIENTS,
    plan=_planned(to_qad),
    links=ToQadLinks,
    woken=True,
)
_TO_COUPA = Way(
    name="qad_to_coupa",
    settings=CoupaQadSettings,
    forward=False,
    page_size=lambda one: int(one.payments.page_size),
    clients=_CLIENTS,
    plan=_planned(to_coupa),
    links=ToCoupaLinks,
)
COUPA_TO_QAD = Direction(
    name="coupa_to_qad",
    pair="coupa_qad",
    source="coupa",
    target="qad",
    settings=CoupaQadSettings,
    flow="flows.coupa_to_qad.coupa_to_qad",
    settings_flow="flows.connection_settings.coupa_qad_settings",
    open=partial(opening.opened, _TO_QAD),
    overlap=overlap,
    proven=proven,
    webhooks="coupa",
)
QAD_TO_COUPA = Direction(
    name="qad_to_coupa",
    pair="coupa_qad",
    source="qad",
    target="coupa",
    settings=CoupaQadSettings,
    flow="flows.qad_to_coupa.qad_to_coupa",
    settings_flow="flows.connection_settings.coupa_qad_settings",
    open=partial(opening.opened, _TO_COUPA),
    overlap=overlap,
    proven=proven,
    schedule_s=900,
)
