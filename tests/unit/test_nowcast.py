"""The next minutes: what is followed, what is bridged and forgotten, what teaches nothing, and the gate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.core.nowcast import LEARNED_STEPS, LONG_GAP_STEPS, NEAR_STEPS, STEP_S, lead_steps
from aiops.core.nowcast.nowcasts import MOST_STEPS
from aiops.core.nowcast.regression import PRIOR
from tests.unit.lines import (
    BEGIN,
    LEAD_S,
    LEAD_STEPS,
    SEASON_STEPS,
    Line,
    level,
    lived,
    missed,
    noisy,
    wave,
)

# -- what is followed -----------------------------------------------------------------------------------


def test_a_level_is_foretold_as_it_is():
    line = Line().live(level, 50)
    assert (line.near, line.lead) == (pytest.approx(200.0), pytest.approx(200.0))


def test_noise_is_not_followed_as_far_as_it_goes():
    line = lived(noisy, 600)
    said, last = missed(line, noisy, 200)
    assert said < 0.85 * last


def test_a_ramp_is_followed_ahead_of_its_last_value():
    def ramp(step: int) -> float:
        return 200.0 * math.exp(0.004 * step)

    line = Line().live(ramp, 600)
    said, last = missed(line, ramp, 300)
    assert said < 0.2 * last


def test_a_season_that_was_seen_twice_is_foretold_better_than_by_the_last_value():
    line = lived(wave, 4 * SEASON_STEPS)
    said, last = missed(line, wave, 2 * SEASON_STEPS)
    assert said < 0.5 * last
    assert line.said[-1].acts[0]


def doubled(step: int) -> float:
    return 2.0 * noisy(step)


def test_a_surge_is_followed_in_a_straight_line_and_then_as_the_new_level():
    line = lived(noisy, 600).live(doubled, 6)
    assert line.lead > 340.0
    after = [float(np.exp(views.log_demand[1, 0])) for views in line.live(doubled, 60).said[600:]]
    highest = max(doubled(step) for step in range(600, 660))
    assert max(after) <= 2.0 * highest, "a straight line never more than doubles demand"
    assert all(340.0 < value < 460.0 for value in after[24:])


def test_two_samples_that_are_far_off_are_a_surge_and_one_is_not():
    line = lived(noisy, 600)
    line.tell(600.0)
    assert line.model.surge[0] == 0.0
    line.tell(600.0)
    assert line.model.surge[0] > 0.0
    line.live(noisy, 20)
    assert line.model.surge[0] == 0.0


def test_a_spike_of_one_sample_does_not_turn_the_mix():
    calm, spiked = lived(noisy, 600).live(noisy, 200), lived(noisy, 600)
    spiked.tell(200.0 * 50.0)
    spiked.live(noisy, 199)
    moved = np.abs(spiked.model.mixes[1].weights - calm.model.mixes[1].weights).max()
    assert moved < 0.35
    assert spiked.lead == pytest.approx(calm.lead, rel=0.05)


def test_two_horizons_are_told_apart():
    line = lived(wave, 4 * SEASON_STEPS).live(wave, 10)
    for horizon, said in ((NEAR_STEPS, line.near), (LEAD_STEPS, line.lead)):
        assert said == pytest.approx(wave(line.step - 1 + horizon), rel=0.1)
    assert line.lead > 1.02 * line.near


# -- gaps and ticks ---------------------------------------------------------------------------------------


def test_a_few_missing_ticks_are_bridged():
    line, full = lived(noisy, 600), lived(noisy, 600).live(noisy, 4)
    line.step += 3
    line.tell(noisy(603))
    assert line.lead == pytest.approx(full.lead, rel=0.05)
    assert line.model.spreads[1].count[0] == full.model.spreads[1].count[0]


def test_missing_values_leave_what_was_known_and_teach_nothing():
    line = lived(wave, 4 * SEASON_STEPS)
    levels, count = line.model.levels.values.copy(), line.model.spreads[1].count.copy()
    line.live(lambda _: math.nan, 20)
    np.testing.assert_array_equal(line.model.levels.values, levels)
    np.testing.assert_array_equal(line.model.spreads[1].count, count)
    assert line.lead == pytest.approx(wave(line.step - 1 + LEAD_STEPS), rel=0.25)


@pytest.mark.parametrize("way", ["no ticks", "no values"])
def test_after_an_hour_without_a_sample_the_levels_begin_anew(way):
    line = lived(noisy, 600)
    if way == "no ticks":
        line.step += LONG_GAP_STEPS
    else:
        line.live(lambda _: math.nan, LONG_GAP_STEPS)
        assert np.isfinite(line.said[-2].log_demand).all()
    line.tell(math.nan)
    assert np.isnan(line.said[-1].log_demand).all()
    line.tell(900.0)
    assert line.lead == pytest.approx(900.0, rel=0.02)


def test_a_gap_of_half_an_hour_is_not_taken_for_a_line():
    line = lived(noisy, 600)
    count = line.model.spreads[1].count[0]
    line.step += 120
    line.tell(200.0)
    assert line.model.spreads[1].count[0] - count <= 1


def test_samples_more_often_than_a_step_count_once():
    line, often = Line(), Line()
    for step in range(150):
        line.tell(noisy(step))
        for second in (0.0, 5.0, 10.0):
            at = BEGIN + step * STEP_S + second
            often.model.learn(at, np.array([noisy(step)]), np.array([True]), np.array([LEAD_S]))
    np.testing.assert_array_equal(often.model.ahead().log_demand, line.model.ahead().log_demand)


def test_samples_once_a_minute_are_learnt_from_as_well():
    line = Line()
    for step in range(0, 4 * SEASON_STEPS, 4):
        line.step = step
        line.tell(wave(step))
    assert line.lead == pytest.approx(wave(line.step - 1 + LEAD_STEPS), rel=0.1)
    assert line.said[-1].acts[0]


def test_a_clock_that_goes_back_teaches_nothing():
    line = lived(noisy, 600)
    before = {name: array.copy() for name, array in line.model.arrays().items()}
    line.step = 100
    line.live(lambda _: 9_000.0, 5)
    for name, array in line.model.arrays().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


# -- lead times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lead_s", "steps"), [(0.0, 3), (-5.0, 3), (15.0, 3), (16.0, 4), (60.0, 6), (120.0, 10), (1e9, MOST_STEPS)]
)
def test_a_horizon_is_the_age_of_the_sample_the_step_and_the_start_up_and_an_hour_at_most(lead_s, steps):
    assert lead_steps(np.array([lead_s])).tolist() == [steps]


def test_a_lead_time_that_changes_is_followed_and_old_promises_are_not_judged():
    line = lived(noisy, 600)
    count = line.model.spreads[1].count[0]
    for _ in range(25):
        line.tell(noisy(line.step), lead_s=300.0)
    assert line.model.steps[1, 0] == 22
    assert line.model.spreads[1].count[0] - count <= 25 - 22
    for _ in range(10):
        line.tell(noisy(line.step), lead_s=310.0)
    assert line.model.steps[1, 0] == 22, "a little more or less is the same"


def test_a_lead_time_that_is_not_known_for_a_tick_changes_nothing():
    line, other = lived(noisy, 600), lived(noisy, 600)
    line.tell(noisy(600), lead_s=math.nan)
    other.tell(noisy(600))
    line.live(noisy, 30)
    other.live(noisy, 30)
    np.testing.assert_array_equal(line.said[-1].log_demand, other.said[-1].log_demand)
    assert line.model.spreads[1].count == other.model.spreads[1].count


# -- odd demand ------------------------------------------------------------------------------------------


def test_a_censored_sample_moves_the_levels_and_teaches_nothing_s1():
    line, silent = lived(noisy, 600), lived(noisy, 600)
    line.live(lambda _: 1_500.0, 30, whole=False)
    silent.live(lambda _: math.nan, 30)
    learnt = [name for name in line.model.arrays() if name.startswith(("mix", "spread", "off", "season", "open"))]
    assert len(learnt) > 15
    for name in learnt:
        np.testing.assert_array_equal(line.model.arrays()[name], silent.model.arrays()[name], err_msg=name)
    assert line.lead > 1_200.0


@pytest.mark.parametrize(
    "value", [0.0, 1e-12, 1e-3, 200.0, 1e12, -7.0], ids=["zero", "near zero", "small", "usual", "huge", "negative"]
)
def test_a_constant_is_foretold_and_never_below_zero(value):
    with np.errstate(all="raise", under="ignore"):
        line = Line().live(lambda _: value, 300)
    assert line.lead == pytest.approx(max(value, 0.0), rel=1e-6, abs=1e-6)
    assert np.isfinite(line.said[-1].scale).all()
    assert line.said[-1].acts[0]


def test_from_nothing_to_something_nothing_overflows():
    line = Line().live(lambda _: 0.0, 200)
    line.live(lambda _: 500.0, 200)
    assert line.lead == pytest.approx(500.0, rel=0.02)
    assert all(float(np.exp(v.log_demand[1, 0])) < 1_000.0 for v in line.said)


def test_all_missing_says_nothing():
    line = Line().live(lambda _: math.nan, 260)
    assert np.isnan(line.said[-1].log_demand).all()
    assert not line.said[-1].acts.any()


@pytest.mark.parametrize("samples", [1, 10])
def test_a_few_samples_are_not_acted_on(samples):
    line = Line().live(noisy, samples)
    assert np.isfinite(line.said[-1].log_demand).all()
    assert not line.said[-1].acts[0]


def test_no_rows_are_no_trouble():
    line = Line(rows=0).live(lambda _: 1.0, 3)
    assert line.said[-1].log_demand.shape == (2, 0)


def test_an_hour_of_errors_makes_it_act():
    line = Line().live(noisy, int(LEARNED_STEPS) + LEAD_STEPS)
    assert [bool(v.acts[0]) for v in line.said[-2:]] == [False, True]


def test_infinite_demand_is_no_demand():
    line = Line().live(noisy, 50)
    line.tell(math.inf)
    assert np.isfinite(line.said[-1].log_demand).all()


# -- the gate ---------------------------------------------------------------------------------------------


def test_the_gate_closes_on_a_season_that_misleads_and_opens_again_with_hysteresis():
    line = lived(wave, 4 * SEASON_STEPS)
    assert line.said[-1].acts[0]
    # the mix is held at trusting the season, as one that has learnt so for weeks would be, and the season is gone
    for mix in line.model.mixes:
        mix.gram = 1e7 * np.eye(len(PRIOR))[None]
        mix.moment = 1e7 * PRIOR[None]
        mix.refit()
    line.model.off.fill(0.02)
    line.model.recent.fill(0.02)
    line.live(lambda _: 500.0, SEASON_STEPS)
    open_then = [bool(v.acts[0]) for v in line.said[4 * SEASON_STEPS :]]
    skills = [float(v.skill[0]) for v in line.said[4 * SEASON_STEPS :]]
    closed = open_then.index(False)
    assert skills[closed] < -0.05
    assert all(skill >= -0.05 for skill in skills[:closed])
    line.model.off[:] = np.array([[0.0102], [0.01], [0.2]])
    line.tell(math.nan)
    assert not line.said[-1].acts[0], "a little worse than the rivals does not open it"
    line.model.off[:] = np.array([[0.009], [0.01], [0.2]])
    line.tell(math.nan)
    assert line.said[-1].acts[0]


def test_an_outage_says_little_of_what_the_forecast_is_worth_after_it():
    line = lived(wave, 4 * SEASON_STEPS)
    before = line.said[-1].skill[0]
    line.live(lambda _: 2.0, 160)
    assert before > line.said[-1].skill[0] > 0.4 * before, "a third of a season, and two orders of magnitude too low"
    back = line.step
    line.live(wave, SEASON_STEPS)
    assert all(views.acts[0] for views in line.said[back:])


def test_one_sample_counts_as_three_scales_at_most_however_far_it_is_off():
    line, far = lived(noisy, 600), lived(noisy, 600)
    scale = float(line.said[-LEAD_STEPS].scale[1, 0])
    before = float(line.model.off[0, 0])
    line.tell(200.0 * math.exp(4.0 * scale))
    far.tell(2e6)
    assert far.model.off[0, 0] == pytest.approx(line.model.off[0, 0], rel=1e-12)
    gain = 1.0 / (line.model.spreads[1].count[0] + 1.0)
    assert far.model.off[0, 0] == pytest.approx(before + gain * (3.0 * scale - before), rel=1e-9)


def test_a_closed_gate_opens_after_a_good_hour_whatever_the_day_was():
    line = lived(wave, 4 * SEASON_STEPS)
    line.model.off[:] = line.model.recent[:] = np.array([[0.2], [0.1], [0.1]])
    line.tell(wave(line.step))
    assert not line.said[-1].acts[0]
    line.live(wave, 2 * SEASON_STEPS)
    opened = next(step for step, views in enumerate(line.said[4 * SEASON_STEPS + 1 :]) if views.acts[0])
    assert LEARNED_STEPS / 4 < opened < 2 * LEARNED_STEPS, "neither at once nor for the rest of the day"
    assert line.said[4 * SEASON_STEPS + 1 + opened].skill[0] < 0.0, "it is not the day that is better"


def test_a_checkpoint_from_before_the_last_hour_was_told_apart_is_taken():
    line, fresh = lived(wave, 4 * SEASON_STEPS), Line()
    before = {name: array for name, array in line.model.arrays().items() if name != "recent"}
    fresh.model.take(before, np.array([0]), np.array([0]))
    np.testing.assert_array_equal(fresh.model.recent, line.model.off)
    np.testing.assert_array_equal(fresh.model.ahead().log_demand, line.model.ahead().log_demand)
