"""Distances of distributions that are known as histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.detect.distances import LEAST_COUNT, counts, ks, ks_p_value, psi, psi_by_chance

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=30)


def test_the_index_of_published_shares_is_what_is_published() -> None:
    """Ten score bands, as textbooks of credit scoring have them: the terms of the sum, by hand."""
    expected, actual = np.full(10, 100_000.0), np.array([80, 90, 100, 110, 120, 80, 120, 100, 100, 100]) * 1000.0
    by_hand = sum(
        (a - e) * math.log(a / e) for a, e in zip(actual / actual.sum(), expected / expected.sum(), strict=True)
    )
    assert psi(actual, expected) == pytest.approx(by_hand, rel=1e-4)


@settings(deadline=None)
@given(COUNTS)
def test_a_distribution_is_nowhere_from_itself(bucket: list[int]) -> None:
    assert psi(bucket, bucket) == 0.0
    assert ks(bucket, bucket) == 0.0 or not sum(bucket)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=30))
def test_distances_are_symmetric_and_bounded(pairs: list[tuple[int, int]]) -> None:
    first, second = [one for one, _ in pairs], [one for _, one in pairs]
    assert psi(first, second) == pytest.approx(psi(second, first), rel=1e-9, abs=1e-12)
    assert 0.0 <= psi(first, second) <= 4.0 * math.log((20_000.0 * len(pairs) + 1.0) / LEAST_COUNT)
    if sum(first) and sum(second):
        assert 0.0 <= ks(first, second) <= 1.0 + 1e-12


def test_cumulative_buckets_that_fall_a_little_have_no_negative_counts() -> None:
    assert counts([1.0, 5.0, 4.9, 9.0]).tolist() == [1.0, 4.0, 0.0, 4.0]


def test_distance_and_probability_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    chance = np.random.default_rng(1)
    first, second = chance.normal(0.0, 1.0, 700), chance.normal(0.12, 1.0, 900)
    edges = np.sort(np.concatenate([first, second]))
    buckets = [np.diff(np.searchsorted(np.sort(one), edges, side="right"), prepend=0) for one in (first, second)]
    theirs = stats.ks_2samp(first, second, method="asymp")
    assert ks(*buckets) == pytest.approx(theirs.statistic, abs=1e-12)
    root = math.sqrt(700 * 900 / 1600)
    for distance in (0.03, 0.05, 0.08, 0.12, 0.2):
        limit = stats.kstwobign.sf((root + 0.12 + 0.11 / root) * distance)
        assert ks_p_value(distance, 700, 900) == pytest.approx(limit, rel=1e-9)


def test_chance_alone_makes_an_index_as_large_as_is_said() -> None:
    chance, shares = np.random.default_rng(2), np.full(10, 0.1)
    found = [psi(chance.multinomial(400, shares), chance.multinomial(900, shares)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(psi_by_chance(400.0, 900.0, 10), rel=0.15)


def test_of_no_observations_nothing_is_known() -> None:
    assert math.isnan(ks([0, 0], [1, 2]))
    assert ks_p_value(0.5, 0.0, 10.0) == 1.0
    assert ks_p_value(math.nan, 5.0, 10.0) == 1.0
