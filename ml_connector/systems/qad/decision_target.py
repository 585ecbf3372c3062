"""Decisions as the write protocol sees them: members of an invoice or order that follow what people chose elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from ml_connector.domain.money import plain
from ml_connector.domain.text import shortened
from ml_connector.domain.writes import (
    Absent,
    Conflict,
    Done,
    Doubt,
    Finding,
    Found,
    Gone,
    NotSent,
    Order,
    Refused,
    Sent,
)
from ml_connector.errors import ContractError, RecordRejectedError, TransientError, UnknownOutcomeError
from ml_connector.systems.qad.config import QadTenant
from ml_connector.systems.qad.decisions import COST_CODE, About, Change, Decided, default_length
from ml_connector.systems.qad.errors import SYSTEM, waits
from ml_connector.systems.qad.lookups import side_by_side
from ml_connector.systems.qad.ports import QadPort
from ml_connector.systems.qad.targets import SETTLE
from ml_connector.systems.sending import send_each

RELEASE = "release"
MEMBERS = ("issue_key", "resolution", "approval", "note", COST_CODE, "remarks")
# What names something elsewhere is written whole or not at all.
_NEVER_SHORTENED = frozenset({"issue_key", COST_CODE})


class Decisions:
    """Target: what was decided about one supplier invoice or purchase order.

    Payload: `about` (invoice or order), `key` (QAD's), `issue`, any of `MEMBERS` as texts, and `release` with what was
    seen of the hold when it was decided: `hold`, and if given `locked` (yes or no) and `status`. `slots` says per kind
    of record which of its members takes which of ours.
    """

    name = "qad.decision"
    settle = SETTLE

    def __init__(
        self,
        port: QadPort,
        tenant: QadTenant,
        slots: Mapping[str, Mapping[str, str]],
        *,
        release_status: str = "",
        hold_codes: Collection[str] = (),
    ) -> None:
        self._port = port
        self._tenant = tenant
        self._slots = slots
        self._release_status = release_status
        self._hold_codes = frozenset(hold_codes)
        self._lengths: dict[str, Mapping[str, int]] = {}
        self.concurrency = tenant.limits.concurrency
        self.per_second = tenant.limits.rps

    async def find(self, orders: Sequence[Order]) -> Mapping[str, Finding]:
        """What QAD shows of each decision, read by the record's key; one that cannot be read is refused by `send`."""
        findings = await side_by_side(self._find, orders, self.concurrency)
        return {order.external_id: finding for order, finding in zip(orders, findings, strict=True)}

    async def send(self, orders: Sequence[Order]) -> Mapping[str, Sent]:
        """Write each decision once; login, rights and lease trouble ends the whole call."""
        return await send_each(orders, self._answered, self.concurrency)

    async def _find(self, order: Order) -> Finding:
        payload, about = order.payload, _about(order)
        slots = self._used(order)
        try:
            shown = await self._port.decided(about, str(payload["key"]), slots)
        except ContractError:
            # Of a doubtful write nothing shows; else the record waits until it can be read.
            return Absent() if order.key else Conflict(_target(order), ())
        if shown is None:
            return Gone(order.target_id or str(payload["key"]))
        wanted = await self._texts(about, order, slots)
        differs = [name for name, text in wanted.items() if not _shows(shown, name, text)]
        # A decision is written in one piece. When a doubtful one shows, its hold was released with it, and one that
        # stands there now was set afterwards.
        took_effect = bool(order.key) and bool(wanted) and not differs
        held = shown.hold != 0 or self._lifts(shown) or bool(self._still_held(shown))
        if RELEASE in payload and about == "invoice" and held and not took_effect:
            differs.append(RELEASE)
        texts = dict(shown.texts)
        if COST_CODE in texts:
            texts[COST_CODE] = shown.cost_code
        return Found(_target(order), tuple(differs), {"shown": texts})

    async def _answered(self, order: Order) -> Sent:
        try:
            return await self._send(order)
        except RecordRejectedError as error:
            # A record that others keep changing comes to rest.
            passing = error.code == "stale" or waits(error.code, self._tenant.refusals)
            return Refused(error.code, error.detail, passing)
        except (UnknownOutcomeError, ContractError) as error:
            return Doubt(error.message)
        except TransientError as error:
            return NotSent(error.message)

    async def _send(self, order: Order) -> Sent:
        about, slots = _about(order), self._used(order)
        texts = await self._texts(about, order, slots)
        await self._check_lengths(about, texts, slots)
        chosen = {name: text for name, text in texts.items() if not order.changed or name in order.changed}
        releases = RELEASE in order.payload and about == "invoice" and (not order.changed or RELEASE in order.changed)

        def judge(shown: Decided) -> Change:
            told = {name: text for name, text in chosen.items() if shown.texts[name] != text}
            held = releases and shown.hold != 0
            if releases and (kept := self._still_held(shown)):
                raise _rejected("still_held", f"{kept} would stay, and no release_status is configured to lift it")
            if held or (releases and self._lifts(shown)):
                _check_hold(shown, order.payload[RELEASE])
            status = self._release_status if held or (releases and self._lifts(shown)) else ""
            return Change(told, held, "" if status == shown.status else status)

        shown = await self._port.decide(about, str(order.payload["key"]), slots, judge, external_id=order.external_id)
        notes = ("payment_locked",) if releases and shown.payment_locked else ()
        return Done(_target(order), {"hold_amount": plain(shown.hold), "status": shown.status}, notes)

    def _still_held(self, shown: Decided) -> str:
        """What a release could not lift."""
        if self._release_status:
            return ""
        if shown.status in self._hold_codes:
            return f"the status {shown.status}"
        return "the payment lock" if shown.payment_locked else ""

    def _lifts(self, shown: Decided) -> bool:
        """Whether a release still has a payment lock or a hold code to lift: only the status code can do that."""
        held = shown.payment_locked or shown.status in self._hold_codes
        return held and self._release_status not in ("", shown.status)

    def _used(self, order: Order) -> dict[str, str]:
        """The members of the payload that have a slot, with the tenant's names."""
        slots = self._slots.get(_about(order), {})
        return {name: slots[name] for name in MEMBERS if name in order.payload and slots.get(name)}

    async def _texts(self, about: About, order: Order, slots: Mapping[str, str]) -> dict[str, str]:
        """The texts as QAD is to show them, on one line and cut to length where that loses no name."""
        found = {}
        for name, wire in slots.items():
            text = " ".join(str(order.payload[name] or "").split())
            limit = await self._length(about, wire)
            found[name] = text if name in _NEVER_SHORTENED else shortened(text, limit)
        return found

    async def _check_lengths(self, about: About, texts: Mapping[str, str], slots: Mapping[str, str]) -> None:
        for name, text in texts.items():
            limit = await self._length(about, slots[name])
            if len(text) > limit:
                raise _rejected("too_long", f"{name}: {slots[name]} holds {limit} characters")

    async def _length(self, about: About, wire: str) -> int:
        if about not in self._lengths:
            self._lengths[about] = await self._port.slot_lengths(about)
        return self._lengths[about].get(wire) or default_length(wire)


def _check_hold(shown: Decided, release: Mapping[str, Any]) -> None:
    """A release is never blind: hold, lock and status must be those that whoever released it saw."""
    seen = str(release.get("hold") or "")
    try:
        same = Decimal(seen) == shown.hold
    except InvalidOperation:
        same = False
    if not same:
        text = f"the hold is {plain(shown.hold)} now, the decision was about {seen or 'none'}"
        raise _rejected("hold_changed", text)
    locked = "yes" if shown.payment_locked else "no"
    if release.get("locked", locked) != locked:
        raise _rejected("hold_changed", f"payment lock: {locked} now, the decision was about {release['locked']}")
    if release.get("status", shown.status) != shown.status:
        raise _rejected("hold_changed", f"the status is {shown.status} now, it was {release['status']} when decided")


def _shows(shown: Decided, name: str, text: str) -> bool:
    # A cost code that was taken back leaves the slot empty, and then the lines' counts again.
    return text == shown.texts[name] or (name == COST_CODE and text == shown.cost_code)


def _about(order: Order) -> About:
    return cast(About, order.payload["about"])


def _target(order: Order) -> str:
    return f"{order.payload['key']}#{order.payload['issue']}"


def _rejected(code: str, detail: str) -> RecordRejectedError:
    return RecordRejectedError(f"refused: {code}", code=code, detail=detail, system=SYSTEM, operation="write decision")
