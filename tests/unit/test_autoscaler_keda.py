"""KEDA: the HPA's arithmetic on an external metric from one replica on, its own rules between zero and one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulators.autoscalers.behavior import Behavior, Rules
from simulators.autoscalers.keda import Fallback, FallbackBehavior, KedaAutoscaler, KedaController, ScaledObject
from simulators.autoscalers.protocol import Sample

NAN = math.nan
AT_ONCE = Behavior(down=Rules(rates=Behavior().down.rates, window_s=0.0))
"""A behaviour that lets the arithmetic be seen."""


def steps(keda: KedaController, values: list[float], current: int, threshold: float = 5.0) -> list[int]:
    """What it sets, one value of the metric each 15 s."""
    seen = []
    for number, value in enumerate(values):
        current = keda.sync(15.0 * number, value, threshold, current)
        seen.append(current)
    return seen


def test_with_a_threshold_of_five_and_two_replicas_a_queue_of_nine_to_eleven_changes_nothing():
    for value, expected in ((9.0, 2), (11.0, 2), (8.9, 2), (12.0, 3), (40.0, 6)):
        assert KedaController(ScaledObject(minimum=1)).sync(0.0, value, 5.0, 2) == expected
    assert steps(KedaController(ScaledObject(minimum=1, behavior=AT_ONCE)), [4.0, 4.0], 2) == [1, 1]


def test_the_first_replica_comes_with_the_next_poll_and_the_others_from_the_hpa():
    keda = KedaController(ScaledObject())
    # at 15 s there is work, but the poll of 30 s has not come
    assert steps(keda, [0.0, 50.0, 50.0, 50.0], 0) == [0, 0, 5, 10]


def test_it_wakes_only_above_the_activation_threshold():
    keda = KedaController(ScaledObject(activation=10.0))
    assert steps(keda, [10.0, 10.0, 11.0], 0, threshold=50.0) == [0, 0, 1]


def test_to_zero_only_after_the_cooldown_since_it_was_last_active():
    keda = KedaController(ScaledObject(behavior=AT_ONCE))
    seen = steps(keda, [20.0] + [0.0] * 25, 4)
    assert seen[0] == 4
    assert seen[1] == 1  # the HPA goes no lower than one
    # active at 0 s; polls at 30 s, 60 s, ...: the first after more than 300 s is at 330 s
    assert seen[1:22] == [1] * 21
    assert seen[22:] == [0] * 4


def test_what_was_never_active_goes_to_zero_after_the_initial_cooldown():
    assert KedaController(ScaledObject()).sync(0.0, 0.0, 5.0, 3) == 0
    patient = KedaController(ScaledObject(initial_cooldown_s=60.0, behavior=AT_ONCE))
    assert steps(patient, [0.0] * 8, 1) == [1, 1, 1, 1, 1, 1, 0, 0]


def test_with_a_minimum_it_never_goes_to_zero():
    keda = KedaController(ScaledObject(minimum=2, behavior=AT_ONCE))
    assert steps(keda, [0.0] * 30, 4)[-1] == 2
    assert KedaController(ScaledObject(minimum=2)).sync(0.0, 0.0, 5.0, 1) == 2


def test_idle_replicas_are_kept_instead_of_the_minimum_while_nothing_is_active():
    keda = KedaController(ScaledObject(idle=1, minimum=3, behavior=AT_ONCE))
    seen = steps(keda, [20.0] + [0.0] * 25, 4)
    assert seen[1] == 3
    assert seen[-1] == 1
    # a HPA of at least three leaves it alone until it is active again
    assert keda.sync(15.0 * 26, 30.0, 5.0, 1) in (3, 6)


def test_the_default_maximum_is_a_hundred():
    assert steps(KedaController(ScaledObject()), [5000.0] * 6, 60) == [100] * 6


def test_a_failing_query_holds_what_is_there():
    assert steps(KedaController(ScaledObject(minimum=1)), [20.0, NAN, NAN, NAN], 4) == [4, 4, 4, 4]
    # and never sends to zero
    assert steps(KedaController(ScaledObject()), [NAN] * 40, 4)[-1] == 4


# name: (behavior, replicas now, what is set after the third failure)
FALLBACKS = {
    "static": (FallbackBehavior.STATIC, 4, 6),
    "current": (FallbackBehavior.CURRENT, 4, 4),
    "if higher, and it is not": (FallbackBehavior.CURRENT_IF_HIGHER, 4, 6),
    "if higher, and it is": (FallbackBehavior.CURRENT_IF_HIGHER, 8, 8),
    "if lower, and it is": (FallbackBehavior.CURRENT_IF_LOWER, 4, 4),
    "if lower, and it is not": (FallbackBehavior.CURRENT_IF_LOWER, 8, 6),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_after_more_failures_than_the_threshold_the_fallback_takes_the_place_of_the_metric(name):
    behavior, now, expected = FALLBACKS[name]
    fallback = Fallback(failure_threshold=2, replicas=6, behavior=behavior)
    keda = KedaController(ScaledObject(minimum=1, fallback=fallback, behavior=AT_ONCE))
    assert steps(keda, [5.0 * now, NAN, NAN, NAN], now) == [now, now, now, expected]


def test_one_answer_ends_the_count_of_failures():
    fallback = Fallback(failure_threshold=1, replicas=9)
    keda = KedaController(ScaledObject(minimum=1, fallback=fallback, behavior=AT_ONCE))
    assert steps(keda, [20.0, NAN, 20.0, NAN, 20.0], 4) == [4] * 5


def test_a_cached_metric_is_as_old_as_the_last_poll():
    fresh, cached = KedaController(ScaledObject(minimum=1)), KedaController(ScaledObject(minimum=1, cached=True))
    values = [20.0, 40.0, 40.0]
    assert steps(fresh, values, 4) == [4, 8, 8]
    assert steps(cached, values, 4) == [4, 4, 8]


def scraped(t: float, rps: float, util: float, ready: int) -> Sample:
    return Sample(t=t, rps=rps, util=util, p95=0.2, inflight=1.0, dropped=0.0, backlog=0.0, ready=ready)


def test_the_threshold_is_a_share_of_what_a_replica_was_seen_to_carry():
    keda = KedaAutoscaler(0.5)
    keda.fit(np.empty(0), 15.0, 60.0, 0.5)
    # 100 requests per second on 10 replicas half used: one carries 20, so the threshold is 10
    assert keda.decide(scraped(0.0, 100.0, 0.5, 10), ready=10, current=10) == 10
    # the rate over a minute moves a quarter of the way: (100 + 200) / 2 on two samples
    assert keda.decide(scraped(15.0, 200.0, 0.9, 10), ready=10, current=10) == 15


def test_a_lost_scrape_does_not_count_twice_and_no_scrape_at_all_holds():
    keda = KedaAutoscaler(0.5)
    keda.fit(np.empty(0), 15.0, 60.0, 0.5)
    assert keda.decide(scraped(0.0, NAN, NAN, 10), ready=10, current=10) == 10
    assert keda.decide(scraped(15.0, 100.0, 0.5, 10), ready=10, current=10) == 10
    assert keda.decide(scraped(15.0, 100.0, 0.5, 10), ready=10, current=10) == 10
    assert keda.decide(scraped(15.0, 100.0, 0.5, 10), ready=10, current=10) == 10
    # one scrape of 100 and one of 300 are 200 a second, however often the first was seen
    assert keda.decide(scraped(60.0, 300.0, 0.9, 10), ready=10, current=10) == 20
