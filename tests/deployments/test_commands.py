"""The commands that need no Prefect server: what waits, what happened, and what `connect` refuses."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deployments import cli, connecting
from deployments.home import Home
from deployments.tenancies import lone_side
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.pairs.base import change_settings
from ml_connector.pairs.coupa_qad.settings import overlap
from ml_connector.settings import Settings
from ml_connector.store.crypto import Keys
from tests.engine import way_back
from tests.engine import world as engine_world
from tests.engine.coupa_qad import NAME, logins, settings, told
from tests.engine.stories import SETTLED_S

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An installation's own home, with an empty store."""
    for name in ("PREFECT_API_URL", "ML_CONNECTOR_DATABASE_URL", "ML_CONNECTOR_KEYS_FILE", "ML_CONNECTOR_AUDIT_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
    monkeypatch.setenv("ML_CONNECTOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")
    opened = Home.open()

    async def make_store() -> None:
        async with Installation.open():
            pass

    asyncio.run(make_store())
    return opened


@pytest.fixture
def played(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store after the first run of the story; gives its file."""
    monkeypatch.setattr(engine_world, "KEYS", Keys.load(home.keys))

    async def play() -> Path:
        world = await told(tmp_path / "world", home.root / "ml-connector.db")
        await world.run("coupa_to_qad", NAME)
        return world.path

    path = asyncio.run(play())
    _look_into(path, monkeypatch)
    return path


@pytest.fixture
def paid_and_taken_back(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store after INV-1001 was posted, paid, its payment voided, and the invoice voided and corrected."""
    monkeypatch.setattr(engine_world, "KEYS", Keys.load(home.keys))

    async def play() -> Path:
        changes: dict[str, Any] = {"suppliers": {"direction": "none"}, "invoices": {"on_void": "correct"}}
        world = await told(tmp_path / "world", home.root / "ml-connector.db", **changes)
        await world.run("coupa_to_qad", NAME)
        payment = await way_back.pay(world, "INV-1001")
        await way_back.later(world)
        await way_back.set_status(world, payment, "Void")
        await way_back.later(world)
        await world.admin("coupa", "do/void_invoice", {"id": 4001})
        await world.pass_time(SETTLED_S)
        await world.run("coupa_to_qad", NAME)
        return world.path

    path = asyncio.run(play())
    _look_into(path, monkeypatch)
    return path


def _look_into(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_CONNECTOR_DATABASE_URL", f"sqlite:///{path}")
    monkeypatch.setenv("ML_CONNECTOR_AUDIT_FOLDER", str(path.parent / "audit"))


@pytest.fixture
def command(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process; gives exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ml-connector", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), shown.out, shown.err

    return run


def test_held_names_each_record_with_its_reason(played: Path, command: Command) -> None:
    code, out, _ = command("held", "--json")
    rows = {row["record"]: row for row in json.loads(out)}
    assert (code, set(rows)) == (0, {"INV-1005", "INV-1006"})
    assert rows["INV-1005"]["why"] == "no goods receipt posted for PO PO100005 line 1: billed 40, available 0"
    assert rows["INV-1005"]["reasons"][0]["code"] == "receipt_missing"
    assert rows["INV-1006"]["connection"] == NAME
    assert rows["INV-1006"]["external_id"].endswith(":invoice:4006")


def test_a_held_record_shows_when_it_is_looked_at_again(played: Path, command: Command) -> None:
    code, out, _ = command("held", "--connection", NAME)
    line = next(line for line in out.splitlines() if "INV-1005" in line)
    assert code == 0
    assert "next run" in line
    assert "no goods receipt posted for PO PO100005" in line


def test_rejected_lists_what_a_person_has_to_look_at(played: Path, command: Command) -> None:
    _, out, _ = command("rejected", "--json")
    (row,) = json.loads(out)
    assert (row["record"], row["outcome"], row["due_at"]) == ("INV-1007", "rejected", None)
    assert row["why"] == "lines, charges and tax add up to 160, the invoice says 175"


def test_nothing_waiting_is_said_and_is_an_empty_list(command: Command) -> None:
    assert command("rejected") == (0, "", "None.\n")
    assert command("doubt", "list") == (0, "", "None.\n")
    for listing in (["held"], ["doubt", "list"]):
        code, out, _ = command(*listing, "--json")
        assert (code, json.loads(out)) == (0, [])


def test_an_unknown_connection_is_one_line(command: Command) -> None:
    code, out, err = command("held", "--connection", "nosuch")
    assert (code, out) == (2, "")
    assert err == "ml-connector: there is no connection named nosuch; `ml-connector connections` lists them\n"


def test_a_record_is_found_by_each_of_its_names(played: Path, command: Command) -> None:
    with closing(sqlite3.connect(played)) as store:
        found = store.execute("select external_id, target_id, token from ledger where label = 'INV-1001'").fetchone()
    histories = [json.loads(command("audit", "show", name, "--json")[1]) for name in ("INV-1001", *found)]
    assert histories[0] == histories[1] == histories[2] == histories[3]
    assert {event["external_id"] for event in histories[0]} == {found[0]}
    written = [event for event in histories[0] if event["event"] == "written"]
    assert [event["data"]["effect"] for event in written] == ["create", "exported", "custom_field", "history"]
    assert written[0]["detail"]["status"]


def test_a_history_reads_as_lines_with_opened_details(played: Path, command: Command) -> None:
    code, out, _ = command("audit", "show", "INV-1001")
    assert code == 0
    assert "intended       INV-1001; effect create; revision 1" in out
    assert "voucher: " in out
    assert "may have taken effect" not in out
    assert "no goods receipt posted for PO PO100005" in command("audit", "show", "INV-1005")[1]


def test_the_history_of_an_invoice_tells_its_payments_and_its_correction(
    paid_and_taken_back: Path, command: Command
) -> None:
    events = json.loads(command("audit", "show", "INV-1001", "--json")[1])
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    names = list(dict.fromkeys(event["record"] for event in events))
    assert [name.partition("/")[0] for name in names] == ["INV-1001", "INV-1001 10USACO", "INV-1001 correction"]
    _, out, _ = command("audit", "show", "INV-1001")
    told = [line for line in out.splitlines() if " UTC  " in line]
    assert len(told) == len(events)
    for event, line in zip(events, told, strict=True):
        assert f"UTC  {event['event']:<14} {event['record']}" in line
    # Its payment alone has a history of its own, and the id of the invoice leads to all of it.
    assert {one["record"] for one in json.loads(command("audit", "show", names[1], "--json")[1])} == {names[1]}
    assert json.loads(command("audit", "show", events[0]["external_id"], "--json")[1]) == events


def test_a_record_nobody_knows_is_one_line(played: Path, command: Command) -> None:
    code, out, err = command("audit", "show", "INV-9999")
    assert (code, out) == (2, "")
    assert err.startswith("ml-connector: nothing is known of INV-9999")


def test_a_changed_event_is_named_and_ends_with_1(played: Path, command: Command) -> None:
    assert command("audit", "verify")[0] == 0
    with closing(sqlite3.connect(played)) as store, store:
        store.execute("update audit set external_id = 'X' where chain like 'acme/%' and seq = 3")
    code, out, _ = command("audit", "verify")
    assert code == 1
    assert out == "acme/coupa_to_qad: event 3 was changed or inserted: its signature does not fit\n"
    report = json.loads(command("audit", "verify", "--json")[1])
    assert (report["ok"], len(report["problems"])) == (False, 1)


def test_a_removed_end_is_seen_by_the_checkpoint(played: Path, command: Command) -> None:
    code, out, _ = command("audit", "checkpoint", "--json")
    assert code == 0
    written = Path(json.loads(out)["checkpoint"])
    assert written.is_file()
    assert command("audit", "verify")[0] == 0
    with closing(sqlite3.connect(played)) as store, store:
        store.execute("delete from audit where chain like 'acme/%'")
        store.execute("delete from audit_head where chain like 'acme/%'")
    code, out, _ = command("audit", "verify")
    assert code == 1
    assert f"that checkpoint {int(written.stem.rpartition('-')[2])} names" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["coupa_sap", "acme"], "there is no pair coupa_sap; there is: coupa_qad"),
        (["coupa_qad", "Acme"], "connection name 'Acme': use lower-case letters"),
        (["coupa_qad", "acme"], "--source-block is missing"),
        (["coupa_qad", "acme", "FILE"], "settings of connection acme: qad.entity: Field required"),
        (["coupa_qad", "acme", "NOSUCH"], "cannot be read: No such file or directory"),
        (["coupa_qad", "acme", "TORN"], "is not YAML, line 2"),
        (["coupa_qad", "acme", "LIST"], "must hold named settings"),
        (["coupa_qad", "acme", "GOOD"], "no Prefect server runs from"),
    ],
)
def test_connect_refuses_with_one_line_before_any_call(
    arguments: list[str], line: str, command: Command, tmp_path: Path
) -> None:
    texts = {
        "FILE": "qad: {domain: 10USA}\n",
        "TORN": "qad:\n\tdomain: 10USA\n",
        "LIST": "- qad\n",
        "GOOD": "qad: {domain: 10USA, entity: 10USACO}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    blocks = ["--source-block", "coupa-credentials/acme", "--target-block", "qad-credentials/acme"]
    given = arguments[:2] + ([*blocks, "--settings", str(tmp_path / arguments[2])] if len(arguments) > 2 else [])
    code, out, err = command("connect", *given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err


def _wanted(name: str, **changes: Any) -> connecting.Wanted:
    # Suppliers have one writer per tenant; these connections part invoices.
    changes = {"suppliers": {"direction": "none"}} | changes
    model = connecting.settings_of("coupa_qad", settings(**changes), about=name)
    source, target = logins()
    blocks = ("coupa-credentials/acme", "qad-credentials/acme")
    return connecting.describe(name, "coupa_qad", blocks, (source, target), model)


async def test_settings_saved_again_raise_their_version(tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "home")
    Home.open(home)
    async with Installation.open(home) as one:
        first = await connecting.save(one, _wanted("acme"))
        same = await connecting.save(one, _wanted("acme"))
        other = await connecting.save(one, _wanted("acme", time_zone="America/Chicago"))
    assert [row.settings_version for row in (first, same, other)] == [1, 1, 2]
    assert other.time_zone == "America/Chicago"
    assert (first.source_tenant, first.target_tenant) == (other.source_tenant, other.target_tenant)


async def test_two_connections_never_send_the_same_records(tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "home")
    Home.open(home)
    async with Installation.open(home) as one:
        await connecting.save(one, _wanted("acme", invoices={"chart_of_accounts": "US"}))
        await connecting.save(one, _wanted("acme-de", invoices={"chart_of_accounts": "DE"}))
        with pytest.raises(ConfigurationError, match=r"what acme writes: .*chart_of_accounts US, payment_channels"):
            await connecting.save(one, _wanted("acme-all"))
        # Another entity of the same QAD is no way out: an invoice has one exported flag and belongs into one ledger.
        with pytest.raises(ConfigurationError, match=r"would write what acme writes: "):
            await connecting.save(one, _wanted("acme-fr", qad={"entity": "20FRACO"}))
        apart = {"chart_of_accounts": "FR"}
        await connecting.save(one, _wanted("acme-fr", qad={"entity": "20FRACO"}, invoices=apart))
        assert [row.name for row in await one.connections.list()] == ["acme", "acme-de", "acme-fr"]


async def test_a_paused_connection_makes_room_for_another(tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "home")
    Home.open(home)
    async with Installation.open(home) as one:
        await connecting.save(one, _wanted("acme", qad={"entity": "99XX"}))
        with pytest.raises(ConfigurationError, match="would write what acme writes: "):
            await connecting.save(one, _wanted("acme-right"))
        await one.connections.set_state("acme", "paused")
        await connecting.save(one, _wanted("acme-right"))
        assert [(row.name, row.state) for row in await one.connections.list()] == [
            ("acme", "paused"),
            ("acme-right", "active"),
        ]


async def test_a_form_that_shows_older_settings_is_refused(tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "home")
    Home.open(home)
    direction = connecting.directions_of("coupa_qad")[0]
    async with Installation.open(home) as one:
        await connecting.save(one, _wanted("acme"))
        newer = await connecting.save(one, _wanted("acme", invoices={"hold_limit_days": 10}))
        mine = _wanted("acme", invoices={"hold_limit_days": 20}).settings
        with pytest.raises(ConfigurationError, match=r"shows version 1 .* at version 2 now"):
            await change_settings(one, direction, "acme", mine, based_on=1)
        saved = await change_settings(one, direction, "acme", mine, based_on=newer.settings_version)
        assert (saved.settings_version, saved.settings["invoices"]["hold_limit_days"]) == (3, 20)
        elsewhere = _wanted("acme", qad={"entity": "99XX"}).settings
        with pytest.raises(ConfigurationError, match="proven for another tenant"):
            await change_settings(one, direction, "acme", elsewhere, based_on=3)


def test_filters_overlap_unless_chart_or_channels_part_them() -> None:
    def model(**rules: Any) -> Any:
        given = settings(invoices=rules, suppliers={"direction": "none"})
        return connecting.settings_of("coupa_qad", given, about="acme")

    assert overlap(model(), model(chart_of_accounts="US"))
    assert overlap(model(chart_of_accounts="US"), model(chart_of_accounts="US"))
    assert not overlap(model(chart_of_accounts="US"), model(chart_of_accounts="DE"))
    assert not overlap(model(payment_channels=["ERP"]), model(payment_channels=["CP"]))


def test_the_settings_of_the_first_tenant_in_the_readme_are_valid(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = readme.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "acme.yaml").write_text(textwrap.dedent(block))
    model = connecting.settings_of("coupa_qad", connecting.read_file(tmp_path / "acme.yaml"), about="acme")
    assert (model.qad.domain, model.qad.invoice.daybook) == ("10USA", "APINV")
    assert model.invoices.accounts.tax.account == "7100"


def test_a_tenant_is_known_by_host_and_entity_and_never_by_its_block() -> None:
    wanted = _wanted("acme")
    assert wanted.source.identity == "127.0.0.1"
    assert wanted.target.identity == "127.0.0.1/clouderp 10USA/10USACO"


def test_a_block_of_the_wrong_system_is_refused() -> None:
    model = connecting.settings_of("coupa_qad", settings(), about="acme")
    _, qad = logins()
    with pytest.raises(ConfigurationError, match="block q/a holds a login of qad, but coupa is needed here"):
        connecting.describe("acme", "coupa_qad", ("q/a", "q/b"), (qad, qad), model)


def test_a_block_alone_takes_its_settings_from_a_file() -> None:
    _, qad = logins()
    assert lone_side("qad-credentials/a", qad, {"qad": {"workspace_id": "W"}}).tenant.workspace_id == "W"
    with pytest.raises(ConfigurationError, match=r"settings of qad: limits\.rps: "):
        lone_side("qad-credentials/a", qad, {"qad": {"limits": {"rps": 0}}})
