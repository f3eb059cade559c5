"""Surprises: p-values in a row's own record, and its tail beyond."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.core.detect.surprise import HALF_LIFE_S, MOST, Surprise


def taught(distances: np.ndarray) -> Surprise:
    surprise = Surprise(1, 1)
    for one in distances.tolist():
        surprise.learn(0, np.array([one]), 60.0)
    return surprise


def of(surprise: Surprise, distance: float) -> float:
    return float(surprise.record(0).surprises(np.array([distance]))[0])


def test_p_values_of_what_keeps_its_distribution_are_uniform() -> None:
    chance = np.random.default_rng(1)
    surprise, p_values = taught(chance.exponential(1.0, 2000)), []
    for one in chance.exponential(1.0, 3000).tolist():
        p_values.append(10.0 ** -of(surprise, one))
        surprise.learn(0, np.array([one]), 60.0)
    for share in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(np.array(p_values) <= share) == pytest.approx(share, rel=0.35)


@pytest.mark.parametrize("tail", [0.1, 0.3, 1.0])
def test_beyond_what_was_seen_the_tail_goes_on_as_it_was(tail: float) -> None:
    pareto = np.random.default_rng(2).pareto(1.0 / tail, 20_000) + 1.0
    far = 10.0 ** (5.0 * tail)  # one in a hundred thousand
    assert of(taught(pareto), far) == pytest.approx(5.0, abs=1.0)


def test_a_record_surprises_more_where_records_never_went_far() -> None:
    chance = np.random.default_rng(3)
    light, heavy = taught(np.abs(chance.normal(0, 1, 5000))), taught(np.abs(chance.standard_cauchy(5000)))
    assert of(light, 12.0) > of(heavy, 12.0) + 2.0


def test_surprise_grows_with_distance_and_is_bounded() -> None:
    surprise = taught(np.random.default_rng(4).exponential(1.0, 500))
    told = [of(surprise, one) for one in (0.0, 1e-30, 0.1, 1.0, 5.0, 50.0, 1e200, np.inf)]
    told[-1] = told[-2] if np.isnan(told[-1]) else told[-1]
    assert (np.diff(told) >= 0).all()
    assert told[-1] <= MOST


def test_what_is_unknown_surprises_in_no_way_that_could_be_told() -> None:
    assert np.isnan(of(Surprise(1, 1), 5.0))
    assert np.isnan(of(taught(np.ones(50)), np.nan))


def test_the_distance_of_a_surprise_is_the_surprise_of_that_distance() -> None:
    record = taught(np.random.default_rng(5).exponential(1.0, 3000)).record(0)
    for wanted in (2.5, 4.0, 8.0):
        assert record.surprises(np.array([record.reach(wanted)[0]]))[0] == pytest.approx(wanted, abs=0.05)


def test_what_was_long_ago_counts_for_less() -> None:
    surprise = taught(np.full(100, 5.0))
    surprise.learn(0, np.array([5.0]), 4 * HALF_LIFE_S)
    assert float(surprise.record(0).beyond[0, 0]) == pytest.approx(100 / 16 + 1, rel=0.01)


def test_what_is_absurd_teaches_no_more_than_one_in_a_million() -> None:
    record = taught(np.random.default_rng(6).exponential(1.0, 3000)).record(0)
    assert record.surprises(record.capped(np.array([1e300])))[0] == pytest.approx(6.0, abs=0.05)
    assert record.capped(np.array([3.0]))[0] == 3.0
    assert taught(np.ones(5)).record(0).capped(np.array([1e300]))[0] == 1e300


def test_where_no_distance_at_all_is_usual_the_first_one_is_as_rare_as_it_is_and_no_rarer() -> None:
    surprise = taught(np.zeros(999))
    assert of(surprise, 0.5) == of(surprise, 5e6) == pytest.approx(3.0, abs=0.01)
    assert of(surprise, 0.0) < 0.1


def test_counts_that_go_a_step_beyond_all_that_were_seen_are_no_wonder() -> None:
    counted = taught(np.random.default_rng(7).poisson(0.05, 5000).astype(float))
    assert 3.0 < of(counted, 4.0) < 6.0
