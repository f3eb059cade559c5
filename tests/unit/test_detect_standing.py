"""What stands beside the score: through restarts, gaps and maintenance, and not for series that are gone."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.detect.drifts import STANDS, DriftWatch
from aiops.core.detect.fleet import Learnt
from aiops.core.detect.rest import REST_S
from aiops.core.detect.standing import Standing
from aiops.core.model import F64, Finding, FindingKind
from aiops.core.policies import Beside, CalendarFreeze, WatchPolicy
from aiops.core.protocols import Scores
from aiops.policy.schedule import Span
from tests.unit.fleet import START, Days, a_set, a_watch, services

STEP_S, DAY_S = 600.0, 86_400.0
ASKS = replace(a_watch(), beside=(Beside.TREND,))
ONE = np.ones(1, np.bool_)


def a_rise() -> F64:
    """Return two rows with a season that rise steeply after four of four and a half days."""
    chance, count = np.random.default_rng(4), round(4.5 * DAY_S / STEP_S)
    times = np.arange(count) * STEP_S
    noise = 5.0 * chance.normal(size=(2, count))
    rise = 30.0 / 3600.0 * np.maximum(times - 4 * DAY_S, 0.0)
    return np.asarray(100.0 + 40.0 * np.sin(2 * np.pi * times / DAY_S) + noise + rise)


@cache
def risen() -> tuple[int, Learnt, float]:
    """Return the tick at which the trend is found, and what was known just before it."""
    days, values = Days(a_set(ASKS), services("a", "b"), step_s=STEP_S), a_rise()
    for column in range(values.shape[1]):
        kept, now = ({}, 0.0) if column < 580 else (snapshot(days), days.now)
        if column >= 580 and trends(days, values[:, column]):
            return column, kept, now
        if column < 580:
            days.tick(list(values[:, column]))
    raise AssertionError("the rise is not found")


def snapshot(days: Days) -> Learnt:
    return {name: array.copy() for name, array in days.bank.arrays().items()}


def trends(days: Days, values: F64, *, learn: bool = True) -> list[Finding]:
    found = days.tick(list(values), learn=learn).findings
    return [one for one in found if one.kind is FindingKind.TREND and one.series.endswith("a")]


def gone_on(policy: WatchPolicy = ASKS, *, without: str = "") -> tuple[Days, int]:
    """Return a new process that goes on just before the trend is found, and the tick."""
    column, kept, now = risen()
    days = Days(a_set(policy), services("a", "b"), step_s=STEP_S)
    days.bank, days.now = Bank(days.policies), now
    assert days.bank.restore({name: one for name, one in kept.items() if not without or without not in name}) == ()
    return days, column


def test_a_trend_that_was_found_is_said_in_the_first_tick_after_a_restart() -> None:
    days, column = gone_on()
    values = a_rise()
    assert trends(days, values[:, column])
    restarted = Days(a_set(ASKS), services("a", "b"), step_s=STEP_S)
    restarted.bank, restarted.now = Bank(restarted.policies), days.now
    assert restarted.bank.restore(snapshot(days)) == ()
    told, again = (trends(one, values[:, column + 1]) for one in (days, restarted))
    assert told == again
    assert told[0].evidence["slope_change_per_hour"] > 10.0


def test_a_checkpoint_from_before_that_was_kept_is_taken() -> None:
    days, column = gone_on(without="kinds/changes/last")
    assert trends(days, a_rise()[:, column])


def test_a_gap_while_a_trend_is_open_says_what_was_seen_last() -> None:
    days, column = gone_on()
    values = a_rise()
    trends(days, values[:, column])
    (told,) = trends(days, np.full(2, math.nan), learn=False)
    assert told.value == pytest.approx(values[0, column])
    assert "nan" not in told.reason


def test_people_are_called_after_maintenance_for_a_trend_that_opened_in_it() -> None:
    _, _, now = risen()
    window = CalendarFreeze(name="patch", schedule=Span(now + 1.0, now + STEP_S + 1.0))
    days, column = gone_on(replace(ASKS, maintenance=(window,)))
    values = a_rise()
    assert trends(days, values[:, column]) == []
    assert [one.alarm for one in trends(days, values[:, column + 1])] == [True]
    assert [one.alarm for one in trends(days, values[:, column + 2])] == [False]


def test_what_could_not_be_read_neither_opens_nor_closes_what_stands() -> None:
    standing, no = Standing(1), ~ONE
    standing.note(START, ONE, ONE, runs=(1, 2))
    for look in range(9):
        standing.note(START + look, no, no, runs=(1, 2), unread=ONE)
    assert standing.rows.tolist() == [0]
    for look in range(2):
        standing.note(START + look, no, no, runs=(1, 2), unread=no)
    assert standing.rows.tolist() == []


def test_people_are_called_once_and_again_only_after_a_rest_for_what_opens_anew() -> None:
    standing = Standing(1)
    called = []
    for hour in range(20):
        at = START + 3600.0 * hour
        standing.note(at, ONE & (hour != 3), ONE & (hour != 3), runs=(1, 1))
        called += [hour] if len(standing.rows) and standing.calls(0, at) else []
    assert called == [0, math.floor(REST_S / 3600.0) + 1]


@pytest.mark.parametrize(("read", "stays"), [(True, False), (False, True)], ids=["no value", "cannot be read"])
def test_drift_is_over_where_there_are_no_values_and_stands_where_they_cannot_be_read(read: bool, stays: bool) -> None:
    watch = DriftWatch(1, DAY_S)
    said = Scores(score=np.zeros(1), expected=np.full(1, 5.0), lower=np.zeros(1), upper=np.full(1, 9.0), learned=ONE)
    watch.look(START, np.full(1, 5.0), ONE, said, np.full(1, 0.01))
    watch.left[0], watch.since[0] = STANDS, START
    for block in range(1, int(STANDS) + 3):
        seen = watch.look(START + block * watch.block_s, np.full(1, np.nan), ONE & read, said, np.full(1, 0.01))
    assert np.isfinite(seen.since[0]) == stays


def test_after_a_clock_that_was_a_day_ahead_is_set_back_people_are_called_for_what_opens() -> None:
    standing = Standing(1)
    standing.note(START + DAY_S, ONE, ONE, runs=(1, 1))
    assert standing.calls(0, START + DAY_S)
    standing.note(START, ~ONE, ~ONE, runs=(1, 1))
    standing.note(START + 60.0, ONE, ONE, runs=(1, 1))
    assert standing.calls(0, START + 60.0)
    assert not standing.calls(0, START + 120.0)
