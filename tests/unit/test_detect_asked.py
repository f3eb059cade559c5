"""What watch policies ask beyond a score: bounds that are reached, a budget for all, small values, maintenance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from aiops.core.detect.asked import Asked
from aiops.core.detect.rules import of_policies
from aiops.core.model import Finding, FindingKind
from aiops.core.policies import Bound, CalendarFreeze, WatchPolicy
from aiops.core.protocols import Scores
from aiops.policy.schedule import Span
from tests.unit.fleet import START, Days, a_set, a_watch, services

HOUR_S = 3600.0


def scores(*numbers: float, expected: float = 10.0) -> Scores:
    every = np.full(len(numbers), expected)
    return Scores(
        score=np.array(numbers), expected=every, lower=every - 1, upper=every + 1, learned=np.ones(len(numbers), bool)
    )


def judged(policy: WatchPolicy, told: Scores, values: list[float]) -> list[float]:
    asked = Asked((policy,), np.zeros(len(values), np.intp))
    return list(asked.judged(START, np.array(values), told).score)


def test_a_budget_for_all_series_is_shared_among_them_and_the_stricter_one_holds() -> None:
    policy = replace(a_watch(), false_alarms_per_week=1.0, budget_per_week=2.0)
    assert of_policies((policy,), np.zeros(100, np.intp)).false_alarms_per_week.tolist() == [0.02] * 100
    assert of_policies((policy,), np.zeros(1, np.intp)).false_alarms_per_week.tolist() == [1.0]


def test_what_is_odd_alone_must_be_rarer_than_what_is_odd_with_others() -> None:
    policy, calm = replace(a_watch(), budget_per_week=1.0), [0.1] * 70
    assert max(judged(policy, scores(0.8, *calm), [10.0] * 71)) < 1
    # eleven samples are one alarm of a row alone: so many rows at one tick may be one, too
    assert judged(policy, scores(*[0.8] * 11, *calm), [10.0] * 81) == [0.8] * 11 + calm
    together = judged(policy, scores(*[0.8] * 30, *calm), [10.0] * 100)
    assert min(together[:30]) > 1
    assert max(together[30:]) < 1


def test_noise_of_many_series_spends_the_budget_for_all_at_most_twice() -> None:
    """Scores of rows without an anomaly: P(decades above d) is budget / n * 10^-d by tick, refractory left out."""
    chance, rows, ticks, budget = np.random.default_rng(3), 400, 4000, 0.05
    policy, discoveries = replace(a_watch(), budget_per_week=1.0), 0
    asked = Asked((policy,), np.zeros(rows, np.intp))
    for _ in range(ticks):
        decades = -np.log10(chance.uniform(size=rows)) - math.log10(rows / budget)
        told = scores(*np.exp2(decades))
        discoveries += int((asked.judged(START, np.full(rows, 10.0), told).score > 1).any())
    assert 0.5 * budget * ticks < discoveries < 2 * budget * ticks


def test_what_neither_is_nor_was_expected_beyond_a_least_value_is_no_anomaly() -> None:
    policy = replace(a_watch(), ignore_below=5.0)
    assert judged(policy, scores(3.0, 3.0, expected=1.0), [4.0, 40.0]) == [0.0, 3.0]
    assert judged(policy, scores(3.0, expected=50.0), [4.0]) == [3.0]


def test_in_maintenance_nothing_is_found_and_nothing_is_learnt() -> None:
    window = CalendarFreeze(name="upgrade", schedule=Span(START + 36 * HOUR_S, START + 48 * HOUR_S))
    days = Days(a_set(replace(a_watch(), maintenance=(window,))), services("checkout"), step_s=60.0)
    days.ticks(36 * 60 - 1)
    found = [one.findings for one in days.ticks(12 * 60 - 2, [900.0])]
    assert all(one == () for one in found)
    days.ticks(10)
    assert days.tick([900.0]).findings != ()


def a_disk(bound: Bound, slope_per_hour: float, hours: float, noise: float = 0.2) -> list[tuple[Finding, ...]]:
    days = Days(a_set(replace(a_watch(), exhaustion=bound)), services("disk"), step_s=60.0)
    chance, out = np.random.default_rng(1), []
    for minute in range(round(hours * 60)):
        out.append(days.tick([40.0 + slope_per_hour * minute / 60.0 + chance.normal(0, noise)]).findings)
    return [tuple(one for one in found if one.kind is FindingKind.EXHAUSTION) for found in out]


def test_a_disk_that_fills_up_says_when_it_will_be_full() -> None:
    found = a_disk(Bound(bound=100.0, within_s=6 * HOUR_S), 5.0, 8.0)
    first = next(minute for minute, one in enumerate(found) if one)
    assert first / 60.0 == pytest.approx(12.0 - 6.0, abs=0.3)
    last = found[-1][0]
    assert last.evidence["left_s"] == pytest.approx(4.0 * HOUR_S, rel=0.05)
    assert last.evidence["soonest_s"] < 4.0 * HOUR_S < last.evidence["latest_s"]
    assert "will reach 100 in" in last.reason
    assert last.since == found[first][0].since
    assert [one[0].alarm for one in found if one].count(True) == 1


def test_what_is_left_runs_down_to_its_bound_too() -> None:
    assert a_disk(Bound(bound=0.0, within_s=6 * HOUR_S), -5.0, 4.0)[-1]


@pytest.mark.parametrize("slope", [0.0, -3.0])
def test_a_disk_that_does_not_fill_up_says_nothing(slope: float) -> None:
    assert not any(a_disk(Bound(bound=100.0, within_s=24 * HOUR_S), slope, 8.0, noise=3.0))


def test_a_disk_that_was_cleaned_up_is_not_running_full_any_more() -> None:
    days = Days(a_set(replace(a_watch(), exhaustion=Bound(bound=100.0, within_s=6 * HOUR_S))), services("disk"))
    days.step_s = 60.0
    for minute in range(8 * 60):
        full = days.tick([40.0 + 5.0 * minute / 60.0])
    assert FindingKind.EXHAUSTION in {one.kind for one in full.findings}
    assert FindingKind.EXHAUSTION not in {one.kind for one in days.ticks(2, [30.0])[-1].findings}


def test_a_disk_that_is_full_stands_at_its_bound() -> None:
    days = Days(a_set(replace(a_watch(), exhaustion=Bound(bound=100.0, within_s=HOUR_S))), services("disk"))
    days.ticks(3, [60.0])
    (found,) = [one for one in days.tick([100.0]).findings if one.kind is FindingKind.SATURATION]
    assert "stands at its bound" in found.reason
