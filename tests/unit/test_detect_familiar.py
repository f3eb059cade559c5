"""The detector `familiar`: budgets of false alarms whatever the noise, what is learnt as usual, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aiops.core.detect.familiar import Familiar
from aiops.core.detect.records import Records
from aiops.core.detect.rest import Rest
from aiops.core.detect.rules import DAY_S, usual

START = 1_772_409_600.0
STEP_S = 600.0
Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def led(detector: Familiar, values: np.ndarray, start: float = START) -> np.ndarray:
    """Score and learn values[t, n]; return scores[t, n]."""
    learn, scores = np.ones(values.shape[1], np.bool_), []
    for step, row in enumerate(values):
        scores.append(detector.score(start + step * STEP_S, row).score)
        detector.learn(start + step * STEP_S, row, learn)
    return np.array(scores)


def memory(chance: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    out = chance.normal(0, 1, shape)
    for step in range(1, shape[0]):
        out[step] += 0.9 * out[step - 1]
    return out


NOISES: dict[str, Noise] = {
    "normal": lambda chance, shape: chance.normal(0, 1, shape),
    "laplace": lambda chance, shape: chance.laplace(0, 1, shape),
    "heavy tails": lambda chance, shape: chance.standard_t(3, shape),
    "log-normal": lambda chance, shape: np.exp(chance.normal(0, 1, shape)),
    "counts": lambda chance, shape: chance.poisson(3.0, shape),
    "98 % zeros": lambda chance, shape: chance.poisson(0.02, shape),
    "constant": lambda chance, shape: np.full(shape, 7.0),
    "saturating": lambda chance, shape: np.minimum(0.97 + 0.03 * chance.normal(0, 1, shape), 1),
    "memory": memory,
}
ROWS, WEEKS, BUDGET = 50, 3, 1.0


@pytest.fixture(scope="module")
def raised() -> dict[str, int]:
    """How many alarms each noise raises after its first week, in rows of its own of one detector."""
    shape = round(WEEKS * 7 * DAY_S / STEP_S), ROWS
    values = np.hstack([noise(np.random.default_rng(5), shape).astype(np.float64) for noise in NOISES.values()])
    rows = values.shape[1]
    scores = led(Familiar(replace(usual(rows), false_alarms_per_week=np.full(rows, BUDGET))), values)
    rest, every, by_row = Rest(rows), np.arange(rows), np.zeros(rows, np.int64)
    for step, score in enumerate(scores):
        out = rest.alarms(START + step * STEP_S, every, score, STEP_S)
        by_row += out if step * STEP_S >= 7 * DAY_S else 0
    return dict(zip(NOISES, by_row.reshape(-1, ROWS).sum(axis=1).tolist(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
def test_alarms_of_pure_noise_stay_near_the_budget_or_below_whatever_the_noise(
    noise: str, raised: dict[str, int]
) -> None:
    assert raised[noise] <= 2.0 * BUDGET * ROWS * (WEEKS - 1)


def test_a_row_is_judged_the_same_whatever_rows_lie_beside_it() -> None:
    chance = np.random.default_rng(5)
    mine, theirs = chance.normal(0, 1, (450, 3)), np.exp(chance.normal(0, 3, (450, 4)))
    alone = led(Familiar(usual(3)), mine)
    np.testing.assert_array_equal(led(Familiar(usual(7)), np.hstack([theirs, mine]))[:, 4:], alone)
    assert np.nanmax(alone) > 0


def a_season(days: int, rows: int = 1) -> np.ndarray:
    steps = round(days * DAY_S / STEP_S)
    wave = 40.0 * np.sin(2 * np.pi * np.arange(steps) * STEP_S / DAY_S)
    return 100.0 + wave[:, None] + np.random.default_rng(4).normal(0, 2, (steps, rows))


def test_a_usual_value_at_an_unusual_time_of_the_season_is_found() -> None:
    values = a_season(8)
    detector = Familiar(usual(1))
    led(detector, values)
    at = START + len(values) * STEP_S
    assert detector.score(at + 0.25 * DAY_S, np.array([140.0])).score[0] < 1
    assert detector.score(at + 0.75 * DAY_S, np.array([140.0])).score[0] > 1
    assert detector.score(at + 0.75 * DAY_S, np.array([140.0])).expected[0] == pytest.approx(60.0, abs=12)


def test_an_anomaly_does_not_excuse_the_next_and_what_came_twice_is_known() -> None:
    chance = np.random.default_rng(6)
    calm = 100.0 + chance.normal(0, 2, (1008, 1))
    spiked = calm.copy()
    spiked[400] = spiked[600] = spiked[800] = 300.0
    scores = led(Familiar(usual(1)), spiked)[:, 0]
    assert scores[400] > 2
    assert scores[600] > 1
    assert scores[800] < scores[400]


def test_a_level_that_stays_is_anomalous_for_an_hour_at_least_and_usual_within_a_season() -> None:
    chance = np.random.default_rng(7)
    values = 100.0 + chance.normal(0, 2, (1200, 1))
    values[1008:] += 60.0
    scores = led(Familiar(usual(1)), values)[1008:, 0]
    assert (scores[:7] > 1).all()
    assert (scores[160:] < 1).all()


def test_a_value_between_levels_that_a_row_has_is_found() -> None:
    chance = np.random.default_rng(8)
    values = np.where(chance.uniform(size=(1008, 1)) < 0.5, 10.0, 90.0) + chance.normal(0, 1, (1008, 1))
    detector = Familiar(usual(1))
    led(detector, values)
    at = START + 1008 * STEP_S
    assert detector.score(at, np.array([90.5])).score[0] < 1
    assert detector.score(at, np.array([50.0])).score[0] > 1


def test_limits_are_found_anew_within_a_stretch_of_the_season_and_never_of_all_rows_in_one_tick() -> None:
    rows = 100
    detector = Familiar(usual(rows))
    led(detector, 100.0 + np.random.default_rng(10).normal(0, 2, (150, rows)))
    start, stretch_s, calm = START + 150 * STEP_S, DAY_S / 40, np.full(rows, 100.0)
    detector.learn(start, calm, np.ones(rows, np.bool_))
    settled, at_once, offsets = np.zeros(rows, np.bool_), 0, detector.arrays()["habits_state"][4]
    for second in np.arange(15.0, stretch_s + 15.0, 15.0):
        offsets[:] = 9.0  # none that a limit may have
        detector.learn(start + second, calm, np.ones(rows, np.bool_))
        now = offsets != 9.0
        settled |= now
        at_once = max(at_once, int(now.sum()))
    assert settled.all()
    assert at_once < rows / 10


def test_a_checkpoint_from_before_rows_had_a_time_of_their_own_is_taken() -> None:
    first, again = Familiar(usual(50)), Familiar(usual(50))
    values = 100.0 + np.random.default_rng(10).normal(0, 2, (100, 50))
    led(first, values)
    old = {name: array for name, array in first.arrays().items() if name != "phase"}
    again.restore(old)
    assert len(set(again.arrays()["phase"].tolist())) > 25
    at, row = START + 100 * STEP_S, np.full(50, 103.0)
    np.testing.assert_array_equal(again.score(at, row).score, first.score(at, row).score)


def test_a_series_costs_less_than_a_kibibyte() -> None:
    rows = 64
    size = sum(array.nbytes for array in Familiar(usual(rows)).arrays().values())
    assert size / rows < 1024


def test_a_distance_beyond_all_others_is_the_more_surprising_the_farther_it_lies() -> None:
    records, row = Records(1, 1), np.zeros(1, np.intp)
    for far in np.random.default_rng(9).exponential(1.0, 2000):
        records.learn(row, np.array([[far]]))
        records.total += 1
    tails = records.tails(row)
    surprises = [float(tails.surprises(np.array([[far]]))[0, 0]) for far in (0.5, 3.0, 8.0, 20.0, 100.0)]
    assert surprises == sorted(surprises)
    assert surprises[0] < 1 < surprises[2]
    assert surprises[2] == pytest.approx(8.0 / np.log(10.0), abs=0.8)
