"""The combination: who is heard, how wide intervals are, when it acts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from aiops.core.forecast.combined import Combined
from aiops.core.forecast.fitted import Fitted
from aiops.core.forecast.fitting import CHUNK, fit
from aiops.core.forecast.fleet import OFF, ON, Fleet
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import MEMBERS, Coefficients, Limits, OutOfTime, signal_members
from aiops.core.forecast.past import History, Past
from aiops.core.forecast.standing import mixed, weigh
from aiops.core.model import F64
from aiops.core.policies import ForecastSpec
from simulators.load import read_trace
from tests.series import GRID, HIGH, LOW, MEDIAN, fleet_of, live, waves

DAY_S = 86_400.0
SPEC = ForecastSpec(model="combined", history_s=7 * DAY_S, quantile=0.95, lead_s=60.0, season_s=DAY_S)
TRACE = Path(__file__).parents[1] / "data" / "mongo_query_rate_5min.csv"


class Made:
    """A member that says what a test wants."""

    def __init__(self, name: str, *, raises: Exception | None = None, says: float = 0.0) -> None:
        self.name, self.voices = name, (name,)
        self._raises, self._says = raises, says

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        if self._raises is not None:
            raise self._raises
        return tuple({} for _ in ends)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        return np.full((len(past.values), 1, len(past.grid.knots), len(range(*origins.indices(10**9)))), self._says)


class Hanging(Made):
    """A member whose fit only ends when its time is up."""

    def __init__(self, limits: Limits) -> None:
        super().__init__("hanging")
        self._limits = limits

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        while True:
            self._limits.check()


# -- who is heard ------------------------------------------------------------------------------------------


def test_weights_go_to_those_who_lost_least_and_sum_to_one() -> None:
    knots = len(GRID.knots)
    loss = np.array([1.0, 2.0, 4.0])[None, :, None] * np.full((1, 3, knots), 1000.0)
    weights = weigh(loss, np.full_like(loss, 1000.0), GRID)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert (weights[0, 0] > 0.95).all()
    assert (weights[0, 1] > weights[0, 2]).all()


def test_thin_evidence_is_shared_more_evenly_than_rich() -> None:
    knots = len(GRID.knots)
    loss = np.array([1.0, 2.0])[None, :, None] * np.ones((1, 2, knots))
    thin, rich = (weigh(loss * much, np.full_like(loss, much), GRID)[0, 0, -1] for much in (1.0, 10_000.0))
    assert 0.5 < thin < 0.75
    assert rich > 0.97


def test_who_was_never_heard_has_no_weight_while_another_has_some() -> None:
    knots = len(GRID.knots)
    count = np.stack([np.full(knots, 10.0), np.zeros(knots)])[None]
    np.testing.assert_allclose(weigh(count * 2.0, count, GRID)[0, 1], 0.0)
    nobody = weigh(np.zeros((1, 2, knots)), np.zeros((1, 2, knots)), GRID)
    np.testing.assert_allclose(nobody, 0.5)


def test_a_member_without_an_opinion_leaves_its_weight_to_the_others() -> None:
    made = np.array([[[10.0], [np.nan], [np.inf]]])
    np.testing.assert_allclose(mixed(made, np.array([[[0.2], [0.4], [0.4]]])), 10.0)
    assert np.isnan(mixed(np.full((1, 2, 1), np.nan), np.full((1, 2, 1), 0.5))).all()


@pytest.mark.parametrize("says", [np.nan, np.inf, 1e9])
def test_a_member_that_talks_nonsense_changes_next_to_nothing(says: float) -> None:
    values = waves(5)
    sane = fleet_of(values).predict(48)
    mad = fleet_of(values, members=(*MEMBERS, Made("mad", says=says))).predict(48)
    assert np.isfinite(mad).all()
    np.testing.assert_allclose(mad, sane, rtol=0.02)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no convergence"), "RuntimeError: no convergence"),
        (np.linalg.LinAlgError("singular"), "LinAlgError: singular"),
        (ZeroDivisionError("zero"), "ZeroDivisionError: zero"),
    ],
)
def test_a_member_that_raises_is_left_out_and_says_why(error: Exception, said: str) -> None:
    fleet = fleet_of(waves(5), members=(*MEMBERS, Made("broken", raises=error)))
    assert fleet.fitted is not None
    assert dict(fleet.fitted.left_out) == {"broken": said}
    assert np.isfinite(fleet.predict(48)).all()
    fleet.update(np.array([500.0]))
    assert fleet.acts[0]


def test_a_fit_that_hangs_is_ended_by_the_clock_it_was_given() -> None:
    ticks = count()
    limits = Limits(within_s=100.0, elapsed_s=lambda: float(next(ticks)))
    fleet = fleet_of(waves(5), members=(*MEMBERS, Hanging(limits)))
    assert fleet.fitted is not None
    assert fleet.fitted.left_out["hanging"] == "OutOfTime: not fitted within 100 s"
    assert fleet.acts[0]
    with pytest.raises(OutOfTime):
        Hanging(limits).fit(None, ())  # type: ignore[arg-type]


def test_all_members_failing_leaves_no_forecast_and_no_crash() -> None:
    fleet = fleet_of(waves(5), members=(Made("broken", raises=RuntimeError("x")),))
    assert not np.isfinite(fleet.predict(4)).any()
    fleet.update(np.array([1.0]))
    assert not fleet.acts[0]
    assert "too little is known" in fleet.why(0)


@pytest.mark.slow
def test_members_of_other_libraries_are_heard_where_they_are_good() -> None:
    grid = Grid.of(3600.0)
    limits = Limits(iterations=20)
    chance = np.random.default_rng(4)
    wander = np.cumsum(chance.normal(0, 8, 12 * 24))
    values = waves(12, grid, noise=3.0) + wander
    fleet = fleet_of(values, grid, signal_members(limits))
    assert fleet.fitted is not None
    assert not fleet.fitted.left_out
    shares = dict(zip(fleet.voices, fleet.standing.weights(grid)[0, :, 0], strict=True))
    assert min(shares[name] for name in ("ets", "harmonic-arma")) > 0.03
    assert np.isfinite(fleet.standing.loss).all()
    again = Fleet(grid, 1, history_steps=len(values), members=signal_members(limits))
    again.restore(fleet.arrays())
    np.testing.assert_array_equal(again.predict(24), fleet.predict(24))


@pytest.mark.slow
def test_members_of_other_libraries_are_judged_though_origins_do_not_end_with_history() -> None:
    grid = Grid.of(600.0)  # seven days of it are no multiple of the steps between origins
    fleet = fleet_of(waves(12, grid), grid, signal_members(Limits(iterations=2)))
    assert fleet.fitted is not None
    assert not fleet.fitted.left_out
    assert np.isfinite(fleet.predict(24)).all()


@pytest.mark.slow
def test_a_library_that_is_out_of_time_leaves_the_others_alone() -> None:
    ticks = count()
    limits = Limits(within_s=1.0, elapsed_s=lambda: float(next(ticks)))
    fleet = fleet_of(waves(9, Grid.of(3600.0)), Grid.of(3600.0), signal_members(limits))
    assert fleet.fitted is not None
    assert set(fleet.fitted.left_out) == {"ets", "harmonic-arma", "online"}
    assert np.isfinite(fleet.predict(24)).all()


# -- one series, many series -------------------------------------------------------------------------------


def test_a_series_is_foretold_the_same_alone_and_among_many() -> None:
    rows = np.stack([waves(6, seed=seed) * (seed + 1) for seed in range(CHUNK + 3)])
    rows[2, 100:160] = np.nan
    rows[3] = 5.0
    rows[4] = np.nan
    together = fleet_of(rows)
    steps = rows[:, 7]
    together.update(steps)
    for row in (0, 2, 3, 4, CHUNK, CHUNK + 2):
        alone = Fleet(GRID, 1, history_steps=rows.shape[1])
        alone.load(rows[row : row + 1], rows.shape[1])
        alone.adopt(fit(History(grid=GRID, values=rows[row : row + 1])))
        alone.update(steps[row : row + 1])
        # an error that falls on a quantile is counted by its last bit, and that is BLAS's
        np.testing.assert_allclose(alone.predict(60)[0], together.predict(60)[row], rtol=1e-3, err_msg=str(row))


def test_a_fit_goes_through_arrays_unchanged() -> None:
    fitted = fleet_of(np.stack([waves(6), waves(6, seed=2)])).fitted
    assert fitted is not None
    again = Fitted.of(GRID, 2, fitted.arrays())
    for name, array in fitted.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array, err_msg=name)
    with pytest.raises(ValueError, match="does not fit 3 series"):
        Fitted.of(GRID, 3, fitted.arrays())
    with pytest.raises(ValueError, match="has no 'size'"):
        Fitted.of(GRID, 2, {name: array for name, array in fitted.arrays().items() if name != "size"})


def test_a_fleets_checkpoint_goes_on_where_it_was() -> None:
    fleet = fleet_of(waves(6))
    for value in waves(1, seed=9):
        fleet.update(np.array([value]))
    again = Fleet(GRID, 1, history_steps=6 * GRID.season)
    again.restore(fleet.arrays())
    for value in waves(1, seed=10):
        fleet.update(np.array([value]))
        again.update(np.array([value]))
    np.testing.assert_array_equal(again.predict(48), fleet.predict(48))
    assert again.acts.tolist() == fleet.acts.tolist()


def test_a_damaged_checkpoint_is_refused_and_changes_nothing() -> None:
    fleet = fleet_of(waves(6))
    before = fleet.predict(48)
    damaged = {name: array for name, array in fleet.arrays().items() if name != "fitted/floor"}
    with pytest.raises(ValueError, match="does not fit"):
        fleet.restore(damaged)
    np.testing.assert_array_equal(fleet.predict(48), before)


def test_a_day_ahead_goes_on_with_the_season() -> None:
    path = fleet_of(waves(8, noise=1.0)).predict(3 * GRID.season)[0, MEDIAN]
    truth = 500.0 + 300.0 * np.sin(2 * np.pi * (np.arange(3 * GRID.season) + 8 * GRID.season) / GRID.season)
    np.testing.assert_allclose(path, truth, atol=12.0)


def test_a_holiday_that_the_calendar_knows_is_foreseen() -> None:
    grid = Grid.of(3600.0)
    holidays = {3, 9, 16}

    def calendar(first: int, steps: int) -> np.ndarray:
        return np.isin((first + np.arange(steps)) // 24, sorted(holidays))

    chance = np.random.default_rng(2)
    hours = np.arange(17 * 24)
    values = np.where(calendar(0, len(hours)), 100.0, 400.0) + chance.normal(0, 5, len(hours))
    known = values[: 16 * 24]
    told = Fleet(grid, 1, history_steps=len(known), calendar=calendar)
    untold = Fleet(grid, 1, history_steps=len(known))
    errors = []
    for fleet in (told, untold):
        fleet.load(known[None, :], len(known))
        fleet.adopt(fit(fleet.history()))
        errors.append(np.abs(fleet.predict(24)[0, MEDIAN] - values[16 * 24 :])[2:20].mean())
    assert errors[0] < 60.0
    assert errors[1] > 200.0


# -- intervals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 6])
def test_intervals_hold_what_they_promise_while_noise_doubles(steps: int) -> None:
    calm, wild = waves(8), waves(24, noise=20.0, seed=5)
    fleet = fleet_of(calm)
    foretold, came = live(fleet, wild, steps)
    inside = (came >= foretold[:, LOW]) & (came <= foretold[:, HIGH])
    assert len(inside) > 1000
    assert 0.77 <= inside.mean() <= 0.83
    assert 0.85 <= (came <= foretold[:, HIGH]).mean() <= 0.95
    width = foretold[:, HIGH] - foretold[:, LOW]
    assert width[-48:].mean() > 1.3 * width[0]


def test_a_refit_does_not_undo_what_intervals_have_adapted_to() -> None:
    fleet = fleet_of(waves(8))
    for value in waves(12, noise=40.0, seed=5):
        fleet.update(np.array([value]))
    wide = np.ptp(fleet.predict(1)[0, [LOW, HIGH], 0])
    calm_fit = fit(History(grid=GRID, values=waves(8)[None, :]))
    fleet.adopt(calm_fit)
    assert np.ptp(fleet.predict(1)[0, [LOW, HIGH], 0]) > 0.8 * wide


def test_thin_history_has_wider_intervals() -> None:
    spans = []
    for steps in (2, 10, 20 * GRID.season):
        values = 100.0 + np.random.default_rng(3).normal(0, 1.0, steps)
        spans.append(float(np.ptp(fleet_of(values).predict(1)[0, [LOW, HIGH], 0])))
    assert spans[0] > spans[2] * 2
    assert spans[1] > spans[2] * 2


# -- when it acts ------------------------------------------------------------------------------------------


def test_it_acts_while_it_beats_the_last_season_and_says_so() -> None:
    fleet = fleet_of(waves(6))
    assert fleet.acts[0]
    assert fleet.skill()[0] > ON
    assert fleet.why(0).startswith("it beats the last season's value")


def test_before_a_season_is_known_it_does_not_act() -> None:
    fleet = fleet_of(waves(0.9))
    assert not fleet.acts[0]
    assert np.isnan(fleet.skill()[0])
    assert "too little is known" in fleet.why(0)
    assert np.isfinite(fleet.predict(8)).all()


def test_the_gate_closes_below_one_mark_and_opens_above_another() -> None:
    fleet = fleet_of(waves(6))
    pinball = fleet.standing.pinball
    acted = []
    for skill in (0.05, 0.0, OFF - 0.01, 0.0, ON - 0.005, ON + 0.01, 0.0):
        pinball[:, 0] = (1.0 - skill) * pinball[:, 1]
        fleet._gate()
        acted.append(bool(fleet.acts[0]))
    assert acted == [True, True, False, False, False, True, True]
    pinball[:, 0] = 1.2 * pinball[:, 1]
    fleet._gate()
    assert fleet.why(0) == "it does not beat the last season's value: skill -0.20, 0.02 is needed to start"


def test_a_series_that_repeats_itself_exactly_gives_no_reason_to_act() -> None:
    chance = np.random.default_rng(8)
    day = np.exp(chance.normal(0, 1, GRID.season))
    fleet = fleet_of(np.tile(day, 8))
    assert not fleet.acts[0]


# -- one signal --------------------------------------------------------------------------------------------


def test_a_signal_is_refitted_as_it_grows_unless_somebody_else_fits() -> None:
    taught, left = Combined(SPEC), Combined(SPEC, refits=False)
    minutes = np.arange(2000) * 60.0
    values = 500.0 + 300.0 * np.sin(2 * np.pi * minutes / DAY_S)
    for at, value in zip(minutes.tolist(), values.tolist(), strict=True):
        taught.learn(at, value)
        left.learn(at, value)
    assert np.isfinite(taught.paths(float(minutes[-1]), 5)).all()
    assert np.isnan(left.paths(float(minutes[-1]), 5)).all()
    left.adopt(fit(left.history()))
    np.testing.assert_allclose(
        left.paths(float(minutes[-1]), 5)[MEDIAN], taught.paths(float(minutes[-1]), 5)[MEDIAN], rtol=0.02
    )


def test_an_infinite_sample_is_no_sample() -> None:
    model = Combined(SPEC)
    for minute in range(30):
        model.learn(60.0 * minute, 10.0 if minute % 3 else np.inf)
    assert model.peak == 10.0
    np.testing.assert_allclose(model.paths(1800.0, 3)[MEDIAN], 10.0)


# -- a real trace ------------------------------------------------------------------------------------------


def test_on_real_traffic_it_beats_the_last_season_by_far_and_covers_what_it_says() -> None:
    _, values = read_trace(TRACE)
    grid = Grid.of(300.0)
    start = 5 * grid.season
    fleet = Fleet(grid, 1, history_steps=len(values))
    fleet.load(values[None, :start], start)
    fleet.adopt(fit(fleet.history()))
    errors, naive, inside = [], [], []
    for column in range(start, len(values) - 12):
        path = fleet.predict(12)[0]
        actual = values[column : column + 12]
        errors.append(np.abs(actual - path[MEDIAN]))
        naive.append(np.abs(actual - values[column - grid.season : column - grid.season + 12]))
        inside.append((actual >= path[LOW]) & (actual <= path[HIGH]))
        fleet.update(values[column : column + 1])
    assert np.mean(errors) < 0.33 * np.mean(naive)
    assert 0.75 <= np.mean(inside) <= 0.85
    assert fleet.skill()[0] > 0.6
