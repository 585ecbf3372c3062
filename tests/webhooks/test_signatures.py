"""Who signed a delivery: the documented vectors, rotation, and everything that only looks like a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

import jwt
import pytest

from ml_connector.errors import SignatureError
from ml_connector.systems.coupa import webhook as coupa
from ml_connector.systems.jira import webhook as jira
from tests.webhooks.senders import APP_SECRET, NOW, SECRET, signature, token

VECTOR = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
VECTOR_SECRET = "It's a Secret to Everybody"
BODY = b'{"webhookEvent":"jira:issue_updated"}'


def check_admin(signed: str, body: bytes = BODY, *secrets: str, options: dict[str, Any] | None = None) -> None:
    headers = {"x-hub-signature": signed}
    jira.verify("admin", headers, body, secrets=secrets or (SECRET,), options=options or {}, now=NOW)


def check_token(value: str, *secrets: str, scheme: str = "Bearer") -> None:
    headers = {"Authorization": f"{scheme} {value}"}
    jira.verify("dynamic", headers, b"", secrets=secrets or (APP_SECRET,), options={}, now=NOW)


def check_coupa(headers: dict[str, str], *secrets: str, **options: Any) -> None:
    coupa.verify("coupa", headers, BODY, secrets=secrets or (SECRET,), options=options, now=NOW)


def digest(secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), BODY, hashlib.sha256).digest()


def test_accepts_the_documented_example_of_an_admin_signature() -> None:
    check_admin(VECTOR, b"Hello World!", VECTOR_SECRET)
    with pytest.raises(SignatureError):
        check_admin(VECTOR, b"Hello World?", VECTOR_SECRET)


def test_each_of_several_secrets_is_valid() -> None:
    for secret in ("first", "second"):
        check_admin(signature(BODY, secret), BODY, "first", "second")
        check_token(token(secret * 8), "first" * 8, "second" * 8)
        check_coupa({"X-Coupa-Signature": digest(secret).hex()}, "first", "second")


@pytest.mark.parametrize("signed", ["", "sha256=", "sha256", VECTOR.removeprefix("sha256="), "sha256=é", "=", "none="])
def test_refuses_what_is_no_signature(signed: str) -> None:
    with pytest.raises(SignatureError):
        check_admin(signed)


def test_other_hash_methods_are_valid_only_where_they_are_configured() -> None:
    strong = "sha512=" + hmac.new(SECRET.encode(), BODY, hashlib.sha512).hexdigest()
    weak = "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()
    check_admin(strong, options={"methods": ["sha256", "sha512"]})
    with pytest.raises(SignatureError):
        check_admin(strong)
    with pytest.raises(SignatureError):
        check_admin(weak, options={"methods": ["sha1", "sha256"]})


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_everything_is_refused(secrets: tuple[str, ...]) -> None:
    forged = signature(BODY, "")
    with pytest.raises(SignatureError):
        jira.verify("admin", {"X-Hub-Signature": forged}, BODY, secrets=secrets, options={}, now=NOW)
    bearer = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}
    with pytest.raises(SignatureError):
        jira.verify("dynamic", bearer, BODY, secrets=secrets, options={}, now=NOW)
    with pytest.raises(SignatureError):
        coupa.verify("coupa", {"X-Coupa-Signature": digest("").hex()}, BODY, secrets=secrets, options={}, now=NOW)


def test_a_signature_of_one_kind_is_none_of_another() -> None:
    with pytest.raises(SignatureError):
        jira.verify("dynamic", {"X-Hub-Signature": signature(BODY)}, BODY, secrets=[SECRET], options={}, now=NOW)
    with pytest.raises(SignatureError):
        jira.verify("basic", {"X-Hub-Signature": signature(BODY)}, BODY, secrets=[SECRET], options={}, now=NOW)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("scheme", ["Bearer", "JWT", "bearer"])
def test_accepts_a_token_of_the_app(algorithm: str, scheme: str) -> None:
    check_token(token(APP_SECRET * 2, algorithm=algorithm), APP_SECRET * 2, scheme=scheme)


def test_a_token_needs_no_claims_and_its_secret_no_length() -> None:
    check_token(token(iat=None, exp=None, iss=None, aud="whoever", sub=7))
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        short = token("short")
    check_token(short, "short")


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(("seconds", "accepted"), [(50, True), (70, False)])
def test_clocks_may_differ_by_a_minute(claim: str, seconds: int, accepted: bool) -> None:
    late = -seconds if claim == "exp" else seconds
    claims: dict[str, Any] = {claim: int((NOW + timedelta(seconds=late)).timestamp())}
    value = token(**claims)
    if accepted:
        check_token(value)
    else:
        with pytest.raises(SignatureError):
            check_token(value)


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["tomorrow", True, [], float("nan")])
def test_a_claim_that_is_no_instant_is_refused(claim: str, value: object) -> None:
    claims: dict[str, Any] = {claim: value}
    with pytest.raises(SignatureError):
        check_token(token(**claims))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "a.b.c",
        "." * 3,
        token("another-secret-that-is-as-long-as-the-one-of-the-app"),
        jwt.encode({"iss": "app"}, "", "none"),
        token() + "x" * 9000,
        base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.x",
    ],
)
def test_refuses_tokens_that_the_app_did_not_sign(value: str) -> None:
    with pytest.raises(SignatureError):
        check_token(value)


@pytest.mark.parametrize("scheme", ["Basic", "", "Token"])
def test_refuses_another_scheme(scheme: str) -> None:
    with pytest.raises(SignatureError):
        check_token(token(), scheme=scheme)


def test_coupa_signatures_are_hex_or_base64_with_or_without_a_prefix() -> None:
    for text in (digest().hex(), base64.b64encode(digest()).decode(), base64.urlsafe_b64encode(digest()).decode()):
        check_coupa({"x-coupa-signature": text})
        check_coupa({"X-Coupa-Signature": f"sha256={text}"})
        with pytest.raises(SignatureError):
            check_coupa({"X-Coupa-Signature": "A" + text})


def test_coupas_header_is_a_setting() -> None:
    check_coupa({"X-Relay-Signature": digest().hex()}, header="X-Relay-Signature")
    with pytest.raises(SignatureError):
        check_coupa({"X-Coupa-Signature": digest().hex()}, header="X-Relay-Signature")


@pytest.mark.parametrize(("seconds", "accepted"), [(-290, True), (290, True), (-310, False), (310, False)])
def test_a_time_stamp_counts_where_it_is_asked_for(seconds: int, accepted: bool) -> None:
    moment = NOW + timedelta(seconds=seconds)
    for stamp in (moment.isoformat(), str(int(moment.timestamp()))):
        headers = {"X-Coupa-Signature": digest().hex(), "X-Stamp": stamp}
        check_coupa(headers)
        if accepted:
            check_coupa(headers, timestamp_header="X-Stamp")
        else:
            with pytest.raises(SignatureError):
                check_coupa(headers, timestamp_header="X-Stamp")


@pytest.mark.parametrize("stamp", ["", "soon", "9" * 400, "0001-01-01"])
def test_a_time_stamp_that_cannot_be_read_is_refused(stamp: str) -> None:
    with pytest.raises(SignatureError):
        check_coupa({"X-Coupa-Signature": digest().hex(), "X-Stamp": stamp}, timestamp_header="X-Stamp")
