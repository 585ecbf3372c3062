"""Asking: before a document is created or brought in line the target is asked what it shows of it.

Where a token marks what is ours, only that is adopted, and the same natural key without it is a possible duplicate
for a person. Where the natural key itself is the identity, the one hit is adopted and updated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ml_connector.domain.keys import ExternalId, canonical, fingerprint, source_version
from ml_connector.domain.outcomes import Outcome
from ml_connector.domain.reasons import Reason, reason
from ml_connector.domain.writes import REMEMBERED, Absent, Conflict, Finding, Foreign, Found, Gone, Order, Taken
from ml_connector.store import reservations
from ml_connector.store.ledger import DONE, LedgerRow
from ml_connector.sync import agreeing
from ml_connector.sync.payloads import seal, synced_payload
from ml_connector.sync.run import SyncRun, event
from ml_connector.sync.seams import Effect, Facts, Route
from ml_connector.sync.work import Work

# What pure code raises over a document that nobody foresaw.
UNUSABLE = (ArithmeticError, ValueError, TypeError, LookupError, AttributeError)


@dataclass(slots=True)
class Asked:
    """Where the records went that were ready to be written."""

    left: list[Outcome] = field(default_factory=list)
    fresh: list[Work[Any]] = field(default_factory=list)
    unfinished: list[Work[Any]] = field(default_factory=list)


def document(run: SyncRun, effect: Effect[Any], work: Work[Any]) -> Mapping[str, Any]:
    """The document of one effect, mapped from the record as it is now, once for all who ask."""
    row = work.known
    name = (effect.name, row.target_id or "")
    if name not in work.documents:
        facts = Facts(work.record, work.decision, row.external_id, row.token, row.target_id or "", run.today)
        work.documents[name] = effect.document(facts)
    return work.documents[name]


def order(
    effect: Effect[Any],
    row: LedgerRow,
    payload: Mapping[str, Any],
    *,
    key: str = "",
    thorough: bool = True,
    changed: tuple[str, ...] = (),
    before: Mapping[str, Any] | None = None,
) -> Order:
    """What a target gets to see of a row; `thorough` looks for the token by itself as well."""
    return Order(
        external_id=row.external_id,
        token=row.token,
        key=key,
        effect=effect.name,
        operation=effect.operation,
        payload=payload,
        target_id=ExternalId.parse(row.external_id).key if effect.about == "source" else row.target_id or "",
        thorough=thorough,
        lane=effect.turn(payload).lane,
        changed=changed,
        before=before or {},
    )


async def ask(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]) -> Asked:
    """Look for the documents that are about to be written; saves what is found, in one transaction."""
    asked = Asked()
    works = await _mappable(run, route, works, asked)
    first = route.effects[0]
    if first.operation in ("act", "tell"):
        # An action reads before it writes, so asking as well would be asking twice.
        asked.fresh += works
        return asked
    asked.fresh += [work for work in works if work.known.effects[0].state == DONE]
    open_ones = [work for work in works if work.known.effects[0].state != DONE]
    known: list[tuple[Work[Any], Finding]] = []
    for work, finding in await _findings(run, route, open_ones):
        if isinstance(finding, Absent):
            asked.fresh.append(work)
        elif isinstance(finding, Found) and finding.differs and first.operation == "upsert":
            asked.fresh.append(_to_be_updated(work, finding))
        else:
            known.append((work, finding))
    if known:
        await _save(run, route, known, asked)
    return asked


async def _findings(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]]) -> list[tuple[Work[Any], Finding]]:
    """What the target shows of each document; what belongs to another record of ours is no finding of this one."""
    if not works:
        return []
    first = route.effects[0]
    orders = [
        order(first, work.known, document(run, first, work), thorough=run.young or work.known.attempts > 0)
        for work in works
    ]
    if first.operation == "upsert":
        # What was never seen as ours is looked for as if for the first time, so that adopting stays as careful.
        orders = [
            one if work.known.effects[0].synced else replace(one, target_id="")
            for one, work in zip(orders, works, strict=True)
        ]
    shown = await first.target.find(orders)
    findings = {work.known.id: shown.get(work.known.external_id, Absent()) for work in works}
    found = {name: one.target_id for name, one in findings.items() if isinstance(one, Found)}
    taken = await run.owned_elsewhere(route, found)
    documents = {work.known.id: document(run, first, work) for work in works}
    base, unclear = await agreeing.bases(run, first, documents), await agreeing.unclear(run, first, documents)
    told: list[tuple[Work[Any], Finding]] = []
    for work in works:
        finding, agreed = findings[work.known.id], base.get(work.known.id, {})
        both = agreeing.both_changed(finding, agreed, document(run, first, work))
        if isinstance(finding, Found) and work.known.id in taken:
            finding = Taken(finding.target_id)
        elif isinstance(finding, Found) and work.known.effects[0].synced and first.identity & set(finding.differs):
            finding = Foreign(finding.target_id)
        elif isinstance(finding, Found) and work.known.id in unclear and agreed.keys() & set(finding.differs):
            finding = Conflict(finding.target_id, ())
        elif isinstance(finding, Found) and both:
            finding = Conflict(finding.target_id, both)
        elif isinstance(finding, Found) and first.operation == "upsert":
            ours = _own_changes(run, first, work, finding, agreed)
            work.apart = frozenset(finding.differs) - frozenset(ours)
            finding = replace(finding, differs=ours)
        told.append((work, finding))
    return told


def _own_changes(
    run: SyncRun, first: Effect[Any], work: Work[Any], found: Found, agreed: Mapping[str, str]
) -> tuple[str, ...]:
    """Of what the target shows differently only what changed at the source: the rest somebody there has changed."""
    row, now = work.known, document(run, first, work)
    before = synced_payload(run.store.keys, row, row.effects[0])
    if not before:
        return tuple(name for name in found.differs if name not in agreed or str(now.get(name) or "") != agreed[name])
    before |= agreed
    # What was synced is read back from its canonical form, where an exact number is text.
    return tuple(name for name in found.differs if canonical(before.get(name)) != canonical(now.get(name)))


def _to_be_updated(work: Work[Any], found: Found) -> Work[Any]:
    """The object is there with other content: it is ours from now on, and only what differs is written."""
    row, one = work.known, replace(work.known.effects[0], target_id=found.target_id)
    if one.blob is not None and one.blob == one.synced:
        # Done before and changed by others since: the same content once more is another write, with its own key.
        row, one = replace(row, fingerprint=""), replace(one, blob=None)
    work.row = replace(row.with_effect(one), target_id=found.target_id)
    work.updates, work.changed = True, found.differs
    return work


async def _mappable(run: SyncRun, route: Route[Any], works: Sequence[Work[Any]], asked: Asked) -> list[Work[Any]]:
    """The records that can be mapped; one that cannot is rejected and stops no other."""
    good, bad = [], []
    for work in works:
        try:
            document(run, route.effects[0], work)
        except UNUSABLE as error:
            bad.append(_exception(run, route, work, reason("not_mappable", error=type(error).__name__)))
        else:
            good.append(work)
    if bad:
        async with run.transaction() as tx:
            await run.save(tx, bad, [event("rejected", row) for row in bad])
        asked.left += [row.outcome for row in bad]
    return good


async def _save(run: SyncRun, route: Route[Any], known: list[tuple[Work[Any], Finding]], asked: Asked) -> None:
    rows, events, claims, agreed = [], [], [], []
    for work, finding in known:
        if isinstance(finding, Found) and not finding.differs:
            row = _adopted(run, route, work, finding)
            first = route.effects[0]
            agreed.append(agreeing.settled(first, row, document(run, first, work), apart=work.apart))
            claims += reserved(run, row, work, permanent=True)
            events.append(event("found" if work.known.posted else "adopted", row, target=finding.target_id))
        else:
            outcome = Outcome.HELD if isinstance(finding, Conflict) else Outcome.REJECTED
            row = _exception(run, route, work, conflict(finding, route.effects[0]), outcome)
            events.append(event(outcome.value, row))
        rows.append(row)
    async with run.transaction() as tx:
        saved = await run.save(tx, rows, events)
        await reservations.lock_orders(run.store.db, tx, run.target_tenant, {one["po_number"] for one in claims})
        await reservations.reserve(tx, claims)
        await agreeing.note(run, tx, agreed)
    for (work, finding), row in zip(known, saved, strict=True):
        work.row = row
        if isinstance(finding, Found) and not finding.differs and not row.complete:
            asked.unfinished.append(work)
        else:
            asked.left.append(row.outcome)


def conflict(finding: Finding, effect: Effect[Any]) -> Reason:
    """Why a finding needs a person."""
    if isinstance(finding, Foreign):
        code = "name_taken" if effect.identity else "possible_duplicate"
        return reason(code, target=finding.target_id)
    if isinstance(finding, Conflict) and not finding.fields:
        # The other direction's write is in doubt: what the fields show may be its echo.
        return reason("waits_for_clear_answer", effect=effect.name)
    if isinstance(finding, Conflict):
        fields = ", ".join(effect.shared[one] for one in finding.fields)
        return reason("conflict", target=finding.target_id, fields=fields)
    if isinstance(finding, Taken):
        return reason("number_taken", target=finding.target_id)
    if isinstance(finding, Gone):
        return reason("target_deleted", target=finding.target_id)
    if isinstance(finding, Found):
        return reason("token_conflict", target=finding.target_id, fields=", ".join(finding.differs))
    code = "number_twice" if effect.identity else "ambiguous"
    return reason(code, count=len(getattr(finding, "target_ids", ())))


def _exception(
    run: SyncRun, route: Route[Any], work: Work[Any], why: Reason, outcome: Outcome = Outcome.REJECTED
) -> LedgerRow:
    row = run.judged(work.known, outcome, (why,))
    return replace(row, source_version=source_version(work.record, route.reads), snapshot=None)


def _adopted(run: SyncRun, route: Route[Any], work: Work[Any], found: Found) -> LedgerRow:
    first = route.effects[0]
    version = source_version(work.record, route.reads)
    row = work.known
    shown = fingerprint(document(run, first, work), leave_out=first.clock_fields)
    revision = max(row.revision, 1)
    # What an object that follows its record shows now is what it was last brought in line with.
    follows = first.operation in REMEMBERED
    blob = seal(run.store.keys, row, row.effects[0], document(run, first, work)) if follows else None
    done = replace(
        row.effects[0],
        state=DONE,
        target_id=found.target_id,
        revision=revision,
        fingerprint=shown,
        blob=blob,
        synced=blob,
    )
    outcome = Outcome.UPDATED if row.posted else Outcome.CREATED
    row = replace(
        row.with_effect(done),
        target_id=found.target_id,
        source_version=version,
        written_version=version,
        revision=revision,
        fingerprint=shown,
    )
    return run.judged(row, outcome if row.complete else Outcome.IN_DOUBT)


def reserved(run: SyncRun, row: LedgerRow, work: Work[Any], *, permanent: bool) -> list[dict[str, Any]]:
    """The reservation rows of a record's claims, each with the receivers it was allotted."""
    decision = work.decision
    if decision is None:
        return []
    rows = []
    for claim in decision.claims:
        sign = -1 if claim.quantity < 0 else 1
        receivers: dict[str, str] = {}
        for part in decision.allotments:
            if (part.po_number, part.po_line) == (claim.po_number, claim.po_line) and part.receiver:
                before = type(part.quantity)(receivers.get(part.receiver, "0"))
                receivers[part.receiver] = str(before + sign * part.quantity)
        rows.append(
            {
                "ledger_id": row.id,
                "tenant": run.target_tenant,
                "domain": claim.domain,
                "po_number": claim.po_number,
                "po_line": claim.po_line,
                "quantity": claim.quantity,
                "receivers": receivers,
                "permanent": permanent,
            }
        )
    return rows
