"""`aiops detect` as a user meets it: the table, JSON, the chart, exit codes, what is wrong with a file and where."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from tests.commands import aiops
from tests.integration.prometheus_server import running_prometheus

CALM = Path(__file__).parents[1] / "data" / "mongo_query_rate_5min.csv"


@pytest.fixture
def spiky(tmp_path: Path) -> str:
    values = 100.0 + np.random.default_rng(1).normal(0, 2, 400)
    values[300] = 180.0
    rows = [f"{1_772_409_600 + 60 * minute},{value}" for minute, value in enumerate(values)]
    file = tmp_path / "spiky.csv"
    file.write_text("\n".join(["timestamp,load", *rows]))
    return str(file)


def test_it_prints_what_was_found_and_exits_with_1_as_diff_does(spiky: str) -> None:
    found = aiops("detect", spiky)
    assert found.returncode == 1, found.stderr
    assert "400 samples, 2026-03-02T00:00:00Z to 2026-03-02T06:39:00Z, 60 s apart" in found.stdout
    assert "judged from 2026-03-02T01:00:00Z on: 340 samples" in found.stdout
    (row,) = [line for line in found.stdout.splitlines() if line.startswith("2026-03-02T05:00:00Z")]
    assert row.split()[2] == "point"
    assert row.endswith("load")
    assert aiops("detect", spiky, "--exit-zero").returncode == 0


def test_nothing_found_exits_with_0() -> None:
    found = aiops("detect", str(CALM))
    assert (found.returncode, "nothing is out of the ordinary" in found.stdout) == (0, True)


def test_json_says_the_same_for_programs(spiky: str) -> None:
    found = aiops("-o", "json", "detect", spiky)
    assert found.returncode == 1
    answer = json.loads(found.stdout)
    worst = max(answer["findings"], key=lambda one: one["score"])
    assert (worst["start"], worst["value"], worst["labels"]) == (1_772_427_600.0, 180.0, {"__name__": "load"})
    assert worst["lower"] < worst["expected"] < worst["upper"] < worst["value"]
    assert worst["alarms"] == [worst["start"]]
    assert (answer["detector"], answer["false_alarms_per_week"], answer["scored"]) == ("novelty", 1.0, 340)


@pytest.mark.parametrize("name", ["out.html", "out.png"])
def test_it_draws_a_chart(spiky: str, tmp_path: Path, name: str) -> None:
    chart = tmp_path / name
    assert aiops("detect", spiky, "--chart", str(chart), "--tier", "fleet").returncode == 1
    begin = chart.read_bytes()[:15]
    assert begin.startswith(b"\x89PNG" if name.endswith("png") else b"<!doctype html>")


def test_counters_are_watched_by_their_rates(tmp_path: Path) -> None:
    grown = np.cumsum(60.0 * (5.0 + np.arange(300) % 3))
    grown[200:] -= grown[199]
    rows = "\n".join(f"{60 * minute},{value}" for minute, value in enumerate(grown))
    file = tmp_path / "counter.csv"
    file.write_text(rows)
    assert aiops("detect", str(file), "--counter").returncode == 0
    assert aiops("detect", str(file)).returncode == 1, "without it the reset is what is found"
    file.write_text(rows.replace("\n60,", "\n60,-"))
    refused = aiops("detect", str(file), "--counter")
    assert (refused.returncode, f"{file}:2: -" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "give either a file or --query"),
        (("x.csv", "--query", "up"), 2, "give either a file or --query"),
        (("none.csv",), 1, "none.csv:0:0: cannot be read: No such file or directory"),
        ((str(CALM), "--chart", "x.jpg"), 2, "--chart x.jpg: its name ends in .html or .png"),
        ((str(CALM), "--tier", "gold"), 1, "spec.tier:"),
        (("--query", "rate(", "--prometheus", "http://127.0.0.1:1"), 2, "--query: "),
        (("--query", "up", "--prometheus", "ftp://x"), 2, "--prometheus ftp://x: is no URL"),
        (("--query", "up", "--from", "now", "--to", "14d", "--prometheus", "http://127.0.0.1:1"), 2, "not before --to"),
    ],
)
def test_wrong_use_is_said(options: tuple[str, ...], code: int, said: str) -> None:
    found = aiops("detect", *options)
    assert found.returncode == code
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_a_bad_row_is_named_with_its_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("timestamp,value\n60,1\n120,oops\n")
    found = aiops("detect", str(file))
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == f"{file}:3:5: 'oops' is no number (a missing value is empty or NaN)\n"


def test_what_is_odd_in_a_file_is_noted_and_judged(tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("timestamp,value\n120,1\n60,1\n60,2\n180,inf\n")
    found = aiops("detect", str(file))
    assert found.returncode == 0
    assert [line.split(":")[0] for line in found.stderr.splitlines()] == ["note", "note", "note"]
    assert "nothing could be judged" in found.stdout


def test_a_prometheus_is_asked_for_every_series_of_a_query(tmp_path: Path) -> None:
    now = int(time.time()) // 60 * 60
    chance = np.random.default_rng(1)
    past = ["# TYPE load gauge\n"]
    for name in ("checkout", "cart"):
        for minute in range(480, 0, -1):
            value = 300.0 if (name, minute) == ("checkout", 100) else 100.0 + chance.normal(0, 2)
            past.append(f'load{{service="{name}"}} {value} {now - 60 * minute}\n')
    past.append("# EOF\n")
    with running_prometheus(tmp_path, "127.0.0.1:1", past) as url:
        asked = ("-o", "json", "detect", "--prometheus", url, "--query", "load", "--from", "8h", "--step", "1m")
        found = aiops(*asked)
    assert found.returncode == 1, found.stderr
    answer = json.loads(found.stdout)
    assert answer["series"] == 2
    worst = max(answer["findings"], key=lambda one: one["score"])
    assert (worst["labels"]["service"], worst["value"]) == ("checkout", 300.0)
    assert abs(worst["start"] - (now - 6000)) <= 60
