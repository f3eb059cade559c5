"""What every forecaster promises, whichever line of the registry it came by."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.core.forecast import FORECASTERS
from aiops.core.policies import ForecastSpec
from aiops.core.protocols import Forecaster

START = 1_772_409_600.0
STEP_S, DAY_S = 60.0, 86_400.0

OWN_CODE = sorted(FORECASTERS.keys() - {"combined-all"})
"""Forecasters by name; `combined-all` is `combined` with members whose fits take seconds: test_combined_all has it."""

pytestmark = pytest.mark.parametrize("name", OWN_CODE)


def a_forecaster(name: str, history_days: float = 14.0) -> Forecaster:
    spec = ForecastSpec(model=name, history_s=history_days * DAY_S, quantile=0.95, lead_s=60.0, season_s=DAY_S)
    return FORECASTERS[name](spec)


def some_days(days: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    times = START + np.arange(round(days * DAY_S / STEP_S)) * STEP_S
    return times, 500.0 + 300.0 * np.sin(2 * np.pi * times / DAY_S) + rng.normal(0, 20, len(times))


def taught(name: str, days: float, history_days: float = 14.0) -> tuple[Forecaster, float]:
    forecaster = a_forecaster(name, history_days)
    times, values = some_days(days)
    forecaster.backfill(times, values)
    return forecaster, float(times[-1])


def test_it_fills_the_protocol_under_its_registered_name(name: str) -> None:
    forecaster = a_forecaster(name)
    assert isinstance(forecaster, Forecaster)
    assert forecaster.name == name


def test_quantiles_never_cross_and_are_as_many_as_promised(name: str) -> None:
    forecaster, now = taught(name, 3)
    for steps in (1, 30, 60):
        paths = forecaster.paths(now, steps)
        assert paths.shape == (len(forecaster.quantiles), steps)
        assert (np.diff(paths, axis=0) >= 0).all()
        assert np.isfinite(paths).all()
    assert list(forecaster.quantiles) == sorted(forecaster.quantiles)


def test_what_knows_nothing_says_nothing(name: str) -> None:
    forecaster = a_forecaster(name)
    assert np.isnan(forecaster.paths(START, 5)).all()
    assert (forecaster.learned, forecaster.skill, forecaster.history_s) == (False, None, 0.0)
    forecaster.learn(START, math.nan)
    assert np.isnan(forecaster.paths(START, 5)).all()
    forecaster.backfill(np.array([]), np.array([]))
    forecaster.backfill(np.array([START]), np.array([math.nan]))
    assert not forecaster.learned


def test_it_has_learned_once_a_season_was_seen(name: str) -> None:
    assert not taught(name, 0.9)[0].learned
    assert taught(name, 1.3)[0].learned


def test_foretelling_changes_nothing(name: str) -> None:
    looked, now = taught(name, 1.5)
    quiet, _ = taught(name, 1.5)
    for far in (0.0, 3600.0, 40 * DAY_S):
        looked.paths(now + far, 30)
    np.testing.assert_array_equal(looked.paths(now, 30), quiet.paths(now, 30))


def test_a_gap_is_not_a_zero(name: str) -> None:
    forecaster, now = taught(name, 2.2)
    for minute in range(1, 11):
        forecaster.learn(now + minute * STEP_S, math.nan)
    silent = forecaster.paths(now + 600.0, 10)
    truth = 500.0 + 300.0 * math.sin(2 * math.pi * (now + 900.0) / DAY_S)
    assert abs(silent[forecaster.quantiles.index(0.5), 4] - truth) < 60


def test_history_and_life_teach_the_same(name: str) -> None:
    times, values = some_days(1.4)
    lived, told = a_forecaster(name), a_forecaster(name)
    for at, value in zip(times.tolist(), values.tolist(), strict=True):
        lived.learn(at, value)
    told.backfill(times, values)
    now = float(times[-1])
    median = lived.quantiles.index(0.5)
    np.testing.assert_allclose(lived.paths(now, 30), told.paths(now, 30), rtol=0.15)
    # in life the last fit may be some hours old; what that changes must drown in the noise, of deviation 20
    apart = np.abs(lived.paths(now, 30)[median] - told.paths(now, 30)[median])
    assert apart.mean() < 10.0


def test_history_that_comes_after_the_first_samples_is_put_before_them(name: str) -> None:
    times, values = some_days(2)
    late, early = a_forecaster(name), a_forecaster(name)
    for at, value in zip(times[-20:].tolist(), values[-20:].tolist(), strict=True):
        late.learn(at, value)
    late.backfill(times[:-15], values[:-15])
    early.backfill(times, values)
    now = float(times[-1])
    np.testing.assert_allclose(late.paths(now, 30), early.paths(now, 30), rtol=1e-9)


def test_a_checkpoint_goes_on_exactly_where_it_was(name: str) -> None:
    through, now = taught(name, 1.5)
    through.learn(now + 15.0, 400.0)
    again = a_forecaster(name)
    again.restore({key: np.array(array) for key, array in through.arrays().items()})
    for one in (through, again):
        for minute in range(1, 50):
            one.learn(now + minute * STEP_S, 500.0 + minute)
    at = now + 50 * STEP_S
    np.testing.assert_array_equal(through.paths(at, 30), again.paths(at, 30))
    assert (through.skill, through.learned, through.history_s) == (again.skill, again.learned, again.history_s)


def test_a_checkpoint_of_another_history_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        a_forecaster(name, 7).restore(a_forecaster(name, 14).arrays())
    with pytest.raises(ValueError, match="does not fit"):
        a_forecaster(name).restore({})


def test_old_news_and_a_long_silence_are_taken_calmly(name: str) -> None:
    forecaster, now = taught(name, 2)
    forecaster.learn(now - 7200.0, 1e9)
    assert forecaster.paths(now, 5).max() < 2000
    forecaster.learn(now + 3 * DAY_S, 500.0)
    assert np.isfinite(forecaster.paths(now + 3 * DAY_S, 5)).all()
    forecaster.learn(now + 300 * DAY_S, 500.0)
    assert not np.isinf(forecaster.paths(now + 300 * DAY_S, 5)).any()


def test_the_greatest_value_is_remembered(name: str) -> None:
    assert a_forecaster(name).peak is None
    forecaster, _ = taught(name, 1.5)
    assert forecaster.peak == pytest.approx(some_days(1.5)[1].max(), rel=0.05)
