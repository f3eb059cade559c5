"""The HPA's arithmetic, windows and rates, by the worked examples of its documentation and of its own tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.autoscalers.behavior import STOCK, Behavior, Pace, Rate, Rules, Select, Unit
from simulators.autoscalers.hpa import HpaAutoscaler, HpaController
from simulators.autoscalers.protocol import Sample
from simulators.autoscalers.replicas import (
    PodClock,
    Pods,
    Tolerance,
    average_value_replicas,
    is_unready,
    most,
    resource_replicas,
)

STOCK_TOLERANCE = Tolerance()
NAN = math.nan


def sample(t: float = 0.0, util: float = 0.5, ready: int = 10, rps: float = 100.0, **other: float) -> Sample:
    known = {"p95": 0.2, "inflight": 5.0, "dropped": 0.0, "backlog": 0.0, **other}
    return Sample(t=t, rps=rps, util=util, ready=ready, **known)


# name: (pods, target per cent, current, what the controller's own test expects)
EXAMPLES = {
    "twice the target doubles": (Pods(1.0, 4), 50, 4, 8),
    "half the target halves": (Pods(0.25, 4), 50, 4, 2),
    "scale up": (Pods(0.5, 3), 30, 3, 5),
    "scale up, one unready": (Pods(0.6, 2, unready=1), 30, 3, 4),
    "unready pods bring it back": (Pods(0.4, 1, unready=2), 30, 3, 3),
    "scale down": (Pods(0.28, 5), 50, 5, 3),
    "unready pods do not count on the way down": (Pods(0.3, 3, unready=2), 50, 5, 2),
    "unscheduled pods do not count on the way down": (Pods(0.1, 1, unready=4), 50, 5, 1),
    "unready pods bring it within the tolerance": (Pods(0.8, 10, unready=5), 50, 15, 15),
    "and what they bring it to is cut to whole per cent": (Pods(0.8385, 10, unready=5), 50, 15, 15),
    "missing, at the target": (Pods(1.0, 1, missing=1), 100, 2, 2),
    "missing, above the target": (Pods(1.9, 1, missing=1), 100, 2, 2),
    "missing, below the target": (Pods(0.6, 1, missing=1), 100, 2, 2),
    "unready, no change": (Pods(0.45, 1, unready=1), 50, 2, 2),
    "unready, scale up": (Pods(2.0, 1, unready=1), 50, 2, 4),
    "missing and unready, scale up": (Pods(2.0, 1, unready=1, missing=1), 50, 3, 4),
    "missing and unready, scale down": (Pods(0.1, 2, unready=1, missing=1), 50, 4, 3),
    "within the tolerance": (Pods(1.02, 3), 100, 3, 3),
    "no pods with a metric": (Pods(NAN, 0, unready=2), 50, 2, None),
    "nobody knows the use": (Pods(NAN, 3), 50, 3, None),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_replicas_by_utilisation_are_those_of_the_controllers_own_tests(name):
    pods, target, current, expected = EXAMPLES[name]
    assert resource_replicas(pods, target, STOCK_TOLERANCE, current) == expected


def test_a_missing_pod_counts_as_a_whole_request_or_as_the_target_if_that_is_more():
    # 50 % seen, target 100 %: (2 * 50 + 100) / 3 = 66 % of 100 % of 3 pods
    assert resource_replicas(Pods(0.5, 2, missing=1), 100, STOCK_TOLERANCE, 3) == 2
    # target 150 %: the missing one is taken to use 150 %: 83 / 150 * 3 = 1.66
    assert resource_replicas(Pods(0.5, 2, missing=1), 150, STOCK_TOLERANCE, 3) == 2
    # at 100 % it would be 66 / 150 * 3 = 1.32: the same here, but not with more pods
    assert resource_replicas(Pods(0.5, 10, missing=5), 150, STOCK_TOLERANCE, 15) == 9


def test_a_missing_pod_never_turns_the_direction_round():
    # 80 % of the target seen, the missing ones at 100 %: above the target, so nothing is done
    assert resource_replicas(Pods(0.4, 3, missing=1), 50, Tolerance(0.0, 0.0), 4) == 4
    # above the target seen, the missing ones idle: below the target
    assert resource_replicas(Pods(0.6, 3, missing=1), 50, Tolerance(0.0, 0.0), 4) == 4


def test_more_pods_than_there_should_be_do_not_turn_the_direction_round():
    # 8 metered pods of a target that is set to 5: below the target, and yet ceil(0.8 * 8) would be more than 5
    assert resource_replicas(Pods(0.39, 8, missing=1), 60, STOCK_TOLERANCE, 5) == 5


def test_utilisation_is_cut_to_whole_per_cent_before_it_is_compared():
    # 77.9 % is 77 %, and 77 / 70 is just within the tolerance; 78 / 70 is not
    assert resource_replicas(Pods(0.779, 10), 70, STOCK_TOLERANCE, 10) == 10
    assert resource_replicas(Pods(0.78, 10), 70, STOCK_TOLERANCE, 10) == 12
    assert resource_replicas(Pods(0.57, 10), 57, Tolerance(0.0, 0.0), 10) == 10


def test_each_direction_has_its_own_tolerance():
    eager = Tolerance(down=0.1, up=0.0)
    assert resource_replicas(Pods(0.52, 100), 50, eager, 100) == 104
    assert resource_replicas(Pods(0.48, 100), 50, eager, 100) == 100


# name: (total, target per pod, current, expected)
AVERAGES = {
    "scale up": (8600, 2150, 3, 4),
    "scale down": (8600, 2867, 5, 3),
    "within the tolerance": (8600, 2150, 4, 4),
    "nothing to do": (0, 2150, 4, 0),
    "from zero, tolerance does not matter": (1, 2150, 0, 1),
    "from zero, nothing to do": (0, 2150, 0, 0),
    "no value": (NAN, 2150, 4, None),
    "no target yet": (8600, NAN, 4, None),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_replicas_by_an_average_value_are_those_of_the_controllers_own_tests(name):
    total, target, current, expected = AVERAGES[name]
    assert average_value_replicas(total, target, STOCK_TOLERANCE, current) == expected


@given(st.floats(0.0, 1.0), st.integers(1, 50), st.integers(0, 20), st.integers(0, 20), st.integers(10, 95))
def test_replicas_never_move_against_what_the_metered_pods_say(use, metered, unready, missing, target):
    current = metered + unready + missing
    wanted = resource_replicas(Pods(use, metered, unready, missing), target, STOCK_TOLERANCE, current)
    if use * 100.0 < target and (unready or missing or use * 100.0 < 0.9 * target):
        assert wanted <= current
    if use * 100.0 >= target + 1:
        assert wanted >= current or wanted == math.ceil(int(use * 100.0 + 1e-9) / target * metered)


def test_several_metrics_count_by_the_largest_and_a_failed_one_forbids_to_go_down():
    assert most([3, 7, 5], current=6) == 7
    assert most([3, 5], current=6) == 5
    assert most([None, 7], current=6) == 7
    assert most([None, 6], current=6) == 6
    assert most([None, 5], current=6) is None
    assert most([None, None], current=6) is None


# name: (pod, unready). A pod of a sample of 15 s.
READINESS = {
    "never ready, young": (PodClock(20.0, False, 20.0, 0.0, 15.0), True),
    "ready, its sample began before that": (PodClock(100.0, True, 10.0, 0.0, 15.0), True),
    "ready, its sample is all from after": (PodClock(100.0, True, 20.0, 5.0, 15.0), False),
    "ready, its sample is old": (PodClock(100.0, True, 20.0, 10.0, 15.0), True),
    "unready again while young": (PodClock(200.0, False, 10.0, 0.0, 15.0), True),
    "just ready after five minutes": (PodClock(301.0, True, 1.0, 0.0, 15.0), False),
    "not ready after five minutes, and never was": (PodClock(301.0, False, 301.0, 0.0, 15.0), True),
    "became unready within its first 30 s": (PodClock(400.0, False, 375.0, 0.0, 15.0), True),
    "became unready later": (PodClock(400.0, False, 100.0, 0.0, 15.0), False),
}


@pytest.mark.parametrize("name", READINESS)
def test_a_pod_is_set_aside_while_it_is_or_may_be_starting(name):
    pod, expected = READINESS[name]
    assert is_unready(pod) is expected


def grown(pace: Pace, wanted: int, current: int, syncs: int, start: float = 0.0) -> list[int]:
    """What becomes of a steady wish, one value each 15 s."""
    seen = []
    for sync in range(syncs):
        now = start + 15.0 * sync
        after = pace.allowed(now, wanted, current)
        pace.moved(now, current, after)
        current = after
        seen.append(current)
    return seen


def test_by_default_it_doubles_or_adds_four_in_fifteen_seconds():
    assert grown(Pace(), 100, 1, 6) == [5, 10, 20, 40, 80, 100]


def test_by_default_it_goes_down_at_once_five_minutes_after_the_last_larger_wish():
    seen = grown(Pace(), 2, 10, 22)
    assert seen[:20] == [10] * 20
    assert seen[20:] == [2, 2]


def test_the_first_sight_counts_as_a_wish_so_that_a_restart_does_not_drop_replicas():
    assert Pace().allowed(0.0, 2, 50) == 50


DOWN_TEN_PER_CENT = Rules(
    rates=(Rate(unit=Unit.PODS, value=4, period_s=60.0), Rate(unit=Unit.PERCENT, value=10, period_s=60.0)),
    window_s=0.0,
)


def test_the_documented_example_goes_from_80_to_10_by_ten_per_cent_and_then_by_four_pods():
    pace = Pace(Behavior(down=DOWN_TEN_PER_CENT))
    seen = [80, *grown(pace, 10, 80, 60)]
    by_minute = seen[1::4]
    assert by_minute[:3] == [72, 64, 57]  # 10 % of 80 is 8; of 72: 7.2, cut to 64; of 64: 57
    assert by_minute[5:] == [40, 36, 32, 28, 24, 20, 16, 12, 10, 10]  # below 40, four pods are more
    assert seen[-1] == 10


def test_within_a_period_only_the_rest_of_the_allowance_is_left():
    pace = Pace(Behavior(down=DOWN_TEN_PER_CENT))
    pace.moved(0.0, 83, 80)  # three of the pods of this minute are gone already
    assert pace.allowed(30.0, 10, 80) == 74  # ten per cent of 83, from 83
    assert pace.allowed(60.0, 10, 80) == 72


def test_min_takes_the_policy_that_allows_least():
    slow = Rules(rates=DOWN_TEN_PER_CENT.rates, window_s=0.0, select=Select.MIN)
    assert Pace(Behavior(down=slow)).allowed(0.0, 10, 80) == 76
    up = Rules(rates=STOCK.up.rates, window_s=0.0, select=Select.MIN)
    assert Pace(Behavior(up=up)).allowed(0.0, 100, 10) == 14


def test_disabled_forbids_a_direction_and_only_that():
    pace = Pace(Behavior(down=Rules(rates=STOCK.down.rates, window_s=0.0, select=Select.DISABLED)))
    assert pace.allowed(0.0, 1, 10) == 10
    assert pace.allowed(15.0, 12, 10) == 12


def test_a_percentage_rounds_up_on_the_way_up_so_that_one_pod_can_become_two():
    tenth = Rules(rates=(Rate(unit=Unit.PERCENT, value=10, period_s=60.0),), window_s=0.0)
    assert Pace(Behavior(up=tenth)).allowed(0.0, 50, 1) == 2


def test_a_window_on_the_way_up_takes_the_least_of_the_recent_wishes():
    pace = Pace(Behavior(up=Rules(rates=STOCK.up.rates, window_s=60.0)))
    assert [pace.allowed(15.0 * step, wish, 10) for step, wish in enumerate((20, 18, 16, 17, 19))] == [
        10,
        10,
        10,
        10,
        16,
    ]


def test_between_two_windows_what_is_there_stays():
    both = Behavior(up=Rules(rates=STOCK.up.rates, window_s=60.0), down=Rules(rates=STOCK.down.rates, window_s=60.0))
    pace = Pace(both)
    assert [pace.allowed(15.0 * step, wish, 10) for step, wish in enumerate((20, 2, 20, 2, 20, 2))] == [10] * 6


def test_out_of_bounds_is_corrected_even_when_nobody_knows_the_metrics():
    hpa = HpaController("web", (2, 8), 0.5)
    assert hpa.settle(0.0, None, 12) == 8
    assert hpa.settle(15.0, None, 1) == 2
    assert hpa.settle(30.0, None, 5) == 5


def test_a_target_that_somebody_set_to_zero_is_left_alone():
    assert HpaController("web", (2, 8), 0.5).settle(0.0, 7, 0) == 0
    assert HpaController("web", (0, 8), 0.5).settle(0.0, 3, 0) == 3


def test_it_is_shown_with_what_it_wants():
    hpa = HpaController("web", (2, 8), 0.5)
    hpa.sync(0.0, Pods(0.9, 4), 4)
    shown = hpa.shown("7", "uid", {"a": "b"})
    assert (shown.min_replicas, shown.max_replicas, shown.desired_replicas) == (2, 8, 8)
    assert shown.annotations == {"a": "b"}


def test_pods_that_became_ready_after_the_sample_are_not_counted_twice():
    hpa = HpaAutoscaler(0.5)
    hpa.fit(np.empty(0), 15.0, 60.0, 0.5)
    assert hpa.decide(sample(0.0, util=1.0, ready=10), ready=10, current=10) == 20
    # the ten new ones are ready, but the sample is from before: they count as idle, which is half of 100 %
    assert hpa.decide(sample(0.0, util=1.0, ready=10), ready=20, current=20) == 20
    assert hpa.decide(sample(30.0, util=0.8, ready=20), ready=20, current=20) == 32


def test_after_ten_minutes_of_starting_a_new_pod_counts_with_the_nothing_that_it_used():
    quick, slow = HpaAutoscaler(0.5), HpaAutoscaler(0.5)
    quick.fit(np.empty(0), 15.0, 60.0, 0.5)
    slow.fit(np.empty(0), 15.0, 600.0, 0.5)
    low = sample(0.0, util=0.4, ready=10)
    assert quick.wanted(low, ready=20, current=20) == 8
    assert slow.wanted(low, ready=20, current=20) == 8  # 20 % in 20 pods is the same sum
    just_on = sample(0.0, util=0.5, ready=10)
    assert quick.wanted(just_on, ready=20, current=20) == 20
    assert slow.wanted(just_on, ready=20, current=20) == 10


def test_by_rate_an_overload_that_utilisation_cannot_show_asks_for_more():
    plain, both = HpaAutoscaler(0.5), HpaAutoscaler(0.5, by_rate=True)
    for hpa in (plain, both):
        hpa.decide(sample(0.0, util=0.5, ready=10, rps=100.0), ready=10, current=10)  # a replica carries 20
    flood = sample(15.0, util=1.0, ready=10, rps=400.0, backlog=100.0)
    assert plain.wanted(flood, ready=10, current=10) == 20
    assert both.wanted(flood, ready=10, current=10) == 40


def test_without_metrics_nothing_changes():
    hpa = HpaAutoscaler(0.5)
    assert hpa.decide(sample(util=NAN, ready=0), ready=0, current=7) == 7
