"""Whether a remedy helped: judged against what would have been without it, and harm taken back (S7)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import Helped, PlanStatus
from aiops.core.planning.counterfactual import LEAST, counterfactual
from tests.unit.remedied import CRASHES, START, World, a_policy

VERIFIED = CRASHES.replace(
    "  forAtLeast", "  signals: {errors: {query: sum(errors)}, load: {query: sum(load)}}\n  forAtLeast"
).replace("    - {do: restart, within: 3m}\n", "")
VERIFIED += "  verify: {signal: errors, atMost: 1%, within: 5m, load: load}\n"
CALM_LOAD = 100.0


def remedied(after: float, load: float = CALM_LOAD, noise: float = 0.0) -> World:
    """Return a world whose release is rolled back, with errors and load as they are from the rollback on."""
    world = World(policy=a_policy(VERIFIED))
    world.crashing = lambda revision, _: revision != "r1"
    for turn in range(160):
        begun = bool(world.did())
        wave = noise * math.sin(turn)
        world.values = {"errors": (after if begun else 0.2) + wave, "load": load if begun else CALM_LOAD}
        if world.now - START < 600.0:
            world.crashing = lambda revision, _: revision != "r1" and world.now - START > 300.0
        world.turn()
    return world


def test_errors_that_go_are_help():
    (plan,) = remedied(after=0.001, noise=0.0005).plans
    assert plan.effectiveness is not None
    assert plan.effectiveness.word is Helped.HELPED
    assert plan.effectiveness.p_value < 0.001
    assert plan.status is PlanStatus.DONE


def test_errors_that_stay_are_no_effect_and_nothing_is_taken_back():
    world = remedied(after=0.2, noise=0.01)
    (plan,) = world.plans
    assert plan.effectiveness is not None
    assert plan.effectiveness.word is Helped.NO_EFFECT
    assert world.did() == ["Deployment shop/checkout: the pod template of r1"]


def test_s7_harm_is_taken_back_and_not_done_again():
    world = remedied(after=0.9)
    plan, told = world.plans
    assert [step.name for step in told.steps] == ["page"]
    assert plan.effectiveness is not None
    assert plan.effectiveness.word is Helped.HARMED
    assert world.did() == [f"Deployment shop/checkout: the pod template of r{number}" for number in (1, 2)]
    assert plan.status is PlanStatus.ROLLED_BACK


def test_s7_a_restart_that_did_harm_is_not_done_again_though_that_is_known_only_later():
    restarts = VERIFIED.replace("{do: rollback, within: 3m}", "{do: restart, within: 3m}")
    world = World(policy=a_policy(restarts))
    world.crashing = lambda _revision, _node: world.now - START > 300.0
    for _ in range(100):
        world.values = {"errors": 0.9 if world.did() else 0.2, "load": CALM_LOAD}
        world.turn()
    assert world.plans[0].effectiveness.word is Helped.HARMED
    (subject,) = world.state.ladders[world.policy.key].subjects.values()
    assert subject.harmful == (0,)
    assert len(world.did()) == 1


def test_s7_worse_while_load_rose_further_is_no_harm():
    world = remedied(after=0.9, load=500.0)
    (plan,) = world.plans
    assert plan.effectiveness is not None
    assert plan.effectiveness.word is Helped.INCONCLUSIVE
    assert "load rose to 500, at most 100 was foreseen" in plan.effectiveness.detail
    assert world.did() == ["Deployment shop/checkout: the pod template of r1"]


def test_too_little_history_foretells_nothing():
    assert counterfactual([(START + n, 1.0) for n in range(LEAST - 1)], START + 100.0) is None
    assert counterfactual([(START + n, math.nan) for n in range(100)], START + 100.0) is None


def test_the_level_goes_on_as_it_is_whatever_one_sample_says():
    made = counterfactual([(START + 15.0 * n, 5.0 if n != 118 else 500.0) for n in range(120)], START + 1800.0)
    assert made is not None
    assert made.middle[0] == 5.0


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=LEAST, max_size=200),
    gaps=st.lists(st.floats(1.0, 600.0), min_size=200, max_size=200),
)
def test_s7_quantiles_are_ordered_and_widen(values, gaps):
    at, history = START, []
    for value, gap in zip(values, gaps, strict=False):
        at += gap
        history.append((at, value))
    made = counterfactual(history, at)
    assert made is not None
    assert all(low <= mid <= high for low, mid, high in zip(made.lower, made.middle, made.upper, strict=True))
    assert list(made.upper) == sorted(made.upper)
    assert list(made.lower) == sorted(made.lower, reverse=True)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_signal_that_never_moved_is_foreseen_to_stay(level):
    made = counterfactual([(START + 15.0 * n, level) for n in range(40)], START + 600.0)
    assert made is not None
    assert set(made.lower) == set(made.middle) == set(made.upper) == {level}
