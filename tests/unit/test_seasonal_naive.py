"""The forecaster `seasonal-naive`: level, season, week, trend while young, honest intervals and skill."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from aiops.core.forecast.seasonal_naive import SeasonalNaive
from aiops.core.forecast.track_record import QUANTILES, TrackRecord
from aiops.core.policies import ForecastSpec

START, DAY_S = 1_772_409_600.0, 86_400.0
SPEC = ForecastSpec(model="seasonal-naive", history_s=14 * DAY_S, quantile=0.95, lead_s=60.0, season_s=DAY_S)


def minutes(days: float) -> np.ndarray:
    return START + np.arange(round(days * 1440)) * 60.0


def wave(times: np.ndarray | float) -> np.ndarray:
    return np.asarray(500.0 + 300.0 * np.sin(2 * np.pi * np.asarray(times) / DAY_S))


def taught(values: np.ndarray, days: float) -> tuple[SeasonalNaive, float]:
    model = SeasonalNaive(SPEC)
    model.backfill(minutes(days), values)
    return model, float(minutes(days)[-1])


def median(model: SeasonalNaive, now: float, steps: int = 30) -> np.ndarray:
    return model.paths(now, steps)[QUANTILES.index(0.5)]


def test_a_clean_season_is_foretold() -> None:
    model, now = taught(wave(minutes(3)), 3)
    ahead = now + 60.0 * np.arange(1, 31)
    np.testing.assert_allclose(median(model, now), wave(ahead), rtol=0.01)


def test_todays_level_is_carried_into_the_forecast() -> None:
    times = minutes(3)
    today = np.where(times >= times[-1] - 3600.0, 1.5, 1.0)
    model, now = taught(wave(times) * today, 3)
    expected = wave(now + 60.0 * np.arange(1, 31)) * 1.5
    np.testing.assert_allclose(median(model, now), expected, rtol=0.08)


def test_the_weekend_is_taken_from_last_weekend() -> None:
    times = minutes(13.5)
    weekend = (times // DAY_S) % 7 == (times[-1] // DAY_S) % 7
    model, now = taught(wave(times) * np.where(weekend, 0.5, 1.0), 13.5)
    expected = wave(now + 60.0 * np.arange(1, 31)) * 0.5
    np.testing.assert_allclose(median(model, now), expected, rtol=0.1)


def test_while_young_it_follows_a_damped_trend_and_says_that_it_has_not_learned() -> None:
    model = SeasonalNaive(SPEC)
    for minute in range(120):
        model.learn(START + 60.0 * minute, 100.0 + minute)
    now = START + 60.0 * 119
    path = median(model, now)
    assert not model.learned
    assert 219 < path[4] < 232
    assert path[29] < 280


def test_a_sample_moves_the_forecast_before_its_minute_is_over() -> None:
    model, now = taught(wave(minutes(2)), 2)
    calm = median(model, now + 60.0)[5]
    model.learn(now + 60.0, 2000.0)
    assert median(model, now + 60.0)[5] > calm * 1.2


def test_samples_of_one_minute_count_as_their_mean() -> None:
    one, many = taught(wave(minutes(2)), 2)[0], taught(wave(minutes(2)), 2)[0]
    now = float(minutes(2)[-1])
    for minute in range(1, 30):
        one.learn(now + 60.0 * minute, 600.0)
        for part, value in enumerate((500.0, math.nan, 650.0, 650.0)):
            many.learn(now + 60.0 * minute + 15.0 * part, value)
    np.testing.assert_allclose(one.paths(now + 1740.0, 10), many.paths(now + 1740.0, 10))


def test_intervals_hold_what_they_promise() -> None:
    chance = np.random.default_rng(3)
    values = wave(minutes(6)) + chance.normal(0, 25, len(minutes(6)))
    known = 4 * 1440
    model = SeasonalNaive(SPEC)
    model.backfill(minutes(6)[:known], values[:known])
    below = []
    for minute in range(known, len(values) - 6):
        at = float(minutes(6)[minute])
        model.learn(at, float(values[minute]))
        if minute % 5 == 0:
            below.append(values[minute + 5] <= model.paths(at, 5)[:, 4])
    share = np.mean(below, axis=0)
    np.testing.assert_allclose(share, QUANTILES, atol=0.04)
    assert model.skill is not None
    assert model.skill > 0


def test_a_series_without_a_season_earns_no_skill_over_its_last_value_of_yesterday() -> None:
    chance = np.random.default_rng(5)
    model, _ = taught(100.0 + chance.normal(0, 1, len(minutes(3))), 3)
    assert model.skill is not None
    assert abs(model.skill) < 0.35


def test_a_gap_of_a_day_is_bridged_by_other_days() -> None:
    times = minutes(5)
    values = wave(times)
    values[(times > times[-1] - 1.2 * DAY_S) & (times < times[-1] - 0.8 * DAY_S)] = np.nan
    model, now = taught(values, 5)
    np.testing.assert_allclose(median(model, now), wave(now + 60.0 * np.arange(1, 31)), rtol=0.02)


def test_demand_is_never_foretold_below_zero() -> None:
    chance = np.random.default_rng(4)
    model, now = taught(np.maximum(chance.normal(0, 5, len(minutes(3))), 0.0), 3)
    assert (model.paths(now, 60) >= 0).all()


def test_history_is_counted_and_never_beyond_what_is_kept() -> None:
    model, _ = taught(wave(minutes(20)), 20)
    assert 14 * DAY_S <= model.history_s < 14.5 * DAY_S


def test_two_weeks_are_learnt_in_a_fraction_of_a_second() -> None:
    values = wave(minutes(14))
    started = time.perf_counter()
    taught(values, 14)
    assert time.perf_counter() - started < 0.6


def test_a_further_horizon_is_never_surer_than_a_nearer_one() -> None:
    chance = np.random.default_rng(6)
    model, now = taught(500.0 + chance.normal(0, 20, len(minutes(3))), 3)
    paths = model.paths(now, 59)
    width = (paths[-1] - paths[0]) / paths[1]
    assert (np.diff(width) > -0.01).all()


def test_errors_become_conformal_quantiles_and_the_prior_before_that() -> None:
    record = TrackRecord()
    assert not record.known
    assert record.spread[:, 5] == pytest.approx(record.spread[::-1, 5] * -1, abs=1.0)
    chance = np.random.default_rng(7)
    for minute in range(1440):
        record.promise(minute, np.full(6, 100.0))
        record.settle(minute, 100.0 * (1.0 + chance.normal(0, 0.1)), math.nan, 1.0)
    record.refit()
    assert record.known
    np.testing.assert_allclose(record.spread[:, 15], [-0.1645, 0.0, 0.128, 0.1645, 0.233], atol=0.03)
