"""Detecting offline is what the daemon would have found: the same bank, tick by tick, whatever the series."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.app.commands.detect import _answer, _lines
from aiops.app.detecting.page import page
from aiops.app.detecting.plot import HEIGHT, LEFT, TOP, WIDTH, plot
from aiops.app.detecting.png import png
from aiops.app.detecting.run import (
    GAP_TICKS,
    WATCH,
    Detected,
    Found,
    Gathered,
    curves,
    detected,
    index_of,
    policies,
    ticks,
)
from aiops.app.detecting.table import Table
from aiops.core.model import Finding, FindingKind
from aiops.errors import InvalidInput
from benchmarks.external_detector import Detector

START = 1_772_409_600.0


def a_table(values: np.ndarray, step_s: float = 60.0, **columns: str) -> Table:
    grid = np.atleast_2d(np.asarray(values, np.float64))
    named = tuple({"__name__": "load", "row": str(row), **columns} for row in range(len(grid)))
    return Table(name="a", times=START + step_s * np.arange(grid.shape[1]), values=grid, columns=named)


def judged(data: Table, **watch: object) -> Detected:
    return detected(data, policies({"tier": "signal", **watch}, 60.0))


def noisy(minutes: int, seed: int = 1) -> np.ndarray:
    return 100.0 + np.random.default_rng(seed).normal(0, 2, minutes)


def test_a_spike_is_found_with_its_time_its_value_and_what_was_expected():
    values = noisy(400)
    values[300] = 180.0
    made = judged(a_table(values))
    worst = max(made.found, key=lambda one: one.worst.score)
    assert (worst.start, worst.worst.at, worst.worst.value) == (START + 300 * 60, START + 300 * 60, 180.0)
    assert worst.end <= START + 304 * 60, "the stretches of four samples that it is a part of"
    assert 95 < worst.worst.expected < 105
    assert worst.alarms == (worst.start,)
    assert not worst.still
    assert made.scored_from == START + 60 * 60
    assert made.scored == 340


@pytest.mark.parametrize("tier", ["signal", "fleet"])
def test_it_alarms_when_the_shipped_detector_does(tier):
    values = noisy(700, seed=3)
    values[[300, 500, 501, 502, 503]] = [180.0, 20.0, 18.0, 21.0, 19.0]
    data = a_table(values)
    made = detected(data, policies({"tier": tier}, 60.0))
    detector = Detector(tier)
    said = [at for at, value in zip(data.times, values, strict=True) if detector.update(at, value) >= 0.5]
    if tier == "signal":
        assert sorted(at for one in made.found for at in one.alarms) == said
    assert START + 300 * 60 in said
    assert any(one.start == START + 300 * 60 for one in made.found)


def a_finding(minute: int, score: float, kind: FindingKind = FindingKind.POINT, *, alarm: bool = False) -> Finding:
    return Finding(
        policy=WATCH, series=f"{WATCH}#s", labels={}, kind=kind, at=START + 60 * minute, since=START, score=score,
        p_value=1e-9, value=score * 10, expected=1.0, lower=0.0, upper=2.0, reason="", alarm=alarm,
    )  # fmt: skip


def gathered(*findings: Finding, last: int) -> Found:
    made = Gathered()
    for one in findings:
        made.note(one)
    (found,) = made.found(START + 60 * last)
    return found


def test_a_finding_is_told_once_with_its_worst_its_last_kind_its_calls_and_its_end():
    shift = FindingKind.LEVEL_SHIFT
    told = gathered(
        a_finding(0, 2.0, alarm=True), a_finding(1, 9.0), a_finding(16, 3.0, shift, alarm=True),
        a_finding(17, 0.2, shift), last=40,
    )  # fmt: skip
    assert (told.start, told.end, told.still) == (START, START + 16 * 60, False)
    assert (told.worst.score, told.worst.value, told.kind) == (9.0, 90.0, shift)
    assert told.alarms == (START, START + 16 * 60)


def test_what_stands_at_the_last_tick_has_not_ended():
    assert gathered(a_finding(0, 2.0), a_finding(1, 3.0), last=1).still
    assert not gathered(a_finding(0, 2.0), a_finding(1, 0.5), last=1).still, "it is calm already"
    assert not gathered(a_finding(0, 2.0), a_finding(1, 3.0), last=2).still


def test_series_that_go_wrong_together_are_one_incident():
    values = np.stack([noisy(400, seed) for seed in range(4)])
    values[:, 300] = 180.0
    made = judged(a_table(values))
    at_the_time = [one for one in made.incidents if one.since == START + 300 * 60]
    assert [len(one.series) for one in at_the_time] == [4]


def test_what_the_options_ask_is_what_a_policy_asks():
    values = noisy(400)
    values[300] = 20.0
    assert judged(a_table(values), side="above").found == ()
    assert judged(a_table(values), minDeviation=500).found == ()
    for wrong in ({"side": "up"}, {"detector": "none"}, {"tier": "gold"}, {"season": "1s"}):
        with pytest.raises(InvalidInput, match="options:1:"):
            judged(a_table(values), **wrong)


def test_gaps_are_looked_into_at_the_pace_of_late_and_no_longer_than_it_helps():
    times = np.array([0.0, 60.0, 120.0, 180.0, 600.0, 660.0])
    looked = list(ticks(times))
    assert looked == [
        (0.0, 0), (60.0, 1), (120.0, 2), (180.0, 3), (240.0, -1), (300.0, -1), (360.0, -1), (420.0, -1), (480.0, -1),
        (540.0, -1), (600.0, 4), (660.0, 5),
    ]  # fmt: skip
    assert sum(column < 0 for _, column in ticks(np.array([0.0, 1.0, 2.0, 1e9]))) == GAP_TICKS


def test_a_change_of_pace_is_no_gap_for_long():
    times = np.concatenate([np.arange(0, 6000, 60.0), np.arange(6000, 60000, 300.0)])
    empty = [at for at, column in ticks(times) if column < 0]
    assert max(empty) < 6000 + 12 * 300


def test_a_series_that_goes_away_is_absent():
    values = noisy(400)
    values[300:340] = np.nan
    kinds = {one.kind for one in judged(a_table(values)).found if one.start > START + 300 * 60}
    assert FindingKind.ABSENCE in kinds


@pytest.mark.parametrize(
    "values",
    [
        [5.0], [], [5.0, 6.0], np.full(300, np.nan), np.full(300, 7.0), np.full(300, 0.0), np.full(300, 1e308),
        np.where(np.arange(300) % 2, 1e308, -1e308), np.where(np.arange(300) == 200, 1e308, 1.0), np.full(300, 5e-324),
        -np.arange(300.0), np.where(np.arange(300) % 7, np.nan, 3.0),
    ],
    ids=["one point", "no point", "two", "all NaN", "constant", "zeros", "huge constant", "huge swings", "one huge",
         "tiny", "falling", "mostly missing"],
)  # fmt: skip
def test_every_series_has_a_defined_result(values):
    data = a_table(np.asarray(values, np.float64).reshape(1, -1))
    if not len(data.times):
        data = a_table(np.array([np.nan]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tier in ("signal", "fleet"):
            watch = policies({"tier": tier}, 60.0)
            made = detected(data, watch)
            text = json.dumps(_answer(data, watch, made), allow_nan=False)
            assert json.loads(text)["samples"] == int(np.isfinite(data.values).sum())
            assert _lines(data, made)
            key = index_of(data).keys[0]
            one = plot("load", curves(data, watch, [key]), key, made.found)
            assert png([one]).startswith(b"\x89PNG")
            assert "nan" not in page("t", ["h"], [["A"]], [one]).split("<main>")[1]


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.floats(allow_infinity=False) | st.just(float("nan")), min_size=1, max_size=120),
    steps=st.lists(st.sampled_from([1e-3, 1.0, 60.0, 300.0, 86_400.0, 1e7]), min_size=120, max_size=120),
)
def test_whatever_the_samples_and_their_times_nothing_breaks(values, steps):
    times = START + np.cumsum(steps[: len(values)])
    data = Table(name="a", times=times, values=np.array([values]), columns=({"__name__": "load"},))
    watch = policies({"tier": "fleet"}, 60.0)
    made = detected(data, watch)
    json.dumps(_answer(data, watch, made), allow_nan=False)
    assert all(one.start <= one.end <= times[-1] for one in made.found)


def test_the_picture_keeps_every_spike_and_stays_on_the_paper():
    values = noisy(6000)
    values[5000] = 500.0
    data = a_table(values)
    watch = policies({"tier": "fleet"}, 60.0)
    made = detected(data, watch)
    key = index_of(data).keys[0]
    one = plot("load", curves(data, watch, [key]), key, made.found)
    assert len(one.x) < 1100 < len(values)
    assert np.nanmin(one.high) < TOP + 60
    for line in (one.low, one.high, one.lower, one.upper, one.expected):
        known = line[np.isfinite(line)]
        assert known.min() >= TOP
        assert known.max() <= HEIGHT
    assert all(LEFT <= begin <= end <= WIDTH + 2 for begin, end, _ in one.findings)
    called = [one for one in one.findings if one[2]]
    assert called


def test_names_in_a_page_are_text_and_no_markup():
    data = a_table(noisy(70), service="<script>alert(1)</script>")
    watch = policies({"tier": "fleet"}, 60.0)
    key = index_of(data).keys[0]
    one = plot("<b>", curves(data, watch, [key]), key, ())
    text = page("<script>", ["<i>"], [["A"], ["<u>"]], [one])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")
