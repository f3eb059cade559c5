"""The detector `robust-seasonal`: budgets of false alarms, seasons, noise of many kinds, quick enough for fleets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from aiops.core.detect.robust_seasonal import RobustSeasonal
from aiops.core.detect.rules import DAY_S, RowRules, of_policies, usual
from aiops.core.detect.season import BINS, Known, SeasonProfile
from aiops.core.policies import Side
from tests.unit.fleet import a_watch

START = 1_772_409_600.0
Noise = Callable[[np.random.Generator, int], np.ndarray]


def a_budget(rows: int, false_alarms_per_week: float) -> RowRules:
    base = usual(rows)
    changed = {name: getattr(base, name) for name in RowRules.__slots__}
    return RowRules(**(changed | {"false_alarms_per_week": np.full(rows, false_alarms_per_week)}))


def through(detector: RobustSeasonal, values: Iterator[np.ndarray], step_s: float) -> Iterator[np.ndarray]:
    """Yield the scores of each row of values, learning from each afterwards."""
    at = START
    for row in values:
        yield detector.score(at, row).score
        detector.learn(at, row, np.isfinite(row))
        at += step_s


def onsets_per_week(noise: Noise, budget: float) -> float:
    """Alarms that begin, by row and week, in the second of two weeks at five-minute steps."""
    rows, step_s = 150, 300.0
    chance = np.random.default_rng(11)
    steps = round(14 * DAY_S / step_s)
    phase = np.sin(2 * np.pi * (START + np.arange(steps) * step_s) / DAY_S)
    size = np.linspace(0, 60, rows)
    values = (200.0 + size * phase[step] + 5.0 * noise(chance, rows) for step in range(steps))
    before, began = np.zeros(rows, np.bool_), 0
    for step, score in enumerate(through(RobustSeasonal(a_budget(rows, budget)), values, step_s)):
        over = score > 1
        began += int((over & ~before).sum()) if step >= steps // 2 else 0
        before = over
    return began / rows


@pytest.mark.slow
@pytest.mark.parametrize("budget", [1.0, 5.0])
@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(lambda chance, rows: chance.normal(0, 1, rows), id="normal"),
        pytest.param(lambda chance, rows: chance.laplace(0, 0.7, rows), id="laplace"),
        pytest.param(lambda chance, rows: (np.exp(chance.normal(0, 1, rows)) - 1.6) / 2, id="log-normal"),
        pytest.param(lambda chance, rows: chance.standard_t(3, rows) / 1.7, id="heavy-tailed"),
    ],
)
def test_alarms_of_pure_noise_stay_near_the_budget(noise: Noise, budget: float) -> None:
    assert budget / 4 < onsets_per_week(noise, budget) < budget * 2


def a_bump_each_day(days: int) -> list[np.ndarray]:
    """Five-minute values: flat, and at the same time of each day much more for an hour and a half."""
    chance = np.random.default_rng(2)
    bump = np.where((np.arange(288) >= 141) & (np.arange(288) < 159), 80.0, 0.0)
    return [np.array([100.0 + bump[step % 288] + chance.normal(0, 2)]) for step in range(days * 288)]


def test_what_comes_at_the_same_time_of_each_day_is_an_anomaly_at_first_and_expected_later() -> None:
    detector = RobustSeasonal(usual(1))
    scores = np.array([float(score[0]) for score in through(detector, iter(a_bump_each_day(6)), 300.0)])
    daily = np.nan_to_num(scores).reshape(6, 288)
    assert daily[1, 142:146].min() > 2
    assert daily[5].max() < 1.2
    expected = detector.score(START + 6 * DAY_S, np.array([100.0])).expected[0]
    assert expected == pytest.approx(100.0, abs=5)


def test_a_smooth_season_is_expected_and_a_value_of_another_hour_is_not() -> None:
    chance = np.random.default_rng(3)
    steps = 3 * 288
    wave = 100.0 + 50.0 * np.sin(2 * np.pi * np.arange(steps) / 288)
    detector = RobustSeasonal(usual(1))
    for _ in through(detector, (wave[step] + chance.normal(0, 2, 1) for step in range(steps)), 300.0):
        pass
    scores = detector.score(START + steps * 300.0, np.array([150.0]))
    assert scores.expected[0] == pytest.approx(100.0, abs=6)
    assert scores.score[0] > 1.5


def test_a_profile_is_not_followed_where_a_row_only_wanders() -> None:
    chance = np.random.default_rng(8)
    profile, walk = SeasonProfile(2, DAY_S), 0.0
    for number in range(4 * BINS):
        at = START + number * DAY_S / BINS
        known = Known(seasons=np.full(2, number / BINS), scale=np.ones(2))
        profile.close(at, 60.0, known)
        walk += chance.normal(0, 10)
        profile.note(np.array([100.0 * np.sin(2 * np.pi * number / BINS), walk]), np.ones(2))
    repeats, wanders = profile.arrays()["worth"]
    assert repeats > 0.9
    assert wanders < 0.5


def test_a_step_in_the_hour_of_an_anomaly_does_not_widen_the_band() -> None:
    chance = np.random.default_rng(9)
    calm = [100.0 + chance.normal(0, 2, 1) for _ in range(2000)]
    detector = RobustSeasonal(usual(1))
    for _ in through(detector, iter(calm), 60.0):
        pass
    at = START + 2000 * 60.0
    before = detector.score(at, np.array([100.0]))
    for minute in range(40):
        detector.learn(at + 60.0 * minute, np.array([300.0]), np.ones(1, np.bool_))
    after = detector.score(at + 2400.0, np.array([100.0]))
    assert after.upper[0] - after.lower[0] == pytest.approx(before.upper[0] - before.lower[0], rel=0.15)


def test_a_constant_row_may_move_by_a_thousandth_and_not_by_a_tenth() -> None:
    detector = RobustSeasonal(usual(1))
    for _ in through(detector, (np.array([50.0]) for _ in range(3000)), 60.0):
        pass
    at = START + 3000 * 60.0
    assert detector.score(at, np.array([50.05])).score[0] < 1
    assert detector.score(at, np.array([55.0])).score[0] > 1


def test_a_gap_of_hours_does_not_make_a_row_forget() -> None:
    chance = np.random.default_rng(10)
    detector = RobustSeasonal(usual(1))
    for _ in through(detector, (100.0 + chance.normal(0, 2, 1) for _ in range(2000)), 60.0):
        pass
    late = START + 2000 * 60.0 + 30_000.0
    detector.learn(late, np.array([101.0]), np.ones(1, np.bool_))
    assert detector.score(late + 60.0, np.array([100.0])).expected[0] == pytest.approx(100.0, abs=2)


def test_hourly_series_are_learnt_too() -> None:
    chance = np.random.default_rng(12)
    hours = 24 * 21
    shape = 40.0 * np.sin(2 * np.pi * np.arange(24) / 24)
    values = [np.array([100.0 + shape[hour % 24] + chance.normal(0, 2)]) for hour in range(hours)]
    scores = [float(score[0]) for score in through(RobustSeasonal(usual(1)), iter(values), 3600.0)]
    assert max(scores[24 * 14 :]) < 1.5
    detector = RobustSeasonal(usual(1))
    for _ in through(detector, iter(values), 3600.0):
        pass
    assert detector.score(START + hours * 3600.0, np.array([300.0])).score[0] > 1


def test_rules_of_rows_follow_their_policies() -> None:
    above, both = a_watch("WatchPolicy/a/a", side=Side.ABOVE, min_deviation=2.0), a_watch("WatchPolicy/a/b")
    rules = of_policies([above, both], np.array([1, 0, 0]))
    assert rules.below.tolist() == [True, False, False]
    assert rules.min_deviation.tolist() == [0.0, 2.0, 2.0]
    assert len(rules.take(np.array([2, -1]))) == 2
    with pytest.raises(ValueError, match="share a season"):
        of_policies([above, a_watch("WatchPolicy/a/c", season_s=3600.0)], np.array([0, 1]))
