"""Plays a history: lets its steps happen one after another, with processes of ours among them, up to a quiet end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from tests.engine.coupa_qad import NAME
from tests.engine.histories import DIRECTIONS, History, Meanwhile, Step
from tests.engine.history_people import Ended, People
from tests.engine.history_seeds import settings_of
from tests.engine.history_world import Act, HistoryWorld

SETTLED_S = 16 * 60.0
MOST_RUNS = 12


class Player(People):
    """One history on its way."""

    def __init__(self, history: History, world: HistoryWorld) -> None:
        super().__init__(history, world)
        self.settings_saved = 0

    async def do(self, step: Step) -> None:
        """Let one step happen; people need a moment each."""
        if step.verb not in ("wait", "run"):
            await self.world.pass_time(2)
        await _VERBS[step.verb](self, step)

    # ---- our own side

    async def state(self, step: Step) -> None:
        state: Any = "paused" if step.verb == "pause" else "active"

        async def change() -> None:
            async with self.world.installation() as one:
                await one.connections.set_state(NAME, state)

        await self._person(change)

    async def settings(self, step: Step) -> None:
        self.settings_saved += 1
        terms = {"credit_terms": ("", "N60", "N15")[self.settings_saved % 3]}
        changed = self.history.settings | {"invoices": self.history.settings["invoices"] | terms}

        async def change() -> None:
            async with self.world.installation() as one:
                row = await one.connections.get(NAME)
                await one.connections.save(replace(row, settings=settings_of(changed)))

        await self._person(change)

    async def _person(self, change: Callable[[], Awaitable[None]]) -> None:
        name, text = await self.world.apart(change)
        assert not name, f"{name}: {text}"

    async def wait(self, step: Step) -> None:
        await self.world.pass_time(step.number)

    async def run(self, step: Step) -> None:
        direction = step.text or DIRECTIONS[0]
        hooks = [(one, self._others(one)) for one in step.meanwhile]
        name, text = await self.world.apart(lambda: self.world.run(direction, NAME), step.strikes, hooks)
        self.diary.runs.append(Ended(direction, name, text, bool(step.strikes or step.meanwhile)))

    def _others(self, meanwhile: Meanwhile) -> Act:
        async def act() -> None:
            for step in meanwhile.steps:
                await self.do(step)

        return act

    # ---- from the first step to the quiet end

    async def play(self) -> None:
        """Let everything happen, mend all, and run until nothing changes any more."""
        for step in self.history.steps:
            await self.do(step)
        await self.world.pass_time(400)
        for verb in ("resume", "supplier_on", "open_period", *(["settings"] if self._new_settings else [])):
            await self.do(Step(verb))
        for key in list(self.diary.versions):
            await self.do(Step("allow", key))
        await self._until_quiet()

    @property
    def _new_settings(self) -> bool:
        return self.history.new_settings_at_the_end

    async def _until_quiet(self) -> None:
        calm = 0
        for _ in range(MOST_RUNS):
            before = await self._writes()
            for direction in DIRECTIONS:
                await self.world.pass_time(SETTLED_S)
                await self.run(Step("run", text=direction))
            self.diary.last_writes = before, await self._writes()
            calm = calm + 1 if self.diary.last_writes[0] == self.diary.last_writes[1] else 0
            if calm == 2:
                return

    async def _writes(self) -> tuple[int, int]:
        coupa, qad = await self.world.truth("coupa"), await self.world.truth("qad")
        return int(coupa["writes"]), int(qad["writes"])


_VERBS: dict[str, Callable[[Player, Step], Awaitable[None]]] = {
    "arrive": Player.arrive,
    "edit": Player.edit,
    "note": Player.note,
    "reset_exported": Player.reset_exported,
    "receive": Player.receive,
    "key_by_hand": Player.key_by_hand,
    "match_by_hand": Player.match_by_hand,
    "settings": Player.settings,
    "pay": Player.pay,
    "pay_status": Player.pay_status,
    "add_payment": Player.add_payment,
    "wait": Player.wait,
    "run": Player.run,
    **dict.fromkeys(("approve", "dispute", "void"), Player.status),
    **dict.fromkeys(("refuse", "allow"), Player.refuse),
    **dict.fromkeys(("supplier_off", "supplier_on"), Player.supplier),
    **dict.fromkeys(("close_period", "open_period"), Player.period),
    **dict.fromkeys(("pause", "resume"), Player.state),
}
