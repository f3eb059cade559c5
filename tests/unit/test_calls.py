"""Calls and retries as formulas, against requests drawn one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.calls import Answering, Times, called, quantile, quantiles, share_above, together
from simulators.mesh import callers_first
from simulators.retries import Retries, RetrySpec, in_the_end

DRAWS = 200_000


def spec(**changed) -> RetrySpec:
    return RetrySpec(**{"share_ratio": 0.8, "backoff_s": 1.0, "most": 3, "patience_s": float("inf"), **changed})


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_a_sum_of_exponential_times_has_the_gamma_distributions_percentiles(calls):
    drawn = np.random.default_rng(1).exponential(0.1, (DRAWS, calls)).sum(axis=1)
    kinds = [Times(1.0, 0.1 * calls, 0.01 * calls)]
    assert quantile(0.95, kinds) == pytest.approx(np.quantile(drawn, 0.95), rel=0.03)
    assert quantile(0.5, kinds) == pytest.approx(np.quantile(drawn, 0.5), rel=0.03)
    assert share_above(0.35, kinds) == pytest.approx(np.mean(drawn > 0.35), rel=0.05, abs=0.002)
    lane = quantiles(0.95, np.array([0.1 * calls]), np.array([0.01 * calls]))
    assert lane == pytest.approx(quantile(0.95, kinds))


def test_requests_that_call_a_slow_service_are_told_apart_from_those_that_do_not():
    dice = np.random.default_rng(2)
    slow = np.where(dice.random(DRAWS) < 0.4, dice.gamma(100.0, 0.02, DRAWS), 0.0)
    drawn = slow + dice.exponential(0.05, DRAWS)
    beneath = called([(0.4, Answering(0.0, Times(1.0, 2.0, 0.04)))])
    kinds = [Times(kind.share_ratio, kind.mean_s + 0.05, kind.var_s2 + 0.0025) for kind in beneath.kinds]
    assert share_above(0.5, kinds) == pytest.approx(np.mean(drawn > 0.5), abs=0.005)
    assert quantile(0.5, kinds) == pytest.approx(np.quantile(drawn, 0.5), rel=0.06)
    assert quantile(0.95, kinds) == pytest.approx(np.quantile(drawn, 0.95), rel=0.02)


def test_a_request_fails_with_any_of_its_calls_and_waits_for_all():
    answers = Answering(0.1, Times(0.9, 0.2, 0.01))
    beneath = called([(2.5, answers), (1.0, Answering(0.0, Times(1.0, 0.05, 0.0)))])
    assert beneath.well_ratio == pytest.approx(0.9**2 * 0.5 + 0.9**3 * 0.5)
    assert sum(kind.share_ratio for kind in beneath.kinds) == pytest.approx(beneath.well_ratio)
    assert [kind.mean_s for kind in beneath.kinds] == pytest.approx([0.45, 0.65])


def test_failures_that_come_again_are_fewer_in_the_end_and_later():
    dice, one = np.random.default_rng(3), spec(share_ratio=0.8, most=2)
    took, alive, failed = np.zeros(DRAWS), np.ones(DRAWS, bool), np.zeros(DRAWS, bool)
    for backoff_s in (*one.backoffs_s(), None):
        goes_wrong = alive & (dice.random(DRAWS) < 0.3)
        took[alive & ~goes_wrong] += dice.exponential(0.1, int(np.sum(alive & ~goes_wrong)))
        gives_up = goes_wrong & (dice.random(DRAWS) >= (0.8 if backoff_s is not None else 0.0))
        failed |= gives_up
        alive = goes_wrong & ~gives_up
        took[alive] += backoff_s or 0.0
    found = in_the_end(0.3, Times(0.7, 0.1, 0.01), one)
    assert found.fail_ratio == pytest.approx(failed.mean(), abs=0.004)
    assert found.smooth.share_ratio + found.rough.share_ratio + found.fail_ratio == pytest.approx(1.0)
    everything = together([found.smooth, found.rough])
    assert everything.mean_s == pytest.approx(took[~failed].mean(), rel=0.02)
    assert everything.var_s2 == pytest.approx(took[~failed].var(), rel=0.05)


@given(fail=st.floats(0.0, 1.0), ratio=st.floats(0.01, 5.0), share=st.floats(0.0, 1.0), most=st.integers(1, 4))
def test_shares_stay_shares_whatever_fails(fail, ratio, share, most):
    found = in_the_end(fail, Times(1.0 - fail, 0.1, 0.01), spec(share_ratio=share, most=most))
    beneath = called([(ratio, found), (1.0, found)])
    assert -1e-9 <= beneath.well_ratio <= 1.0 + 1e-9
    assert sum(kind.share_ratio for kind in beneath.kinds) <= beneath.well_ratio + 1e-6
    assert all(kind.mean_s >= 0.0 and kind.var_s2 >= -1e-9 for kind in beneath.kinds)


def test_who_failed_comes_again_after_a_back_off_that_doubles_and_at_most_so_often():
    retries = Retries(spec(share_ratio=0.5, backoff_s=2.0, most=2), step_s=1.0)
    came = []
    for second in range(9):
        again = retries.take()
        came.append(again)
        retries.again([100.0 if second == 0 else 0.0, *again], 1.0, 0.0)
    assert came[2] == [50.0, 0.0]
    assert came[6] == [0.0, 25.0]
    assert sum(sum(one) for one in came) == 75.0


def test_who_gave_up_waiting_comes_again_later_than_who_was_refused():
    retries = Retries(spec(backoff_s=1.0, most=1, patience_s=2.0), step_s=1.0)
    retries.take()
    retries.again([100.0, 0.0], 0.25, 0.5)
    assert [retries.take() for _ in range(4)] == [[20.0], [0.0], [40.0], [0.0]]


def test_callers_come_before_those_they_call_and_a_circle_is_named():
    assert callers_first({"c": [], "b": ["c"], "a": ["c", "b"]}) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="b -> c -> b"):
        callers_first({"a": ["b"], "b": ["c"], "c": ["b"]})
