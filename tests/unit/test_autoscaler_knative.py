"""The KPA by the cases of its own tests: stable and panic windows, rates, and what it never does in panic."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulators.autoscalers.knative import KPA_DEFAULTS, Decider, KnativeAutoscaler, KpaConfig
from simulators.autoscalers.protocol import Sample

TENFOLD = KpaConfig(up_rate=10.0, down_rate=10.0)
"""The rates that the project's own tests run with."""


def decider(config: KpaConfig = TENFOLD, ready: int = 1) -> Decider:
    return Decider(config, 0.0, ready)


# name: (stable, panic, target, ready, expected)
CASES = {
    "no traffic": (0.0, 0.0, 10.0, 1, 0),
    "less than one replica's worth": (21.0, 26.0, 181.0, 1, 1),
    "stable, increase": (50.0, 10.0, 10.0, 1, 5),
    "stable, no change": (50.0, 50.0, 10.0, 5, 5),
    "stable, decrease": (50.0, 50.0, 10.0, 8, 5),
    "panic takes precedence": (50.0, 100.0, 10.0, 1, 10),
    "no replica counts as one": (1000.0, 888.0, 10.0, 0, 10),
    "the rate up": (1000.0, 1001.0, 10.0, 10, 100),
    "the rate down": (1.0, 1.0, 10.0, 100, 10),
    "the last traffic": (1.0, 0.0, 10.0, 1, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_replicas_are_those_of_the_projects_own_tests(name):
    stable, panic, target, ready, expected = CASES[name]
    assert decider().scale(0.0, (stable, panic), target, ready) == expected


def test_a_small_rate_still_lets_one_more_and_one_fewer():
    gentle = KpaConfig(up_rate=1.1, down_rate=1.1)
    assert decider(gentle).scale(0.0, (3.0, 3.1), 1.0, 2) == 3
    assert decider(gentle).scale(0.0, (1.0, 1.0), 10.0, 100) == 90


def test_panic_holds_for_a_stable_window_and_then_lets_go():
    kpa = decider()
    assert kpa.scale(0.0, (100.0, 100.0), 10.0, 1) == 10
    assert kpa.scale(10.0, (100.0, 1000.0), 10.0, 10) == 100
    assert kpa.scale(40.0, (1.0, 1.0), 10.0, 10) == 100
    assert kpa.scale(71.0, (1.0, 1.0), 10.0, 10) == 1
    assert not kpa.panicking


def test_panic_is_over_a_stable_window_after_a_slow_increase():
    kpa = decider()
    assert kpa.scale(0.0, (11.0, 25.0), 1.0, 10) == 25
    assert kpa.scale(30.0, (30.0, 41.0), 1.0, 40) == 41
    assert kpa.scale(62.0, (50.0, 56.0), 1.0, 55) == 50


def test_panic_that_goes_on_is_extended():
    kpa = decider()
    kpa.scale(0.0, (11.0, 25.0), 1.0, 10)
    assert kpa.scale(30.0, (30.0, 80.0), 1.0, 40) == 80
    assert kpa.scale(80.0, (50.0, 56.0), 1.0, 80) == 80
    assert kpa.panicking


def test_in_panic_the_larger_of_both_windows_counts():
    for seen, expected in (((50.0, 30.0), 50), ((20.0, 30.0), 30)):
        kpa = decider()
        kpa.scale(0.0, (5.0, 5.0), 1.0, 1)
        assert kpa.scale(5.0, seen, 1.0, 5) == expected


@pytest.mark.parametrize(("ready", "panicking"), [(0, False), (1, False), (2, True)])
def test_a_new_one_over_several_replicas_starts_in_panic(ready, panicking):
    kpa = decider(ready=ready)
    assert kpa.panicking is panicking


def test_the_documented_hundred_requests_at_ten_a_replica_and_seventy_per_cent_are_fifteen_replicas():
    assert decider(KpaConfig()).scale(0.0, (100.0, 100.0), 10.0 * 0.7, 10) == 15


def seen(t: float, inflight: float, ready: int = 10, util: float = 0.5, backlog: float = 0.0) -> Sample:
    return Sample(t=t, rps=100.0, util=util, p95=0.2, inflight=inflight, dropped=0.0, backlog=backlog, ready=ready)


def made(config: KpaConfig = KPA_DEFAULTS) -> KnativeAutoscaler:
    knative = KnativeAutoscaler(0.5, config)
    knative.fit(np.empty(0), 15.0, 60.0, 0.5)
    return knative


def test_it_reads_off_what_a_replica_takes_and_aims_at_a_share_of_it():
    # 20 in flight on 10 replicas half used: a replica takes 4, so the target is 2
    knative = made()
    assert knative.decide(seen(0.0, 20.0), 10, 10) == 10
    # (20 + 60) / 2 in flight over the stable window, 60 in the panic window: 30 is not twice 16
    assert knative.decide(seen(15.0, 60.0, ready=16), 16, 16) == 30  # it has started in panic, so the larger counts


def test_after_the_first_minute_the_mean_of_four_samples_counts():
    knative = made()
    for step in range(8):
        knative.decide(seen(15.0 * step, 20.0), 10, 10)
    # three of 20 and one of 36: 28 over the target of 2; 18 is not twice the ten
    assert knative.decide(seen(120.0, 36.0), 10, 10) == 12


def test_it_goes_down_by_half_every_two_seconds():
    knative = made()
    for step in range(6):
        knative.decide(seen(15.0 * step, 400.0, ready=200), 200, 200)
    for step in range(6, 10):
        last = knative.decide(seen(15.0 * step, 4.0, ready=200), 200, 200)
    assert last == 2  # 200, 100, 50, 25, 12, 6, 3 and the two that are needed


def test_the_last_replica_stays_for_the_grace_period():
    knative = made()
    for step in range(6):
        knative.decide(seen(15.0 * step, 4.0, ready=2), 2, 2)
    quiet = [knative.decide(seen(90.0 + 15.0 * step, 0.0, ready=2, util=0.0), 2, 2) for step in range(6)]
    # the stable window is empty of traffic from the fourth sample on
    assert quiet == [2, 1, 1, 1, 1, 0]


def test_bounds_hold():
    low, high = made(KpaConfig(min_scale=3)), made(KpaConfig(max_scale=12))
    for step in range(8):
        least = low.decide(seen(15.0 * step, 0.4, ready=1), 1, 1)
        most = high.decide(seen(15.0 * step, 60.0, ready=30), 30, 30)
    assert (least, most) == (3, 12)


def test_without_samples_it_holds():
    knative = made()
    assert knative.decide(seen(0.0, math.nan, util=math.nan), 10, 10) == 10
    assert knative.decide(seen(15.0, math.nan, util=math.nan), 10, 11) == 11
