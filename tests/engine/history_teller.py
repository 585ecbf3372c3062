"""Tells random histories of people, goods, systems and our own process; a seed always tells the same one."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.engine.histories import BOTH_WAYS, DIRECTIONS, LINES, History, Meanwhile, Paper, Step, Strike

CALL_KINDS = (
    *("reset_before", "reset_after", "late", "timeout", "malformed_after", "kill_before", "kill_after"),
    *("status_500", "status_500_after", "status_503", "status_429", "down"),
)
COMMIT_KINDS = ("kill_before_commit", "kill_after_commit")
WAITS = (5, 60, 200, 400, 700, 1000, 3600, 86_400, 5 * 86_400, 20 * 86_400)


def tell(seed: int) -> History:
    """The history of a seed."""
    return _Teller(Random(seed), seed).tell()


class _Teller:
    """Draws a history."""

    def __init__(self, dice: Random, seed: int) -> None:
        self.dice = dice
        self.seed = seed
        self.paying = BOTH_WAYS and dice.random() < 0.5
        self.lines = LINES[:1] if self.paying else dice.choice([LINES[:1], LINES[:1], LINES[:2], LINES])
        self.papers = self._papers()

    def tell(self) -> History:
        dice = self.dice
        arrivals = [Step("arrive", paper.key) for paper in self.papers]
        supplied = [line for line in self.lines if self.paying or dice.random() < 0.8]
        much = [120] if self.paying else [30, 60, 120]
        goods = [Step("receive", number=dice.choice(much), line=line) for line in supplied]
        early = len(arrivals) if self.paying else dice.randint(1, len(arrivals))
        opening = dice.sample(goods + arrivals[:early], len(goods) + early)
        opening += [Step("run", text=DIRECTIONS[0]), self._pay()] if self.paying else []
        events = [step for _ in range(dice.randint(3, 9)) for step in self._event()]
        for step in arrivals[early:]:
            events.insert(dice.randint(0, len(events)), step)
        events[dice.randint(0, min(2, len(events))) : 0] = self._run()
        return History(
            seed=self.seed,
            papers=self.papers,
            steps=(*opening, *events),
            options=self._options(),
            settings=self._settings(),
            new_settings_at_the_end=dice.random() < 0.5,
        )

    def _papers(self) -> tuple[Paper, ...]:
        dice, papers = self.dice, list[Paper]()
        for key in range(1, dice.choice([1, 2] if self.paying else [1, 2, 2, 3, 4]) + 1):
            chosen = dice.sample(self.lines, min(len(self.lines), dice.choice([1, 1, 2])))
            credit = bool(papers) and dice.random() < 0.2
            sign = -1 if credit else 1
            parts = tuple((line, sign * dice.choice([5, 10, 20, 30, 50])) for line in chosen)
            number = f"{'C' if credit else 'A'}-{key}"
            if papers and dice.random() < 0.1:
                number = papers[0].number
            tax = sign * dice.choice([0, 0, 0, 7])
            status = "approved" if self.paying or dice.random() < 0.85 else "pending_approval"
            papers.append(Paper(key, number, parts, tax, status))
        return tuple(papers)

    def _options(self) -> dict[str, dict[str, Any]]:
        dice = self.dice
        coupa = {name: dice.random() < 0.25 for name in ("export_bumps_updated_at", "ui_edit_resets_exported")}
        coupa["honour_idempotency_key"] = dice.random() < 0.25
        # Settle time covers read lag and late commit together, so the lag stays well below it.
        qad = {"read_lag_seconds": dice.choice([0, 0, 0, 0, 90, 250])}
        return {"coupa": {name: True for name, on in coupa.items() if on}, "qad": qad}

    def _settings(self) -> dict[str, Any]:
        dice = self.dice
        monitoring = dice.choice(["none", "history"])
        field_name = dice.choice(["", "cf-erp-invoice-number"])
        pages = dice.choice([1, 2, 50])
        coupa = {"monitoring": monitoring, "invoice_number_field": field_name, "page_size": max(2, pages)}
        found: dict[str, Any] = {"coupa": coupa}
        found["invoices"] = {"page_size": pages}
        if BOTH_WAYS:
            found["invoices"] |= {"on_void": dice.choice(["exception", "exception", "correct"])}
            suppliers = "none" if self.paying else dice.choice(["none", "none", "none", "qad_to_coupa"])
            found["suppliers"] = {"direction": suppliers}
            found["payments"] = {"first_load_days": 400, "page_size": pages}
        return found

    # ---- steps

    def _event(self) -> list[Step]:
        dice = self.dice
        weights = [40, 8, 50, 2, 2] if self.paying else [40, 12, 32, 12, 4]
        kind = dice.choices(["run", "wait", "person", "goods", "office"], weights)[0]
        if kind == "run":
            return self._run()
        if kind == "wait":
            return [Step("wait", number=dice.choice(WAITS))]
        if kind == "goods":
            return [self._receipt()]
        act = self._person() if kind == "person" else self._office()
        return [act, *self._run()] if act.verb.startswith("pay") and dice.random() < 0.6 else [act]

    def _receipt(self) -> Step:
        pieces = self.dice.choice([10, 20, 30, 50, 50, 100, 120, -5, -10, -20])
        return Step("receive", number=pieces, line=self.dice.choice(self.lines))

    def _person(self) -> Step:
        dice = self.dice
        verbs = {"edit": 8, "note": 2, "dispute": 3, "approve": 7, "void": 4, "reset_exported": 4, "refuse": 1}
        verbs |= {"allow": 2, "key_by_hand": 2, "match_by_hand": 2}
        verbs |= {"pay": 30, "pay_status": 20, "add_payment": 2} if self.paying else {}
        verb = dice.choices(list(verbs), list(verbs.values()))[0]
        key = dice.choice(self.papers).key
        if verb == "match_by_hand":
            return Step(verb, number=dice.choice([5, 10, 30]), line=dice.choice(self.lines))
        if verb == "pay":
            return self._pay()
        if verb == "pay_status":
            return Step(verb, key, text=dice.choice(["Paid", "Void", "Void", "Bounced", "For Collection"]))
        return Step(verb, key, dice.choice([5, 10, 20, 30, 50, 60]) if verb in ("edit", "add_payment") else 0)

    def _pay(self) -> Step:
        dice = self.dice
        text = dice.choice(["", "", "", "discount", "Initial"])
        return Step("pay", dice.choice(self.papers).key, dice.choice([100, 100, 50, 30]), text=text)

    def _office(self) -> Step:
        verbs = ("supplier_off", "supplier_on", "close_period", "open_period", "pause", "resume", "settings")
        return Step(self.dice.choice(verbs))

    def _run(self) -> list[Step]:
        dice = self.dice
        strikes = tuple(self._strike() for _ in range(dice.choice([0, 0, 1, 1, 1, 2])))
        meanwhile = (self._meanwhile(),) if dice.random() < 0.35 else ()
        run = Step("run", text=self._direction(), strikes=strikes, meanwhile=meanwhile)
        # Who was killed holds its lease a while longer: restarted at once, or when that is over.
        if any(one.kind.startswith("kill") for one in strikes) and dice.random() < 0.6:
            return [run, Step("wait", number=dice.choice([200, 1000, 3600]))]
        # After a lost answer the next look comes before the late effect as well as after it.
        if strikes and dice.random() < 0.4:
            return [run, Step("wait", number=dice.choice([5, 40, 120])), Step("run", text=run.text)]
        return [run]

    def _direction(self) -> str:
        return DIRECTIONS[-1] if self.dice.random() < (0.75 if self.paying else 0.1) else DIRECTIONS[0]

    def _strike(self) -> Strike:
        dice = self.dice
        at = dice.choices(["call", "write", "post", "commit"], [3, 4, 0 if self.paying else 4, 3])[0]
        if at == "commit":
            return Strike(dice.choice(COMMIT_KINDS), at, dice.randint(1, 14))
        return Strike(dice.choice(CALL_KINDS), at, dice.randint(1, {"call": 20, "write": 5, "post": 2}[at]))

    def _meanwhile(self) -> Meanwhile:
        dice = self.dice
        steps = [self._person() if dice.random() < 0.7 else self._receipt() for _ in range(dice.randint(0, 2))]
        hangs = dice.random()
        if hangs < 0.5:
            steps.append(Step("wait", number=dice.choice([30, 130, 200])))
        if hangs < 0.35 or not steps:
            steps.append(Step("run", text=self._direction()))
        at = dice.choice(["call", "write"] if self.paying else ["call", "write", "post"])
        most = {"call": 16, "write": 4, "post": 1}[at]
        return Meanwhile(at, dice.randint(1, most), dice.random() < 0.5, tuple(steps))
