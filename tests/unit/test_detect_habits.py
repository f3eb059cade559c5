"""Limits of the fleet tier: events and alarms of a row move them until the row keeps to its budget."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.core.detect.episodes import Episodes
from aiops.core.detect.familiar import Familiar
from aiops.core.detect.habits import LOWERED_MOST, RAISED_MOST, TOGETHER, Habits, Surprised
from aiops.core.detect.rules import DAY_S, WEEK_S, usual
from aiops.core.model import FindingKind
from tests.unit.fleet import START, Days, a_set, a_watch, services

STEP_S = 300.0
ONE, TWO = np.zeros(1, np.intp), np.arange(2)


def passed(habits: Habits, days: float, start: float = START, *, taken: bool = True) -> float:
    """Let time pass in steps of an hour, each as one sample; return when that is over."""
    rows = len(habits.state[0])
    for hour in range(round(days * 24)):
        habits.pass_time(start + 3600.0 * hour, np.full(rows, taken))
    return start + 3600.0 * round(days * 24)


def limits(habits: Habits) -> list[float]:
    every = np.arange(len(habits.state[0]))
    habits.settle(every)
    return [float(one) for one in habits.limits(every)]


def a_habit(budget: float = 1.0, rows: int = 1) -> Habits:
    habits = Habits(rows)
    habits.follow(np.full(rows, budget), 3600.0)
    return habits


@pytest.mark.parametrize("steep", [0.75, 1.0, 1.25])
def test_rows_whose_surprises_come_more_or_less_often_than_they_say_keep_to_their_budget(steep: float) -> None:
    chance, rows, weeks = np.random.default_rng(3), 100, 4
    habits, every = Habits(rows), np.arange(rows)
    habits.follow(np.ones(rows), 2 * STEP_S)
    came = 0
    for step in range(round(weeks * WEEK_S / (2 * STEP_S))):
        at = START + step * 2 * STEP_S
        # one sample in eleven stands for the run of neighbours that come together
        mine = np.flatnonzero(chance.uniform(size=rows) < 1.0 / TOGETHER)
        odd = -steep * np.log10(chance.uniform(size=len(mine)))
        over = mine[habits.decades(mine, odd) > 0]
        came += len(over) if step * 2 * STEP_S >= 2 * WEEK_S else 0
        habits.pass_time(at, np.ones(rows, np.bool_))
        habits.note(at, Surprised(rows=mine, surprises=odd))
        habits.alarmed(at, over)
        if step % 6 == 0:
            habits.settle(every)
    assert 0.5 < came / (rows * (weeks - 2)) < 2.0


def test_a_row_without_alarms_has_a_lower_limit_by_and_by_and_one_with_many_a_higher() -> None:
    habits = a_habit(rows=2)
    now = passed(habits, 14)
    for number in range(4):
        habits.alarmed(now + DAY_S * number, np.ones(1, np.intp))
    quiet, loud = limits(habits)
    assert quiet < limits(a_habit())[0]
    assert loud == pytest.approx(quiet + np.log10(4.3 / 0.3), abs=1e-3)


def test_a_limit_moves_so_far_and_no_farther() -> None:
    habits, bare = a_habit(rows=2), np.log10(168.0 / TOGETHER)
    habits.state[0, 0], habits.state[6, 1] = 1e6, 1e3  # events that were foretold and never came; and many alarms
    quiet, loud = limits(habits)
    assert quiet == pytest.approx(bare - LOWERED_MOST)
    assert loud == pytest.approx(bare + RAISED_MOST)


def test_what_goes_on_is_one_alarm() -> None:
    habits = a_habit()
    for hour in range(8):
        habits.alarmed(START + 3600.0 * hour, ONE)
    once = limits(habits)
    habits.alarmed(START + 9 * 3600.0, ONE)
    assert limits(habits)[0] > once[0] + 0.2


def test_alarms_are_forgotten_within_months_and_what_is_not_seen_spends_nothing() -> None:
    habits = a_habit()
    fresh = limits(habits)[0]
    habits.alarmed(START, ONE)
    raised = limits(habits)[0]
    passed(habits, 84, taken=False)
    assert raised > fresh + 0.5
    assert fresh < limits(habits)[0] < fresh + 0.05


def test_a_checkpoint_from_before_alarms_were_counted_is_taken() -> None:
    first, again = Familiar(usual(20)), Familiar(usual(20))
    chance, every = np.random.default_rng(10), np.ones(20, np.bool_)
    for step in range(150):
        values = 100.0 + chance.normal(0, 2, 20)
        first.score(START + step * STEP_S, values)
        first.learn(START + step * STEP_S, values, every)
    kept = dict(first.arrays())
    state, quiet_at = kept.pop("habits_state"), kept.pop("habits_quiet_at")
    del kept["habits_faded_at"]
    slope = np.ones((1, 20), np.float32)
    again.restore({**kept, "habits_state": np.concatenate([state[:5], slope]), "habits_quiet_at": quiet_at[0]})
    at, row = START + 150 * STEP_S, np.full(20, 107.0)
    np.testing.assert_array_equal(again.score(at, row).score, first.score(at, row).score)
    assert again.arrays()["habits_state"][5:].tolist() == [[0.0] * 20] * 2
    assert state[5:].any()


@pytest.mark.parametrize("harm", ["state", "quiet_at"])
def test_habits_that_do_not_fit_are_refused(harm: str) -> None:
    kept = dict(Familiar(usual(3)).arrays())
    kept[f"habits_{harm}"] = kept[f"habits_{harm}"][..., :2]
    with pytest.raises(ValueError, match="does not fit"):
        Familiar(usual(3)).restore(kept)


def test_what_is_usual_at_another_time_of_the_season_is_found_by_that_name() -> None:
    season_s = 6 * 3600.0
    days = Days(a_set(a_watch(season_s=season_s)), services("a"), step_s=STEP_S)

    def usually() -> list[float]:
        return [100.0 + 40.0 * np.sin(2 * np.pi * (days.now + STEP_S - START) / season_s) + days.chance.normal(0, 4)]

    for _ in range(10 * 72 + 54):  # the next sample is at the trough
        days.tick(usually())
    (found,) = days.tick([118.0]).findings
    assert found.kind is FindingKind.CONTEXTUAL
    assert found.reason.startswith("{service=a} 118 is usual, but not at this time of the season: ")
    assert found.upper < 118.0
    (never,) = days.tick([230.0]).findings
    assert never.kind is FindingKind.POINT


def test_after_a_clock_that_was_a_day_ahead_is_set_back_events_and_alarms_are_counted_as_ever():
    habits, episodes = a_habit(), Episodes(1)
    seen = Surprised(rows=ONE, surprises=np.full(1, 9.0))
    for at in (START + DAY_S, START):
        habits.note(at, seen)
        habits.alarmed(at, ONE)
        episodes.excused(ONE, at, np.full(1, 5.0))
        assert habits.going_on(ONE, at).all()
        assert episodes.on(ONE, at).all()
    assert habits.state[[1, 6], 0].tolist() == [2.0, 2.0]
    assert not habits.going_on(ONE, START - DAY_S).any()
    assert not episodes.on(ONE, START - DAY_S).any()
