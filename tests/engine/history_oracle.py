"""Judges how a history ended, from the evidence alone; it uses none of the connector's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from tests.engine.histories import Line
from tests.engine.history_evidence import CREDITS, ZERO, Case, Content, agrees, key_of, matched, of_coupa, of_qad
from tests.engine.history_payments import payments
from tests.engine.history_world import Sent

FINAL_RUNS = 2
# What may end a run that was struck; anything else is a mistake of ours whatever was done to it.
NAMED = {
    *("Killed", "BusyError", "LeaseLostError", "TransientError", "RateLimitedError", "ContractError"),
    *("ConfigurationError", "AuthenticationError"),
}


def judge(case: Case) -> list[str]:
    """Everything that must hold and does not, in plain words."""
    wrong: list[str] = []
    for part in (stuck, doubled, stale, overbilled, lost, accounts, payments):
        wrong += [f"{part.__name__}: {text}" for text in part(case)]
    return wrong


def stuck(case: Case) -> Iterator[str]:
    """The last runs end well and write nothing; no row is in doubt, no lease is left."""
    diary = case.player.diary
    for place, one in enumerate(diary.runs):
        quiet = place >= len(diary.runs) - FINAL_RUNS
        if one.name and (quiet or one.name not in NAMED or (not one.struck and one.name != "BusyError")):
            yield f"run {place + 1} of {len(diary.runs)} ended with {one.name}: {one.text}"
    before, after = diary.last_writes
    if before != after:
        yield f"the last run still wrote: {before} -> {after}"
    yield from (f"lease {name} is held" for name in case.leases)
    for key, row in case.rows.items():
        if row["outcome"] == "in_doubt" or {"in_doubt", "intended"} & set(row["states"]):
            yield f"id {key} stays {row['outcome']} with effects {row['states']}"
        if row["outcome"] not in ("created", "held", "rejected", "skipped"):
            yield f"id {key} ended as {row['outcome']}"
    for key, record in case.coupa.items():
        if record["status"] == "approved" and not record["exported"] and key not in case.rows:
            yield f"id {key} is approved and has no row"


def doubled(case: Case) -> Iterator[str]:
    """One voucher per invoice and per paper, one history record, one mark per time that it was reset."""
    for what, count in Counter(one["customShort0"] for one in case.vouchers if one["customShort0"]).items():
        if count > 1:
            yield f"{count} vouchers carry {what}"
    yield from (f"{len(one)} corrections of id {key}" for key, one in case.corrected.items() if len(one) > 1)
    for key, count in Counter(map(key_of, case.vouchers)).items():
        if key and count > 1:
            yield f"{count} vouchers of id {key}"
    papers = Counter((one["invoiceReference"], one["invoiceType"]) for one in case.vouchers if key_of(one))
    yield from (f"{count} vouchers of ours over paper {name}" for name, count in papers.items() if count > 1)
    for name, count in case.truth["history"].items():
        if count > 1:
            yield f"{count} history records {name}"
    for name, count in case.truth["exported"].items():
        if count > 1 + case.player.diary.resets[int(name)]:
            yield f"id {name} was marked exported {count} times"
    yield from _hand_keyed(case)


def _hand_keyed(case: Case) -> Iterator[str]:
    lag = timedelta(seconds=float(case.player.history.options["qad"]["read_lag_seconds"]))
    for at, members in case.player.diary.by_hand:
        for sent in case.player.world.sent:
            posted = of_qad(sent.document)
            twin = not posted.credit and posted.reference == members["invoiceReference"]
            if sent.taken and twin and at + lag < sent.run_began:
                yield f"{posted} was posted although keyed by hand at {at:%m-%d %H:%M:%S}"


def stale(case: Case) -> Iterator[str]:
    """Only a version that was approved while its run worked is sent; a later change comes to a person."""
    for sent in case.player.world.sent:
        if key_of(sent.document) and not _current(case, sent):
            yield f"{of_qad(sent.document)} was sent at {sent.arrived:%m-%d %H:%M:%S}, but said something else by then"
    for key, voucher in case.ours.items():
        record, (outcome, codes) = case.coupa[key], case.stands(key)
        changed = record["status"] == "approved" and not agrees(of_qad(voucher), of_coupa(record))
        seen = not record["exported"] or _changed_before_mark(case, key)
        unseen = outcome != "rejected" and key not in case.corrected
        if (record["status"] == "voided" or (changed and seen)) and unseen:
            shown = f"{record['status']} as {of_coupa(record)}"
            yield f"id {key} is {shown}, posted as {of_qad(voucher)}, {outcome} {codes}"


def _current(case: Case, sent: Sent) -> bool:
    versions, said = case.player.diary.versions[key_of(sent.document)], of_qad(sent.document)
    ends = [at for at, _ in versions[1:]] + [datetime.max.replace(tzinfo=sent.arrived.tzinfo)]
    for (begin, record), end in zip(versions, ends, strict=True):
        then = begin <= sent.arrived and end >= sent.run_began
        if then and record["status"] == "approved" and agrees(said, of_coupa(record)):
            return True
    return False


def _changed_before_mark(case: Case, key: int) -> bool:
    """Whether the last change of content came before the last mark of ours, which would have shown it."""
    versions = case.player.diary.versions[key]
    pairs = zip(versions[1:], versions, strict=False)
    changes = [at for (at, now), (_, then) in pairs if of_coupa(now) != of_coupa(then)]
    mark = case.coupa[key].get("last-exported-at")
    return bool(changes and mark and changes[-1] < datetime.fromisoformat(mark))


def overbilled(case: Case) -> Iterator[str]:
    """When a voucher was posted, all that was billed on its lines had been received by then."""
    used: dict[Line, Decimal] = {}
    hands = [(at, matched(members)) for at, members in case.player.diary.by_hand]
    for sent in sorted((one for one in case.player.world.sent if one.taken), key=lambda one: one.arrived):
        posted, key = of_qad(sent.document), key_of(sent.document)
        billed = case.billed(key) if key else {line: -pieces for line, pieces in posted.lines}
        earlier = sent.run_began - timedelta(hours=1)
        for line, pieces in billed.items():
            used[line] = used.get(line, ZERO) + pieces
            foreign = sum((found.get(line, ZERO) for at, found in hands if at < earlier), ZERO)
            most = _received(case, line, sent)
            if not posted.credit and used[line] + foreign > most:
                yield f"{posted} made {used[line]} and {foreign} of others billed on {line}, but {most} were received"


def _received(case: Case, line: Line, sent: Sent) -> Decimal:
    log = case.player.diary.received[line]
    before = [total for at, total in log if at <= sent.run_began][-1:]
    return max([ZERO, *before, *(total for at, total in log if sent.run_began <= at <= sent.arrived)])


def lost(case: Case) -> Iterator[str]:
    """Whatever could be posted is, and whatever is posted carries its marks in Coupa."""
    yield from _unposted(case)
    mended, history = case.player.history.new_settings_at_the_end, case.player.history.settings["coupa"]["monitoring"]
    for key, voucher in case.ours.items():
        record, (outcome, codes) = case.coupa[key], case.stands(key)
        same = record["status"] == "approved" and agrees(of_qad(voucher), of_coupa(record))
        if not same or key in case.corrected:
            continue
        if outcome != "created" and (mended or outcome != "rejected"):
            yield f"id {key} is posted and the same, but {outcome} {codes}"
        if outcome == "created" and not record["exported"]:
            yield f"id {key} is posted and not exported"
        reported = any(name.split("/")[1] == str(key) for name in case.truth["history"])
        if outcome == "created" and history == "history" and not reported:
            yield f"id {key} has no history record"


def _unposted(case: Case) -> Iterator[str]:
    open_ones = {key: one for key, one in case.coupa.items() if one["status"] == "approved" and key not in case.ours}
    owed = {key: of_coupa(one) for key, one in open_ones.items()}
    demand: dict[tuple[Line, bool], Decimal] = {}
    for content in owed.values():
        for line, pieces in content.lines:
            demand[line, content.credit] = demand.get((line, content.credit), ZERO) + pieces
    for key, content in owed.items():
        outcome, codes = case.stands(key)
        sure = all(demand[line, content.credit] <= _supply(case, line, content.credit) for line, _ in content.lines)
        visible = outcome == "rejected" and not case.player.history.new_settings_at_the_end
        if sure and not visible and not _twin(case, key, content):
            yield f"id {key} ({content}) could be posted and is {outcome} {codes}"


def _twin(case: Case, key: int, content: Content) -> bool:
    """Whether another document has the same number, so that a person decides."""
    hands = any(one["invoiceReference"] == content.reference for _, one in case.player.diary.by_hand)
    papers = [of_coupa(one) for other, one in case.coupa.items() if other != key]
    return hands or any((one.reference, one.credit) == (content.reference, content.credit) for one in papers)


def _supply(case: Case, line: Line, credit: bool) -> Decimal:
    """What can certainly still be billed on a line, or taken back by credits."""
    posted = sum((case.billed(key).get(line, ZERO) for key in case.ours if key not in case.corrected), ZERO)
    if credit:
        return posted
    received = case.player.diary.received[line][-1][1] if case.player.diary.received[line] else ZERO
    hands = sum((matched(members).get(line, ZERO) for _, members in case.player.diary.by_hand), ZERO)
    return min(received - hands - posted, _open_receivers(case, line))


def _open_receivers(case: Case, line: Line) -> Decimal:
    left: dict[str, Decimal] = {}
    for one in case.receipts:
        if (one["purchaseOrderNumber"], one["purchaseOrderLine"]) == line:
            left[one["receiverNumber"]] = left.get(one["receiverNumber"], ZERO) + Decimal(str(one["quantityReceived"]))
    for voucher in case.vouchers:
        sign = -1 if voucher["invoiceType"] in CREDITS else 1
        for part in voucher["receiverMatchingLines"]:
            if (part["purchaseOrderNumber"], part["purchaseOrderLine"]) == line:
                left[part["receiverNumber"]] -= sign * abs(Decimal(str(part["matchQuantity"])))
    return sum((rest for rest in left.values() if rest > 0), ZERO)


def accounts(case: Case) -> Iterator[str]:
    """Reservations say exactly what our vouchers bill and our corrections give back, and nothing else."""
    for key in sorted({*case.ours, *case.reserved, *case.given_back}):
        billed = case.billed(key) if key in case.ours else {}
        back = {line: -pieces for line, pieces in billed.items()} if key in case.corrected else {}
        for expected, kept in ((billed, case.reserved.get(key, {})), (back, case.given_back.get(key, {}))):
            found = {line: pieces for line, (pieces, _) in kept.items()}
            if found != expected:
                yield f"id {key} bills {expected} but {found} is reserved"
            if any(not permanent for _, permanent in kept.values()):
                yield f"id {key} keeps a reservation that is not permanent"
