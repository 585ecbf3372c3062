"""The benchmark measures what it says: whole runs, the tenants' own counters, and floors that can be missed."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from benchmarks import report, webhooks
from benchmarks.__main__ import parse
from benchmarks.rounds import Round, complete
from benchmarks.scenes import PAIRS, Json, scene_of
from benchmarks.tables import Numbers, table
from ml_connector.pairs.base import read_settings
from ml_connector.pairs.registry import direction
from ml_connector.store.tenants import ConnectionRow
from ml_connector.systems.jira import webhook as jira_webhook
from sandbox.coupa.app import create as create_coupa
from sandbox.jira.app import create as create_jira
from sandbox.kit import jsontext
from sandbox.kit.app import seed_by_name
from sandbox.kit.clock import Clock
from sandbox.qad.app import create as create_qad

CREATE = {"coupa": create_coupa, "qad": create_qad, "jira": create_jira}


def step(seconds: float, **calls: int) -> Json:
    return {"seconds": seconds, "cpu": 0.1, "peak_mb": 100.0, "foreign": 0.0, "calls": calls, "streams": 3}


def one_round(size: int, *, bare: float, engine: float, prefect: float, jira: int) -> Round:
    quiet = step(0.1, qad=2, jira=0)
    alone, whole, loop = (step(seconds, qad=size, jira=jira) for seconds in (engine, prefect, bare))
    return Round(size, alone, whole, loop, quiet, quiet)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_scene_has_settings_logins_and_records_that_the_tenants_take(pair: str) -> None:
    scene = scene_of(pair)
    apps: dict[str, Starlette] = {name: CREATE[name](clock=Clock()) for name in scene.systems}
    for app in apps.values():
        seed_by_name(app.state.tenant, "base")
    counted: list[Json] = []

    def put(system: str, content: Json) -> None:
        # As a call would bring it: every amount with its own digits.
        counted.append(apps[system].state.tenant.seed(jsontext.loads(jsontext.dumps(content))))

    scene.seed(put, range(11, 32))
    assert counted[-1] in ({"invoices": 21}, {"supplierInvoices": 21})
    logins = scene.logins({name: f"http://127.0.0.1:{port}" for port, name in enumerate(scene.systems, start=1)})
    row = ConnectionRow("bench", pair, *scene.block_names, "AAAA", "BBBB", settings=scene.settings)
    for name in (scene.direction, scene.back):
        assert direction(name).pair == pair
        assert read_settings(direction(name).settings, row)
    assert [one.__class__.__name__.lower().startswith(name) for one, name in zip(logins, scene.systems, strict=True)]


def test_a_number_below_its_floor_is_called_so() -> None:
    fast = one_round(2_000, bare=1.0, engine=2.0, prefect=4.0, jira=90)
    slow = one_round(2_000, bare=1.0, engine=6.0, prefect=9.0, jira=120)
    good = table(Numbers("qad_jira", "exceptions", rounds={2_000: [fast]}))
    poor = table(Numbers("qad_jira", "exceptions", rounds={2_000: [slow]}))
    assert [row[0] for row in good if "BELOW FLOOR" in row[3]] == []
    below = [row[0] for row in poor if "BELOW FLOOR" in row[3]]
    assert below == ["bulk of 2000, share of bare (Prefect)", "Jira calls per record, 2000"]
    assert "0.17" in next(row[3] for row in poor if "engine alone" in row[0])


def test_the_larger_bulk_has_a_higher_floor() -> None:
    large = one_round(20_000, bare=1.0, engine=4.0, prefect=6.0, jira=900)
    rows = table(Numbers("qad_jira", "exceptions", rounds={20_000: [large]}))
    assert [row[3] for row in rows if "share of bare" in row[0]] == ["0.17 BELOW FLOOR", "0.25"]


def test_the_report_tells_every_part_that_was_measured() -> None:
    work = one_round(2_000, bare=1.0, engine=2.0, prefect=4.0, jira=90)
    told = report.text(
        Numbers(
            "qad_jira",
            "exceptions",
            rounds={2_000: [work]},
            accepted={"1": {"p50": 4.2, "p95": 9.0, "per_second": 200.0, "receiver_cpu_ms": 1.0, "foreign": 0.5}},
            effects={"shown": {"make up": [3.0, 4.0, 9.0]}, "created": {"make up": [0.5]}, "started": {}},
        )
    )
    assert "calls per record 1.045 (qad 1.0000, jira 0.0450)" in told
    assert "a run is planned after 0.5 s, QAD shows it after 4.0 s" in told
    assert re.search(r"webhook effective, make up +5 s +3 s +4.0 s \(3.0 to 9.0\)\n", told)
    assert "NOT TO BE TRUSTED: other programs kept up to 0.5" in told


@pytest.mark.parametrize(
    ("work", "whole"),
    [
        ({"counts": {"created": 50, "unchanged": 1}}, True),
        ({"message": "51 read: 50 created, 1 unchanged"}, True),
        ({"counts": {"created": 49, "rejected": 1}}, False),
        ({"message": "51 read: 50 created, 1 held"}, False),
        ({"message": "nothing to do"}, False),
    ],
)
def test_a_run_that_left_something_out_is_worth_nothing(work: dict[str, Any], whole: bool) -> None:
    if whole:
        complete(work, 50)
        return
    with pytest.raises(SystemExit, match="50 records were seeded"):
        complete(work, 50)


def test_a_delivery_of_the_benchmark_is_one_of_jiras() -> None:
    request = httpx.Request("POST", "http://127.0.0.1/", content=webhooks._delivery(7))
    event = jira_webhook.read(request.content, {"X-Atlassian-Webhook-Identifier": "bench-7"})
    assert (event.object_id, event.site, event.topic) == ("10007", "127.0.0.1", "jira:issue_updated")


def test_both_pairs_are_measured_unless_one_is_named() -> None:
    assert parse([]).pair == "all"
    assert parse(["--pair", "qad_jira", "--quick"]).quick
