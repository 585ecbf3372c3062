"""Bad input on the way to Jira and back: every oddity has a defined outcome, and none stops the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine import jira_desk as desk
from tests.engine import qad_jira
from tests.engine.jira_desk import back, held, make, opened, post, refusal_code, stands, status, there
from tests.engine.qad_jira import APPROVAL, COST_CODE, FIELDS, clerk, invoice, issue_of, person, shown
from tests.engine.world import Json, World


async def _world(folder: Path, template: Path, *invoices: Json, **changes: Any) -> World:
    """These invoices and one without any fault are held."""
    world = await make(folder, template, told=False, **changes)
    await post(world, *invoices, held(99))
    return world


async def _text(world: World, label: str) -> str:
    return desk.text_of(await shown(world, await issue_of(world, label)))


# ---- what QAD's texts may hold

ODD: dict[str, Json] = {
    "newlines in the supplier's name": {"supplierName": "Cedar\r\nFalls\nPackaging"},
    "control characters": {"supplierName": "Cedar\x00\x07\x1b[31m Falls\x7f\u2028x"},
    "only blanks": {"supplierName": " \t "},
    "an empty name": {"supplierName": ""},
    "a name of 300 letters": {"supplierName": "N" * 300},
    "a name of 300 emoji": {"supplierName": "\U0001f600" * 300},
    "emoji and right to left": {"supplierName": "\U0001f9fe ספק \u202eabc\u202c مورّد"},
    "quotes and operators": {"supplierName": 'O\'Neil "AND" \\ OR project = X ~ (a) [b] {c} *?'},
    "an order number in JQL": {"supplierInvoicePOs": [{"poDomainCode": "10USA", "purchaseOrderNumber": 'A" OR 1'}]},
    "many digits": {"originalAmountTC": 9999999999.99, "holdAmountTC": 1234567890.12},
    "a lone surrogate": {"description": "\ufffd"},
}


@pytest.mark.parametrize("members", ODD.values(), ids=ODD)
async def test_an_odd_invoice_becomes_one_issue_and_stays_as_it_is(
    tmp_path: Path, sqlite_template: Path, members: Json
) -> None:
    lines = [{"line": 1, "glAccountCode": "6100", "amountTC": members.get("originalAmountTC", 101)}]
    world = await _world(tmp_path, sqlite_template, held(1, supplierInvoiceLines=lines, **members))
    assert await there(world) == {"created": 2}
    issue = await shown(world, await issue_of(world, "INV-4101"))
    summary = issue["fields"]["summary"]
    assert "INV-4101" in summary and len(summary.splitlines()) == 1 and len(summary) <= 254
    await desk.is_quiet(world)
    await clerk(world, "edit_invoice", invoiceReference="INV-4101", changes={"holdAmountTC": 3})
    assert (await there(world))["updated"] == 1
    assert "3 USD" in await _text(world, "INV-4101")
    await desk.is_quiet(world)


async def test_an_amount_keeps_every_digit_that_people_read(tmp_path: Path, sqlite_template: Path) -> None:
    lines = [{"line": 1, "glAccountCode": "6100", "amountTC": 123456789012.37}]
    odd = held(1, originalAmountTC=123456789012.37, holdAmountTC=0.01, supplierInvoiceLines=lines)
    world = await _world(tmp_path, sqlite_template, odd)
    assert await there(world) == {"created": 2}
    assert "123456789012.37 USD" in await _text(world, "INV-4101")
    assert "0.01 USD" in await _text(world, "INV-4101")


async def test_a_text_that_is_too_long_for_jira_is_cut_with_a_pointer_to_qad(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await make(tmp_path, sqlite_template, told=False)
    day = "2026-01-05"
    lines = [
        {
            "purchaseOrderLine": n,
            "itemCode": "ITEM0001",
            "quantityOrdered": 10,
            "purchaseCost": 1,
            "dueDate": day,
        }
        for n in range(1, 301)
    ]
    order = {"purchaseOrderNumber": "PO300001", "supplierCode": "SUP00001", "currencyCode": "USD", "lines": lines}
    await world.admin("qad", "seed", {"purchaseOrders": [order]})
    await post(world, held(99))
    assert await there(world) == {"created": 2}
    assert "260 more lines are in QAD." in await _text(world, "PO300001")
    await desk.is_quiet(world)


# ---- a project that is not as it was


@pytest.mark.parametrize("screen", ["create", "edit", "both"])
async def test_a_field_taken_off_the_screen_rejects_with_its_name_and_goes_on_when_it_is_back(
    tmp_path: Path, sqlite_template: Path, screen: str
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "remove_field_from_screen", project="AP", field=FIELDS["variance"], screen=screen)
    await post(world, held(1))
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=40)
    await clerk(world, "clear_match", invoiceReference="INV-3002")
    await there(world)
    found = await stands(world)
    refused = "rejected target_refused"
    assert found["INV-4101"] == ("created" if screen == "edit" else refused)
    assert found["INV-3001"] == refused, "a field that cannot be set on a new issue is not known how to fill"
    for label in ("INV-4101", "INV-3001"):
        if found[label] == refused:
            assert (await refusal_code(world, label)).endswith(f":{FIELDS['variance']}")
    assert await status(world, await issue_of(world, "INV-3002")) == "Done", "the others go on"
    await desk.is_quiet(world)


async def test_an_archived_project_ends_the_run_with_its_cause_and_loses_nothing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "archive_project", project="AP")
    await post(world, held(1))
    await world.pass_time(60)
    ended = await world.try_run("qad_to_jira", "acme")
    assert (await world.truth("jira"))["issues"] == 3
    await person(world, "archive_project", project="AP", archived=False)
    assert ended == "ConfigurationError", "the issue type cannot be created there now"
    await there(world)
    assert (await stands(world))["INV-4101"] == "created"
    assert sorted((await world.truth("jira"))["creates"].values()) == [1, 1, 1, 1]


async def test_a_transition_that_asks_for_a_resolution_gets_it_or_says_so(
    tmp_path: Path, sqlite_template: Path
) -> None:
    world = await opened(tmp_path, sqlite_template, options={"jira": {"require_resolution": True}})
    await clerk(world, "clear_match", invoiceReference="INV-3001")
    await clerk(world, "edit_invoice", invoiceReference="INV-3002", changes={"holdAmountTC": 40})
    await there(world)
    assert await refusal_code(world, "INV-3001") == "transition_field"
    assert (await stands(world))["INV-3002"] == "updated"
    rules = qad_jira.settings()["issues"] | {"cleared_resolution": "Done"}
    await desk.change_settings(world, issues=rules)
    await there(world)
    assert await status(world, await issue_of(world, "INV-3001")) == "Done"
    assert len(await desk.comments(world, await issue_of(world, "INV-3001"))) == 1
    await back(world)
    assert (await invoice(world, "INV-3001"))["customShort2"] == "", "our own resolution is nobody's decision"


async def test_transitions_with_other_ids_are_found_by_where_they_lead(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "change_transitions", project="AP")
    await clerk(world, "clear_match", invoiceReference="INV-3001")
    await there(world)
    assert await status(world, await issue_of(world, "INV-3001")) == "Done"


@pytest.mark.parametrize("account", ["712020:nobody", "712020:former-0006", 'x" OR "y', "x" * 200])
async def test_an_assignee_whom_nobody_can_assign_rejects_that_issue_alone(
    tmp_path: Path, sqlite_template: Path, account: str
) -> None:
    rules = {"fields": FIELDS, "assignees": {"SUP00007": account}}
    world = await _world(tmp_path, sqlite_template, held(1, supplierCode="SUP00007"), issues=rules)
    assert await there(world) == {"created": 1, "rejected": 1}
    assert await refusal_code(world, "INV-4101") in ("unknown_user", "not_assignable", "too_long:assignee")
    assert await there(world) == {"unchanged": 1, "rejected": 1}
    await desk.change_settings(world, issues=rules | {"assignees": {"SUP00007": "712020:buyer-0005"}})
    assert (await there(world))["created"] == 1
    assert len(set((await world.truth("jira"))["creates"])) == 2


async def test_a_kind_that_the_select_list_does_not_know_is_rejected_with_its_field(
    tmp_path: Path, sqlite_template: Path
) -> None:
    rules = {"fields": FIELDS, "kind_names": {"match": "Match", "hold": "Nonsense", "late": "Late"}}
    world = await _world(tmp_path, sqlite_template, issues=rules)
    assert await there(world) == {"rejected": 1}
    assert FIELDS["kind"] in await refusal_code(world, "INV-4199")


async def test_a_number_field_that_is_fed_a_text_names_itself(tmp_path: Path, sqlite_template: Path) -> None:
    rules = {"fields": FIELDS | {"supplier": FIELDS["amount"], "amount": "customfield_10041"}}
    world = await _world(tmp_path, sqlite_template, issues=rules)
    assert await there(world) == {"rejected": 1}
    assert await refusal_code(world, "INV-4199") == f"invalid_value:{FIELDS['amount']}"


# ---- what people write in Jira


CODES: dict[str, tuple[str, str]] = {
    "too long for QAD": ("C" * 21, "too_long"),
    "emoji and right to left": ("\U0001f600 ספק", ""),
    "quotes": ('"CC" \\ \'x\' & <b>', ""),
}


@pytest.mark.parametrize(("code", "refused"), CODES.values(), ids=CODES)
async def test_an_odd_cost_code_is_written_whole_or_refused_and_the_others_go_on(
    tmp_path: Path, sqlite_template: Path, code: str, refused: str
) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "set_fields", issue="10000", fields={COST_CODE: code})
    await person(world, "set_fields", issue="10001", fields={COST_CODE: "CC88", APPROVAL: {"value": "Rejected"}})
    await back(world)
    assert (await invoice(world, "INV-3001"))["customShort4"] == ("" if refused else code)
    found = await invoice(world, "INV-3002")
    assert (found["customShort3"], found["customShort4"]) == ("Rejected", "CC88")
    assert await refusal_code(world, "AP-1") == refused
    await desk.comes_to_rest(world)


async def test_a_cost_code_that_is_taken_back_is_emptied_in_qad(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    for code in ("CC77", None):
        await person(world, "set_fields", issue="10001", fields={COST_CODE: code})
        await back(world)
        await there(world)
        assert (await invoice(world, "INV-3002"))["customShort4"] == (code or "")
        assert await desk.field(world, "10001", COST_CODE) == code
    await desk.is_quiet(world)


async def test_an_issue_moved_to_another_project_is_read_by_its_id(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "move", issue="10000", to="OPS")
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=40)
    await clerk(world, "fail_match", invoiceReference="INV-3002", variance=5, hold=100)
    await there(world)
    assert (await stands(world))["INV-3002"] == "updated"
    assert await issue_of(world, "INV-3001") == "10000"
    await desk.is_quiet(world)


async def test_a_decision_about_a_moved_issue_arrives_with_its_delivery(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "move", issue="10000", to="OPS")
    for step in ("10011", "10012"):
        await person(world, "transition", issue="10000", to=step)
    await desk.deliver(world, "10000")
    await back(world)
    slots = await desk.qad_slots(world, "INV-3001")
    assert (slots["customShort1"], slots["customShort2"]) == ("OPS-1", "Done")


async def test_an_issue_hidden_from_the_login_is_not_made_again(tmp_path: Path, sqlite_template: Path) -> None:
    world = await opened(tmp_path, sqlite_template)
    await person(world, "refuse_permission", permission="BROWSE_PROJECTS")
    await clerk(world, "fail_match", invoiceReference="INV-3001", variance=40)
    await world.pass_time(60)
    assert await world.try_run("qad_to_jira", "acme") == "ContractError"
    await person(world, "refuse_permission", permission="BROWSE_PROJECTS", refused=False)
    await there(world)
    assert sorted((await world.truth("jira"))["creates"].values()) == [1, 1, 1]
