"""How members and intervals stand: what each member lost lately, how wide intervals must be, and what that is worth.

Weights: the inverse of each member's recent mean absolute error to a power, per series and distance, pulled to equality
while evidence is thin. Intervals: quantiles of normalised errors of the combination, started as split conformal
quantiles of out-of-sample errors and moved after each error by online quantile tracking (Angelopoulos, Candes and
Tibshirani, "Conformal PID Control for Time Series Prediction", 2023; Gibbs and Candes, "Adaptive Conformal Inference
Under Distribution Shift", 2021), so that long-run coverage holds whatever comes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.forecast.grid import Grid
from aiops.core.model import F64, Floats
from aiops.core.protocols import Arrays

QUANTILES = (0.05, 0.1, 0.5, 0.9, 0.95, 0.99)
LEVELS = np.array(QUANTILES)
HALF_LIFE_SEASONS = 2.0
"""After so long an error counts half, for the skill and for what is said of coverage."""

WEIGHT_SEASONS = 0.5
"""After so long an error counts half for the weights: who is right changes within days."""

RATE = 0.1
"""How far a quantile moves after an error, in mean absolute errors, one step ahead."""

_PRIOR_SPREAD = np.array([-1.645, -1.282, 0.0, 1.282, 1.645, 2.326]) * 1.25
"""Quantiles of a normal distribution, in mean absolute errors."""

_PRIOR_RATIO = 0.05
_EPS = 1e-12


@dataclass(slots=True, kw_only=True, eq=False)
class Standing:
    """One row per series; changed in place by `settle`. Axis `who` is the combination, then the last season.

    loss, count: float64[n, voices, knots], discounted sums. size: float64[n, who, knots], the discounted mean absolute
    normalised error. spread: float64[n, who, knots, quantiles], in normalised units. evidence: float64[n, knots], the
    discounted number of steps judged. pinball: float64[n, who, knots] and inside: float64[n, knots], discounted sums.
    """

    loss: F64
    count: F64
    size: F64
    spread: F64
    evidence: F64
    pinball: F64
    inside: F64

    @classmethod
    def unknown(cls, series: int, voices: int, grid: Grid) -> Standing:
        """Return the standing of those that nothing is known of: wide intervals, equal weights."""
        knots = len(grid.knots)
        size = np.broadcast_to(prior_size(grid), (series, 2, knots)).copy()
        return cls(
            loss=np.zeros((series, voices, knots)),
            count=np.zeros((series, voices, knots)),
            size=size,
            spread=size[..., None] * _PRIOR_SPREAD,
            evidence=np.zeros((series, knots)),
            pinball=np.zeros((series, 2, knots)),
            inside=np.zeros((series, knots)),
        )

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name: getattr(self, name) for name in STANDING}

    def part(self, rows: slice) -> Standing:
        """Return some rows, as views of these arrays."""
        return Standing(**{name: getattr(self, name)[rows] for name in STANDING})

    def weights(self, grid: Grid) -> F64:
        """Return float64[n, voices, knots], of sum one."""
        return weigh(self.loss, self.count, grid)

    @property
    def coverage(self) -> F64:
        """Return float64[n, knots]: how often values lay in the 80 % interval lately; NaN while nobody knows."""
        return np.asarray(np.where(self.evidence > 0, self.inside / np.maximum(self.evidence, _EPS), np.nan))

    def skill(self, until: int) -> F64:
        """Return float64[n]: 1 - pinball(combination) / pinball(last season) over the first `until` knots."""
        both = self.pinball[:, :, :until] / np.maximum(self.evidence[:, None, :until], _EPS)
        mine, rival = both.sum(axis=2).T
        return np.asarray(np.where(rival > _EPS, 1.0 - mine / np.maximum(rival, _EPS), np.nan))


STANDING = ("loss", "count", "size", "spread", "evidence", "pinball", "inside")


JUDGED = ("pinball", "inside", "evidence")


def prior_size(grid: Grid) -> F64:
    """Return float64[knots]: mean absolute errors, relative to a series' size, of those that nothing is known of."""
    return np.asarray(_PRIOR_RATIO * np.sqrt(grid.knots * grid.step_s / 60.0))


def decay(grid: Grid, steps: F64, half_life_seasons: float = HALF_LIFE_SEASONS) -> F64:
    """Return what errors count after so many steps."""
    return np.asarray(0.5 ** (steps / (half_life_seasons * grid.season)))


def weigh(loss: Floats, count: Floats, grid: Grid) -> F64:
    """Return weights of members [n, voices, knots, ...] from discounted sums of absolute errors and their counts.

    The mean absolute error to the power of minus six: with two it is hardly better than the plain mean.
    A member without errors (it had no opinion) gets no weight while others have some.
    """
    smooth = _smoothed(loss), _smoothed(count)
    heard = np.asarray(smooth[1] > 0)
    mean = np.where(heard, smooth[0] / np.maximum(smooth[1], _EPS), np.nan)
    shape = (1, 1, -1) + (1,) * (loss.ndim - 3)
    prior = (4.0 + 0.5 * grid.knots).astype(loss.dtype).reshape(shape)
    best = np.fmin.reduce(mean, axis=1, keepdims=True)
    # what the others lose, but for those who talk nonsense
    typical = np.fmin(np.fmin.reduce(np.where(mean > best, mean, np.nan), axis=1, keepdims=True), 2.0 * best)
    drawn = (smooth[0] + prior * typical) / (smooth[1] + prior)
    ratio = drawn / np.maximum(best, _EPS)
    ratio = np.clip(ratio, 1e-3, 1e6)
    cubed = ratio * ratio * ratio  # a product is twenty times as fast as a power
    raw = np.where(heard, 1.0 / (cubed * cubed), 0.0)
    judged = np.asarray(heard.any(axis=1, keepdims=True))
    raw[:, :, :1] = np.where(judged[:, :, :1], raw[:, :, :1], 1.0)
    for knot in range(1, raw.shape[2]):
        # nobody was judged so far ahead: those who were right nearer by are heard
        lent = raw[:, :, knot - 1 : knot]
        raw[:, :, knot : knot + 1] = np.where(judged[:, :, knot : knot + 1], raw[:, :, knot : knot + 1], lent)
    return np.asarray(raw / np.maximum(raw.sum(axis=1, keepdims=True), _EPS))


