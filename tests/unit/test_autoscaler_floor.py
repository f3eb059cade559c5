"""The predictive floor over target tracking, the fleet for the peak, and what every autoscaler keeps to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulators.autoscalers import AUTOSCALERS, STOCK_KNOBS
from simulators.autoscalers.predictive_floor import (
    PredictiveFloorAutoscaler,
    Tracker,
    Tracking,
    hourly_forecast,
)
from simulators.autoscalers.protocol import Carried, Sample
from simulators.autoscalers.static_peak import StaticPeakAutoscaler, peak_replicas

HOUR = 240
DAY = np.repeat(np.where(np.arange(24) == 9, 400.0, 100.0), HOUR)
"""A day of 15 s steps with a peak in its tenth hour."""


def seen(t: float, util: float = 0.5, ready: int = 10, rps: float = 100.0, backlog: float = 0.0) -> Sample:
    return Sample(t=t, rps=rps, util=util, p95=0.2, inflight=4.0, dropped=0.0, backlog=backlog, ready=ready)


def test_under_a_day_of_history_there_is_no_forecast():
    assert np.isnan(hourly_forecast(np.full(23, 100.0))).all()
    assert hourly_forecast(np.full(24, 100.0)).tolist() == [100.0] * 48


def test_a_day_is_like_the_days_before_at_the_level_of_the_last():
    days = np.concatenate([np.arange(24.0) + 1.0, 3.0 * (np.arange(24.0) + 1.0)])
    ahead = hourly_forecast(days)
    assert ahead[:24] == pytest.approx(3.0 * (np.arange(24.0) + 1.0))
    assert ahead[24:] == pytest.approx(ahead[:24])


def test_after_a_week_a_saturday_is_like_a_saturday():
    week = np.concatenate([np.full(5 * 24, 100.0), np.full(2 * 24, 40.0)])
    # the last day known is a Friday: two quiet days are to come
    assert hourly_forecast(np.concatenate([week, week[: 5 * 24]])) == pytest.approx(np.full(48, 40.0))


def test_hours_that_nobody_saw_are_left_out():
    days = np.tile(np.arange(24.0) + 1.0, 2)
    days[5] = math.nan
    assert hourly_forecast(days)[5] == pytest.approx(6.0)


def test_no_more_than_fourteen_days_count():
    long_ago = np.full(30 * 24, 9000.0)
    assert hourly_forecast(np.concatenate([long_ago, np.full(14 * 24, 100.0)]))[0] == pytest.approx(100.0)


def floor(history: np.ndarray, startup_s: float = 60.0) -> PredictiveFloorAutoscaler:
    made = PredictiveFloorAutoscaler(0.5)
    made.fit(history, 15.0, startup_s, 0.5)
    made.decide(seen(0.0), 10, 10)  # a replica carries 20
    return made


def test_the_capacity_of_an_hour_is_there_the_buffer_before_it():
    made = floor(np.tile(DAY, 2))
    nine = 9 * 3600.0
    assert made.floor(nine - 301.0) == 10
    assert made.floor(nine - 300.0) == 40
    assert made.floor(nine + 3599.0) == 40
    assert made.floor(nine + 3600.0) == 10


def test_a_longer_start_up_asks_for_a_longer_buffer_of_less_than_an_hour():
    assert floor(np.tile(DAY, 2), 585.0).floor(9 * 3600.0 - 600.0) == 40
    assert floor(np.tile(DAY, 2), 86_400.0).floor(9 * 3600.0 - 3600.0) == 10


def test_the_forecast_adds_and_never_removes():
    made = floor(np.tile(DAY, 2))
    # the forecast is 10 for this hour; 30 are there, in use, and stay
    assert [made.decide(seen(15.0 * step, 0.49, 30, 300.0), 30, 30) for step in range(1, 80)] == [30] * 79
    # 4 are there, and the forecast raises them
    assert made.decide(seen(1200.0, 0.5, 4, 40.0), 4, 4) == 10


def test_every_six_hours_the_forecast_takes_in_what_has_come():
    made = floor(DAY)
    for step in range(1, 6 * HOUR + 1):
        made.decide(seen(15.0 * step, 0.5, 20, 200.0), 20, 20)
    # six hours at 200 in place of 100 have lifted the level of the last day
    assert made.floor(6 * 3600.0) > 10


def test_without_history_only_the_tracking_acts():
    made = floor(np.empty(0))
    assert made.floor(0.0) == 0
    assert made.decide(seen(15.0), 10, 10) == 10


def minutes(tracker: Tracker, uses: list[float], ready: int, current: int) -> list[int]:
    """What it wants at each minute's end, with nothing done about it."""
    wanted = []
    for use in uses:
        for call in range(4):
            last = tracker.wanted(seen(0.0, use, ready), ready, current)
            assert call == 3 or last == current
        wanted.append(last)
    return wanted


