"""What an answer of the metrics source means (S1)."""

from __future__ import annotations

import math

import pytest

from aiops.core.model import Answered, Coverage, Failed, NoSeries, SignalMemory, SignalState
from aiops.core.observe.signals import reading
from aiops.core.policies import NoTraffic, Reaction
from tests.builders import NOW, answer, spec

SEEN = SignalMemory(answered=True, last_value=1.0, last_good_at=NOW - 15)


@pytest.mark.parametrize(
    ("given", "memory", "state"),
    [
        (answer(4.0), SignalMemory(), SignalState.VALUE),
        (NoSeries(), SignalMemory(), SignalState.ABSENT),
        (NoSeries(), SEEN, SignalState.EMPTY),
        (answer(math.nan), SEEN, SignalState.NAN),
        (answer(math.inf), SEEN, SignalState.NAN),
        (answer(4.0, age_s=91.0), SEEN, SignalState.STALE),
        (Answered(value=4.0), SEEN, SignalState.STALE),
        (answer(4.0, warnings=("one store did not answer",)), SEEN, SignalState.PARTIAL),
        (answer(4.0, coverage=Coverage(series=4, targets=4, up=3)), SEEN, SignalState.PARTIAL),
        (Failed(error="time-out"), SEEN, SignalState.FAILED),
        (None, SEEN, SignalState.FAILED),
    ],
)
def test_an_answer_has_one_of_seven_states_s1(given, memory, state):
    assert reading(spec(), given, memory, 8, NOW).signal.state is state


def test_nothing_is_zero_only_while_the_presence_query_answers_s1():
    zero = spec(on_absent=Reaction.ZERO)
    assert reading(zero, NoSeries(presence=True), SEEN, 8, NOW).signal.value == 0.0
    for presence in (False, None):
        assert not reading(zero, NoSeries(presence=presence), SEEN, 8, NOW).signal.usable


def test_no_traffic_meets_the_slo_where_the_policy_says_so_and_the_scrape_is_alive_s1():
    quiet = spec(when_no_traffic=NoTraffic.MEETS_SLO)
    assert reading(quiet, answer(math.nan), SEEN, 8, NOW).signal.value == 0.0
    assert not reading(quiet, answer(math.nan, age_s=600.0), SEEN, 8, NOW).signal.usable


def test_fewer_series_than_the_replicas_explain_are_partial_s1():
    whole = answer(4.0, coverage=Coverage(series=8))
    memory = reading(spec(), whole, SignalMemory(), 8, NOW).memory
    half = answer(4.0, coverage=Coverage(series=4))
    assert reading(spec(), half, memory, 8, NOW).signal.state is SignalState.PARTIAL
    assert reading(spec(), half, memory, 4, NOW).signal.usable


def test_series_that_stay_away_for_half_an_hour_are_gone_but_targets_that_are_down_never_are_s1():
    memory = reading(spec(), answer(4.0, coverage=Coverage(series=8)), SignalMemory(), 8, NOW).memory
    fewer = Answered(value=4.0, newest_at=NOW + 1900, coverage=Coverage(series=4))
    memory = reading(spec(), answer(4.0, coverage=Coverage(series=4)), memory, 8, NOW).memory
    assert reading(spec(), fewer, memory, 8, NOW + 1900).signal.usable
    down = Answered(value=4.0, newest_at=NOW + 9000, coverage=Coverage(series=4, targets=8, up=4))
    assert reading(spec(), down, memory, 8, NOW + 9000).signal.state is SignalState.PARTIAL