def mixed(made: F64, weights: F64) -> F64:
    """Return [n, knots, ...]: the weighted mean of members with an opinion and a weight, NaN where none has both."""
    heard = np.isfinite(made) & np.isfinite(weights)
    part = np.where(heard, weights, 0.0)
    total = part.sum(axis=1)
    some = (part * np.where(heard, made, 0.0)).sum(axis=1)
    plain = np.where(heard, made, 0.0).sum(axis=1) / np.maximum(heard.sum(axis=1), 1)
    out = np.where(total > _EPS, some / np.maximum(total, _EPS), plain)
    return np.asarray(np.where(heard.any(axis=1), out, np.nan))


def rate(grid: Grid, steps: F64) -> F64:
    """Return float64[knots]: how far quantiles move by an error that stands for so many steps.

    Errors far ahead that are neighbours are one error, errors that lie far apart are no more than one each. Beyond an
    eighth of a season whole days go wrong together: quantiles that ran after each would always be a day late.
    """
    alike = np.minimum(1.0, steps * 8.0 / (7.0 + grid.knots))
    return np.asarray(RATE * alike * np.minimum(1.0, grid.season / (8.0 * grid.knots)))


REACH = np.where(LEVELS == 0.5, 0.2, 1.0 / np.sqrt(4.0 * LEVELS * (1.0 - LEVELS)))
"""How far each quantile moves: tails, where errors are sparse, further; the middle, which members find, little."""


def lived(spread: Floats, scores: Floats, norm: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return sums over errors: pinball [n, who, knots], inside and evidence [n, knots], push as `spread`.

    spread: [quantiles, n, who, knots]; scores, norm: [errors, n, who, knots], at most 127 normalised errors (NaN is
    none) and what they were divided by. Pinball, in units of the norm, and evidence count errors that both made. push:
    how far quantiles want to move, in shares of a step; an error that lies on a quantile is half below it.
    """
    # quantiles first: long rows of one quantile are computed three times as fast as short ones of six
    level = LEVELS.astype(spread.dtype)
    over = scores - spread[:, None]
    there = np.isfinite(scores)
    both = there[:, :, 0] & there[:, :, 1]
    under, until = over < 0.0, over <= 0.0
    inside = both & ~until[1, :, :, 0] & until[3, :, :, 0] & np.isfinite(over[1, :, :, 0])
    below = (under.view(np.uint8) + until.view(np.uint8)).sum(axis=1, dtype=np.uint8)
    # pinball is level * over, less over where that is negative; the first is linear and needs no array of all quantiles
    plain = level.sum() * scores - (level[:, None, None, None] * spread).sum(axis=0)
    lost = (plain - np.minimum(over, 0.0, out=over).sum(axis=0)) / len(level)
    lost = np.where(both[:, :, None], lost * norm, 0.0).sum(axis=0)
    level = level[:, None, None, None]
    push = level * there.sum(axis=0, dtype=spread.dtype) - 0.5 * below
    push *= REACH.astype(spread.dtype)[:, None, None, None]
    return lost, inside.sum(axis=0, dtype=np.float64), both.sum(axis=0, dtype=np.float64), push


def conformal(scores: Floats, weight: F64) -> F64:
    """Return quantiles [.., quantiles] of scores [.., o], NaN left out, corrected as in split conformal by (m + 1) / m.

    weight: the number of independent errors that one error stands for (neighbours are alike). NaN without any score.
    """
    ordered = np.sort(scores, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    free = np.maximum(count * weight, 1.0)
    level = LEVELS + np.sign(LEVELS - 0.5) * np.minimum(LEVELS, 1 - LEVELS) * np.minimum(1.0 / free, 1.0)[..., None]
    place = np.clip(level * count[..., None] - 0.5, 0.0, np.maximum(count[..., None] - 1, 0))
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(count[..., None] - 1, 0))
    left, right = np.take_along_axis(ordered, low, -1), np.take_along_axis(ordered, high, -1)
    # with few independent errors the worst is still to come
    wider = 1.0 + 2.0 / free[..., None]
    return np.asarray((left + (right - left) * (place - low)) * np.where(LEVELS == 0.5, 1.0, wider))


def _smoothed(sums: Floats) -> Floats:
    """Return sums with those of neighbouring knots: a distance is judged with its neighbours."""
    out = sums * 2.0
    out[:, :, 1:] += sums[:, :, :-1]
    out[:, :, :-1] += sums[:, :, 1:]
    return out
