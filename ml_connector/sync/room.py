"""Room on PO lines: the claims of a chunk are granted one after another, under a lock, against what is left by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ml_connector.domain.money import plain
from ml_connector.domain.outcomes import Claim
from ml_connector.domain.reasons import Reason, reason
from ml_connector.store import reservations
from ml_connector.store.reservations import LineUse
from ml_connector.sync.run import SyncRun
from ml_connector.sync.work import Work

Short = list[tuple[Work[Any], Reason]]


async def granting(
    tx: AsyncConnection, run: SyncRun, works: Sequence[Work[Any]]
) -> tuple[list[Work[Any]], Short]:
    """Who may have what they claim, and who finds too little left, whatever their check saw before."""
    claims = [claim for work in works if work.decision for claim in work.decision.claims]
    if not claims:
        return list(works), []
    orders = {claim.po_number for claim in claims}
    await reservations.lock_orders(run.store.db, tx, run.target_tenant, orders)
    own = frozenset(work.known.id for work in works)
    room = _Room(dict(await reservations.uses(tx, run.target_tenant, orders, leave_out=own)))
    granted, short = [], []
    for work in works:
        wanted = work.decision.claims if work.decision else ()
        lacking = next((claim for claim in wanted if abs(claim.quantity) > room.left(claim)), None)
        if lacking is not None:
            short.append((work, _shortage(lacking, room.left(lacking))))
            continue
        for claim in wanted:
            room.take(claim)
        granted.append(work)
    return granted, short


@dataclass(slots=True)
class _Room:
    """What is left of PO lines while claims are granted."""

    used: dict[tuple[str, int], LineUse]

    def left(self, claim: Claim) -> Decimal:
        """What an invoice may still take of its receipts, or a credit of what we posted."""
        if claim.undoes:
            return abs(claim.quantity)
        use = self.used.get((claim.po_number, claim.po_line), LineUse())
        return claim.limit - use.total if claim.quantity >= 0 else use.posted

    def take(self, claim: Claim) -> None:
        """Grant a claim; an invoice that is only intended gives no room to a credit."""
        key = (claim.po_number, claim.po_line)
        use = self.used.get(key, LineUse())
        posted = use.posted + min(claim.quantity, Decimal(0))
        self.used[key] = replace(use, total=use.total + claim.quantity, posted=posted)


def _shortage(claim: Claim, left: Decimal) -> Reason:
    code = "receipt_missing" if claim.quantity >= 0 else "credit_exceeds_posted"
    numbers = {"billed": plain(abs(claim.quantity)), "available": plain(max(left, Decimal(0)))}
    return reason(code, po=claim.po_number, line=claim.po_line, **numbers)
