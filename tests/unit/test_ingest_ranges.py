"""Histories come in pieces that the source can bear, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.prometheus.asking import Past
from aiops.adapters.prometheus.ranges import LEAST_POINTS, MAX_POINTS, Patience, Ranges
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.errors import SourceUnavailable, TooMuch

START, STEP_S = 1_772_450_000.0, 60.0
SIGNAL = SignalQuery(policy="P", name="demand", expr="sum(x)", age_exprs=(), coverage_exprs=())
WATCH = WatchQuery(policy="W", expr="y", identity=("pod",), max_series=100_000)


@dataclass
class Answerer:
    """Answers a grid with its own times as values; may refuse what is large, and take its time by its own clock."""

    series: int = 1
    bears: int = 10**9
    takes_s: Callable[[int], float] = lambda points: 0.0
    asked: list[tuple[float, float, float]] = field(default_factory=list)
    now: float = 0.0

    def range(self, expr: str, start: float, end: float, step_s: float) -> list[Past]:
        points = round((end - start) / step_s) + 1
        self.asked.append((start, end, step_s))
        self.now += self.takes_s(points)
        if points * self.series > self.bears:
            raise TooMuch("query processing would load too many samples into memory")
        times = start + step_s * np.arange(points)
        return [Past(labels={"pod": str(one)}, times=times, values=times + one) for one in range(self.series)]

    def sizes(self) -> list[int]:
        return [round((end - start) / step_s) + 1 for start, end, step_s in self.asked]


def gathered(answerer: Answerer, query: SignalQuery | WatchQuery, points: int, **patience: float):
    times = START + STEP_S * np.arange(points)
    ranges = Ranges(answerer, query, times, STEP_S)  # type: ignore[arg-type]
    return ranges.gathered(Patience(clock=lambda: answerer.now, **patience))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(points=st.integers(1, 30_000), bears=st.integers(LEAST_POINTS, 20_000))
def test_every_point_of_the_grid_is_asked_for_once_whatever_the_source_can_bear(points: int, bears: int):
    answerer = Answerer(bears=bears)
    found = gathered(answerer, SIGNAL, points)
    np.testing.assert_array_equal(found.values, [found.times])
    served = [size for size in answerer.sizes() if size <= bears]
    assert sum(served) == points
    assert max(answerer.sizes()) <= MAX_POINTS


def test_pieces_of_many_series_hold_no_more_samples_than_were_planned_and_grow_where_there_are_few():
    many, few = Answerer(series=1000), Answerer(series=2)
    gathered(many, WATCH, 3000, samples=200_000)
    assert max(size * many.series for size in many.sizes()) <= 200_000
    gathered(few, WATCH, 20_160)
    assert len(few.asked) <= 4, "two weeks of two series are a few questions"


def test_more_than_fits_is_refused_by_the_newest_piece_alone_with_what_to_do_s10():
    answerer = Answerer(series=100)
    with pytest.raises(TooMuch, match="100 series with 20160 points each, at most 1000000 samples: ask for a shorter"):
        gathered(answerer, WATCH, 20_160, total=1_000_000)
    assert len(answerer.asked) == 1


def test_a_source_that_refuses_the_least_is_believed():
    with pytest.raises(TooMuch, match="too many samples"):
        gathered(Answerer(bears=3), SIGNAL, 1000)


def test_more_series_than_the_policy_allows_are_refused():
    with pytest.raises(SourceUnavailable, match="2 series in its history, at most 1"):
        gathered(Answerer(series=2), SIGNAL, 10)


def test_a_slow_source_is_asked_for_wider_steps_the_newest_as_closely_as_was_wished():
    answerer = Answerer(bears=2000, takes_s=lambda points: min(points * 0.01, 10.0))
    found = gathered(answerer, SIGNAL, 20_000, within_s=100.0)
    filled = np.isfinite(found.values[0])
    assert filled[-1000:].all()
    assert 0.1 < filled[:10_000].mean() < 0.6, "the older half is coarser"
    np.testing.assert_array_equal(found.values[0][filled], found.times[filled])
    assert answerer.now <= 150.0
    assert {step for _, _, step in answerer.asked} > {STEP_S}


def test_a_source_that_is_hopelessly_slow_is_left_after_its_time_with_what_came():
    answerer = Answerer(bears=500, takes_s=lambda points: 60.0)
    found = gathered(answerer, SIGNAL, 20_000, within_s=600.0)
    filled = np.isfinite(found.values[0])
    assert filled[-1]
    assert not filled[0]
    assert answerer.now < 700.0


def test_one_that_has_time_is_asked_for_everything():
    answerer = Answerer(bears=2000, takes_s=lambda points: points * 0.01)
    assert np.isfinite(gathered(answerer, SIGNAL, 20_000).values).all()
