"""The score of the benchmark of detectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nab_score import PROFILES, Labelled, false_alarms, gains, normalised, read

STANDARD = PROFILES["standard"]


@pytest.fixture(name="series")
def _series(tmp_path: Path) -> Labelled:
    """A hundred minutes with a window from 40 to 49."""
    (tmp_path / "data" / "kind").mkdir(parents=True)
    rows = [f"2024-01-01 {m // 60:02d}:{m % 60:02d}:00,{m}" for m in range(100)]
    rows[7] = rows[7].split(",")[0] + ","
    (tmp_path / "data" / "kind" / "one.csv").write_text("\n".join(["timestamp,value", *rows]))
    window = [["2024-01-01 00:40:00", "2024-01-01 00:49:00"]]
    (tmp_path / "combined_windows.json").write_text(json.dumps({"kind/one.csv": window}))
    return read(tmp_path)[0]


def at(*rows: int) -> np.ndarray:
    out = np.zeros(100)
    out[list(rows)] = 1.0
    return out


def score(series: Labelled, *rows: int) -> float:
    return normalised([series], gains(series, at(*rows), 0.5, STANDARD), STANDARD)


def test_nothing_is_worth_nothing_and_the_first_row_of_a_window_everything(series: Labelled) -> None:
    assert score(series) == 0.0
    assert score(series, 40) == pytest.approx(100.0)


def test_late_is_worth_less_and_only_the_best_detection_of_a_window_counts(series: Labelled) -> None:
    assert 100.0 > score(series, 44) > score(series, 49) > 50.0
    assert score(series, 44, 45, 49) == score(series, 44)


def test_a_false_alarm_costs_and_less_of_it_close_behind_a_window(series: Labelled) -> None:
    assert score(series, 90) == pytest.approx(-100 * 0.11 / 2)
    assert score(series, 90) < score(series, 51) < 0.0


def test_the_probation_is_not_scored_and_an_empty_cell_is_missing(series: Labelled) -> None:
    assert score(series, 0, 14) == 0.0
    assert score(series, 15) < 0.0
    assert np.isnan(series.values[7])


def test_false_alarms_are_counted_by_week_outside_of_windows(series: Labelled) -> None:
    count, weeks = false_alarms(series, at(3, 42, 60, 61), 0.5)
    assert (count, weeks) == (2, pytest.approx(75 * 60 / 604_800))
