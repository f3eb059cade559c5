"""Whether a plan helped, judged against what would have been without it (S7)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aiops.core.model import Counterfactual, Goal, Helped, Plan, PlanKind, PlanStatus
from aiops.core.plans.effectiveness import judged

ENDED = 1000.0
GOAL = Goal(signal="served", within_s=120.0, at_most=0.05)
BAD = Counterfactual(start=900.0, step_s=60.0, lower=(0.46,) * 60, middle=(0.5,) * 60, upper=(0.54,) * 60)


def a_plan(value: float, **changes: object) -> Plan:
    seen = tuple((ENDED + 5.0 * n, value) for n in range(25))
    plan = Plan(
        id="p",
        kind=PlanKind.FAILOVER,
        policy="k",
        subject="k",
        reason="r",
        created_at=900.0,
        steps=(),
        status=PlanStatus.DONE,
        ended_at=ENDED,
        goal=GOAL,
        counterfactual=BAD,
        seen=seen,
    )
    return replace(plan, **changes)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.0, Helped.HELPED),
        (0.3, Helped.HELPED),
        (0.5, Helped.NO_EFFECT),
        (0.52, Helped.NO_EFFECT),
        (0.9, Helped.HARMED),
    ],
)
def test_what_is_seen_is_held_against_what_would_have_been(value, word):
    found = judged(a_plan(value), ENDED + 120.0)
    assert found.word is word
    assert (found.p_value < 0.05) is (word is not Helped.NO_EFFECT)


def test_it_says_whether_the_goal_was_reached_too():
    assert judged(a_plan(0.3), ENDED + 120.0).detail == (
        "served 0.3, without the plan 0.5; it is not where it should be"
    )


def test_nothing_is_said_before_its_time_nor_of_what_was_never_done():
    assert judged(a_plan(0.0), ENDED + 119.0) is None
    assert judged(a_plan(0.0, ended_at=math.inf), 1e9) is None
    assert judged(a_plan(0.0, status=PlanStatus.REHEARSED), 1e9) is None
    assert judged(a_plan(0.0, counterfactual=None), 1e9) is None


def test_what_was_hardly_seen_is_inconclusive():
    found = judged(a_plan(0.0, seen=((ENDED + 100.0, 0.0), (ENDED + 105.0, 0.0))), ENDED + 120.0)
    assert found.word is Helped.INCONCLUSIVE
    assert math.isnan(found.p_value)


def test_where_all_would_have_been_well_anyway_no_difference_tells_nothing():
    fine = replace(BAD, lower=(0.0,) * 60, middle=(0.0,) * 60, upper=(0.0,) * 60)
    assert judged(a_plan(0.001, counterfactual=fine), ENDED + 120.0).word is Helped.INCONCLUSIVE
    assert judged(a_plan(0.2, counterfactual=fine), ENDED + 120.0).word is Helped.HARMED


def test_a_goal_from_below_wants_more():
    goal = Goal(signal="throughput", within_s=120.0, at_least=100.0)
    low = replace(BAD, lower=(40.0,) * 60, middle=(50.0,) * 60, upper=(60.0,) * 60)
    assert judged(a_plan(110.0, goal=goal, counterfactual=low), ENDED + 120.0).word is Helped.HELPED
    assert judged(a_plan(20.0, goal=goal, counterfactual=low), ENDED + 120.0).word is Helped.HARMED


def test_what_was_seen_on_the_way_does_not_count():
    seen = (*((ENDED + 5.0 * n, 1.0) for n in range(11)), *((ENDED + 60.0 + 5.0 * n, 0.0) for n in range(13)))
    assert judged(a_plan(0.0, seen=tuple(seen)), ENDED + 120.0).word is Helped.HELPED
