"""What a period will have cost when it ends, with an interval that means what it says.

What is left of the period is made of whole days to come and of what is left of today. Whole days are predicted by those
of the past, apart for weekdays and weekends where both were seen twice; what is left of today by what came after this
time of day on past days. Let class c have n_c past days of mean m_c and variance s_c^2, and r_c days to come:

    expected  = spent + gap + e + sum_c r_c m_c
    variance  = s_e^2 (1 + 1/n_e) + sum_c s_c^2 (G(r_c) + r_c^2 / n_c K)
    interval  = expected -+ t(0.9, n - classes) sqrt(variance)                               (80 %)

e, s_e^2: mean and variance of what was left of n_e past days. G(r) = r + 2 sum_{k<r} (r - k) p^k is the variance of a
sum of r days in a row of which neighbours correlate by p, K = (1 + p)/(1 - p) that of the mean of many; p is the
lag-one autocorrelation of the days around their class' mean, corrected for its bias in short series
((n p + 1)/(n - 4), Kendall 1954), kept within 0 and 0.8, and drawn towards 0.4 as if seven more days had said so: few
days cannot tell, and what drives spend lasts longer than a day. t: Student's distribution, since s is an estimate.
gap: what was not seen of the period, at the mean of the days. In trials (tests/unit/test_burn.py) it holds 84 to 89 %
of months whose days are independent, and of days that correlate by 0.6 60 % after one week, 70 % after two and 72 %
after four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LEAST_DAYS = 3
"""Fewer whole days give no interval."""

LEAST_COVERAGE = 0.9
"""A day that was seen less than this is none to predict by."""

CONFIDENCE = 0.8
_TAIL = 0.5 + CONFIDENCE / 2.0
_MOST_CORRELATED = 0.8
PRIOR, PRIOR_DAYS = 0.4, 7
"""How far neighbouring days are taken to deviate together before they are seen to, and how many days that weighs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDay:
    """A whole day: what was spent in it and after this time of day, scaled to all of it, in USD."""

    usd: float
    rest_usd: float
    weekend: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is left of the period. today_weekend: which class today is of. days: whole days, (weekdays, weekend days).

    today: whether any of today is left within the period. gap_days: how much of the period was not seen.
    """

    today_weekend: bool
    days: tuple[int, int] = (0, 0)
    today: bool = True
    gap_days: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """What the whole period will have cost, in USD. low, high, chance_over: None while no interval is known."""

    expected: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    freedom: int = 0

    def chance_over(self, amount: float) -> float | None:
        """Return the probability that it will be more than an amount, None while no interval is known."""
        if self.spread is None:
            return None
        if self.spread == 0.0:
            return float(self.expected > amount)
        return 1.0 - t_cdf((amount - self.expected) / self.spread, self.freedom)


def burn(spent: float, past: Sequence[PastDay], ahead: Ahead) -> Burn | None:
    """Return what the period will have cost; past: oldest first. None while no whole day was seen."""
    if not past:
        return None
    classes = _classes(past)
    expected, variance = spent, 0.0
    if ahead.gap_days > 0.0:
        expected += ahead.gap_days * _mean([one.usd for one in past])
    if ahead.today:
        like = [one.rest_usd for one in past if one.weekend == ahead.today_weekend or not classes]
        like = like if len(like) > 1 else [one.rest_usd for one in past]
        expected += _mean(like)
        variance += _variance(like) * (1.0 + 1.0 / len(like))
    groups = ((False, ahead.days[0]), (True, ahead.days[1])) if classes else ((None, sum(ahead.days)),)
    correlated = correlation(past)
    for weekend, count in groups:
        own = [one.usd for one in past if weekend is None or one.weekend == weekend]
        expected += count * _mean(own)
        variance += _variance(own) * _together(count, len(own), correlated)
    freedom = len(past) - len(groups)
    if len(past) < LEAST_DAYS or freedom < 1:
        return Burn(expected=expected)
    spread = math.sqrt(variance)
    reach = t_quantile(_TAIL, freedom) * spread
    # what was spent is spent: the rest costs something, or nothing
    return Burn(
        expected=expected, low=max(spent, expected - reach), high=expected + reach, spread=spread, freedom=freedom
    )


def _classes(past: Sequence[PastDay]) -> bool:
    """Return whether weekdays and weekends are told apart."""
    weekend = sum(one.weekend for one in past)
    return weekend >= 2 and len(past) - weekend >= 2


def _together(count: int, known: int, correlated: float) -> float:
    """Return the variance of a sum of days against `count` times the mean of `known`, in variances of one day."""
    if count == 0:
        return 0.0
    own = count + 2.0 * sum((count - k) * correlated**k for k in range(1, count))
    return own + count**2 / known * (1.0 + correlated) / (1.0 - correlated)


def correlation(past: Sequence[PastDay]) -> float:
    """Return how far neighbouring days deviate together, from 0 to 0.8."""
    n = len(past)
    if n < 6:
        return PRIOR
    apart = _classes(past)
    means = {w: _mean([one.usd for one in past if one.weekend == w or not apart]) for w in {o.weekend for o in past}}
    left = [one.usd - means[one.weekend] for one in past]
    power = sum(one * one for one in left)
    if power <= 0.0:
        return PRIOR
    raw = sum(a * b for a, b in pairwise(left)) / power
    seen = min(max((n * raw + 1.0) / (n - 4.0), 0.0), _MOST_CORRELATED)
    return (n * seen + PRIOR_DAYS * PRIOR) / (n + PRIOR_DAYS)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _variance(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    middle = _mean(values)
    return sum((one - middle) ** 2 for one in values) / (len(values) - 1)


# -- Student's distribution -----------------------------------------------------------------------------


def t_cdf(t: float, freedom: int) -> float:
    """Return P(T <= t) of Student's distribution with a whole number of degrees of freedom.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4: exact, by a finite sum.

    >>> round(t_cdf(3.0777, 1), 4), round(t_cdf(1.5332, 4), 4), round(t_cdf(-1.4398, 6), 4)
    (0.9, 0.9, 0.1)
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    term, total = (cosine if freedom % 2 else 1.0), 0.0
    for k in range(1 if freedom % 2 else 0, freedom - 1, 2):
        total += term
        term *= cosine * cosine * (k + 1) / (k + 2)
    within = 2.0 / math.pi * (angle + sine * total) if freedom % 2 else sine * total
    return 0.5 + within / 2.0 if t >= 0 else 0.5 - within / 2.0


def t_quantile(p: float, freedom: int) -> float:
    """Return t with P(T <= t) = p, for p from 0.5 up to 0.999.

    >>> round(t_quantile(0.9, 1), 3), round(t_quantile(0.9, 9), 3), round(t_quantile(0.9, 1000), 2)
    (3.078, 1.383, 1.28)
    """
    low, high = 0.0, 400.0
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (middle, high) if t_cdf(middle, freedom) < p else (low, middle)
    return (low + high) / 2.0
