"""The documents about settings: each setting of each pair is explained, no other is, and every example is valid."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from ml_connector.pairs.coupa_qad.settings import CoupaQadSettings
from ml_connector.pairs.qad_jira.settings import QadJiraSettings

ROOT = Path(__file__).parents[2]
DOCS, README = ROOT / "docs", ROOT / "README.md"
# Each pair with its document, and the tenants that are explained in groups, not by every name.
PAIRS = pytest.mark.parametrize(
    ("model", "document", "tenants"),
    [
        pytest.param(CoupaQadSettings, "settings-coupa-qad.md", ("coupa", "qad"), id="coupa_qad"),
        pytest.param(QadJiraSettings, "settings-qad-jira.md", ("qad",), id="qad_jira"),
    ],
)


def _items(annotation: Any) -> list[type[BaseModel]]:
    """The models that a list of settings holds."""
    inner = get_args(annotation) if get_origin(annotation) is tuple else ()
    return [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]


def _names(model: type[BaseModel], tenants: tuple[str, ...], path: str = "") -> list[str]:
    """Every setting by its path, members of lists too; accounts end at the kind of charge."""
    found: list[str] = []
    for name, field in model.model_fields.items():
        inner, here = field.annotation, f"{path}{name}"
        if here in tenants:
            continue
        if name == "po_rule":
            found.append(here)
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            found += _names(inner, tenants, f"{here}.")
        elif items := _items(inner):
            found += _names(items[0], tenants, f"{here}[].")
        else:
            found.append(here)
    return found


def _told(document: str) -> set[str]:
    """The settings that have a line in the document."""
    told: set[str] = set()
    for line in (DOCS / document).read_text().splitlines():
        base = ""
        for name in re.findall(r"`([^`]+)`", line.split("|")[1]) if line.startswith("| `") else ():
            # `a.b`, `.c` stands for a.b and a.c.
            told.add(base + name if name.startswith(".") else name)
            base = name.rpartition(".")[0] if not name.startswith(".") else base
    return told


def _examples(path: Path) -> list[Any]:
    text = path.read_text()
    assert "```yml" not in text
    # Within a list a fence is indented.
    fence = re.compile(r"^ *```yaml\n(.*?)^ *```$", flags=re.DOTALL | re.MULTILINE)
    return [yaml.safe_load(textwrap.dedent(example)) for example in fence.findall(text)]


@PAIRS
def test_every_setting_has_a_line_in_the_documentation(
    model: type[BaseModel], document: str, tenants: tuple[str, ...]
) -> None:
    told, wanted = _told(document), set(_names(model, tenants))
    assert wanted - told == set()
    assert {name for name in told if "." in name and not name.startswith(tenants)} - wanted == set()


def test_the_examples_of_coupa_and_qad_are_valid() -> None:
    found = [*_examples(DOCS / "settings-coupa-qad.md"), *_examples(README)]
    read = [CoupaQadSettings.model_validate(one) for one in found]
    assert [(one.qad.entity, one.invoices.non_po) for one in read] == [
        ("10USACO", "post"), ("10USACO", "post"), ("20EURCO", "reject"), ("10USACO", "reject"),
    ]  # fmt: skip


def test_the_examples_of_qad_and_jira_are_valid() -> None:
    read = [QadJiraSettings.model_validate(one) for one in _examples(DOCS / "settings-qad-jira.md")]
    assert [(one.jira.project, one.exceptions.kinds) for one in read] == [
        ("AP", ("match", "hold", "late")), ("BUY", ("late",)),
    ]  # fmt: skip
    assert read[0].merged_cost_code("invoice") and not read[0].merged_cost_code("order")


def test_every_link_between_the_documents_leads_somewhere() -> None:
    for path in (README, ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")):
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            target, _, anchor = link.partition("#")
            if target.startswith(("https:", "http:")):
                continue
            there = (path.parent / target).resolve() if target else path
            assert there.exists(), f"{path.name}: {link}"
            assert not anchor or anchor in _anchors(there), f"{path.name}: {link}"


def _anchors(path: Path) -> set[str]:
    """What the headings of a document are linked by."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", one.lower()).replace(" ", "-") for one in headings}
