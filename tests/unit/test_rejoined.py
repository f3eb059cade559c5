"""Rows that move between processes: what was learnt of them goes along, whenever each process began or ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aiops.core.detect import DETECTORS
from aiops.core.detect.fleet import Fleet
from aiops.core.model import Frame, SeriesIndex
from aiops.core.policies import WatchPolicy
from tests.unit.fleet import START, a_watch, an_index

STEP_S = 1800.0
DAY = 48
HOUR = 2
A, B = {"service": "a"}, {"service": "b"}
detectors = pytest.mark.parametrize("detector", sorted(DETECTORS))


def noise(days: float, seed: int) -> np.ndarray:
    return 100.0 + 3.0 * np.random.default_rng(seed).normal(0, 1, round(days * DAY))


def led(fleet: Fleet, index: SeriesIndex, values: np.ndarray, first: int = 0) -> Fleet:
    """Let a fleet see values[n, t] from step `first` on; NaN is what could not be read."""
    for step, column in enumerate(values.T, first):
        fleet.find(Frame(at=START + step * STEP_S, index=index, values=column, learn=np.isfinite(column)))
    return fleet


def kept(fleet: Fleet) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """A checkpoint, as a shard makes it."""
    arrays = {name: np.array(array) for name, array in fleet.arrays().items()}
    return arrays, {"at": fleet.at, **fleet.about()}


def scores_of(fleet: Fleet, index: SeriesIndex, values: np.ndarray, first: int) -> np.ndarray:
    """What a fleet says of values[n, t] while it learns them: float64[t, n]."""
    out = []
    for step in range(values.shape[1]):
        led(fleet, index, values[:, step : step + 1], first + step)
        (sight,) = fleet.sights
        out.append(sight.scores.score[: len(index.keys)])
    return np.array(out)


def rejoined(watch: WatchPolicy, fleets: Sequence[Fleet]) -> Fleet:
    made = Fleet([watch])
    made.rejoin([kept(one) for one in fleets], lambda key: True)
    return made


@detectors
def test_rows_of_processes_that_began_days_apart_go_on_as_if_they_had_always_been_in_one(detector: str) -> None:
    watch, both = a_watch(detector=detector), an_index([A, B])
    early, late, began = noise(5, 1), noise(5, 2), 3 * DAY
    late[: began + 3] = np.nan  # a process knows its pace after some frames
    early[-3:] = 109.0, 110.0, 111.0  # news that is not known yet
    long, short = an_index([A]), an_index([B])
    one = led(Fleet([watch]), long, early[None, :began])
    one = led(one, both, np.stack([early, late])[:, began:], began)
    first = led(Fleet([watch]), long, early[None])
    second = led(Fleet([watch]), short, late[None, began:], began)
    after = np.stack([noise(1, 3), noise(1, 4)])
    after[:, 5 * HOUR : 20 * HOUR] += 40.0
    wanted = scores_of(one, both, after, 5 * DAY)
    found = scores_of(rejoined(watch, [second, first]), both, after, 5 * DAY)
    assert (wanted > 1).any(axis=0).all()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@detectors
def test_rows_of_a_process_that_ended_earlier_are_as_if_they_had_not_been_seen_since(detector: str) -> None:
    watch, both = a_watch(detector=detector), an_index([A, B])
    wave = 30.0 * np.sin(2 * np.pi * np.arange(4 * DAY) / DAY)
    values = np.stack([noise(4, 1), noise(4, 2)]) + wave
    ended = 3 * DAY + 9 * HOUR
    seen = values.copy()
    seen[1, ended:] = np.nan
    one = led(Fleet([watch]), both, seen)
    first = led(Fleet([watch]), an_index([A]), values[:1])
    second = led(Fleet([watch]), an_index([B]), values[1:, :ended])
    after = np.stack([noise(1, 3), noise(1, 4)]) + wave[:DAY]
    after[1, 2 * HOUR] += 50.0
    wanted = scores_of(one, both, after, 4 * DAY)
    found = scores_of(rejoined(watch, [first, second]), both, after, 4 * DAY)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("harm", ["lacks an array", "has rows of another number"])
def test_a_checkpoint_that_does_not_fit_is_learnt_again_and_the_others_are_taken(harm: str) -> None:
    watch = a_watch()
    first = led(Fleet([watch]), an_index([A]), noise(2, 1)[None])
    arrays, about = kept(led(Fleet([watch]), an_index([B]), noise(2, 2)[None]))
    name = next(name for name in arrays if name.endswith("detector/state"))
    if harm == "lacks an array":
        del arrays[name]
    else:
        arrays[name] = np.repeat(arrays[name], 2, axis=1)
    made = Fleet([watch])
    made.rejoin([(arrays, about), kept(first)], lambda key: True)
    led(made, an_index([A, B]), np.full((2, 1), 100.0), 2 * DAY)
    (sight,) = made.sights
    assert sight.scores.learned.tolist() == [True, False]


def test_a_key_that_is_in_many_checkpoints_is_the_newest_that_fits() -> None:
    watch, index = a_watch(), an_index([A])
    old = kept(led(Fleet([watch]), index, noise(2, 1)[None]))
    arrays, about = kept(led(Fleet([watch]), index, noise(3, 1)[None]))
    made = Fleet([watch])
    made.rejoin([old, ({}, about)], lambda key: True)
    led(made, index, np.full((1, 1), 100.0), 3 * DAY)
    assert made.sights[0].scores.learned.tolist() == [True]
    made.rejoin([old, (arrays, about)], lambda key: True)
    samples = next(array for name, array in made.arrays().items() if name.endswith("detector/state"))
    assert samples[0, 0] == 3 * DAY


def test_series_that_have_left_spend_nothing_of_a_budget_for_all() -> None:
    fleet = Fleet([a_watch(budget_per_week=1.0)])
    many = an_index([{"service": f"s{row}"} for row in range(10)])
    led(fleet, many, np.full((10, 1), 100.0))
    (group,) = fleet.groups.values()
    assert group.detector.rules.false_alarms_per_week.tolist() == pytest.approx([0.1] * 10)
    led(fleet, an_index([{"service": "s0"}, {"service": "s1"}]), np.full((2, 1), 100.0), 1)
    assert len(group.keys) == 10
    assert group.detector.rules.false_alarms_per_week[:2].tolist() == pytest.approx([0.5, 0.5])


def test_nothing_to_rejoin_leaves_a_fleet_as_it_was() -> None:
    fleet = Fleet([a_watch()])
    fleet.rejoin([], lambda key: True)
    assert fleet.at == -np.inf
    assert led(fleet, an_index([A]), np.full((1, 1), 100.0)).index.keys == an_index([A]).keys
