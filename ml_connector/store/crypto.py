"""The keys of this installation: what seals stored business data and tokens, and what signs the audit trail.

The key file lies outside the database. Data keys can be renewed (the newest seals, all open); the audit key never is,
because every event that was ever signed must stay provable.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ml_connector.errors import ConfigurationError, ContractError

_MAGIC = b"ML1"
_KEY_ID = 4
_NONCE = 12
# Magic, key id, version, length of the schema name.
_FIXED = struct.Struct(f">{len(_MAGIC)}s{_KEY_ID}sHB")


@dataclass(frozen=True, slots=True)
class BlobHeader:
    """What a sealed blob says in clear about itself."""

    schema: str
    version: int
    key_id: bytes
    size: int


class Keys:
    """Seals, opens and signs; shows no key in its repr."""

    def __init__(self, data: Sequence[str], audit: str, *, path: Path | None = None) -> None:
        self._path = path
        self._audit = audit
        audit_master = _decoded(audit, "audit")
        self._mac_key = _derive(audit_master, "audit mac")
        self._digest_key = _derive(audit_master, "audit digest")
        self._login_key = _derive(audit_master, "login fingerprint")
        self._use(data)

    def _use(self, data: Sequence[str]) -> None:
        if not data:
            raise ConfigurationError("the key file has no data key; restore the key file from its backup")
        masters = [_decoded(key, "data") for key in data]
        self._data = tuple(data)
        self._ciphers = {_key_id(master): AESGCM(_derive(master, "seal")) for master in masters}
        self._newest = _key_id(masters[0])
        self.ring = MultiFernet([Fernet(key) for key in data])

    def _learned_new_keys(self) -> bool:
        """Whether the key file has gained keys since it was read, which are then in use: no restart for a new key."""
        if self._path is None:
            return False
        data = Keys.load(self._path)._data
        if data == self._data:
            return False
        self._use(data)
        return True

    def __repr__(self) -> str:
        return f"Keys({len(self._data)} data keys)"

    @classmethod
    def generate(cls) -> Self:
        """Fresh random keys that live in memory only."""
        return cls([Fernet.generate_key().decode()], Fernet.generate_key().decode())

    @classmethod
    def create(cls, path: Path) -> Self:
        """Write a new key file that only its owner can read; an existing one is never overwritten."""
        keys = cls([Fernet.generate_key().decode()], Fernet.generate_key().decode(), path=path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = keys._draft(path)
        try:
            # A link either makes the whole file appear or fails: nobody ever loads half a key file.
            os.link(draft, path)
        except FileExistsError:
            raise ConfigurationError(
                f"key file {path} exists and is not overwritten; load it, or move it away with its database"
            ) from None
        finally:
            draft.unlink()
        return keys

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key file; ConfigurationError when it is missing, readable by others or damaged."""
        try:
            mode = path.stat().st_mode
            content = path.read_bytes()
        except FileNotFoundError:
            raise ConfigurationError(f"key file {path} is missing; restore it from its backup") from None
        except OSError as error:
            raise ConfigurationError(f"key file {path} cannot be read: {error.strerror}") from None
        if os.name == "posix" and mode & 0o077:
            raise ConfigurationError(f"key file {path} is open to other users; run: chmod 600 {path}")
        try:
            members = orjson.loads(content)
            data, audit = [str(key) for key in members["data"]], str(members["audit"])
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"key file {path} is damaged; restore it from its backup") from None
        return cls(data, audit, path=path)

    def add_data_key(self) -> None:
        """Seal with a fresh data key from now on, in every process that uses the key file; older keys still open."""
        self._learned_new_keys()
        self._use([Fernet.generate_key().decode(), *self._data])
        if self._path is not None:
            self._draft(self._path).replace(self._path)

    def _draft(self, path: Path) -> Path:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps({"data": self._data, "audit": self._audit}, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        return draft

    def seal(self, plaintext: bytes, *, about: str, schema: str, version: int) -> bytes:
        """Encrypt with the newest key, bound to the record it is `about`; schema and version stay readable."""
        name = schema.encode()
        header = _FIXED.pack(_MAGIC, self._newest, version, len(name)) + name
        nonce = os.urandom(_NONCE)
        return header + nonce + self._ciphers[self._newest].encrypt(nonce, plaintext, header + about.encode())

    def open(self, blob: bytes, *, about: str) -> bytes:
        """Decrypt with whichever key sealed it.

        Raises ConfigurationError when that key is gone, ContractError when the blob was changed or belongs elsewhere.
        """
        header = describe(blob)
        if header.key_id not in self._ciphers:
            self._learned_new_keys()
        cipher = self._ciphers.get(header.key_id)
        if cipher is None:
            raise ConfigurationError(f"data of {about} was sealed with a key that is not in the key file; put it back")
        nonce_end = header.size + _NONCE
        try:
            return cipher.decrypt(blob[header.size : nonce_end], blob[nonce_end:], blob[: header.size] + about.encode())
        except (InvalidTag, ValueError):
            raise ContractError(f"sealed data of {about} was changed, or moved there from another record") from None

    def rotate(self, blob: bytes, *, about: str) -> bytes:
        """The same content under the newest key; a blob that has it already comes back as it is."""
        header = describe(blob)
        if header.key_id == self._newest:
            return blob
        return self.seal(self.open(blob, about=about), about=about, schema=header.schema, version=header.version)

    def open_token(self, blob: bytes) -> bytes:
        """Decrypt what `ring` encrypted; ConfigurationError when none of the keys fits."""
        for _attempt in range(2):
            with suppress(InvalidToken):
                return self.ring.decrypt(blob)
            if not self._learned_new_keys():
                break
        raise ConfigurationError("it does not open with the keys in the key file; put the right key file back")

    def login_fingerprint(self, *parts: str) -> str:
        """12 hex characters that change with any part of a login and tell nothing about it."""
        text = orjson.dumps(parts)
        return hmac.digest(self._login_key, text, "sha256").hex()[:12]

    def audit_mac(self, message: bytes) -> str:
        """The signature of one audit event or checkpoint, 64 hex characters."""
        return hmac.digest(self._mac_key, message, "sha256").hex()

    def audit_digest(self, plaintext: bytes) -> str:
        """What stays of an event's detail when the detail itself is emptied, 64 hex characters."""
        return hmac.digest(self._digest_key, plaintext, "sha256").hex()


def describe(blob: bytes) -> BlobHeader:
    """Read a sealed blob's clear header; ContractError when it has none."""
    if len(blob) < _FIXED.size:
        raise ContractError("stored data is cut off before the end of its header")
    magic, key_id, version, length = _FIXED.unpack_from(blob)
    size = _FIXED.size + length
    if magic != _MAGIC or len(blob) < size + _NONCE:
        raise ContractError("stored data does not look like anything this installation sealed")
    return BlobHeader(blob[_FIXED.size : size].decode(errors="replace"), version, key_id, size)


def _decoded(key: str, member: str) -> bytes:
    try:
        master = base64.urlsafe_b64decode(key)
    except ValueError:
        master = b""
    if len(master) != 32:
        raise ConfigurationError(f"a key under '{member}' in the key file is damaged; restore the file from its backup")
    return master


def _derive(master: bytes, purpose: str, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=f"ml-connector {purpose}".encode()).derive(master)


def _key_id(master: bytes) -> bytes:
    return _derive(master, "key id", _KEY_ID)
