"""The detector `novelty`: what is new in value, shape or context; what becomes usual; odd input; the adapter of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.bank import Bank
from aiops.core.detect.neighbours import DELAY_S, KEPT, Neighbours, Pace
from aiops.core.detect.novelty import Novelty
from aiops.core.detect.rules import DAY_S, usual
from aiops.core.model import Finding
from aiops.policy import parse
from benchmarks.external import Detector
from tests.unit.fleet import START, a_frame, an_index

STEP_S = 300.0
DAY = 288
ODD = st.floats(allow_nan=True, allow_infinity=True)
YES = np.ones(1, np.bool_)
POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: latency, namespace: shop}
spec: {query: sum(latency), tier: signal}
"""


def scores_of(values: Iterable[float], detector: Novelty | None = None, step_s: float = STEP_S) -> np.ndarray:
    """The score of each value, which is learnt afterwards."""
    detector, out = detector or Novelty(usual(1)), []
    for step, value in enumerate(values):
        at, row = START + step * step_s, np.array([value])
        out.append(float(detector.score(at, row).score[0]))
        detector.learn(at, row, YES)
    return np.array(out)


def quiet(days: float, seed: int = 1, level: float = 100.0) -> np.ndarray:
    return level + np.random.default_rng(seed).normal(0, 3, round(days * DAY))


