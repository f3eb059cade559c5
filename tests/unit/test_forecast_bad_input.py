"""What bad input does to forecasts: too short, constant, missing, negative, full of holes, spikes, new levels."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.core.forecast import FORECASTERS
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.grid import Grid
from aiops.core.policies import ForecastSpec
from tests.conformance.test_forecasters import OWN_CODE
from tests.series import GRID, HIGH, MEDIAN, fleet_of, waves


@pytest.mark.parametrize("steps", [0, 1, 10])
def test_a_history_of_a_few_points_foretells_their_level_or_nothing(steps: int) -> None:
    fleet = fleet_of(np.full(steps, 70.0))
    path = fleet.predict(4)[0]
    assert not fleet.acts[0]
    if steps == 0:
        assert np.isnan(path).all()
    else:
        np.testing.assert_allclose(path[MEDIAN], 70.0)
        assert (path[HIGH] > 70.0).all()


def test_a_constant_series_stays_and_is_sure_of_itself() -> None:
    for level in (0.0, 7.0, -7.0, 1e12):
        path = fleet_of(np.full(6 * GRID.season, level)).predict(48)[0]
        np.testing.assert_allclose(path, level, atol=1e-6 * max(1.0, abs(level)))


def test_all_missing_foretells_nothing() -> None:
    fleet = fleet_of(np.full(6 * GRID.season, np.nan))
    assert np.isnan(fleet.predict(5)).all()
    fleet.update(np.array([np.nan]))
    assert not fleet.acts[0]


def test_negative_values_are_foretold_negative_and_others_never() -> None:
    assert fleet_of(waves(6) - 1000.0).predict(48)[0, MEDIAN].max() < 0
    low = fleet_of(np.maximum(waves(6, noise=100.0) - 450.0, 0.0)).predict(48)
    assert low.min() == 0.0


def test_a_year_of_gaps_is_survived_and_forgotten() -> None:
    fleet = fleet_of(waves(6))
    fleet.skip(365 * GRID.season)
    assert np.isnan(fleet.predict(3)).all()
    for value in waves(3):
        fleet.update(np.array([value]))
    fleet.adopt(fit(fleet.history()))
    assert np.isfinite(fleet.predict(48)).all()
    assert abs(fleet.predict(1)[0, MEDIAN, 0] - 500.0) < 60.0


def test_a_history_that_is_mostly_holes_is_still_used() -> None:
    values = waves(10)
    values[np.random.default_rng(1).uniform(size=len(values)) < 0.8] = np.nan
    path = fleet_of(values).predict(48)[0, MEDIAN]
    truth = 500.0 + 300.0 * np.sin(2 * np.pi * np.arange(480, 528) / 48)
    assert np.abs(path - truth).mean() < 60.0


def test_a_spike_is_over_when_it_is_over() -> None:
    fleet = fleet_of(waves(8))
    calm = fleet.predict(4)[0, MEDIAN]
    fleet.update(np.array([50_000.0]))
    assert np.abs(fleet.predict(3)[0, MEDIAN] - calm[1:]).max() < 150.0
    fleet.update(np.array([560.0]))
    assert np.abs(fleet.predict(2)[0, MEDIAN] - calm[2:]).max() < 150.0


def test_a_new_level_is_followed_within_two_steps() -> None:
    fleet = fleet_of(waves(8))
    for value in waves(8.1)[-5:] + 900.0:
        fleet.update(np.array([value]))
    ahead = fleet.predict(2)[0, MEDIAN]
    assert ahead.min() > 1150.0


def test_a_member_can_be_foretold_from_a_year_of_one_value() -> None:
    grid = Grid.of(3600.0)
    fleet = fleet_of(np.full(365 * 24, 12.0), grid)
    np.testing.assert_allclose(fleet.predict(24)[0], 12.0, atol=1e-6)


@pytest.mark.parametrize(("step_s", "season_s"), [(0.0, 60.0), (-1.0, 60.0), (np.nan, 60.0), (np.inf, 60.0)])
def test_a_step_that_is_none_is_refused(step_s: float, season_s: float) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        Grid(step_s=step_s, season=10)
    del season_s


def test_a_season_of_one_step_is_refused() -> None:
    with pytest.raises(ValueError, match="two steps at least"):
        Grid(step_s=60.0, season=1)


@pytest.mark.parametrize("name", OWN_CODE)
@pytest.mark.parametrize("ahead_min", [30, 3000])
def test_a_model_goes_on_when_a_clock_that_was_ahead_is_set_back(name: str, ahead_min: int) -> None:
    spec = ForecastSpec(model=name, history_s=4 * 3600.0, quantile=0.95, lead_s=60.0, season_s=3600.0)
    model, start = FORECASTERS[name](spec), 1_800_000_000.0
    times = start + np.arange(-240, 0) * 60.0
    model.backfill(times, np.full(240, 500.0))
    for minute in range(ahead_min, ahead_min + 40):
        model.learn(start + 60.0 * minute, 100.0)
    for minute in range(10):
        model.learn(start + 60.0 * minute, 500.0)
    now = start + 540.0
    assert model.history_s <= 249 * 60.0
    assert model.paths(now, 5)[model.quantiles.index(0.5)] == pytest.approx(500.0, rel=0.05)


@pytest.mark.parametrize("name", OWN_CODE)
def test_a_clock_that_is_set_back_a_little_is_waited_for(name: str) -> None:
    spec = ForecastSpec(model=name, history_s=4 * 3600.0, quantile=0.95, lead_s=60.0, season_s=3600.0)
    model, start = FORECASTERS[name](spec), 1_800_000_000.0
    times = start + np.arange(-240, 0) * 60.0
    model.backfill(times, np.full(240, 500.0))
    before = {key: array.copy() for key, array in model.arrays().items()}
    for minute in (-2, -3, -4):
        model.learn(start + 60.0 * minute, 9000.0)
    for key, array in model.arrays().items():
        np.testing.assert_array_equal(array, before[key], err_msg=key)
