"""What a month will have cost: the point is unbiased, and an interval of 80 % holds what happens 80 times of 100."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.core.money.burn import CONFIDENCE, LEAST_DAYS, Ahead, PastDay, burn, correlation, t_cdf, t_quantile

MONTHS = 1500


def days(values: list[float], first_weekday: int = 0) -> list[PastDay]:
    return [
        PastDay(usd=value, rest_usd=value / 2.0, weekend=(first_weekday + n) % 7 >= 5) for n, value in enumerate(values)
    ]


def drawn(rng: np.random.Generator, kind: str, count: int) -> list[float]:
    """Return days of spend: of equal days, of weeks with cheap weekends, of days that drift together."""
    noise = rng.normal(0.0, 8.0, count)
    if kind == "together":
        for n in range(1, count):
            noise[n] = 0.6 * noise[n - 1] + 0.8 * noise[n]
    level = [40.0 if kind == "weekends" and n % 7 >= 5 else 100.0 for n in range(count)]
    return [max(0.0, a + b) for a, b in zip(level, noise.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("kind", "past", "least"),
    [
        ("equal", 7, 0.78),
        ("equal", 28, 0.78),
        ("weekends", 7, 0.78),
        ("weekends", 28, 0.78),
        ("together", 7, 0.56),
        ("together", 14, 0.66),
        ("together", 28, 0.7),
    ],
)
def test_the_interval_holds_what_it_says(kind, past, least):
    """Days that hang together are known to do so after four weeks and hardly after one: then it is too narrow."""
    rng, held, error = np.random.default_rng(8), 0, 0.0
    left = 14
    for _ in range(MONTHS):
        every = drawn(rng, kind, past + left)
        coming = [(past + n) % 7 >= 5 for n in range(left)]
        ahead = Ahead(today_weekend=False, days=(left - sum(coming), sum(coming)), today=False)
        found = burn(0.0, days(every[:past]), ahead)
        truth = sum(every[past:])
        held += found.low <= truth <= found.high
        error += found.expected - truth
    share = held / MONTHS
    assert least <= share <= 0.92, share
    assert abs(error / MONTHS) < 0.02 * 100.0 * left


def test_the_chance_of_an_overrun_is_how_often_there_is_one():
    """Of months that were said to cost more than they did with a chance of p, there are p of all."""
    rng, chances = np.random.default_rng(3), []
    for _ in range(MONTHS):
        every = drawn(rng, "together", 28 + 14)
        found = burn(0.0, days(every[:28]), Ahead(today_weekend=False, days=(10, 4), today=False))
        chances.append(found.chance_over(sum(every[28:])))
    for p in (0.1, 0.2, 0.5, 0.8, 0.9):
        assert np.mean(np.array(chances) < p) == pytest.approx(p, abs=0.07)


def test_the_formula_is_the_one_that_is_written_down():
    past = days([90.0, 100.0, 110.0, 100.0])
    found = burn(50.0, past, Ahead(today_weekend=False, days=(3, 0), today=True))
    assert found.expected == pytest.approx(50.0 + 50.0 + 3 * 100.0)
    day, rest, p = 200.0 / 3.0, 50.0 / 3.0, 0.4
    together = 3 + 2 * (2 * p + p**2) + 9 / 4 * (1 + p) / (1 - p)
    spread = math.sqrt(rest * (1 + 1 / 4) + day * together)
    assert found.high - found.expected == pytest.approx(t_quantile(0.9, 3) * spread)


def test_a_day_alone_gives_a_number_and_no_interval():
    for count in range(1, LEAST_DAYS):
        found = burn(10.0, days([100.0] * count), Ahead(today_weekend=False, days=(9, 0), today=False))
        assert (found.expected, found.low, found.chance_over(1.0)) == (910.0, None, None)
    assert burn(10.0, [], Ahead(today_weekend=False)) is None


def test_what_is_spent_is_spent():
    found = burn(500.0, days([1.0, 400.0, 1.0, 1.0]), Ahead(today_weekend=False, days=(2, 0), today=False))
    assert found.low == 500.0


def test_weekends_are_told_apart_once_two_were_seen():
    week = [100.0] * 5 + [10.0] * 2
    ahead = Ahead(today_weekend=False, days=(0, 2), today=False)
    assert burn(0.0, days(week), ahead).expected == pytest.approx(20.0)
    assert burn(0.0, days(week[:6]), ahead).expected == pytest.approx(170.0)


def test_a_gap_costs_what_days_cost():
    found = burn(0.0, days([100.0] * 7), Ahead(today_weekend=False, days=(0, 0), today=False, gap_days=2.5))
    assert found.expected == pytest.approx(250.0)


def test_days_that_hang_together_are_seen_to():
    rng = np.random.default_rng(1)
    together = np.mean([correlation(days(drawn(rng, "together", 28))) for _ in range(300)])
    apart = np.mean([correlation(days(drawn(rng, "equal", 28))) for _ in range(300)])
    assert apart < 0.25
    assert 0.42 < together < 0.6


@pytest.mark.parametrize(
    ("freedom", "p", "t"), [(1, 0.9, 3.0777), (2, 0.9, 1.8856), (5, 0.95, 2.0150), (10, 0.9, 1.3722), (27, 0.9, 1.3137)]
)
def test_students_distribution_is_that_of_the_tables(freedom, p, t):
    assert t_quantile(p, freedom) == pytest.approx(t, abs=1e-4)
    assert t_cdf(-t, freedom) == pytest.approx(1.0 - p, abs=1e-5)
    assert CONFIDENCE == 0.8
