"""Every credentials block: Prefect's own standards, and no secret where Prefect would show it."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import BaseModel, SecretStr

import blocks
from tests.flows.desk import Desk

SECRET = "canary-block-secret-0d62"
BLOCKS: list[type[Block]] = [getattr(blocks, name) for name in blocks.__all__]
# Prefect's API and UI mask a SecretStr, but not one that hides in a dict or in a list of models.
_UNMASKED = (dict, list, tuple, set, frozenset)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
class TestBlockStandards(BlockStandardTestSuite):
    """What Prefect asks of every block."""

    @pytest.fixture
    def block(self) -> type[Block]:
        """Replaced by the parameter of the same name."""
        raise NotImplementedError

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """Tests and desks run offline, so no block makes the browser fetch a picture from elsewhere."""
        assert block._logo_url is None


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_a_secret_stands_in_a_field_that_prefect_masks(block: type[Block]) -> None:
    secrets = [name for name, field in block.model_fields.items() if field.annotation is SecretStr]
    assert secrets
    hidden = [name for name, field in block.model_fields.items() if _secret_in_a_collection(field.annotation)]
    assert hidden == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_a_block_says_what_it_is_for_and_never_shows_its_secret(block: type[Block]) -> None:
    assert block._block_type_slug and block._block_type_name
    assert len(block.get_description() or "") > 40
    filled = block(**_values(block))
    assert SECRET not in repr(filled) + str(filled)
    assert SECRET not in repr(filled.login())  # type: ignore[attr-defined]


def test_each_block_has_a_slug_and_name_of_its_own() -> None:
    assert len({block._block_type_slug for block in BLOCKS}) == len(BLOCKS)
    assert len({block._block_type_name for block in BLOCKS}) == len(BLOCKS)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
async def test_the_api_masks_the_secret_of_a_saved_block(desk: Desk, block: type[Block]) -> None:
    await block(**_values(block)).asave("masked")
    slug = block._block_type_slug
    async with desk.stack.api() as api:
        shown = await api.get(f"block_types/slug/{slug}/block_documents/name/masked")
        listed = await api.post("block_documents/filter", json={})
    for answer in (shown, listed):
        assert answer.status_code == 200
        assert SECRET not in answer.text
        assert "https://tenant.example" in answer.text
    loaded: Any = await block.aload("masked")
    assert SECRET in [value.get_secret_value() for _, value in loaded if isinstance(value, SecretStr)]


def test_a_jira_token_goes_to_the_site_when_it_has_no_scopes_and_else_through_the_gateway() -> None:
    form = {"email": "connector@acme.example", "token": SecretStr(SECRET), "site_url": "https://acme.atlassian.net"}
    classic = blocks.JiraApiTokenCredentials(**form, expires_on="2027-03-01")
    assert classic.login().base_url == "https://acme.atlassian.net"
    assert str(classic.login().expires_on) == "2027-03-01"
    scoped = blocks.JiraApiTokenCredentials(**form, cloud_id="1122-aabb")
    assert scoped.login().base_url == "https://api.atlassian.com/ex/jira/1122-aabb"


def test_a_jira_block_asks_for_every_scope_that_the_connector_may_need() -> None:
    form = {"client_id": "app", "client_secret": SecretStr(SECRET), "site_url": "https://acme.atlassian.net"}
    assert {"offline_access", "manage:jira-webhook"} < set(blocks.JiraOAuthCredentials(**form).login().scopes)
    assert blocks.JiraServiceAccountCredentials(**form, cloud_id="1122-aabb").login().base_url.endswith("/1122-aabb")


def _values(block: type[Block]) -> dict[str, Any]:
    """A filled form: the canary in every secret, something plain in what else must be there."""
    values: dict[str, Any] = {}
    for address in ("base_url", "site_url"):
        if address in block.model_fields:
            values[address] = "https://tenant.example"
    for name, field in block.model_fields.items():
        if field.annotation is SecretStr:
            values[name] = SecretStr(SECRET)
        elif field.is_required() and name not in values:
            values[name] = "plain"
    return values


def _secret_in_a_collection(annotation: Any) -> bool:
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) in _UNMASKED:
        return any(_holds_secret(part) for part in inner)
    return any(_secret_in_a_collection(part) for part in inner)


def _holds_secret(annotation: Any) -> bool:
    return any(part is SecretStr or _model_with_secret(part) for part in _parts(annotation))


def _model_with_secret(part: Any) -> bool:
    if not (isinstance(part, type) and issubclass(part, BaseModel)):
        return False
    return any(_holds_secret(field.annotation) for field in part.model_fields.values())


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)
