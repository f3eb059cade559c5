"""`aiops forecast` as a user meets it: the table, the chart, JSON, and what is wrong with a file and where."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from aiops.core.forecast.standing import QUANTILES
from tests.commands import aiops
from tests.integration.prometheus_server import running_prometheus

TRACE = Path(__file__).parents[1] / "data" / "mongo_query_rate_5min.csv"


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "trace.csv"
    file.write_text(text)
    return str(file)


def test_it_prints_quantiles_weights_skill_and_a_picture() -> None:
    found = aiops("forecast", str(TRACE))
    assert found.returncode == 0, found.stderr
    for said in (
        "2304 steps of 300 s",
        "AHEAD",
        "5 min",
        "15 min",
        "1 h",
        "24 h",
        "Q0.5",
        "IN 80 %",
        "would act: it beats",
    ):
        assert said in found.stdout
    assert "ridge-shape" in found.stdout
    picture = found.stdout.split("would act")[1]
    assert {"•", "░", "━"} <= set(picture)
    assert max(map(len, found.stdout.splitlines())) < 120


def test_json_says_the_same_for_programs() -> None:
    found = aiops("-o", "json", "forecast", str(TRACE))
    answer = json.loads(found.stdout)
    rows = answer["forecast"]
    assert [row["ahead_s"] for row in rows] == [300.0, 900.0, 3600.0, 86400.0]
    assert rows[0]["at"] == answer["issued_at"] + 300.0
    for row in rows:
        quantiles = [row["quantiles"][f"{level:g}"] for level in QUANTILES]
        assert quantiles == sorted(quantiles)
        assert sum(row["weights"].values()) == pytest.approx(1.0)
        assert 0.6 < row["coverage_80"] <= 1.0
    assert answer["acts"] is True
    assert answer["skill"] > 0.5
    assert answer["left_out"] == {}


def test_a_step_and_a_season_can_be_given(tmp_path: Path) -> None:
    lines = [f"{60 * minute},{100 + 50 * np.sin(minute / 60 * 2 * np.pi):.3f}" for minute in range(600)]
    found = aiops(
        "-o", "json", "forecast", written(tmp_path, "\n".join(lines)), "--step-s", "120", "--season-s", "3600"
    )
    answer = json.loads(found.stdout)
    assert (answer["step_s"], answer["season_s"]) == (120.0, 3600.0)
    ahead = {row["ahead_s"]: row["quantiles"]["0.5"] for row in answer["forecast"]}
    assert ahead[3600.0] == pytest.approx(100.0, abs=10.0)


def test_a_short_file_is_foretold_widely_and_would_not_act(tmp_path: Path) -> None:
    found = aiops("-o", "json", "forecast", written(tmp_path, "timestamp,value\n0,10\n60,11\n120,\n180,10\n"))
    answer = json.loads(found.stdout)
    assert (answer["acts"], answer["skill"], answer["steps_seen"]) == (False, None, 3)
    assert "too little is known" in answer["why"]
    near = answer["forecast"][0]["quantiles"]
    assert near["0.5"] == pytest.approx(10.0, rel=0.1)
    assert near["0.9"] > near["0.5"] > near["0.1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,value\n2024-01-01T00:00:00Z,1\n2024-01-01T00:01:00Z,abc\n", ":3:22: not a number: 'abc'"),
        ("0,1\n60,nan\n", ":2:4: not a finite number"),
        ("0,1\nyesterday,2\n", ":2:1: neither seconds nor ISO 8601"),
        ("0,1\n60\n", ":2:1: expected `timestamp,value`"),
        ("0,1\n", ":0:0: a trace needs two samples at least"),
        ("", ":0:0: a trace needs two samples at least"),
        ("0,1\n1,2\n99999999,3\n", "use --step-s"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    found = aiops("forecast", file)
    assert found.returncode == 1
    assert found.stderr.startswith(file)
    assert said in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("forecast",), 2, "give either a file or --query"),
        (("forecast", str(TRACE), "--query", "up"), 2, "give either a file or --query"),
        (("forecast", "nowhere.csv"), 1, "nowhere.csv:0:0: cannot be read"),
        (("forecast", str(TRACE), "--model", "best"), 2, "it is one of combined, combined-all"),
        (("forecast", str(TRACE), "--season-s", "60"), 2, "two steps of 300 s at least"),
        (("forecast", str(TRACE), "--step-s", "0"), 2, "greater than or equal to 1"),
    ],
)
def test_wrong_options_are_one_line(words: tuple[str, ...], code: int, said: str) -> None:
    found = aiops(*words)
    assert (found.returncode, said in found.stderr.replace("\n", " ")) == (code, True), found.stderr


def test_a_query_needs_a_prometheus(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("prometheus:\n  url: http://127.0.0.1:9\n  timeout: 1\n  retries: 0\n")
    found = aiops("--config", str(config), "forecast", "--query", "sum(up)")
    assert (found.returncode, "127.0.0.1:9" in found.stderr) == (4, True), found.stderr
    config.write_text("mode: dry-run\n")
    found = aiops("--config", str(config), "forecast", "--query", "sum(up)")
    assert (found.returncode, found.stderr) == (3, "prometheus.url is not set\n")


@pytest.mark.slow
def test_all_models_are_heard_when_asked_for(tmp_path: Path) -> None:
    lines = [f"{3600 * hour},{100 + 50 * np.sin(hour / 24 * 2 * np.pi) + hour % 5}" for hour in range(24 * 12)]
    found = aiops("-o", "json", "forecast", written(tmp_path, "\n".join(lines)), "--model", "combined-all")
    assert found.returncode == 0, found.stderr
    assert {"ets", "harmonic-arma", "online"} <= set(json.loads(found.stdout)["forecast"][0]["weights"])


@pytest.mark.slow
def test_a_query_is_foretold_from_what_prometheus_remembers(tmp_path: Path) -> None:
    now = (time.time() // 60.0) * 60.0
    times = now - 60.0 * np.arange(2 * 1440, 0, -1)
    demand = 500.0 + 300.0 * np.sin(2 * np.pi * times / 86400.0)
    lines = [f"demand {value:.3f} {at:.0f}\n" for at, value in zip(times.tolist(), demand.tolist(), strict=True)]
    config = tmp_path / "config.yaml"
    with running_prometheus(tmp_path, "127.0.0.1:9", ["# TYPE demand gauge\n", *lines, "# EOF\n"]) as url:
        config.write_text(f"prometheus: {{url: '{url}'}}\n")
        found = aiops("--config", str(config), "-o", "json", "forecast", "--query", "demand", "--history-days", "2")
        nothing = aiops("--config", str(config), "forecast", "--query", "nosuchmetric")
        wrong = aiops("--config", str(config), "forecast", "--query", "sum(")
    answer = json.loads(found.stdout)
    assert 2700 < answer["steps_seen"] <= 2881
    hour = answer["forecast"][3]
    assert hour["quantiles"]["0.5"] == pytest.approx(500.0 + 300.0 * np.sin(2 * np.pi * hour["at"] / 86400.0), abs=25.0)
    assert (nothing.returncode, nothing.stderr) == (1, "nosuchmetric: no series\n")
    assert wrong.returncode == 4
    assert "refuses the query" in wrong.stderr
    assert "unclosed left parenthesis" in wrong.stderr
