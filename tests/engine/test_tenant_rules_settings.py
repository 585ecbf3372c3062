"""The settings themselves: what contradicts itself is refused, and every one of them does something."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings, ReferenceData
from tests.engine import coupa_qad

ROOT = Path(__file__).parents[2]
# Kinds of charge are looked up by their word; the version is read by `connect`; of write styles there is only one yet.
NOT_BY_NAME = ("Accounts.shipping", "Accounts.handling", "CoupaQadSettings.schema_version", "QadTenant.write_style")


def read(**changes: Any) -> CoupaQadSettings:
    return CoupaQadSettings.model_validate(coupa_qad.settings(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"invoices": {"po_rule": {"kind": "qad_slot"}}}, id="a slot without its name"),
        pytest.param({"invoices": {"po_rule": {"kind": "coupa_field"}}}, id="a field without its name"),
        pytest.param({"invoices": {"po_rule": {"name": "customShort1"}}}, id="a name that nothing uses"),
        pytest.param({"suppliers": {"defaults": {"number": "1"}}}, id="a default for the number"),
        pytest.param({"suppliers": {"defaults": {"Payment_Term": "N30"}}}, id="a default in another spelling"),
        pytest.param({"payments": {"first_load_days": 0}}, id="a first load of nothing"),
        pytest.param({"suppliers": {"direction": "both"}}, id="suppliers both ways"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**changes)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([("projects", "A"), ("projects", "B")], id="one source twice"),
        pytest.param([("projects", "Codes"), ("cost_centers", "codes")], id="two sources in one lookup"),
    ],
)
def test_codes_of_qad_have_one_home_each(data: list[tuple[str, str]]) -> None:
    with pytest.raises(ValidationError):
        read(reference_data=[{"source": source, "lookup": lookup} for source, lookup in data])


def test_two_sources_share_a_lookup_under_different_parents() -> None:
    data = [
        {"source": "projects", "lookup": "Codes", "parent": "P"},
        {"source": "cost_centers", "lookup": "Codes", "parent": "C"},
    ]
    assert [one.parent for one in read(reference_data=data).reference_data] == ["P", "C"]


@pytest.mark.parametrize(
    "name", ["{description}", "{code.real}", "{code!r}", "{code:>9}", "{code", "{0}", "{code} {x}", "Project"]
)
def test_a_name_of_a_value_holds_the_code_and_nothing_strange(name: str) -> None:
    with pytest.raises(ValidationError):
        ReferenceData.model_validate({"source": "projects", "lookup": "Project", "name": name})


def test_a_name_of_a_value_is_made_of_code_and_description() -> None:
    one = ReferenceData(source="projects", lookup="Project", name="{description} ({code})")
    assert one.label("P1", "New\n hall") == "New hall (P1)"
    assert ReferenceData(source="projects", lookup="Project").label("P1", "") == "P1"


def test_only_a_closed_period_waits_otherwise_where_the_customer_says_so() -> None:
    usual, strict = read(), read(invoices={"closed_period": "reject"})
    assert usual.posting is usual.qad
    changed = {
        one.code for one, other in zip(usual.qad.refusals, strict.posting.refusals, strict=True) if one != other
    }
    assert changed == {"period_closed"}
    assert not any(one.waits for one in strict.posting.refusals if one.code == "period_closed")


def test_every_setting_is_read_somewhere() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "ml_connector").rglob("*.py"))
    unread = [
        f"{model.__name__}.{name}"
        for model in _models(CoupaQadSettings)
        for name in model.model_fields
        if not re.search(rf"\.{name}\b", code)
    ]
    assert sorted(unread) == sorted(NOT_BY_NAME)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"qad": {"match": {"receipt_gate": "full"}}}, id="a gate of our own"),
        pytest.param({"qad": {"invoice": {"matching_daybook": "APMATCH"}}}, id="a daybook of matching"),
        pytest.param({"qad": {"status": {"hold_status_codes": []}}}, id="codes that hold"),
        pytest.param({"suppliers": {"page_size": 500}}, id="pages of suppliers"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        read(**changes)


def _models(found: Any, seen: tuple[type[BaseModel], ...] = ()) -> tuple[type[BaseModel], ...]:
    """The models that a type is made of, each once."""
    if isinstance(found, type) and issubclass(found, BaseModel):
        if found in seen:
            return seen
        seen = (*seen, found)
        inner = [field.annotation for field in found.model_fields.values()]
    else:
        inner = list(get_args(found))
    for one in inner:
        seen = _models(one, seen)
    return seen
