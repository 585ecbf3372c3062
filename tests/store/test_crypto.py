"""Keys and sealed data: bound to their record, readable after a key was renewed, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_connector.errors import ConfigurationError, ContractError
from ml_connector.store.crypto import Keys, describe

SECRET = b"IBAN DE89 3704 0044 0532 0130 00"


def _sealed(keys: Keys) -> bytes:
    return keys.seal(SECRET, about="ledger:1", schema="snapshot", version=3)


def test_opens_what_it_sealed(keys: Keys) -> None:
    assert keys.open(_sealed(keys), about="ledger:1") == SECRET


def test_sealed_data_hides_its_content_and_shows_schema_and_version(keys: Keys) -> None:
    blob = _sealed(keys)
    assert SECRET not in blob
    assert (describe(blob).schema, describe(blob).version) == ("snapshot", 3)


def test_the_same_content_never_looks_the_same_twice(keys: Keys) -> None:
    assert _sealed(keys) != _sealed(keys)


def test_a_blob_moved_to_another_record_does_not_open(keys: Keys) -> None:
    with pytest.raises(ContractError, match="ledger:2"):
        keys.open(_sealed(keys), about="ledger:2")


def test_no_bit_of_a_blob_can_be_changed(keys: Keys) -> None:
    blob = _sealed(keys)
    for position in range(len(blob)):
        changed = bytearray(blob)
        changed[position] ^= 1
        with pytest.raises((ContractError, ConfigurationError)):
            keys.open(bytes(changed), about="ledger:1")


@pytest.mark.parametrize("length", [0, 5, 12, 20, 30])
def test_a_blob_cut_off_does_not_open(keys: Keys, length: int) -> None:
    with pytest.raises((ContractError, ConfigurationError)):
        keys.open(_sealed(keys)[:length], about="ledger:1")


def test_old_blobs_open_after_a_new_data_key_and_rotate_to_it(keys: Keys) -> None:
    blob = _sealed(keys)
    keys.add_data_key()
    rotated = keys.rotate(blob, about="ledger:1")
    assert keys.open(blob, about="ledger:1") == keys.open(rotated, about="ledger:1") == SECRET
    assert describe(rotated).key_id != describe(blob).key_id
    assert (describe(rotated).schema, describe(rotated).version) == ("snapshot", 3)
    assert keys.rotate(rotated, about="ledger:1") is rotated


def test_a_running_process_learns_a_new_data_key_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    here = Keys.create(path)
    running = Keys.load(path)
    here.add_data_key()
    assert running.open(_sealed(here), about="ledger:1") == SECRET
    here.add_data_key()
    assert running.open_token(here.ring.encrypt(SECRET)) == SECRET
    assert describe(_sealed(running)).key_id == describe(_sealed(here)).key_id


def test_two_processes_that_add_keys_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    one = Keys.create(path)
    other = Keys.load(path)
    one.add_data_key()
    blob = _sealed(one)
    other.add_data_key()
    assert Keys.load(path).open(blob, about="ledger:1") == SECRET


def test_data_sealed_with_a_key_that_is_gone_says_so(keys: Keys) -> None:
    blob, token = _sealed(Keys.generate()), Keys.generate().ring.encrypt(SECRET)
    with pytest.raises(ConfigurationError, match=r"ledger:1 .*not in the key file"):
        keys.open(blob, about="ledger:1")
    with pytest.raises(ConfigurationError, match="put the right key file back"):
        keys.open_token(token)


def test_a_new_data_key_leaves_the_audit_key_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = Keys.create(path)
    before = (keys.audit_mac(b"event"), keys.audit_digest(b"detail"), keys.login_fingerprint("user"))
    keys.add_data_key()
    loaded = Keys.load(path)
    assert (loaded.audit_mac(b"event"), loaded.audit_digest(b"detail"), loaded.login_fingerprint("user")) == before
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


def test_creates_a_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "home" / "keys.json"
    keys = Keys.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keys.load(path).open(_sealed(keys), about="ledger:1") == SECRET
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_never_overwrites_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    Keys.create(path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="not overwritten"):
        Keys.create(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_refuses_a_key_file_that_others_can_read_and_says_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    Keys.create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"chmod 600 .*keys\.json"):
        Keys.load(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"data": [], "audit": "x"}', '{"data": ["short"], "audit": "x"}'])
def test_refuses_a_damaged_key_file_without_quoting_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as refusal:
        Keys.load(path)
    assert "restore" in str(refusal.value)
    assert "short" not in str(refusal.value)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"keys\.json is missing"):
        Keys.load(tmp_path / "keys.json")


def test_no_repr_shows_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = Keys.create(path)
    secrets = [part for part in path.read_text().split('"') if len(part) > 20]
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in repr(keys) + str(keys)]


def test_a_login_fingerprint_changes_with_each_part_and_with_where_parts_end(keys: Keys) -> None:
    prints = {keys.login_fingerprint(*parts) for parts in [("a", "b"), ("a", "c"), ("ab",), ("ab", ""), ("", "ab")]}
    assert len(prints) == 5
    assert all(len(text) == 12 and int(text, 16) >= 0 for text in prints)
    assert keys.login_fingerprint("a", "b") == keys.login_fingerprint("a", "b")
    assert keys.login_fingerprint("a", "b") != Keys.generate().login_fingerprint("a", "b")
