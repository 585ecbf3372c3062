"""Secrets leave no text, tenants cannot name inner addresses, digits are kept, drift is seen."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import Field

from ml_connector.clock import ManualClock
from ml_connector.errors import ConfigurationError, ContractError
from ml_connector.http.budget import SharedBudget, Unlimited
from ml_connector.http.json import dumps, loads
from ml_connector.http.models import WireModel
from ml_connector.http.redact import quieten_transport_logs, redact, safe_url
from ml_connector.http.urls import check_base_url, join


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cretvalue",
        "sent bearer s3cretvalue.s3cretvalue",
        "Basic czNjcmV0dmFsdWU6czNjcmV0dmFsdWU= czNjcmV0"[:42],
        "POST /oauth/token?username=svc&password=s3cretvalue&grant_type=password",
        "client_id=a&client_secret=s3cretvalue",
        '{"access_token": "s3cretvalue", "expires_in": 1}',
        '{"password": "s3cret\\"value"}',
        "{'client_secret': 's3cretvalue'}",
        "<q:propertyName>password</q:propertyName>\n <q:propertyValue>s3cretvalue</q:propertyValue>",
        "<sharedSecret/><password>s3cretvalue</password>",
        "https://user:s3cretvalue@acme.example/x",
        "eyJhbGciOiJIUzI1NiJ9.eyJzM2NyZXQiOiJ2In0.s3cretvalue",
        "Cookie: JSESSIONID=s3cretvalue",
        "x-api-key: s3cretvalue",
    ],
)
def test_takes_secrets_out_of_text(text: str) -> None:
    assert "s3cret" not in redact(text)
    assert "czNjcmV0" not in redact(text)
    assert "***" in redact(text)


def test_leaves_ordinary_words_alone() -> None:
    text = "invoice 4711 was refused: Segment 1 - Cost Center can't be blank (token TOKN4711)"
    assert redact(text) == text


def test_a_shown_address_has_no_query_and_no_login() -> None:
    assert safe_url("https://u:p@acme.example:8443/a/b?token=x#f") == "https://acme.example:8443/a/b"
    assert safe_url("/a/b?password=x") == "/a/b"


def test_transport_logs_are_quiet_and_clean(caplog: pytest.LogCaptureFixture) -> None:
    quieten_transport_logs()
    quieten_transport_logs()
    logger = logging.getLogger("httpx")
    assert logger.level == logging.WARNING
    assert logging.getLogger("httpcore.http11").getEffectiveLevel() == logging.WARNING
    assert len(logger.filters) == 1
    try:
        raise ValueError("password=s3cretvalue")
    except ValueError:
        logger.warning("GET %s", "https://acme.example/?token=s3cretvalue", exc_info=True)
    assert "s3cretvalue" not in caplog.text
    assert "token=***" in caplog.text


def resolve(host: str) -> Iterable[str]:
    return {"inner.example": ("10.0.0.8",), "acme.example": ("93.184.216.34",), "mixed.example": ("8.8.8.8", "::1")}[
        host
    ]


def checked(url: str, *, allow_private: bool = False) -> str:
    return check_base_url(url, tenant="acme-1", allow_private=allow_private, resolve=resolve)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (" https://ACME.example/ ", "https://acme.example"),
        ("https://acme.example:443/qad-central/", "https://acme.example/qad-central"),
        ("https://acme.example:8443", "https://acme.example:8443"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_normalises_a_good_address(url: str, expected: str) -> None:
    assert checked(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.example",
        "ftp://acme.example",
        "acme.example",
        "https://",
        "https://acme.example:port",
        "https://user@acme.example",
        "https://user:pass@acme.example",
        "https://acme.example/?x=1",
        "https://acme.example/#x",
        "https://acme.example/a/../b",
        "https://acme.example//b",
        "https://acme.example/%2e%2e/b",
        "https://inner.example",
        "https://mixed.example",
        "https://10.1.2.3",
        "https://169.254.169.254",
        "https://[fd00::1]",
        "https://[::ffff:10.0.0.1]",
        "https://0.0.0.0",
        "https://127.0.0.2",
    ],
)
def test_refuses_a_bad_address_in_one_line(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(url)
    assert "base_url of tenant acme-1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_private_addresses_can_be_allowed() -> None:
    assert checked("https://inner.example", allow_private=True) == "https://inner.example"


def test_a_host_that_cannot_be_resolved_now_is_left_to_the_first_call() -> None:
    assert check_base_url("https://a.example", tenant="t", allow_private=False, resolve=lambda host: ())


def test_joins_safe_paths_only() -> None:
    assert join("https://a.example/ctx", "/api/invoices/4835") == "https://a.example/ctx/api/invoices/4835"
    for path in ("api", "//evil.example", "/a/../b", "/a/%2E%2E/b", "/a?x=1", "/a#x", "https://evil.example", "/a\\b"):
        with pytest.raises(ConfigurationError):
            join("https://a.example", path)


def test_json_keeps_every_digit() -> None:
    assert loads(b'{"a": 10.10, "b": 12345678901234567890123}') == {
        "a": Decimal("10.10"),
        "b": 12345678901234567890123,
    }
    assert dumps({"a": Decimal("10.10"), "b": [Decimal("1E+2")]}) == b'{"a":10.10,"b":[100]}'


def test_json_refuses_floats_and_infinity() -> None:
    with pytest.raises(TypeError):
        dumps({"a": 1.1})
    with pytest.raises(ValueError, match="cannot be written"):
        dumps(Decimal("NaN"))
    with pytest.raises(ContractError):
        loads(b'{"a": NaN}')


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"<errors><error>x</error></errors>", "XML"),
        (b"  ", "empty"),
        (b"{oops", "unreadable"),
        (b"\xff\xfe", "unreadable"),
    ],
)
def test_says_what_an_answer_is_that_is_not_json(content: bytes, word: str) -> None:
    with pytest.raises(ContractError, match=f"acme list: the answer is {word}"):
        loads(content, system="acme", operation="list")


class Inner(WireModel):
    code: str


class Outer(WireModel):
    invoice_number: str = Field(alias="invoice-number")
    amount: Decimal | None = None
    inner: tuple[Inner, ...] = ()


class Notes:
    system = "acme"

    def __init__(self) -> None:
        self.ignored: Counter[str] = Counter()

    def note_ignored(self, name: str) -> None:
        self.ignored[name] += 1


def test_counts_members_that_nobody_reads() -> None:
    notes = Notes()
    data: dict[str, Any] = {
        "invoice-number": "A",
        "new": 1,
        "inner": [{"code": "x", "odd": 2}, {"code": "y", "odd": 3}],
    }
    assert Outer.parse(data, notes, "list").invoice_number == "A"
    assert notes.ignored == {"Outer.new": 1, "Inner.odd": 2}


def test_names_the_path_that_is_missing_and_never_a_value() -> None:
    data = {"invoice-number": "A", "amount": "s3cretvalue", "inner": []}
    with pytest.raises(ContractError, match=r"acme list: Outer\.amount") as caught:
        Outer.parse(data, Notes(), "list")
    assert "s3cretvalue" not in str(caught.value)
    with pytest.raises(ContractError, match=r"Outer\.inner\.0\.code: Field required"):
        Outer.parse({"invoice-number": "A", "inner": [{}]}, Notes(), "list")
    with pytest.raises(ContractError, match=r"Outer\.\(object\)"):
        Outer.parse([], Notes(), "list")


class Permits:
    """Grants at most `rate` permits in each second, to everybody together."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.granted: Counter[int] = Counter()

    async def draw(self, tenant: str, per_second: float, wanted: int, now: datetime) -> int:
        second = int(now.timestamp())
        lot = min(wanted, self.rate - self.granted[second])
        self.granted[second] += lot
        return lot


async def test_two_processes_share_one_rate() -> None:
    clock = ManualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    permits = Permits(4)
    one, two = (SharedBudget("acme", 4, permits, clock) for _ in range(2))
    for _ in range(6):
        await one.acquire()
        await two.acquire()
    assert clock.monotonic() == 2
    assert set(permits.granted.values()) == {4}


async def test_drops_permits_of_a_past_second() -> None:
    clock = ManualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    permits = Permits(4)
    budget = SharedBudget("acme", 4, permits, clock)
    await budget.acquire()
    clock.advance(1)
    await budget.acquire()
    assert list(permits.granted.values()) == [2, 2]


async def test_no_budget_never_waits() -> None:
    await Unlimited().acquire()
