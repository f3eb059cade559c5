"""The clairvoyant oracle against every schedule there is, in cases small enough to try them all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.errors import InvalidInput
from simulators.autoscalers.oracle import Plan, Problem, optimum, plan


def billed(ready: tuple[int, ...], startup_steps: int) -> int:
    """Count the bill pod by pod: each that is added at `t` has been there, starting, in the steps before."""
    exists = list(ready)
    for t in range(1, len(ready)):
        for _ in range(ready[t] - ready[t - 1]):
            for starting in range(t - startup_steps, t):
                exists[starting] += 1
    return sum(exists)


def schedules(problem: Problem):
    """Every schedule that the model allows, with its bill and its violations."""
    steps, levels = problem.violating.shape
    for ready in itertools.product(range(problem.least, problem.least + levels), repeat=steps):
        if any(ready[t] > ready[t - 1] for t in range(1, min(problem.startup_steps, steps))):
            continue
        if problem.start is not None and ready[0] > problem.start:
            continue
        violating = sum(problem.violating[t, n - problem.least] for t, n in enumerate(ready))
        yield ready, billed(ready, problem.startup_steps), violating


@st.composite
def problems(draw):
    steps, levels = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    least = draw(st.integers(0, 2))
    rows = draw(
        st.lists(st.lists(st.integers(0, 20), min_size=levels, max_size=levels), min_size=steps, max_size=steps)
    )
    violating = np.sort(np.array(rows, np.float64), axis=1)[:, ::-1]
    start = draw(st.none() | st.integers(least, least + levels - 1))
    return Problem(violating=violating, startup_steps=draw(st.integers(0, 6)), least=least, start=start)


def is_told_right(problem: Problem, made: Plan) -> bool:
    ready = tuple(made.ready.tolist())
    return any(
        one == ready and bill == made.billed and made.violating == pytest.approx(bad)
        for one, bill, bad in schedules(problem)
    )


@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from([0.0, 0.05, 0.3, 1.0, 2.5, 40.0]))
def test_for_a_price_of_a_violation_no_schedule_costs_less(problem, lam):
    made = plan(problem, lam)
    assert is_told_right(problem, made)
    assert made.billed + lam * made.violating == pytest.approx(
        min(bill + lam * bad for _, bill, bad in schedules(problem))
    )


@settings(max_examples=150, deadline=None)
@given(problems(), st.floats(0.0, 1.0))
def test_within_an_allowance_the_true_optimum_lies_between_bound_and_plan(problem, share):
    requests = 20.0 * len(problem.violating)
    within = [bill for _, bill, bad in schedules(problem) if bad <= share * requests]
    if not within:
        with pytest.raises(InvalidInput):
            optimum(problem, requests, share)
        return
    best = optimum(problem, requests, share)
    assert is_told_right(problem, best.plan)
    assert best.plan.violating <= share * requests + 1e-6
    assert best.violating_share == pytest.approx(best.plan.violating / requests)
    assert best.bound - 1e-6 <= min(within) <= best.plan.billed
    assert best.gap == best.plan.billed - best.bound >= 0.0


def hull_value(points, allowance: float) -> float:
    """The lower convex hull of (violations, bill) at the allowance: the least of all mixtures of two schedules."""
    values = [bill for bill, bad in points if bad <= allowance]
    for (bill, bad), (other_bill, other_bad) in itertools.permutations(points, 2):
        if bad < allowance < other_bad:
            part = (allowance - bad) / (other_bad - bad)
            values.append(bill + part * (other_bill - bill))
    return min(values)


@settings(max_examples=60, deadline=None)
@given(problems(), st.floats(0.0, 1.0))
def test_the_bound_is_the_convex_hull_of_all_schedules(problem, share):
    requests = 20.0 * len(problem.violating)
    points = list({(bill, float(bad)) for _, bill, bad in schedules(problem)})
    if min(bad for _, bad in points) > share * requests:
        return
    assert optimum(problem, requests, share).bound == pytest.approx(hull_value(points, share * requests), abs=1e-6)


def test_a_peak_is_met_by_a_replica_that_is_made_two_steps_before_it():
    violating = np.array([[9, 0, 0], [9, 0, 0], [9, 0, 0], [9, 9, 0], [9, 0, 0]], np.float64)
    best = optimum(Problem(violating=violating, startup_steps=2), 45.0, 0.0)
    assert best.plan.ready.tolist() == [1, 1, 1, 2, 1]
    assert best.plan.billed == 6 + 2
    assert best.gap == 0.0


def test_a_short_trough_is_not_worth_leaving():
    violating = np.array([[9, 9, 0], [9, 9, 0], [9, 0, 0], [9, 0, 0], [9, 9, 0]], np.float64)
    assert optimum(Problem(violating=violating, startup_steps=3), 45.0, 0.0).plan.ready.tolist() == [2, 2, 2, 2, 2]
    assert optimum(Problem(violating=violating, startup_steps=1), 45.0, 0.0).plan.ready.tolist() == [2, 2, 1, 1, 2]


def test_nobody_can_have_more_than_the_start_before_the_first_start_up_is_over():
    violating = np.zeros((6, 4))
    violating[:, :3] = 1.0
    known = optimum(Problem(violating=violating, startup_steps=2, start=1), 6.0, 2.0 / 6.0)
    assert known.plan.ready.tolist()[2:] == [3, 3, 3, 3]
    assert max(known.plan.ready[:2]) <= 1
    with pytest.raises(InvalidInput, match="violate whatever is done"):
        optimum(Problem(violating=violating, startup_steps=2, start=1), 6.0, 1.0 / 6.0)


def test_where_violations_are_allowed_freely_nothing_is_kept():
    assert optimum(Problem(violating=np.ones((3, 2)), startup_steps=1), 3.0, 1.0).plan.billed == 0.0


@pytest.mark.parametrize(
    "problem",
    [
        {"violating": np.empty((0, 3)), "startup_steps": 1},
        {"violating": np.empty((3, 0)), "startup_steps": 1},
        {"violating": np.array([[np.nan]]), "startup_steps": 1},
        {"violating": np.ones((2, 2)), "startup_steps": -1},
        {"violating": np.ones((2, 2)), "startup_steps": 1, "start": 2},
    ],
)
def test_what_is_no_problem_is_refused(problem):
    with pytest.raises(InvalidInput):
        Problem(**problem)


def test_two_days_at_half_an_hour_s_start_up_are_solved_to_one_part_in_a_thousand():
    t = np.arange(2880)
    dice = np.random.default_rng(7)
    need = 12.0 + 7.0 * np.sin(2.0 * np.pi * t / 1440.0) + dice.normal(0.0, 1.0, len(t))
    violating = np.clip(need[:, None] - np.arange(30.0), 0.0, None) * 10.0
    best = optimum(Problem(violating=violating, startup_steps=20), float(need.sum() * 10.0), 0.005)
    assert best.violating_share <= 0.005
    assert 0.0 <= best.gap <= 1e-3 * best.plan.billed
    assert best.plan.billed < 0.95 * plan(Problem(violating=violating, startup_steps=20), 1e6).billed
