"""The margin above the forecast: how often it is exceeded, what users felt, and its bounds."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.nowcast import Margins, first_margin
from aiops.core.nowcast.margin import (
    AIM_RATIO,
    ERROR_GAIN,
    FELT_GAIN,
    LEAST,
    MOST,
    MOST_FELT,
    SLACK,
    START,
    START_TAIL,
    WAITING,
)

ALLOWED = (0.005, 0.02, 0.05)
NOISE = np.random.default_rng(2).normal(size=20_000)
TIME = np.linspace(0.0, 1.0, len(NOISE))
SHAPES = {
    "steady": NOISE,
    "growing": NOISE * (1.0 + TIME),
    "swaying": NOISE + 1.5 * np.sin(6 * np.pi * TIME),
    "doubled at once": np.where(TIME < 0.5, NOISE, 2.0 * NOISE),
}
CASES = [(shape, allowed) for shape in SHAPES for allowed in ALLOWED]


@cache
def exceeded() -> tuple[Margins, np.ndarray]:
    """Return the margins after all cases' errors, and bool[t, case]: where they were exceeded."""
    errors = np.stack([SHAPES[shape] for shape, _ in CASES], axis=1)
    margins, over = Margins(np.array([allowed for _, allowed in CASES])), np.zeros(errors.shape, np.bool_)
    for step, error in enumerate(errors):
        over[step] = error > margins.values
        margins.follow(error, np.full(len(CASES), math.nan))
    return margins, over


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{shape} {allowed}" for shape, allowed in CASES])
def test_demand_exceeds_the_margin_about_as_often_as_was_asked(case):
    margins, over = exceeded()
    asked = AIM_RATIO * SLACK * CASES[case][1]
    assert margins.exceeded_share[case] == pytest.approx(asked)
    # where the noise doubles, the margin has to rise by about 2.5 scales, and each step up is one exceeded
    risen = 2.5 / (ERROR_GAIN * len(over))
    assert abs(over[:, case].mean() - asked) <= max(0.3 * asked, risen)


def test_the_longer_it_lasts_the_nearer_it_is_to_what_was_asked():
    margins, over = exceeded()
    free = (margins.errors > LEAST) & (margins.errors < MOST) & (np.array([s for s, _ in CASES]) != "swaying")
    # adaptive conformal inference: what is missed is no more than how far the margin went, over gain and time
    off = over.mean(axis=0) - margins.exceeded_share
    np.testing.assert_allclose(off[free], ((margins.errors - START) / (ERROR_GAIN * len(NOISE)))[free], atol=1e-9)


def test_a_tighter_slo_has_the_greater_margin():
    margins = exceeded()[0].values[: len(ALLOWED)]
    assert margins[0] > margins[1] + 0.5 > margins[2] + 1.0


def test_what_users_felt_raises_the_margin_and_it_comes_back():
    margins = Margins(np.array([0.005]))
    nothing = np.array([math.nan])
    for _ in range(40):
        margins.follow(nothing, np.array([1.0]))
    raised = margins.values[0]
    assert raised == pytest.approx(START + 40 * FELT_GAIN * (1.0 - AIM_RATIO * 0.005), rel=1e-6)
    for _ in range(12_000):
        margins.follow(nothing, np.array([0.0]))
    assert margins.values[0] < START


def test_the_margin_keeps_its_bounds_whatever_comes():
    margins = Margins(np.array([0.005]))
    for _ in range(2_000):
        margins.follow(np.array([1e9]), np.array([3.0]))
    assert margins.values[0] == MOST
    assert margins.felt[0] == MOST_FELT
    slack = Margins(np.array([0.3]))
    for _ in range(2_000):
        slack.follow(np.array([-1e9]), np.array([0.0]))
    assert slack.values[0] == LEAST


def test_what_is_not_known_moves_no_margin():
    margins = Margins(np.array([0.005, 0.005]))
    margins.follow(np.array([math.nan, 9.0]), np.array([math.nan, math.nan]))
    assert margins.errors[0] == START < margins.errors[1]
    margins.start(0, math.nan)
    assert margins.errors[0] == START


@given(st.lists(st.floats(-5, 5), min_size=20, max_size=200), st.floats(0.01, 0.5))
def test_the_first_margin_is_exceeded_by_no_more_than_was_asked(errors, share):
    margin = first_margin(np.array([*errors, math.nan]), share)
    assert sum(error > margin for error in errors) <= share * (len(errors) + 1)


def test_no_errors_have_no_margin():
    assert math.isnan(first_margin(np.array([math.nan]), 0.1))
    margins = Margins(np.array([0.005]))
    margins.start(0, 99.0)
    assert margins.errors[0] == MOST


# -- whole pods -------------------------------------------------------------------------------------------


def test_while_nobody_knows_what_a_pod_is_the_share_is_the_usual_one():
    assert Margins(np.array([0.005])).slack.tolist() == [SLACK]


@pytest.mark.parametrize("grain", [0.05, 0.3, 1.0, 1.5])
def test_the_budget_is_spent_whatever_a_pod_is_in_scales(grain):
    # demand is above the margin by what falls off with the tail; of pods there are up to one more than the margin asks
    margins = Margins(np.array([0.005]))
    margins.grain = np.array([grain])
    dice = np.random.default_rng(4)
    beyond, spare = dice.exponential(START_TAIL, 200_000), dice.uniform(0.0, grain, 200_000)
    broken = np.mean(beyond > spare)
    assert WAITING / margins.slack[0] == pytest.approx(broken, rel=0.02)


def test_wild_demand_and_many_pods_leave_less_to_whole_pods():
    margins = Margins(np.array([0.005] * 3))
    margins.grain = np.array([0.01, 0.5, 50.0])
    many, some, few = margins.slack
    assert many == pytest.approx(WAITING, rel=0.02)
    assert many < some < few == 4.0 * WAITING
    assert margins.exceeded_share.tolist() == [AIM_RATIO * slack * 0.005 for slack in (many, some, few)]


def test_the_tail_is_the_mean_of_what_exceeds_the_margin():
    margins = Margins(np.array([0.05, 0.05, 0.05]))
    light = np.random.default_rng(5).exponential(1.0, 40_000)
    for error in light:
        margins.follow(np.array([error, 0.6 * error, math.nan]), np.full(3, math.nan))
    assert margins.tail[0] == pytest.approx(1.0, rel=0.3)
    assert margins.tail[1] == pytest.approx(0.6, rel=0.3)
    assert margins.tail[2] == START_TAIL


@pytest.mark.parametrize("grain", [0.0, 1e-300, 1e300, math.inf, math.nan])
def test_no_grain_leaves_a_share_that_is_none(grain):
    margins = Margins(np.array([0.005, 0.9]))
    margins.grain = np.full(2, grain)
    with np.errstate(over="raise", divide="raise"):
        assert ((margins.exceeded_share > 0.0) & (margins.exceeded_share <= 1.0)).all()


def test_a_checkpoint_from_before_has_no_tails():
    margins = Margins(np.array([0.005]))
    margins.tail[:] = 0.9
    margins.take({"errors": np.array([2.0]), "felt": np.array([0.1])}, np.array([0]), np.array([0]))
    assert (margins.errors[0], margins.felt[0], margins.tail[0]) == (2.0, 0.1, START_TAIL)
