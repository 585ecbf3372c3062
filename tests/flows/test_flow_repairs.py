"""What people and the resolver put right about single records, as their deployments and commands do it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from deployments.home import child_environment
from ml_connector.installation import Installation
from ml_connector.store.audit_history import history
from ml_connector.systems.qad.targets import SETTLE
from tests.engine.world import Json
from tests.flows.customers import Customer, customer
from tests.flows.desk import Desk
from tests.flows.documents import FIRST_KEY, QUANTITY, invoice_line, plain_invoices

pytestmark = pytest.mark.asyncio(loop_scope="session")

POST = {"method": "POST", "path": "supplierInvoices"}
REFUSAL = {"submitResult": {"success": "false", "errors": [{"fieldName": "supplierCode", "message": "on hold"}]}}
REFUSED = {**POST, "kind": "status", "status": 200, "body": REFUSAL}
LOST = {**POST, "kind": "reset_after"}
NEVER_CAME = {**POST, "kind": "reset_before"}
FIELD = "lines.1.po_number"
EDIT = ("replay", "edit", "INV-2001")


async def test_the_resolver_settles_a_doubt_without_a_run(desk: Desk) -> None:
    async with customer(desk, "resolved", plain_invoices(1)) as acme:
        await acme.spoil("qad", **LOST)
        assert (await acme.run()).name == "In doubt"
        await acme.admin("coupa", "seed", {"invoices": plain_invoices(2)["coupa"]["invoices"][1:]})
        seen = {system: await acme.last_call(system) for system in acme.urls}

        assert await _by_worker(acme, "resolve-in-doubt") == "Completed: 1 read: 1 created"
        assert await acme.outcomes() == {"INV-2001": "created"}
        assert await acme.calls("qad", "POST", since=seen["qad"]) == []
        reads = await acme.calls("coupa", "GET", since=seen["coupa"])
        assert [one for one in reads if "exported=false" in one["query"]] == []
        assert (await acme.truth("coupa"))["exported"] == {str(FIRST_KEY): 1}
        assert await _by_worker(acme, "resolve-in-doubt") == "Completed: nothing is in doubt"


async def test_a_rejected_record_goes_through_when_its_cause_is_mended(desk: Desk) -> None:
    async with customer(desk, "mended", plain_invoices(1)) as acme:
        await acme.spoil("qad", **REFUSED)
        assert (await acme.run()).name == "Rejected"
        assert (await acme.run()).message == "1 read: 1 rejected"
        assert (await acme.truth("qad"))["writes"] == 0
        assert await acme.replay("INV-2001") == "Completed: INV-2001: 1 read: 1 created"
        truths = await acme.truths()
        assert truths["qad"]["invoices_by_reference"] == {"SUP00001/Invoice/INV-2001": 1}

        # It is complete now, and asking again writes nothing.
        assert await acme.replay("INV-2001") == "Completed: INV-2001: 1 read: 1 unchanged"
        assert await acme.truths() == truths
        asked = [one for one in await _trail(acme, str(FIRST_KEY)) if one.kind == "replay_requested"]
        assert len(asked) == 2 and all(one.data["by"] for one in asked)


async def test_a_replay_of_an_unknown_record_fails_and_says_so(desk: Desk) -> None:
    async with customer(desk, "unknown", plain_invoices(1)) as acme:
        told = await acme.replay("INV-404")
        assert told.startswith("Failed") and "coupa_to_qad of unknown knows no record INV-404" in told


async def test_an_edit_is_replayed_and_ends_when_coupa_changes_the_field(desk: Desk) -> None:
    async with customer(desk, "edited", _with_wrong_order()) as acme:
        assert (await acme.run()).message == "1 read: 1 held"
        code, out, err = await _ml_connector(acme, *EDIT, f"{FIELD}=PO200002", "--wait", "--json")
        assert code == 0, err
        told = json.loads(out)
        assert (told["outcome"], told["state"]) == ("held", "Held")
        assert told["message"].endswith(": 1 read: 1 held")
        assert "PO200002" in told["why"]
        # The edit stands in runs, too, as long as Coupa shows what it replaced.
        assert (await acme.run()).message == "1 read: 1 held"
        assert [one.code for one in (await acme.standing())["INV-2001"].reasons] == ["receipt_missing"]

        changes = {"invoice-lines": [invoice_line(1, QUANTITY)]}
        await acme.admin("coupa", "do/edit_invoice", {"id": FIRST_KEY, "changes": changes})
        assert (await acme.run()).message == "1 read: 1 created"
        matched = (await acme.truth("qad"))["matched"]
        assert {order: float(quantity) for order, quantity in matched.items()} == {"PO200001/1": QUANTITY}
        events = await _trail(acme, str(FIRST_KEY))
        assert [one.data for one in events if one.kind == "overlay_ended"] == [{"field": FIELD}]
        (edited,) = [one for one in events if one.kind == "edited_for_replay"]
        assert (edited.data["fields"], edited.detail) == ([FIELD], {FIELD: "PO200002"})


async def test_an_edit_sends_what_the_person_wrote(desk: Desk) -> None:
    async with customer(desk, "corrected", _with_wrong_order()) as acme:
        await acme.run()
        code, out, err = await _ml_connector(acme, *EDIT, f"{FIELD}=PO200001", "--wait", "--json")
        assert code == 0, err
        assert json.loads(out)["outcome"] == "created"
        assert list((await acme.truth("qad"))["matched"]) == ["PO200001/1"]
        code, out, _ = await _ml_connector(acme, "replay", "INV-2001", "--wait", "--json")
        assert (code, json.loads(out)["message"].partition(": ")[2]) == (0, "1 read: 1 unchanged")


async def test_what_cannot_be_edited_is_refused_and_names_what_can(desk: Desk) -> None:
    async with customer(desk, "fixed", _with_wrong_order()) as acme:
        await acme.run()
        seen = await acme.standing()
        code, out, err = await _ml_connector(acme, *EDIT, "lines.1.price=1")
        assert (code, out) == (2, "")
        assert "lines.1.price of INV-2001 cannot be edited; these can: invoice_date, lines.*.po_line, " in err
        code, _, err = await _ml_connector(acme, *EDIT, "invoice_date=soon")
        assert (code, err) == (2, "ml-connector: the edited INV-2001 is no valid record any more\n")
        assert await acme.standing() == seen


async def test_a_person_settles_doubts_by_hand(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with customer(desk, "by-hand-settled", plain_invoices(2), qad=_one_at_a_time()) as acme:
        await acme.spoil("qad", **LOST)
        await acme.spoil("qad", **NEVER_CAME, times=5)
        assert (await acme.run()).message == "2 read: 2 in_doubt"
        (posted,) = (await acme.truth("qad"))["invoices"]
        mine, other = sorted(await acme.standing(), key=lambda label: label != posted["reference"])
        code, out, err = await _ml_connector(acme, "doubt", "list", "--json")
        assert code == 0, err
        assert sorted((row["record"], row["effect"]) for row in json.loads(out)) == [
            ("INV-2001", "create"),
            ("INV-2002", "create"),
        ]
        voucher = posted["key"].replace(".", "/")
        code, out, err = await _ml_connector(acme, "doubt", "settle", mine, "--written", voucher, "--json")
        assert code == 0, err
        assert json.loads(out) == {
            "record": mine,
            "effect": "create",
            "settled": f"written as {voucher}",
            "next": "the next run writes the rest of it: exported, custom_field, history",
        }
        code, _, err = await _ml_connector(acme, "doubt", "settle", other, "--absent")
        assert code == 2
        assert f"create of {other} may still take effect; say so again after " in err

        await acme.repair("qad")
        monkeypatch.setenv("ML_CONNECTOR_CLOCK_SHIFT_S", str(SETTLE.total_seconds() + 60))
        code, out, err = await _ml_connector(acme, "doubt", "settle", other, "--absent")
        assert code == 0, err
        told = dict(line.split(maxsplit=1) for line in out.splitlines())
        assert (told["settled"], told["next"]) == ("absent", "the next run sends it again")
        assert (await acme.run()).message == "2 read: 2 created"
        assert sorted((await acme.truth("qad"))["invoices_by_token"].values()) == [1, 1]
        assert (await acme.standing())[mine].target_id == voucher


async def test_two_runs_a_replay_and_the_resolver_at_once_make_one_effect_each(desk: Desk) -> None:
    async with customer(desk, "crowd", plain_invoices(3), qad=_one_at_a_time()) as acme:
        await acme.admin("coupa", "do/dispute_invoice", {"id": FIRST_KEY + 2})
        await acme.spoil("qad", **REFUSED)
        await acme.spoil("qad", **LOST)
        assert (await acme.run()).message == "2 read: 1 in_doubt, 1 rejected"
        await acme.admin("coupa", "do/approve_invoice", {"id": FIRST_KEY + 2})

        rejected = next(label for label, outcome in (await acme.outcomes()).items() if outcome == "rejected")
        started = [
            await acme.start(),
            await acme.start("resolve-in-doubt"),
            await acme.start("replay", direction="coupa_to_qad", record=rejected),
        ]
        ended = await asyncio.gather(acme.run(), *map(desk.ended, started))
        states = [one if one is ended[0] else one.state for one in ended]
        assert all(state.is_completed() for state in states), states
        if "rejected" in (await acme.outcomes()).values():
            # The replay found the direction busy; then it says so, and the person asks again.
            assert states[3].name == "Busy"
            await acme.replay(rejected)
        await acme.run()
        qad, coupa = await acme.truth("qad"), await acme.truth("coupa")
        assert sorted(qad["invoices_by_token"].values()) == [1, 1, 1]
        assert sorted(qad["invoices_by_reference"].values()) == [1, 1, 1]
        assert (sorted(coupa["exported"].values()), sorted(coupa["history"].values())) == ([1, 1, 1], [1, 1, 1])
        assert set((await acme.outcomes()).values()) == {"created"}


def _with_wrong_order() -> dict[str, Json]:
    """INV-2001 names an order that nobody has; PO200001 would be right, and of PO200002 nothing has come."""
    seeds = plain_invoices(2)
    invoice = seeds["coupa"]["invoices"][0]
    invoice["invoice-lines"][0]["po-number"] = "PO209999"
    return {"coupa": {"invoices": [invoice]}, "qad": seeds["qad"] | {"receipts": seeds["qad"]["receipts"][:1]}}


def _one_at_a_time() -> Json:
    """Writes one after another, so that a fault hits the record it is meant for."""
    return {"limits": {"rps": 1000, "concurrency": 1}}


async def _by_worker(acme: Customer, what: str) -> str:
    ended = await acme.run_by_worker(what)
    assert ended.state is not None
    return f"{ended.state.name}: {ended.state.message}"


async def _trail(acme: Customer, key: str) -> list[Any]:
    """The audit events of one Coupa invoice."""
    async with Installation.open() as one:
        row = await one.connections.get(acme.name)
        return list(await history(one.store.db, one.store.keys, f"{row.source_tenant}:invoice:{key}"))


async def _ml_connector(acme: Customer, *arguments: str) -> tuple[int, str, str]:
    """One command about this connection as a person types it; gives exit code, stdout and stderr."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deployments.cli", *arguments, "--connection", acme.name),
        env=child_environment(acme.desk.stack.environment) | {"COLUMNS": "250"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(command.communicate(), 120)
    assert command.returncode is not None
    return command.returncode, out.decode(), err.decode()
