# SPDX-License-Identifier: Apache-2.0
"""The alerts and the board: what Debian's Prometheus accepts, about metrics that exist, and with data behind them."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from support.scrape import Prometheus, Served, prometheus_program

HTTP = Path(__file__).resolve().parents[2] / "cdc/http"
PAGE = (HTTP.parent / "manual/monitoring.md").read_text(encoding="utf-8")
RULES = (HTTP / "alerts.yml").read_text(encoding="utf-8")
BOARD = json.loads((HTTP / "grafana.json").read_text(encoding="utf-8"))
METRIC = re.compile(r"\bpgcdc_\w+")
# What has data only in a pipeline with a copy, a limit of the slot's WAL, continuous verification, a rule, or an error.
SOMETIMES = ("pgcdc_copy_", "pgcdc_slot_safe_", "pgcdc_verified_", "pgcdc_filtered_", "pgcdc_retry_")


def promtool(*arguments):
    return subprocess.run([prometheus_program("promtool"), *arguments], cwd=HTTP, capture_output=True, text=True, check=False)


def expressions():
    """As Grafana sends them: (title, expression)."""
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")


def documented():
    names = set(re.findall(r"^\| `(pgcdc_\w+)", PAGE, re.M))
    return names | {f"{name}_bucket" for name in names}


def test_promtool_accepts_the_rules():
    checked = promtool("check", "rules", "alerts.yml")
    assert checked.returncode == 0 and "12 rules found" in checked.stdout, checked


def test_every_alert_rings_when_it_should_and_only_then():
    tested = promtool("test", "rules", "alerts_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    cases = (HTTP / "alerts_test.yml").read_text(encoding="utf-8")
    for alert in re.findall(r"- alert: (\w+)", RULES):
        found = re.findall(rf"alertname: {alert}\n +eval_time: \S+\n +exp_alerts:( \[\])?", cases)
        assert sorted(found) == ["", " []"], alert


def test_every_alert_is_in_the_manual_and_every_metric_of_them():
    for alert in re.findall(r"- alert: (\w+)", RULES):
        assert f"`{alert}`" in PAGE, alert
    for text in (RULES, *(expression for _, expression in expressions())):
        assert {name for name in METRIC.findall(text)} <= documented()


def test_panels_have_places_of_their_own():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in BOARD["panels"])
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(places)


@pytest.fixture
def scraped(pipeline, tmp_path):
    served = Served(pipeline.engine)
    pipeline.execute_both("create table t (id int primary key, v text)")
    pipeline.start()
    with Prometheus(tmp_path, served.port, rules=HTTP / "alerts.yml") as prometheus:
        prometheus.wait_query("up{job='pgcdc'}", lambda found: [value for _, value in found] == [1])
        yield pipeline, prometheus


def test_a_running_pipeline_fills_the_board_and_rings_nothing(scraped):
    pipeline, prometheus = scraped
    for key in range(3):
        pipeline.source.execute(f"insert into t values ({key}, 'x')")
        pipeline.wait_applied()
        prometheus.wait_query("sum(pgcdc_changes_total)", lambda found, key=key: [value for _, value in found] == [key + 1])
    for title, expression in expressions():
        if not any(name in expression for name in SOMETIMES):
            prometheus.wait_query(expression, len)
        else:
            assert prometheus.query(expression) is not None, (title, expression)
    assert prometheus.query("ALERTS") == []
    assert prometheus.query("count(pgcdc_up)")[0][1] == 1


def test_a_stopped_engine_is_an_alert_that_waits(scraped):
    pipeline, prometheus = scraped
    pipeline.engine.stop()
    found = prometheus.wait_query("ALERTS{alertstate='pending'}", len)
    assert [labels["alertname"] for labels, _ in found] == ["PgcdcDoesNotAnswer"]
