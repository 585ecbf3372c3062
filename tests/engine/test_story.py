"""The story of the demo at the engine: what is posted, held and rejected, and that nothing happens twice."""

from __future__ import annotations

from pathlib import Path

from sandbox import story
from tests.engine.coupa_qad import NAME, told
from tests.engine.world import World

FIRST = {
    "INV-1001": "created",
    "INV-1002": "created",
    "INV-1003": "created",
    "CN-1004": "created",
    "INV-1005": "held",
    "INV-1006": "held",
    "INV-1007": "rejected",
}


async def test_the_story_ends_as_it_is_told(tmp_path: Path, sqlite_template: Path) -> None:
    world = await told(tmp_path, sqlite_template)

    first = await world.run("coupa_to_qad", NAME)
    assert await world.outcomes(NAME) == FIRST
    assert first == {"created": 4, "held": 2, "rejected": 1}

    posted = await world.truth("qad")
    await world.admin(
        "qad", "do/post_receipt", {"purchaseOrderNumber": "PO100005", "purchaseOrderLine": 1, "quantity": 40}
    )
    second = await world.run("coupa_to_qad", NAME)
    assert second == {"created": 1, "held": 1, "rejected": 1}
    assert len((await world.truth("qad"))["invoices_by_token"]) == len(posted["invoices_by_token"]) + 1

    await world.admin("coupa", "seed", {"invoices": [story.second_invoice()]})
    third = await world.run("coupa_to_qad", NAME)
    assert third == {"held": 2, "rejected": 1}
    assert (await world.standing(NAME))["INV-1008"].reasons[0].code == "receipt_missing"
    await _proves_no_duplicate(world, posted=5)


async def _proves_no_duplicate(world: World, *, posted: int) -> None:
    qad, coupa = await world.truth("qad"), await world.truth("coupa")
    assert sorted(qad["invoices_by_token"].values()) == [1] * posted
    assert sorted(coupa["exported"].values()) == [1] * posted
    assert sorted(coupa["history"].values()) == [1] * posted
