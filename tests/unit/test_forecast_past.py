"""What forecasters see of the past: causal, gaps bridged, spikes cut, holidays apart, noise smoothed away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.forecast.fitting import fit
from aiops.core.forecast.fleet import Fleet
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import MEMBERS
from aiops.core.forecast.members.ridge import Ridges
from aiops.core.forecast.past import History, Past, past_of

GRID = Grid.of(3600.0)
FINE = Grid.of(300.0)


def past(values: np.ndarray, grid: Grid = GRID, rest: np.ndarray | None = None) -> Past:
    return past_of(History(grid=grid, values=np.atleast_2d(np.asarray(values, np.float64)), rest=rest))


def days(count: int, grid: Grid = GRID) -> np.ndarray:
    steps = np.arange(count * grid.season)
    return 100.0 + 50.0 * np.sin(2 * np.pi * steps / grid.season)


def test_the_profile_is_the_weighted_mean_of_the_same_time_in_past_seasons() -> None:
    levels = np.repeat([10.0, 20.0, 30.0], 24)
    found = past(levels).profile[0, 72:]
    np.testing.assert_allclose(found[0], (30.0 + 0.5 * 20.0 + 0.25 * 10.0) / 1.75)


def test_a_clean_season_leaves_no_deviation() -> None:
    for grid in (GRID, FINE, Grid.of(60.0)):
        found = past(days(4, grid), grid)
        assert np.abs(found.dev[0, grid.season :]).max() < 2.0


def test_before_a_season_was_seen_nothing_is_known() -> None:
    found = past(days(2))
    assert not found.known[0, :24].any()
    assert found.known[0, 24:].all()
    assert not found.profile[0, :24].any()


def test_a_gap_keeps_the_deviation_that_was_before_it() -> None:
    values = days(4) + 7.0 * (np.arange(96) >= 72)
    values[80:84] = np.nan
    found = past(values)
    assert np.isfinite(found.values).all()
    np.testing.assert_allclose(found.dev[0, 80:84], found.dev[0, 79])
    assert not found.real[0, 80:84].any()


@pytest.mark.parametrize("tail", [None, 40], ids=["all", "tail"])
def test_series_with_and_without_gaps_look_the_same_to_the_last_bit_alone_and_together(tail: int | None) -> None:
    whole = days(16, FINE) + np.random.default_rng(2).normal(0, 5, 16 * FINE.season)
    holed = np.where((np.arange(len(whole)) % 7 == 3) | (np.arange(len(whole)) < 900), np.nan, whole)
    both = past_of(History(grid=FINE, values=np.stack([whole, holed])), None, tail)
    for row, values in enumerate((whole, holed)):
        alone = past_of(History(grid=FINE, values=values[None]), None, tail)
        for name in ("values", "profile", "known", "season_ago", "yesterday", "dev", "lately", "moves"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(both, name)[row], err_msg=name)
        assert alone.norms.detail[0] == both.norms.detail[row]


def test_a_spike_is_cut_and_a_new_level_is_taken_from_its_second_step() -> None:
    rng = np.random.default_rng(1)
    values = days(4) + rng.normal(0, 1, 96)
    values[80] += 1000.0
    assert past(values).dev[0, 80] < 100.0
    values = days(4) + rng.normal(0, 1, 96)
    values[80:] += 1000.0
    shifted = past(values).dev[0]
    assert shifted[80] < 100.0
    assert (shifted[81:] > 900.0).all()


def test_a_holiday_is_foreseen_from_other_days_of_rest_and_does_not_spoil_the_others() -> None:
    rest = np.zeros(24 * 9, np.bool_)
    for day in (3, 8):
        rest[24 * day : 24 * day + 24] = True
    values = np.where(rest, 10.0, 100.0)[: 24 * 8]
    told = past(values, rest=rest[: 24 * 8 + GRID.ahead])
    untold = past(values)
    np.testing.assert_allclose(told.profile[0, 24 * 8 :], 10.0)
    assert untold.profile[0, 24 * 8 + 3] > 60.0
    np.testing.assert_allclose(told.profile[0, 24 * 4 : 24 * 5], 100.0)
    assert untold.profile[0, 24 * 4 + 3] < 60.0


def test_a_calendar_must_cover_the_future() -> None:
    with pytest.raises(ValueError, match="rest must cover"):
        past(days(2), rest=np.zeros(48, np.bool_))


def test_fine_shape_that_comes_again_is_kept_and_noise_is_smoothed_away() -> None:
    rng = np.random.default_rng(2)
    jags = np.tile(rng.normal(0, 20, FINE.season), 9)
    noise = rng.normal(0, 20, len(jags))
    kept = past(days(9, FINE) + jags, FINE)
    smoothed = past(days(9, FINE) + noise, FINE)
    assert kept.norms.detail[0] > 0.95
    assert smoothed.norms.detail[0] < 0.15
    truth = 100.0 + 50.0 * np.sin(2 * np.pi * np.arange(FINE.ahead) / FINE.season)
    assert np.abs(smoothed.profile[0, -FINE.ahead :] - truth).mean() < 4.0


@pytest.mark.parametrize("grid", [GRID, FINE], ids=["hours", "five minutes"])
def test_no_member_looks_beyond_its_origin(grid: Grid) -> None:
    rng = np.random.default_rng(3)
    values = (days(9, grid) + rng.normal(0, 10, 9 * grid.season))[None, :]
    cut = 7 * grid.season + 5
    other = values.copy()
    other[:, cut + 1 :] = rng.uniform(0, 1e4, other.shape[1] - cut - 1)
    first = past_of(History(grid=grid, values=values))
    second = past_of(History(grid=grid, values=other), first.norms)
    for member in MEMBERS:
        coefficients = member.fit(first, (cut + 1, first.length))[0]
        again = member.fit(second, (cut + 1, first.length))[0]
        origins = slice(cut - 4, cut + 1, 1)
        one, two = member.foretell(first, coefficients, origins), member.foretell(second, again, origins)
        np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-7, err_msg=member.name)
        assert np.isfinite(one).all(), member.name


@pytest.mark.parametrize(("unit", "levels"), [(1e45, (0.0, 0.0)), (1.0, (1e5, 1e6))], ids=["huge units", "high levels"])
def test_regressions_lose_nothing_by_single_precision(unit: float, levels: tuple[float, float]) -> None:
    rng = np.random.default_rng(6)
    values, ridges, told = days(9, FINE) + rng.normal(0, 10, 9 * FINE.season), Ridges(), []
    for scale, level in zip((1.0, unit), levels, strict=True):
        whole = past(values * scale + level, FINE)
        origin = slice(whole.length - 1, whole.length, 1)
        told.append((ridges.foretell(whole, ridges.fit(whole, (whole.length,))[0], origin) - level) / scale)
    np.testing.assert_allclose(told[1], told[0], atol=5e-3)


def test_the_end_of_a_history_is_all_that_live_forecasts_need() -> None:
    rng = np.random.default_rng(4)
    values = (days(16, FINE) + rng.normal(0, 10, 16 * FINE.season))[None, :]
    whole = past_of(History(grid=FINE, values=values, first_step=100))
    tail = past_of(History(grid=FINE, values=values, first_step=100), whole.norms, FINE.tail)
    origin, same = slice(whole.length - 1, whole.length, 1), slice(tail.length - 1, tail.length, 1)
    for member in MEMBERS:
        coefficients = member.fit(whole, (whole.length,))[0]
        np.testing.assert_allclose(
            member.foretell(whole, coefficients, origin), member.foretell(tail, coefficients, same), rtol=1e-9
        )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12), st.floats(-1e-9, 1e-9)), min_size=0, max_size=120),
    st.integers(1, 30),
)
def test_whatever_comes_quantiles_are_ordered_and_finite_or_absent(history: list[float | None], steps: int) -> None:
    grid = Grid.of(3600.0, 12 * 3600.0)
    values = np.array([[np.nan if one is None else one for one in history]], np.float64)
    fleet = Fleet(grid, 1, history_steps=96)
    fleet.load(values, len(history))
    fleet.adopt(fit(fleet.history()))
    for one in (3.0, np.nan, -5.0):
        fleet.update(np.array([one]))
    path = fleet.predict(steps)
    assert np.isfinite(path).all()
    assert (np.diff(path, axis=1) >= 0).all()
