"""PHPA: its models by the cases of its own tests and by statsmodels, its choices, and the HPA around them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.autoscalers.phpa import Decision, HoltWinters, Linear, PhpaAutoscaler, Smoothing
from simulators.autoscalers.protocol import Sample


def line(ahead_s: float, counts: list[int], size: int = 6) -> int:
    model = Linear(ahead_s, size)
    return [model.predict(count) for count in counts][-1]


# its own tests store a count every 10 s and ask 9 s after the last; a sync here is 15 s
@pytest.mark.parametrize(("ahead_s", "expected"), [(0, 5), (10, 6), (15, 7)])
def test_a_line_through_one_to_four_is_read_as_in_its_own_tests(ahead_s, expected):
    assert line((9.0 + ahead_s) * 1.5, [1, 2, 3, 4]) == expected


def test_a_line_of_no_slope_does_not_round_up():
    assert line(600.0, [4] * 10) == 4
    assert line(600.0, [7]) == 7


@given(st.lists(st.integers(0, 60), min_size=2, max_size=30), st.integers(2, 8), st.floats(0.0, 300.0))
def test_a_line_is_the_least_squares_line_of_the_newest_counts(counts, size, ahead_s):
    newest = counts[-size:]
    slope, start = np.polyfit(np.arange(len(newest)), newest, 1)
    expected = start + slope * (len(newest) - 1 + ahead_s / 15.0)
    assert expected - 1e-6 <= line(ahead_s, counts, size) <= expected + 1.0 + 1e-6


def test_counts_learnt_from_before_are_counts():
    model = Linear(15.0, 3)
    model.learn([9, 9, 1, 2])
    assert model.predict(3) == 4


def smoothed(counts: list[int], season: int, how: Smoothing, stored: int = 100) -> int:
    model = HoltWinters(season, stored, how)
    return [model.predict(count) for count in counts][-1]


def test_thirteen_counts_of_a_season_of_three_are_foretold_as_in_its_own_test():
    counts = [1, 3, 1, 1, 3, 1, 1, 3, 1, 1, 3, 1, 1]
    assert smoothed(counts, 3, Smoothing(alpha=0.9, beta=0.9, gamma=0.3)) == 3


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=14, max_size=30),
    st.sampled_from([2, 3, 4, 5]),
    st.tuples(*[st.sampled_from([0.01, 0.1, 0.3, 0.9])] * 3),
)
def test_holt_winters_is_that_of_statsmodels_from_its_legacy_start(counts, season, rates):
    from statsmodels.tsa.api import ExponentialSmoothing

    alpha, beta, gamma = rates
    model = ExponentialSmoothing(
        np.array(counts, np.float64),
        trend="add",
        seasonal="add",
        seasonal_periods=season,
        initialization_method="legacy-heuristic",
    )
    with np.errstate(divide="ignore"):  # its information criteria, where a fit is perfect
        theirs = model.fit(smoothing_level=alpha, smoothing_trend=beta, smoothing_seasonal=gamma, optimized=False)
        ahead = float(theirs.forecast(1)[0])
    made = smoothed(counts, season, Smoothing(alpha=alpha, beta=beta, gamma=gamma))
    assert ahead - 1e-6 <= made <= ahead + 1.0 + 1e-6


def test_it_says_nothing_before_there_are_two_seasons_and_ten_counts_more_than_one():
    model = HoltWinters(6, 4, Smoothing())
    said = [model.predict(5) for _ in range(17)]
    assert said == [0] * 15 + [5, 5]  # 10 + 2 * (6 // 2) = 16


def test_the_oldest_season_goes_when_one_more_is_full():
    old, rest, ahead = [9, 30, 2, 17, 25, 8], [3, 5, 8, 9, 6, 4] * 3, [3, 6, 7]
    full, fresh, roomy = (HoltWinters(6, stored, Smoothing()) for stored in (3, 3, 4))
    for count in old + rest:
        full.predict(count)
        roomy.predict(count)
    fresh.learn(rest)
    after = [full.predict(count) for count in ahead]
    assert after == [fresh.predict(count) for count in ahead]
    assert after != [roomy.predict(count) for count in ahead]


def test_a_long_past_is_kept_to_the_stored_seasons():
    short, long = HoltWinters(6, 2, Smoothing()), HoltWinters(6, 2, Smoothing())
    past = [3, 5, 8, 9, 6, 4] * 2
    short.learn(past)
    long.learn([40] * 60 + past)
    assert [short.predict(one) for one in (3, 5, 8, 9)] == [long.predict(one) for one in (3, 5, 8, 9)]


# name: (counts, chosen)
DECISIONS = {
    Decision.MAXIMUM: ([3, 9, 4, 4], 9),
    Decision.MINIMUM: ([3, 9, 4, 4], 3),
    Decision.MEAN: ([3, 4, 4, 3], 4),
    Decision.MEDIAN: ([3, 9, 4, 6], 5),
}


@pytest.mark.parametrize("decision", DECISIONS)
def test_each_choice_is_made_as_documented(decision):
    counts, expected = DECISIONS[decision]
    assert decision.of(counts) == expected


def test_the_median_of_an_odd_number_is_the_middle_one():
    assert Decision.MEDIAN.of([9, 1, 4]) == 4


def seen(t: float, util: float, ready: int = 10) -> Sample:
    return Sample(t=t, rps=20.0 * util * ready, util=util, p95=0.2, inflight=4.0, dropped=0.0, backlog=0.0, ready=ready)


def test_a_rise_is_met_ahead_of_the_hpa():
    hpa, phpa = PhpaAutoscaler(0.5, Linear(0.0, 2)), PhpaAutoscaler(0.5, Linear(60.0, 6))
    for one in (hpa, phpa):
        one.fit(np.empty(0), 15.0, 60.0, 0.5)
    uses = (0.5, 0.56, 0.62, 0.68, 0.74)
    plain = [hpa.decide(seen(15.0 * step, use), 10, 10) for step, use in enumerate(uses)]
    ahead = [phpa.decide(seen(15.0 * step, use), 10, 10) for step, use in enumerate(uses)]
    assert plain == [10, 12, 13, 14, 15]
    assert ahead[-1] == 20  # 15 and four steps more of the line's 1.2; the HPA's behaviour allows it


def test_with_the_minimum_a_rise_is_not_met_ahead():
    phpa = PhpaAutoscaler(0.5, Linear(60.0, 6), Decision.MINIMUM)
    phpa.fit(np.empty(0), 15.0, 60.0, 0.5)
    assert [phpa.decide(seen(15.0 * step, use), 10, 10) for step, use in enumerate((0.5, 0.62, 0.74))] == [10, 13, 15]


def test_the_models_past_is_the_history_once_it_is_known_what_a_replica_carries():
    """Two days in which each hour of four begins with a peak; the third day's is met although nobody sees it yet."""
    day = np.where(np.arange(240) % 60 < 4, 400.0, 100.0)
    phpa = PhpaAutoscaler(0.5, HoltWinters(60, 4, Smoothing(alpha=0.1, beta=0.0, gamma=0.3)))
    phpa.fit(np.tile(day, 2)[:-1], 15.0, 60.0, 0.5)
    # a replica carries 20 at full use, so the history's counts are 10 and 40; the step after this one is a peak's
    assert phpa.decide(seen(0.0, 0.5), 10, 10) == 20  # 40 is wished for, the rate allows to double


def test_without_metrics_it_holds_and_learns_nothing():
    phpa = PhpaAutoscaler(0.5, Linear(15.0, 6))
    phpa.fit(np.empty(0), 15.0, 60.0, 0.5)
    blind = Sample(t=0.0, rps=np.nan, util=np.nan, p95=np.nan, inflight=np.nan, dropped=np.nan, backlog=np.nan, ready=0)
    assert [phpa.decide(blind, 0, 7) for _ in range(3)] == [7, 7, 7]


def test_a_coarser_history_is_laid_on_the_syncs():
    phpa, fine = PhpaAutoscaler(0.5, Linear(15.0, 8)), PhpaAutoscaler(0.5, Linear(15.0, 8))
    phpa.fit(np.array([100.0, 200.0]), 60.0, 60.0, 0.5)
    fine.fit(np.repeat([100.0, 200.0], 4), 15.0, 60.0, 0.5)
    assert phpa.decide(seen(0.0, 0.5), 10, 10) == fine.decide(seen(0.0, 0.5), 10, 10)
