"""Small stories for the way from QAD back to Coupa: vouchers of ours that people in QAD pay, void and pay again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine import stories as tell
from tests.engine.coupa_qad import NAME
from tests.engine.faults import Faults
from tests.engine.world import Json, World

DIRECTION = "qad_to_coupa"
# Masters have tests of their own; here they would only add rows.
PAYMENTS_ONLY: Json = {"suppliers": {"direction": "none"}}


async def posted(folder: Path, template: Path, *invoices: Json, **changes: Any) -> World:
    """A world in which these invoices (by default one over 600.00) are posted in QAD and marked in Coupa."""
    world = await tell.make(folder, template, **(PAYMENTS_ONLY | changes))
    await tell.receive(world, 100)
    await tell.send_in(world, *(invoices or (tell.invoice(1, "A-1"),)))
    await tell.run(world)
    return world


async def told(folder: Path, template: Path, **changes: Any) -> World:
    """Payments ready for their second run: one to be taken back and one to be added, on two invoices."""
    both = tell.invoice(1, "A-1", 40), tell.invoice(2, "A-2", 20)
    world = await posted(folder, template, *both, **changes)
    await pay(world, "A-1", 200)
    second = await pay(world, "A-2", 228, discount=12)
    await run(world)
    await set_status(world, second, "Void")
    await pay(world, "A-1")
    world.faults = Faults()
    return world


async def masters_told(folder: Path, template: Path, **changes: Any) -> World:
    """Masters of a shared set of their own: a supplier to rename, a new one, one whose name is taken, two codes."""
    rules: Json = {
        "qad": {"shared_sets": {"supplier": "SHX", "cost_center": "SHX"}},
        "reference_data": [{"source": "cost_centers", "lookup": "Cost Centre"}],
    }
    world = await tell.make(folder, template, **(rules | changes))
    shown = {"SUP00001": "Northwind", "SUP00050": "Late Comer", "SUP00051": "Harbour Steel"}
    suppliers = [{"supplierCode": code, "addressName": name} for code, name in shown.items()]
    centers = [{"costCenterCode": "CC60", "description": "New"}]
    centers += [{"costCenterCode": "CC61", "description": "Gone", "isActive": False}]
    own = {"sharedSetCode": "SHX"}
    given = {"suppliers": [one | own for one in suppliers], "costCenters": [one | own for one in centers]}
    await world.admin("qad", "seed", given)
    world.faults = Faults()
    return world


async def run(world: World, name: str = NAME) -> Json:
    """One run of the way back; the outcomes of what it read."""
    return dict(await world.run(DIRECTION, name))


async def later(world: World, seconds: float = tell.SETTLED_S) -> Json:
    """Time passes, then a run of the way back."""
    await world.pass_time(seconds)
    return await run(world)


async def pay(world: World, reference: str = "A-1", amount: float | None = None, **more: Any) -> Json:
    """Somebody in QAD pays a voucher, in full unless an amount is given; answers the payment's key."""
    given = {"invoiceReference": reference, "status": "Paid", **more} | ({"amount": amount} if amount else {})
    paid: Json = await world.admin("qad", "do/pay", given)
    return {name: paid[name] for name in ("entityCode", "paymentYear", "paymentNumber")}


async def set_status(world: World, payment: Json, status: str) -> None:
    """A payment's status changes in QAD."""
    await world.admin("qad", "do/set_payment_status", {**payment, "status": status})


async def entries(world: World, key: int = 1) -> list[str]:
    """The amounts of an invoice's payment entries in Coupa, in order."""
    found = (await world.truth("coupa"))["payments"].get(str(key), [])
    return [str(one["amount-paid"]) for one in found]


async def is_paid(world: World, key: int = 1) -> bool:
    """The invoice's paid flag in Coupa."""
    return str(key) in (await world.truth("coupa"))["paid"]
