"""How a service answers those that call it, and what it means for their own answers.

Calls of one request are made one after the other. A call ratio of 2.5 means two calls by each request and a third by
every other one. Requests are told apart by what they met (which calls they make, whether all went well at the first
try); the time of each kind, its own and that of its calls, is taken as gamma distributed with the right mean and
variance (quantiles after E. B. Wilson and M. M. Hilferty, 1931): within 3 % at the 95th percentile of sums of
exponential times (tests/unit/test_calls.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from aiops.core.model import F64

_NORMAL = NormalDist()
_QUANTILES = {q: _NORMAL.inv_cdf(q) for q in (0.5, 0.95)}
_HALVINGS = 16
_TOO_FEW = 1e-9
_RARE_RATIO = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A service calls another `ratio` times for each request that it serves. service: the called one's name."""

    service: str
    ratio: float


class Times(NamedTuple):
    """A share of requests, with the mean and the variance of their times."""

    share_ratio: float
    mean_s: float
    var_s2: float


class Answering(NamedTuple):
    """How a service answers in a short time: the share that fails, those that go well at once, and after retries."""

    fail_ratio: float
    smooth: Times
    rough: Times = Times(0.0, 0.0, 0.0)


class Beneath(NamedTuple):
    """How the calls of a request go: the share all of whose calls go well, and the kinds of times among them."""

    well_ratio: float
    kinds: tuple[Times, ...]


def called(calls: Iterable[tuple[float, Answering]]) -> Beneath:
    """Return how all calls of one request go: any that fails makes it fail. calls: (ratio, how each is answered)."""
    kinds, well = [Times(1.0, 0.0, 0.0)], 1.0
    weight = extra_s = extra_s2 = 0.0
    for ratio, one in calls:
        whole = math.floor(ratio)
        part = ratio - whole
        good, rough, smooth = 1.0 - one.fail_ratio, one.rough, one.smooth
        well *= good**whole * (1.0 - part + part * good)
        makes = [(1.0 - part, whole), (part, whole + 1)] if part > 0.0 else [(1.0, whole)]
        kinds = [
            Times(
                kind.share_ratio * share * smooth.share_ratio**count,
                kind.mean_s + count * smooth.mean_s,
                kind.var_s2 + count * smooth.var_s2,
            )
            for kind in kinds
            for share, count in makes
        ]
        more_s = rough.mean_s - smooth.mean_s
        weight += ratio * rough.share_ratio
        extra_s += ratio * rough.share_ratio * more_s
        extra_s2 += ratio * rough.share_ratio * (rough.var_s2 + more_s * more_s)
    kinds = [kind for kind in kinds if kind.share_ratio > _TOO_FEW]
    left = well - sum(kind.share_ratio for kind in kinds)
    if left > _TOO_FEW and weight > 0.0:
        calm, more_s = together(kinds), extra_s / weight
        kinds.append(Times(left, calm.mean_s + more_s, calm.var_s2 + extra_s2 / weight - more_s * more_s))
    return Beneath(well, tuple(kinds))


def together(kinds: Sequence[Times]) -> Times:
    """Return all kinds as one, with the right mean and variance."""
    share = sum(kind.share_ratio for kind in kinds)
    if share <= 0.0:
        return Times(0.0, 0.0, 0.0)
    mean_s = sum(kind.share_ratio * kind.mean_s for kind in kinds) / share
    square_s2 = sum(kind.share_ratio * (kind.var_s2 + kind.mean_s * kind.mean_s) for kind in kinds) / share
    return Times(share, mean_s, max(0.0, square_s2 - mean_s * mean_s))


def share_above(t_s: float, kinds: Sequence[Times]) -> float:
    """Return the share of requests whose time is longer than `t_s`."""
    whole = sum(kind.share_ratio for kind in kinds)
    return sum(kind.share_ratio * _above(t_s, kind.mean_s, kind.var_s2) for kind in kinds) / whole if whole else 0.0


def quantile(q: float, kinds: Sequence[Times]) -> float:
    """Return the time within which a share `q` of 0.5 or 0.95 lies, to 1 %; kinds of less than 0.2 % are left out."""
    kinds = [kind for kind in kinds if kind.share_ratio > _RARE_RATIO] or kinds
    each = [_quantile(q, kind.mean_s, kind.var_s2) for kind in kinds]
    if len(each) < 2:
        return each[0] if each else 0.0
    low, high = min(each), max(each)
    for _ in range(_HALVINGS):
        if high - low < 0.01 * low:
            break
        middle = (low + high) / 2.0
        low, high = (middle, high) if share_above(middle, kinds) > 1.0 - q else (low, middle)
    return (low + high) / 2.0


def quantiles(q: float, mean_s: F64, var_s2: F64) -> F64:
    """Return the quantile `q` of 0.5 or 0.95 of gamma distributions with these positive means, row by row."""
    spread = np.sqrt(var_s2) / (3.0 * mean_s)
    return np.asarray(mean_s * np.maximum(0.0, 1.0 - spread * spread + _QUANTILES[q] * spread) ** 3)


def _above(t_s: float, mean_s: float, var_s2: float) -> float:
    if t_s <= 0.0:
        return 1.0
    if var_s2 <= 0.0 or mean_s <= 0.0:
        return float(t_s < mean_s)
    spread = math.sqrt(var_s2) / (3.0 * mean_s)
    score = ((t_s / mean_s) ** (1.0 / 3.0) - 1.0 + spread * spread) / spread
    return 0.5 * math.erfc(score / math.sqrt(2.0))


def _quantile(q: float, mean_s: float, var_s2: float) -> float:
    if mean_s <= 0.0:
        return 0.0
    spread = math.sqrt(var_s2) / (3.0 * mean_s)
    return float(mean_s * max(0.0, 1.0 - spread * spread + _QUANTILES[q] * spread) ** 3)
