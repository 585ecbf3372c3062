"""Plans of up to six steps over the small world, played for many documents at once, and what may come of each.

A plan says when people act and when a direction runs (and how it is struck); its documents try what people may do at
those moments. What is right follows from a model of three values: A's, B's and the one last agreed on.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ml_connector.store.ledger import LedgerRow
from tests.engine.both_ways import A_TO_B, B_TO_A, BothWays
from tests.engine.both_ways_systems import Document, Trouble
from tests.engine.faults import Faults
from tests.engine.history_store import Store

PEOPLE = ("A.code=x", "A.code=y", "B.code=x", "B.code=y", "A.amount", "")
STARTS = ("new x", "line x", "line w", "line ")
COMMITS = 7
_MOMENTS = [(when, n) for n in range(1, COMMITS + 1) for when in ("before", "after")]
STRIKES = ("lost", "killed", *(f"kill_{when}_commit {n}" for when, n in _MOMENTS))
MOST_DOCUMENTS = 48
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Run:
    """A run of one direction, struck or not."""

    direction: str
    strike: str = ""

    def __str__(self) -> str:
        return f"run {self.direction}" + (f" ({self.strike})" if self.strike else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """How it starts, and runs with moments for people (None) between them."""

    start: str
    steps: tuple[Run | None, ...]

    def told(self, choices: Sequence[str], key: str) -> str:
        """The sequence of one document in words."""
        left = iter(choices)
        steps = [str(step) if step else next(left) or "nothing" for step in self.steps]
        return f"[{key}] start {self.start!r}: " + ", ".join(steps)


@dataclass(frozen=True, slots=True)
class State:
    """The model: both values (B's is None before there is a document), and what was last agreed on."""

    a: str
    b: str | None
    base: str = ""

    def after(self, choice: str) -> State:
        """What somebody changes."""
        side, _, value = choice.partition(".code=")
        if side == "A" and value:
            return replace(self, a=value)
        return replace(self, b=value) if side == "B" and self.b is not None else self

    def ran(self, direction: str) -> State:
        """What a run that nothing disturbs makes of it."""
        if self.b is None:
            return State(self.a, self.a, self.a) if direction == A_TO_B else self
        if self.a == self.b:
            return replace(self, base=self.a)
        mine, other = (self.a, self.b) if direction == A_TO_B else (self.b, self.a)
        return State(mine, mine, mine) if mine != self.base and other == self.base else self


def expected(plan: Plan, choices: Sequence[str]) -> set[tuple[str, str | None]]:
    """Which ends are right: once a run was struck, that one and any later one may have come to nothing."""
    kind, _, code = plan.start.partition(" ")
    states = {State(code, code, code) if kind == "line" else State(code, None)}
    left, struck = iter(choices), False
    for step in plan.steps:
        if step is None:
            choice = next(left)
            states = {state.after(choice) for state in states}
            continue
        struck = struck or bool(step.strike)
        states = {state.ran(step.direction) for state in states} | (states if struck else set())
    for _ in range(3):
        states = {state.ran(A_TO_B).ran(B_TO_A) for state in states}
    return {(state.a, state.b) for state in states}


def plans(length: int, *, strikes: Sequence[str] | None = None) -> Iterator[Plan]:
    """Every plan of a length with at most one strike, of any kind or of these."""
    for start in STARTS:
        for steps in itertools.product((None, Run(A_TO_B), Run(B_TO_A)), repeat=length):
            yield Plan(start, steps)
            for place, step in enumerate(steps):
                if step is not None:
                    for strike in STRIKES if strikes is None else strikes:
                        yield Plan(start, (*steps[:place], replace(step, strike=strike), *steps[place + 1 :]))


def chance_plan(seed: int) -> Plan:
    """A plan by chance, with any number of strikes."""
    chance = random.Random(seed)

    def step() -> Run | None:
        if chance.random() < 0.45:
            return None
        return Run(chance.choice((A_TO_B, B_TO_A)), chance.choice(STRIKES) if chance.random() < 0.4 else "")

    return Plan(chance.choice(STARTS), tuple(step() for _ in range(6)))


class Played:
    """A plan played with a document for each thing that people may do: a struck write is done, or (key "-") not."""

    def __init__(self, plan: Plan, store: Store, *, most: int = MOST_DOCUMENTS) -> None:
        self.plan = plan
        self.world = BothWays(store)
        moments = sum(step is None for step in plan.steps)
        every = list(itertools.product(PEOPLE, repeat=moments))
        chosen = random.Random(str(plan)).sample(every, most) if len(every) > most else every
        ends = "+-" if any(step and step.strike in ("lost", "killed") for step in plan.steps) else "+"
        self.choices = {f"{n}{end}": one for n, one in enumerate(chosen) for end in ends}
        self.changes: Counter[tuple[str, str]] = Counter()
        self.late_writes: list[str] = []

    async def play(self) -> None:
        """From the start to where nothing moves any more."""
        world = self.world
        kind, _, code = self.plan.start.partition(" ")
        for key in self.choices:
            world.a.documents[key] = Document(key, code, Decimal(1))
            world.a.chosen[key] = kind == "new"
        if kind == "line":
            await world.run(A_TO_B)
            await world.run(B_TO_A)
        moment = 0
        for step in self.plan.steps:
            if step is None:
                for key, choices in self.choices.items():
                    self._person(key, choices[moment])
                moment += 1
            else:
                await self._strike(step)
        await self._quiet()

    def _person(self, key: str, choice: str) -> None:
        a, b = self.world.a, self.world.b
        if choice == "A.amount":
            a.person(key, amount=a.documents[key].amount + 1)
            self.changes[key, "amount"] += 1
        elif choice:
            side, value = choice.split(".code=")
            system, name = (a, key) if side == "A" else (b, f"B{key}")
            if name in system.documents:
                system.person(name, code=value)
                self.changes[key, "code"] += 1

    async def _strike(self, step: Run) -> None:
        kind, _, at = step.strike.partition(" ")
        trouble = Trouble("" if at else kind, "write")
        await self.world.run(step.direction, trouble=trouble, faults=Faults(kind if at else "", int(at or 0)))

    async def _quiet(self) -> None:
        """Both directions run until two rounds have moved nothing, then once more without a write."""
        before, still = "", 0
        for _ in range(_ROUNDS):
            self.world.clock.advance(700)
            await self.world.run(A_TO_B)
            await self.world.run(B_TO_A)
            now = repr((self.world.a, self.world.b))
            still = still + 1 if now == before else 0
            before = now
            if still == 2:
                return
        self.late_writes.append("it never comes to rest")

    async def wrong(self) -> list[str]:
        """What is not as it should be, each with the sequence that shows it."""
        world = self.world
        rows = await world.rows()
        agreed = await world.agreed_on(rows.values())
        found = [*self.late_writes, *(f"written for nothing: {one}" for one in (*world.a.vain, *world.b.vain))]
        for key, choices in self.choices.items():
            there, back = rows.get((A_TO_B, key)), rows.get((B_TO_A, f"B{key}"))
            for problem in self._problems(key, choices, there, back, agreed):
                found.append(f"{self.plan.told(choices, key)}: {problem}")
        return found

    def _problems(
        self,
        key: str,
        choices: Sequence[str],
        there: LedgerRow | None,
        back: LedgerRow | None,
        agreed: dict[str, str],
    ) -> Iterator[str]:
        a, b = self.world.a.documents[key], self.world.b.documents[f"B{key}"]
        apart = a.code != b.code
        ends = expected(self.plan, choices)
        people = self.world.a.chosen[key] and self.world.b.chosen.get(b.key, False)
        struck = any(step and step.strike for step in self.plan.steps)
        if (a.code, b.code) not in ends and not (apart and struck and people):
            yield f"ends with {a.code!r} and {b.code!r}, right is one of {sorted(map(str, ends))}"
        if there is None:
            yield "has no row"
            return
        stands = [(row.outcome.value, [one.code for one in row.reasons]) for row in (there, back) if row]
        conflict = ("held", ["conflict"])
        if apart and stands != [conflict, conflict]:
            yield f"is apart and stands at {stands}"
        if not apart and any(one[0] in ("held", "in_doubt", "rejected") for one in stands):
            yield f"is in line and stands at {stands}"
        if not apart and agreed.get(there.id) != a.code:
            yield f"shows {a.code!r} and has agreed on {agreed.get(there.id)!r}"
        if not apart and a.amount != b.amount:
            yield f"amount {a.amount} did not arrive"
        yield from self._too_often(key)

    def _too_often(self, key: str) -> Iterator[str]:
        a, b = self.world.a, self.world.b
        codes = len(a.written(key, "code")) + len(b.written(f"B{key}", "code"))
        if codes > self.changes[key, "code"] + 1:
            yield f"code was written {codes} times for {self.changes[key, 'code']} changes"
        amounts = len(b.written(f"B{key}", "amount"))
        if amounts > self.changes[key, "amount"] + 1:
            yield f"amount was written {amounts} times for {self.changes[key, 'amount']} changes"