def test_three_minutes_above_the_target_add_in_proportion():
    assert minutes(Tracker(0.5, Tracking()), [0.6, 0.7, 0.8], 10, 10) == [10, 10, 16]
    assert minutes(Tracker(0.5, Tracking()), [0.6, 0.5, 0.8, 0.8], 10, 10) == [10] * 4


def test_those_that_warm_up_count_as_there():
    # 10 in use at 80 % of a target of 50 % are worth 16; 16 exist already, 6 of them warming up
    assert minutes(Tracker(0.5, Tracking()), [0.8] * 4, 10, 16) == [16] * 4
    assert minutes(Tracker(0.5, Tracking()), [0.9] * 3, 10, 16) == [16, 16, 18]


def test_fifteen_minutes_well_below_the_target_remove():
    wanted = minutes(Tracker(0.5, Tracking()), [0.3] * 16, 10, 10)
    assert wanted == [10] * 14 + [6, 10]
    # less than a tenth below is near enough
    assert minutes(Tracker(0.5, Tracking()), [0.46] * 20, 20, 20) == [20] * 20


def test_nothing_is_removed_while_something_warms_up():
    assert minutes(Tracker(0.5, Tracking()), [0.3] * 20, 10, 12) == [12] * 20


def test_a_gap_is_no_data_point():
    assert minutes(Tracker(0.5, Tracking()), [0.8, 0.8, math.nan, 0.8, 0.8], 10, 10) == [10] * 5


def test_the_fleet_for_the_peak_is_set_once_and_kept():
    static = StaticPeakAutoscaler(1.2)
    static.fit(np.array([100.0, 400.0, math.nan, 50.0]), 15.0, 60.0, 0.5)
    assert static.decide(seen(0.0, math.nan), 10, 10) == 10
    assert static.decide(seen(15.0), 10, 10) == 24
    assert static.decide(seen(30.0, 0.9, 10, 5000.0), 10, 10) == 24
    assert peak_replicas(np.empty(0), 20.0) == 1


def test_the_fleet_for_no_history_is_what_is_there():
    static = StaticPeakAutoscaler(1.2)
    static.fit(np.empty(0), 15.0, 60.0, 0.5)
    assert static.decide(seen(0.0), 10, 13) == 13


def test_what_a_replica_carries_is_the_median_of_twenty_samples_and_stays():
    carried = Carried()
    for number in range(40):
        carried.note(seen(15.0 * number, 0.5, 10, 100.0 if number < 20 else 900.0))
        carried.note(seen(15.0 * number, 1.0, 10, 5000.0))  # overloaded: says nothing
        carried.note(seen(15.0 * number, 0.6, 10, 5000.0, backlog=9.0))  # nor does a queue that is left
        carried.note(seen(15.0 * number, 0.01, 10, 1.0))  # idle: neither
    assert carried.rps == 20.0
    assert carried.slots == pytest.approx(0.8)


@pytest.mark.parametrize("name", AUTOSCALERS)
def test_every_autoscaler_bears_no_history_no_metrics_and_no_replicas(name):
    nan = math.nan
    for history in (np.empty(0), np.array([5.0]), np.full(10, nan), np.zeros(7000)):
        made = AUTOSCALERS[name](STOCK_KNOBS[name])
        assert made.name == name
        made.fit(history, 15.0, 60.0, 0.5)
        blind = Sample(t=0.0, rps=nan, util=nan, p95=nan, inflight=nan, dropped=nan, backlog=nan, ready=0)
        assert made.decide(blind, 0, 6) == 6
        for step in range(1, 30):
            wanted = made.decide(seen(15.0 * step, 0.0, 6, 0.0), 6, 6)
            assert isinstance(wanted, int)
            assert 0 <= wanted <= 6


@pytest.mark.parametrize("name", AUTOSCALERS)
def test_every_autoscaler_holds_a_steady_load_near_its_target(name):
    made = AUTOSCALERS[name](STOCK_KNOBS[name])
    made.fit(np.full(12_000, 280.0), 15.0, 60.0, 0.5)
    current = 10
    for step in range(400):
        use = min(1.0, 280.0 / 20.0 / max(1, current))
        sample = Sample(
            t=15.0 * step,
            rps=280.0,
            util=use,
            p95=0.2,
            inflight=28.0,
            dropped=0.0,
            backlog=0.0 if use < 1.0 else 50.0,
            ready=current,
        )
        current = made.decide(sample, current, current)
    assert 14 <= current <= (17 if name == "static-peak" else 23)


def test_from_an_overload_that_says_too_much_it_still_finds_out_what_a_replica_carries():
    carried = Carried()
    carried.note(seen(0.0, 1.0, 10, 500.0, backlog=90.0))
    assert (carried.rps, carried.sure) == (50.0, False)
    carried.note(seen(15.0, 0.5, 10, 100.0))
    assert (carried.rps, carried.sure) == (20.0, True)
