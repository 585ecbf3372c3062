"""What a person decides about single records: replay one, make a deleted document again, settle a doubt.

Every decision is made under the lease of its direction and noted in the audit trail with who made it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import reason
from ml_connector.domain.writes import REMEMBERED, Found
from ml_connector.errors import ConfigurationError
from ml_connector.store import ledger, reservations
from ml_connector.store.ledger import DONE, IN_DOUBT, INTENDED, PENDING, EffectRow, LedgerRow
from ml_connector.sync import agreeing
from ml_connector.sync.asking import order
from ml_connector.sync.payloads import stored_payload
from ml_connector.sync.run import SyncRun, event
from ml_connector.sync.seams import Nameable, Route

# Older than any version of settings, so that a standing rejection is judged again.
_JUDGE_AGAIN = -1


async def find(run: SyncRun, text: str) -> LedgerRow | None:
    """The record of this direction that a person names; ConfigurationError when the name fits several."""
    rows = [row for row in await ledger.by_label(run.store.db, text) if row.connection == run.connection]
    rows = [row for row in rows if row.direction == run.direction and row.route in run.routes]
    if len(rows) > 1:
        names = ", ".join(sorted(row.external_id for row in rows))
        raise ConfigurationError(f"{len(rows)} records are called {text}; name one of them: {names}")
    if not rows:
        return None
    return ledger.aligned(rows[0], [effect.name for effect in run.routes[rows[0].route].effects])


async def request_replay(run: SyncRun, row: LedgerRow, *, by: str, recreate: bool = False) -> LedgerRow:
    """Make a record due whatever it stands at; with `recreate` its deleted document is made again as a new revision."""
    if recreate:
        row = _without_document(row)
    elif row.complete:
        # A value that others write too may not be as we left it, and nothing else would look.
        again = {effect.name for effect in run.routes[row.route].effects if not effect.proves}
        effects = tuple(replace(one, state=PENDING) if one.name in again else one for one in row.effects)
        row = replace(row, effects=effects)
    due = replace(row, settings_version=_JUDGE_AGAIN, due_at=run.now)
    kind = "recreate_requested" if recreate else "replay_requested"
    async with run.transaction() as tx:
        saved = await run.save(tx, [due], [event(kind, due, by=by)])
    return saved[0]


def _without_document(row: LedgerRow) -> LedgerRow:
    if row.in_doubt or not any(one.code == "target_deleted" for one in row.reasons):
        raise ConfigurationError(
            f"{row.label} stands at {row.outcome}; only a record whose document is gone is made again"
        )
    effects = tuple(
        replace(one, state=PENDING, blob=None, synced=None, target_id="", fingerprint="") for one in row.effects
    )
    return replace(row, effects=effects, target_id=None, fingerprint="")


async def settle_written(run: SyncRun, route: Route[Any], row: LedgerRow, target_id: str, *, by: str) -> LedgerRow:
    """A person has seen the effect in the target: it is done under that id, and what follows it goes on."""
    one = _doubtful(row)
    first = one.ordinal == 0
    effect = route.effects[one.ordinal]
    payload = stored_payload(run.store.keys, row, one)
    if isinstance(effect.target, Nameable) and (problem := await effect.target.problem(target_id, payload)):
        raise ConfigurationError(f"{row.label} cannot be settled as {target_id}: {problem}")
    if first and await run.owned_elsewhere(route, {row.id: target_id}):
        raise ConfigurationError(f"{target_id} belongs to another record already; see: audit show {target_id}")
    synced = one.blob if effect.operation in REMEMBERED else None
    notes = one.notes
    if effect.operation == "tell":
        found = (await effect.target.find([order(effect, row, payload, key=one.key)])).get(row.external_id)
        notes = tuple(found.data.get("notes") or notes) if isinstance(found, Found) else notes
    done = replace(one, state=DONE, target_id=target_id, doubt_since=None, synced=synced, notes=notes)
    row = row.with_effect(done)
    row = replace(row, target_id=target_id) if first else row
    row = run.judged(row, Outcome.CREATED if row.complete else Outcome.IN_DOUBT)
    agreed = agreeing.settled(effect, row, payload) if first else {}
    async with run.transaction() as tx:
        await agreeing.note(run, tx, [agreed])
        saved = await run.save(tx, [row], [event("settled_written", row, effect=one.name, target=target_id, by=by)])
        await reservations.make_permanent(tx, [row.id] if first else [])
    return saved[0]


async def settle_absent(run: SyncRun, route: Route[Any], row: LedgerRow, *, by: str) -> LedgerRow:
    """A person has seen that nothing was written: it is sent again, but never before the settle time is over."""
    one = _doubtful(row)
    since = await _since(run, row, one)
    over = since + route.effects[one.ordinal].target.settle
    if run.now < over:
        when = f"{over:%Y-%m-%d %H:%M} UTC"
        raise ConfigurationError(f"{one.name} of {row.label} may still take effect; say so again after {when}")
    row = row.with_effect(replace(one, state=PENDING, doubt_since=None))
    row = run.judged(row, Outcome.HELD, (reason("settled_absent"),))
    async with run.transaction() as tx:
        saved = await run.save(tx, [row], [event("settled_absent", row, effect=one.name, by=by)])
        await reservations.release(tx, [] if row.posted else [row.id])
    return saved[0]


async def _since(run: SyncRun, row: LedgerRow, one: EffectRow) -> datetime:
    """When the doubt began; a row that a lost run left as intended is in doubt from now on."""
    if one.state == IN_DOUBT and one.doubt_since is not None:
        return one.doubt_since
    noted = row.with_effect(replace(one, state=IN_DOUBT, doubt_since=run.now))
    async with run.transaction() as tx:
        await run.save(tx, [noted], [event("found_intended", noted)])
    return run.now


def _doubtful(row: LedgerRow) -> EffectRow:
    one = row.in_doubt
    if one is None or one.state not in (INTENDED, IN_DOUBT):
        raise ConfigurationError(f"{row.label} is not in doubt; it stands at {row.outcome}")
    return one
