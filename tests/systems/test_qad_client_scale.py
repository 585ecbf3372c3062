"""What QAD's folder says about itself is true: cited sections exist, named tests exist, forms are readable."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import BaseModel

from ml_connector.systems import qad
from ml_connector.systems.qad import config, resources

FOLDER = Path(str(qad.__file__)).parent
ROOT = FOLDER.parents[2]


def test_every_readme_section_that_the_code_cites_exists() -> None:
    lines = (FOLDER / "README.md").read_text().splitlines()
    headings = {line.lstrip("# ").casefold() for line in lines if line.startswith("#")}
    texts = [file.read_text() for file in FOLDER.glob("*.py")]
    cited = {one.casefold() for text in texts for one in re.findall(r'README, "([^"]+)"', text)}
    assert cited
    assert cited <= headings


def test_every_test_that_the_quality_scale_names_exists() -> None:
    scale = yaml.safe_load((FOLDER / "quality_scale.yaml").read_text())
    for rule in (rule for tier in scale.values() for rule in tier.values()):
        assert rule.get("reason") or rule["status"] == "done"
        for name in rule.get("tests", ()):
            file, function = name.split("::")
            assert re.search(rf"def {function}\(", (ROOT / file).read_text()), name


def test_every_setting_is_described_by_a_sentence() -> None:
    models = [
        one
        for module in (config, resources)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, BaseModel) and one.__module__ == module.__name__
    ]
    fields = {f"{one.__name__}.{name}": info for one in models for name, info in one.model_fields.items()}
    settings = {name: info.description or "" for name, info in fields.items() if not name.endswith(".kind")}
    assert settings
    assert [name for name, text in settings.items() if not text.endswith(".")] == []


def test_no_file_is_too_long() -> None:
    assert [file.name for file in FOLDER.glob("*.py") if len(file.read_text().splitlines()) > 400] == []