def shifts(days: int, seed: int = 1) -> np.ndarray:
    """High by day, low by night, with noise."""
    by_day = np.where(np.arange(days * DAY) % DAY < DAY // 2, 80.0, 20.0)
    return by_day + np.random.default_rng(seed).normal(0, 1, days * DAY)


# -- what is new -------------------------------------------------------------------------------------------


def test_a_value_far_from_all_that_was_seen_is_anomalous_and_the_farther_the_more() -> None:
    near, far = (scores_of([*quiet(5), value])[-1] for value in (118.0, 300.0))
    assert 1 < near < far


def test_a_value_between_two_that_are_usual_is_anomalous_where_none_ever_lay() -> None:
    assert scores_of([*shifts(8), 50.0])[-1] > 1


def test_usual_values_in_an_order_that_never_came_are_anomalous() -> None:
    wave = (
        50.0 + 40.0 * np.sin(2 * np.pi * np.arange(6 * DAY) / 48.0) + np.random.default_rng(3).normal(0, 0.5, 6 * DAY)
    )
    shaken = [*wave, 85.0, 15.0, 85.0, 15.0]
    assert scores_of(shaken)[-3:].max() > 1
    assert scores_of([*wave, *wave[:48]])[-48:].max() <= 1


def test_a_value_of_the_day_is_anomalous_at_night() -> None:
    values = shifts(10)
    night = [*values, *values[: DAY // 2], *([20.0] * 60), 80.0]
    assert scores_of(night)[-1] > 1


def test_the_same_spike_is_news_in_a_row_that_is_quiet_and_none_in_one_that_often_goes_so_far() -> None:
    rough = np.exp(np.random.default_rng(5).normal(0, 1.5, 7 * DAY))
    calm = np.random.default_rng(5).normal(0, 1.0, 7 * DAY)
    assert scores_of([*calm, 30.0])[-1] > 1 > scores_of([*rough, 30.0])[-1]


def test_a_row_that_was_constant_and_moves_is_anomalous_and_one_that_stays_is_not() -> None:
    scores = scores_of([7.0] * 400 + [9.0])
    assert np.nanmax(scores[:-1]) < 1 < scores[-1]


def test_an_anomaly_stands_for_half_an_hour_and_a_new_level_is_usual_afterwards() -> None:
    scores = scores_of([*quiet(5), *quiet(1, seed=2, level=160.0)])[5 * DAY :]
    assert (scores[: round(DELAY_S / STEP_S)] > 1).all()
    assert scores[DAY // 4 :].max() <= 1


def test_the_first_return_of_a_season_is_no_reason_for_alarms() -> None:
    rows, step_s = 10, 600.0
    values = 100.0 + np.random.default_rng(6).normal(0, 3, (165, rows))
    detector, odd = Novelty(usual(rows)), np.zeros(rows, np.bool_)
    for step, row in enumerate(values):
        at = START + step * step_s
        odd |= (detector.score(at, row).score > 1) & (abs(at - START - DAY_S) <= 3 * 3600.0)
        detector.learn(at, row, np.ones(rows, np.bool_))
    assert odd.sum() <= 1


def test_one_extreme_does_not_excuse_the_next_but_two_do() -> None:
    rough = [*quiet(3), 500.0, *quiet(1, seed=2), 500.0, *quiet(1, seed=3), 500.0, *quiet(1, seed=4), 500.0]
    first, second, *_, last = scores_of(rough)[[864, 1153, 1442, 1731]]
    assert first > 2
    assert second > 1
    assert last < second


def test_a_counter_of_rare_events_is_not_an_alarm_at_each_of_them() -> None:
    rare = np.random.default_rng(8).poisson(0.02, 28 * DAY).astype(float)
    assert (np.nan_to_num(scores_of(rare))[7 * DAY :] > 1).sum() <= 6


def test_a_budget_of_more_false_alarms_scores_higher() -> None:
    values = [*quiet(5), 116.0]
    few, many = (
        scores_of(values, Novelty(replace(usual(1), false_alarms_per_week=np.array([budget]))))[-1]
        for budget in (0.1, 1.0)
    )
    assert many == pytest.approx(2 * few, rel=0.05)


def test_how_often_a_row_is_sampled_is_no_reason_for_more_alarms() -> None:
    often, seldom = (
        int((np.nan_to_num(scores_of(100.0 + np.random.default_rng(4).normal(0, 3, 4000), step_s=step)) > 1).sum())
        for step in (60.0, 3600.0)
    )
    assert often <= 8  # three days
    assert seldom <= 120  # five months


# -- the past --------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(values=st.lists(ODD, min_size=70, max_size=90), cut=st.integers(1, 69))
def test_scores_of_a_prefix_do_not_know_what_follows_whatever_the_input(values: Sequence[float], cut: int) -> None:
    np.testing.assert_array_equal(scores_of(values)[:cut], scores_of(values[:cut]))


def test_memory_is_bounded_and_keeps_what_is_newest() -> None:
    past, pace = Neighbours(1), Pace(step_s=STEP_S, season_s=DAY_S)
    for step in range(3 * KEPT):
        past.note(0, START + step * STEP_S, float(step), pace)
    now = START + 3 * KEPT * STEP_S
    assert past.arrays()["times"].shape == (1, KEPT)
    assert past.near(0, now, 0.0, pace).distances[0] == pytest.approx(2 * KEPT)
    assert past.near(0, now, 3.0 * KEPT - 10, pace).distances[0] < 2


def test_a_row_that_is_sampled_often_remembers_no_closer_than_five_minutes_and_as_far_back() -> None:
    past, pace = Neighbours(1), Pace(step_s=15.0, season_s=DAY_S)
    for step in range(2 * 5760):
        past.note(0, START + step * 15.0, float(step), pace)
    assert int(past.arrays()["count"][0]) == 2 * DAY


def test_a_shape_does_not_reach_over_a_gap() -> None:
    past, pace = Neighbours(1), Pace(step_s=STEP_S, season_s=DAY_S)
    for step in range(40):
        past.note(0, START + step * STEP_S, 100.0 + step % 3, pace)
    after = START + 39 * STEP_S
    assert np.isfinite(past.near(0, after + STEP_S, 101.0, pace).distances[1])
    gone = past.near(0, after + 20 * STEP_S, 101.0, pace).distances
    assert np.isfinite(gone[0])
    assert np.isnan(gone[1])


def test_rows_of_different_age_share_their_room_and_nothing_else() -> None:
    detector, alone = Novelty(usual(2)), Novelty(usual(1))
    values = quiet(2)
    for step, value in enumerate(values.tolist()):
        at, late = START + step * STEP_S, np.nan if step < 400 else value + 50.0
        detector.learn(at, np.array([value, late]), np.ones(2, np.bool_))
        alone.learn(at, np.array([late]), YES)
    at = START + len(values) * STEP_S
    assert detector.score(at, np.array([100.0, 250.0])).score[1] == alone.score(at, np.array([250.0])).score[0]


@pytest.mark.parametrize("odd", [1e308, -1e308, np.inf, -np.inf, 5e-324])
def test_the_ends_of_floating_point_leave_a_row_able_to_judge(odd: float) -> None:
    values = quiet(4)
    values[500:520:7] = odd
    scores = scores_of([*values, 100.0, 180.0])
    assert scores[-2] < 1 < scores[-1]


# -- what people read --------------------------------------------------------------------------------------


def test_what_is_anomalous_lies_outside_of_the_band_and_what_is_not_inside() -> None:
    detector = Novelty(usual(1))
    for step, value in enumerate([*shifts(6), 50.0, 52.0, *shifts(1, seed=9)]):
        at, row = START + step * STEP_S, np.array([value])
        told = detector.score(at, row)
        if told.learned[0]:
            outside = bool(value < told.lower[0] or value > told.upper[0])
            assert outside == bool(told.score[0] > 1)
        detector.learn(at, row, YES)


def test_a_policy_of_the_signal_tier_says_what_the_adapter_says_and_calls_once() -> None:
    values = [*quiet(4), *([170.0] * 4), *quiet(0.2, seed=3), 400.0, *quiet(0.5, seed=4)]
    values[300], values[301] = np.nan, np.nan
    policies = parse(POLICY, "test")
    watch = policies.watches[0]
    assert (watch.detector, watch.false_alarms_per_week) == ("novelty", 1.0)
    bank, index, adapter = Bank(policies), an_index([{"job": "shop"}], watch.key), Detector()
    calls = 0
    for step, value in enumerate(values):
        at = START + step * STEP_S
        told = adapter.update(at, value)
        found: tuple[Finding, ...] = bank.perceive(a_frame(at, index, [value]), {}, policies).findings
        alarms = [one for one in found if one.alarm]
        assert [round(told / (1.0 - told), 4)] == [round(one.score, 4) for one in alarms] if told > 0.5 else not alarms
        calls += len(alarms)
    assert 2 <= calls <= 4


@pytest.mark.parametrize(
    ("spec", "detector", "budget"),
    [
        ("{query: x}", "familiar", 0.2),
        ("{query: x, tier: fleet, detector: novelty}", "novelty", 0.2),
        ("{query: x, tier: signal, falseAlarmsPerWeek: 3}", "novelty", 3.0),
    ],
)
def test_a_tier_brings_its_detector_and_its_budget_unless_they_are_said(
    spec: str, detector: str, budget: float
) -> None:
    watch = parse(POLICY.replace("{query: sum(latency), tier: signal}", spec), "test").watches[0]
    assert (watch.detector, watch.false_alarms_per_week) == (detector, budget)


# -- the budget --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_alarms_of_noise_come_about_as_often_as_the_budget_says() -> None:
    rows, weeks = 6, 4
    chance, detector = np.random.default_rng(11), Novelty(usual(rows))
    before, began = np.zeros(rows, np.bool_), 0
    for step in range(weeks * 7 * DAY // 2):
        at, values = START + step * 2 * STEP_S, 100.0 + chance.normal(0, 5, rows)
        over = np.nan_to_num(detector.score(at, values).score) > 1
        began += int((over & ~before).sum()) if step >= 7 * DAY // 2 else 0
        before = over
        detector.learn(at, values, np.ones(rows, np.bool_))
    assert rows * (weeks - 1) / 4 < began < rows * (weeks - 1) * 2
