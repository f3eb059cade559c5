"""How rare a surprise must be in one row: what its own common surprises say, and how far that may go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.detect.allowance import LOWERED_MOST, OFTEN, RAISED_MOST, USUAL, Allowance, bare_limits
from aiops.core.detect.rules import WEEK_S

STEP_S = 600.0
START = 1_772_409_600.0
ONE = np.ones(1)
COMMON = 0.5
"""Decades below the limit: common, and far from an alarm."""


def led(
    events_a_week: float,
    *,
    weeks: float = 4.0,
    alarms_a_week: float = 0.0,
    below: float = COMMON,
    step_s: float = STEP_S,
) -> float:
    """By how many decades the limit of a row has moved that was surprised so often by so much for three weeks."""
    allowance, bare, row = Allowance(1), float(bare_limits(ONE, step_s)[0]), np.zeros(1, np.intp)
    events = alarms = 0.0
    for step in range(round(3 * WEEK_S / step_s)):
        events, alarms = events + events_a_week * step_s / WEEK_S, alarms + alarms_a_week * step_s / WEEK_S
        surprise = bare + 0.01 if alarms >= 1.0 else bare - below if events >= 1.0 else 0.1
        events, alarms = events - (surprise == bare - below), alarms - (surprise > bare)
        told = (allowance.limits(ONE, step_s), ONE, step_s)
        allowance.note(START + step * step_s, row, np.array([surprise]), told)
    return float(allowance.limits(ONE, step_s)[0]) - bare


def test_a_row_of_which_nothing_is_known_has_the_limit_of_rows_on_the_whole() -> None:
    budgets = np.array([0.2, 1.0, 7.0])
    np.testing.assert_array_equal(Allowance(3).limits(budgets, STEP_S), bare_limits(budgets, STEP_S))
    assert bare_limits(ONE, STEP_S)[0] == pytest.approx(np.log10(1008 / 11))


def test_a_row_that_is_surprised_as_often_as_usual_keeps_its_limit() -> None:
    assert led(USUAL * OFTEN) == pytest.approx(0.0, abs=0.03)


def test_the_oftener_a_row_is_surprised_the_rarer_it_must_be_within_bounds() -> None:
    moved = [led(USUAL * OFTEN * times) for times in (0.2, 0.5, 1.4, 3.0)]
    assert moved == sorted(moved)
    assert moved[0] == pytest.approx(-LOWERED_MOST)
    assert moved[1] == pytest.approx(-2.0 * np.log10(2.0), abs=0.1)  # twice as far off at the limit as a decade below
    assert moved[2] == pytest.approx(2.0 * np.log10(1.4), abs=0.1)
    assert moved[3] == pytest.approx(RAISED_MOST)


def test_where_alarms_have_spent_the_budget_the_limit_is_not_lowered() -> None:
    assert led(4.0) < -0.5
    assert led(4.0, alarms_a_week=1.2) == pytest.approx(0.0, abs=0.03)
    assert led(60.0, alarms_a_week=1.2) == pytest.approx(RAISED_MOST)


def test_in_a_row_that_is_read_hourly_common_surprises_move_next_to_nothing() -> None:
    assert abs(led(40.0, step_s=3600.0, below=0.1)) < 0.02


def test_what_is_extreme_is_no_habit() -> None:
    assert led(60.0, below=-1.2) == pytest.approx(0.0)
    assert led(60.0, below=-0.2) == pytest.approx(RAISED_MOST)


def test_surprises_within_an_hour_are_one() -> None:
    allowance, row = Allowance(2), np.zeros(1, np.intp)
    told = (allowance.limits(np.ones(2), 60.0), np.ones(2), 60.0)
    common = np.array([told[0][0] - COMMON])
    for minute in range(50):
        allowance.note(START + 60.0 * minute, row, common, told)
    assert allowance.state[1].tolist() == [pytest.approx(1.0, abs=0.01), 0.0]
    allowance.note(START + 60.0 * 200, row, common, told)
    assert allowance.state[1, 0] == pytest.approx(2.0, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.floats(0, 1e6), min_size=4, max_size=4),
    budget=st.floats(1e-6, 1e4),
    step_s=st.floats(1.0, 86_400.0),
)
def test_whatever_was_counted_a_limit_moves_within_its_bounds(
    counts: list[float], budget: float, step_s: float
) -> None:
    allowance, budgets = Allowance(1), np.array([budget])
    allowance.state[:4, 0] = counts
    moved = float(allowance.limits(budgets, step_s)[0] - bare_limits(budgets, step_s)[0])
    assert -LOWERED_MOST - 1e-9 <= moved <= RAISED_MOST + 1e-9


def test_rows_that_move_take_their_allowance_along_and_new_ones_have_none() -> None:
    allowance = Allowance(2)
    allowance.state[:4] = [[100.0, 100.0], [900.0, 10.0], [10.0, 10.0], [0.0, 0.0]]
    raised, lowered = (allowance.limits(np.ones(2), STEP_S) - bare_limits(np.ones(2), STEP_S)).tolist()
    assert lowered < 0.0 < raised
    allowance.take(np.array([1, -1, 0]))
    moved = allowance.limits(np.ones(3), STEP_S) - bare_limits(np.ones(3), STEP_S)
    assert moved.tolist() == pytest.approx([lowered, 0.0, raised])


def test_a_checkpoint_from_before_limits_moved_is_taken_and_one_of_other_rows_is_not() -> None:
    allowance = Allowance(2)
    allowance.restore({})
    assert allowance.state.shape == (6, 2)
    with pytest.raises(ValueError, match="does not fit"):
        allowance.restore(Allowance(3).arrays())
