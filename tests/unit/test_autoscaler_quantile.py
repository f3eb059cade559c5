"""The quick quantile forecast: what a day's errors say is added to the last two minutes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulators.autoscalers.protocol import Sample
from simulators.autoscalers.quantile_forecast import (
    DAY_SYNCS,
    LEVEL_SYNCS,
    SINGLE_SYNCS,
    WINDOW_SYNCS,
    QuantileForecastAutoscaler,
    growth,
)


def seen(step: int, rps: float) -> Sample:
    """Twenty replicas, of which each carries 20 requests per second in full use."""
    util = rps / 400.0
    return Sample(t=15.0 * step, rps=rps, util=util, p95=0.2, inflight=4.0, dropped=0.0, backlog=0.0, ready=20)


def scaler(history: np.ndarray, step_s: float = 15.0, startup_s: float = 60.0) -> QuantileForecastAutoscaler:
    made = QuantileForecastAutoscaler(0.5)
    made.fit(history, step_s, startup_s, 0.5)
    return made


def test_steady_load_grows_by_nothing_and_a_climb_by_its_slope():
    assert growth(np.full(1000, 70.0), 6) == 1.0
    # a per cent a step, from the middle of the level on: 3.5 steps before its end, and six ahead
    climb = 1.01 ** np.arange(1000)
    level = climb[:LEVEL_SYNCS].mean() / climb[LEVEL_SYNCS - 1]
    assert growth(climb, 6) == pytest.approx(1.01**6 / level)


def test_it_is_the_quantile_of_what_came():
    rng = np.random.default_rng(3)
    load = 100.0 + rng.normal(0.0, 1.0, DAY_SYNCS)
    calm, wild = growth(load, 6), growth(100.0 + 10.0 * (load - 100.0), 6)
    assert calm == pytest.approx(1.0 + 1.2816 * 0.01 * math.sqrt(1.0 + 1.0 / LEVEL_SYNCS), abs=1e-3)
    assert wild - 1.0 == pytest.approx(10.0 * (calm - 1.0), rel=0.05)
    assert growth(load, 6, 0.5) == pytest.approx(1.0, abs=1e-3)


def test_less_than_an_hour_tells_nothing_and_gaps_are_left_out():
    assert math.isnan(growth(np.full(240, 70.0), 6))
    assert math.isnan(growth(np.full(2000, math.nan), 6))
    gappy = np.full(2000, 70.0)
    gappy[::50] = math.nan
    assert growth(gappy, 6) == 1.0


def test_only_the_last_day_counts():
    wild = np.where(np.arange(DAY_SYNCS) % 40 < 20, 50.0, 200.0)
    assert growth(np.concatenate([wild, np.full(DAY_SYNCS + 200, 70.0)]), 6) == 1.0


def test_it_asks_for_what_is_foreseen_at_the_use_that_is_aimed_at():
    steady = scaler(np.full(DAY_SYNCS, 100.0))
    assert steady.decide(seen(0, 100.0), 10, 10) == 10  # 100 over 20 of each at half of their use
    coarse = scaler(np.full(1440, 100.0), step_s=60.0)
    assert coarse.decide(seen(0, 100.0), 10, 8) == 10
    climbing = scaler(100.0 * 1.01 ** np.arange(-DAY_SYNCS, 0.0))
    # 3.5 per cent behind, and six per cent ahead
    assert climbing.decide(seen(0, 100.0), 10, 10) == 11


def test_fewer_wait_for_two_minutes_and_one_fewer_for_seven():
    made = scaler(np.full(DAY_SYNCS, 200.0))
    for step in range(WINDOW_SYNCS):
        assert made.decide(seen(step, 200.0), 10, 20) == 20
    # the level of two minutes falls within two minutes, and the window after it is as long
    fallen = [made.decide(seen(step, 100.0), 10, 20) for step in range(WINDOW_SYNCS, 40)]
    assert fallen[0] == 20
    assert fallen[2 * WINDOW_SYNCS] < 20
    one = scaler(np.full(DAY_SYNCS, 200.0))
    one.decide(seen(0, 200.0), 10, 20)
    single = [one.decide(seen(step, 190.0), 10, 20) for step in range(1, SINGLE_SYNCS + 20)]
    assert single[WINDOW_SYNCS + LEVEL_SYNCS] == 20
    assert single[-1] == 19


def test_a_source_that_stands_still_changes_nothing():
    made = scaler(np.full(DAY_SYNCS, 100.0))
    assert made.decide(seen(0, 100.0), 20, 7) == 10
    blind = [made.decide(seen(step, math.nan), 20, 7) for step in range(1, LEVEL_SYNCS + 1)]
    assert blind == [10] * (LEVEL_SYNCS - 1) + [7]  # two minutes are remembered, and after them nothing is known
