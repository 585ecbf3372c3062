"""The story of the demo at the engine: what is posted, held and rejected, and that nothing happens twice."""

from __future__ import annotations

from pathlib import Path

from ml_connector.store.audit_history import history
from ml_connector.store.audit_verify import verify
from sandbox import story
from tests.engine.coupa_qad import NAME, told
from tests.engine.world import KEYS, World

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


async def test_every_record_of_the_story_has_its_outcome_in_the_trail(tmp_path: Path, sqlite_template: Path) -> None:
    world = await told(tmp_path, sqlite_template)
    await world.run("coupa_to_qad", NAME)
    last = {"created": "written", "held": "held", "rejected": "rejected"}
    async with world.installation() as one:
        for label, row in (await world.standing(NAME)).items():
            events = await history(one.store.db, KEYS, row.external_id)
            assert events[-1].kind == last[FIRST[label]], label
            sent = [event.kind for event in events]
            assert sent.count("intended") == sent.count("written")
        report = await verify(one.store.db, KEYS, world.settings.checkpoints)
    assert report.ok, report.problems
