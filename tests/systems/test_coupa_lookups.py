"""What Coupa is asked about orders, their custom fields and lookups."""

from __future__ import annotations

from typing import Any

import pytest

from ml_connector.systems.coupa.ports import lookups_known, order_field_known, order_fields, order_states
from tests.systems.coupa_server import Coupa, open_coupa, stand_in

CUSTOM = {"custom_fields": {"purchase_orders": ["cf-qad-po"]}}


async def test_the_custom_field_of_orders_by_number() -> None:
    async with stand_in(CUSTOM) as coupa:
        orders: list[dict[str, Any]] = [
            {"po-number": "PO,1", "custom-fields": {"cf-qad-po": "PO100001"}},
            {"po-number": "PO-2"},
        ]
        await coupa.seed(purchase_orders=orders)
        shown = await order_fields(coupa.client, ["PO,1", "PO-2", "PO-3"], "cf_qad_po")
        assert shown == {"PO,1": "PO100001", "PO-2": ""}
        assert await order_states(coupa.client, ["PO,1", "PO-3"]) == {"PO,1": "issued"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(4711, "4711"), (" P1 ", "P1"), ({"id": 3, "name": "Main", "external-ref-num": "P1"}, "P1"), ({"id": 3}, "")],
)
async def test_a_custom_field_at_the_root_or_with_a_record(value: Any, text: str) -> None:
    server = Coupa()
    server.tables["purchase_orders"] = [{"id": 1, "po-number": "7", "status": "issued", "cf-qad-po": value}]
    client = open_coupa(server, custom_fields_in="root")
    assert await order_fields(client, ["7"], "cf-qad-po") == {"7": text}
    assert await order_field_known(client, "cf-qad-po") is True
    assert await order_field_known(client, "cf-nobody") is False


async def test_an_order_field_is_known_or_not_or_nobody_can_tell() -> None:
    async with stand_in(CUSTOM) as coupa:
        assert await order_field_known(coupa.client, "cf-qad-po") is None
        await coupa.seed(purchase_orders=[{"po-number": "1"}])
        assert await order_field_known(coupa.client, "cf_qad_po") is True
        assert await order_field_known(coupa.client, "cf-nobody") is False


async def test_lookups_that_an_administrator_has_set_up() -> None:
    async with stand_in() as coupa:
        asked = ["Cost Centre", "GL Account", "Nobody"]
        assert await lookups_known(coupa.client, asked) == {"Cost Centre", "GL Account"}
        assert await lookups_known(coupa.client, []) == set()
