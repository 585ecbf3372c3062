"""What holds for every three-way match, whatever was received, returned, billed and matched before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ml_connector.domain.matching import MatchContext, Reserved, billed_quantity, match_invoice
from ml_connector.domain.outcomes import Decision, Verdict
from ml_connector.domain.records import GoodsReceipt, InvoiceLine, ReceiptMatch
from tests.unit.domain.scenes import KEY, credit, foreign, invoice, order, pieces, receipt, steady, used_by, world

ZERO = Decimal(0)
PRICE = "4"


def _quantities(low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.integers(low * 4, high * 4).map(lambda quarters: Decimal(quarters) / 4)


@dataclass(frozen=True)
class Scene:
    """A purchase order line with its past, and the lines of the document that is to be judged."""

    receipts: list[GoodsReceipt]
    reserved: Reserved
    others: list[ReceiptMatch]
    lines: list[InvoiceLine]

    @property
    def context(self) -> MatchContext:
        """The scene as the match sees it."""
        return world(*self.receipts, purchase_order=order(price=PRICE), reserved=self.reserved, others=self.others)

    @property
    def billed(self) -> Decimal:
        """The quantity of all lines."""
        return sum((one.quantity if one.quantity is not None else one.total / 4 for one in self.lines), ZERO)

    @property
    def available(self) -> Decimal:
        """Received - reserved - foreign, counted anew."""
        received = sum((one.quantity for one in self.receipts), ZERO)
        return received - self.reserved.total - sum((one.quantity for one in self.others), ZERO)

    def open(self) -> Mapping[str, Decimal]:
        """What is left of each receiver that has a receipt; negative for returns."""
        left: dict[str, Decimal] = defaultdict(Decimal)
        for one in self.receipts:
            left[one.receiver] += one.quantity
        for match in self.others:
            if match.receiver in left:
                left[match.receiver] -= match.quantity
        for receiver, quantity in self.reserved.receivers.items():
            if receiver in left:
                left[receiver] -= quantity
        return left


thorough = settings(steady, max_examples=300)
names = st.sampled_from(["RC1", "RC2", "RC3", "RT1", "RT2"])
past_receipts = st.lists(
    st.builds(
        lambda name, quantity, day: receipt(name, quantity, day=day), names, _quantities(-15, 40), st.integers(1, 4)
    ),
    max_size=6,
)
past_matches = st.lists(st.builds(foreign, _quantities(-5, 15), names | st.just("")), max_size=3)
# A credit to an account uses no receiver, so the total may be below the sum of the receivers.
past_use = st.builds(
    lambda receivers, loose, posted: Reserved(sum(receivers.values(), ZERO) - loose, posted, receivers),
    st.dictionaries(names, _quantities(-5, 15), max_size=3),
    _quantities(0, 5),
    _quantities(0, 40),
)
billed_lines = st.lists(st.tuples(st.booleans(), _quantities(1, 25)), min_size=1, max_size=3).map(
    lambda found: [_line(number, *one) for number, one in enumerate(found, start=1)]
)
scenes = st.builds(Scene, past_receipts, past_use, past_matches, billed_lines)


def _line(number: int, by_amount: bool, quantity: Decimal) -> InvoiceLine:
    line = pieces(quantity, PRICE, number=number)
    return InvoiceLine(number, "Service", line.total, po_number=line.po_number, po_line=1) if by_amount else line


def _has_goods(receipts: list[GoodsReceipt]) -> bool:
    return sum(one.quantity for one in receipts) > 30


def _taken(decision: Decision) -> Mapping[str, Decimal]:
    taken: dict[str, Decimal] = defaultdict(Decimal)
    for part in decision.allotments:
        taken[part.receiver] += part.quantity
    return taken


def _per_line(decision: Decision) -> Mapping[int, Decimal]:
    sums: dict[int, Decimal] = defaultdict(Decimal)
    for part in decision.allotments:
        assert part.quantity > 0
        sums[part.line] += part.quantity
    return sums


def _wanted(scene: Scene) -> Mapping[int, Decimal | None]:
    (ordered,) = order(price=PRICE).lines
    return {line.number: billed_quantity(line, ordered) for line in scene.lines}


# ---- invoices


@thorough
@given(scenes)
def test_is_never_ready_beyond_what_was_received_and_is_still_free(scene: Scene) -> None:
    decision = match_invoice(invoice(*scene.lines), scene.context)
    event(decision.verdict)
    assert decision.verdict in (Verdict.READY, Verdict.HELD)
    assert not (decision.ready and scene.billed > scene.available)


@thorough
@given(scenes)
def test_is_ready_when_the_line_and_its_receivers_have_enough(scene: Scene) -> None:
    open_in_receivers = sum((left for left in scene.open().values() if left > 0), ZERO)
    enough = scene.billed <= min(scene.available, open_in_receivers)
    event(f"enough: {enough}")
    assert match_invoice(invoice(*scene.lines), scene.context).ready is enough


@thorough
@given(scenes)
def test_never_allots_more_than_a_receiver_has_open(scene: Scene) -> None:
    decision = match_invoice(invoice(*scene.lines), scene.context)
    for receiver, quantity in _taken(decision).items():
        assert quantity <= scene.open()[receiver]


@thorough
@given(scenes)
def test_allots_exactly_what_is_billed(scene: Scene) -> None:
    decision = match_invoice(invoice(*scene.lines), scene.context)
    if decision.ready:
        assert _per_line(decision) == _wanted(scene)
        (claim,) = decision.claims
        assert claim.quantity == scene.billed
        assert claim.limit == scene.available + scene.reserved.total
    else:
        assert (decision.claims, decision.allotments) == ((), ())


@thorough
@given(scenes)
def test_calls_a_receiver_finished_only_when_one_line_takes_all_of_it(scene: Scene) -> None:
    decision = match_invoice(invoice(*scene.lines), scene.context)
    for part in decision.allotments:
        if part.finished:
            assert part.quantity == dict(scene.open())[part.receiver]
            assert [one.receiver for one in decision.allotments].count(part.receiver) == 1


@thorough
@given(scenes, st.randoms(use_true_random=False), st.booleans())
def test_does_not_care_in_which_order_receipts_and_matches_are_read(
    scene: Scene, dice: Random, as_credit: bool
) -> None:
    document = credit(*scene.lines) if as_credit else invoice(*scene.lines)
    before = match_invoice(document, scene.context)
    dice.shuffle(scene.receipts)
    dice.shuffle(scene.others)
    assert match_invoice(document, scene.context) == before


@thorough
@given(past_receipts.filter(_has_goods), past_matches, st.lists(st.tuples(st.booleans(), billed_lines), max_size=8))
def test_never_overdraws_the_receipts_whatever_documents_follow_each_other(
    receipts: list[GoodsReceipt], others: list[ReceiptMatch], documents: list[tuple[bool, list[InvoiceLine]]]
) -> None:
    written: list[Decision] = []
    for as_credit, lines in documents:
        scene = Scene(receipts, used_by(*written), others, lines)
        decision = match_invoice(credit(*lines) if as_credit else invoice(*lines), scene.context)
        if decision.ready:
            written.append(decision)
    use = used_by(*written)
    (limit,) = {claim.limit for one in written for claim in one.claims} or {ZERO}
    highest = max((used_by(*written[:count]).total for count in range(1, len(written) + 1)), default=ZERO)
    event(f"documents written: {len(written)}")
    assert use.total >= 0
    assert highest <= max(limit, ZERO)
    fresh = Scene(receipts, Reserved(), others, [])
    for receiver, quantity in use.receivers.items():
        assert abs(quantity) <= abs(fresh.open()[receiver])
        assert quantity * fresh.open()[receiver] > 0


# ---- credits


@thorough
@given(scenes)
def test_never_credits_more_than_was_posted(scene: Scene) -> None:
    decision = match_invoice(credit(*scene.lines), scene.context)
    event(decision.verdict)
    assert decision.ready is (scene.billed <= scene.reserved.posted)


@thorough
@given(scenes)
def test_credits_exactly_what_is_billed_and_no_return_twice(scene: Scene) -> None:
    decision = match_invoice(credit(*scene.lines), scene.context)
    taken = _taken(decision)
    event(f"over returns: {sorted(name != '' for name in taken)}")
    if decision.ready:
        assert _per_line(decision) == _wanted(scene)
        assert [(claim.quantity, claim.po_number, claim.po_line) for claim in decision.claims] == [
            (-scene.billed, *KEY)
        ]
    for receiver, quantity in taken.items():
        assert not receiver or quantity <= -scene.open()[receiver]
