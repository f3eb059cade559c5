"""When a row will reach the bound that its policy names: a line through its last hours, with an interval.

Least squares with exponential forgetting; the error of the slope is widened, as neighbouring samples err alike. A row
that leaves its line away from the bound (a disk that was cleaned up) begins a new one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiops.core.detect.wording import span
from aiops.core.model import F64, Bools, FindingKind, Instant, Rows
from aiops.core.policies import WatchPolicy
from aiops.core.protocols import Arrays

TAU_S = 6 * 3600.0
LEAST_SAMPLES, LEAST_S = 30.0, 3600.0
WIDER = 3.0
"""Neighbouring samples err alike: the slope is known so many times less well than of independent ones."""

SIGMAS = 2.0
RESET_SIGMAS, RESET_SHARE = 8.0, 0.02
CLOSES = 1.5
"""A finding closes when the bound is this many times farther away than its policy asks for."""

_W, _A, _AA, _X, _XA, _XX, _FIRST, _SPAN = range(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """What is found out of one row: seconds to its bound, soonest and latest; all 0 where it stands at it."""

    row: int
    kind: FindingKind
    since: Instant
    score: float
    p_value: float
    level: float
    bound: float
    left_s: tuple[float, float, float]
    per_hour: float

    def sentence(self, name: str, value: float) -> str:
        """Return it for people.

        >>> Exhausted(row=0, kind=FindingKind.EXHAUSTION, since=0.0, score=2.0, p_value=0.001, level=81.0, bound=100.0,
        ...           left_s=(7200.0, 6600.0, 8100.0), per_hour=9.5).sentence("disk", 81.0)
        'disk 81 will reach 100 in 2.0 h (110 min to 2.2 h) at 9.5 an hour'
        """
        if self.kind is FindingKind.SATURATION:
            return f"{name} {value:.3g} stands at its bound of {self.bound:.3g}"
        left, soonest, latest = (span(one) for one in self.left_s)
        return (
            f"{name} {value:.3g} will reach {self.bound:.3g} in {left} ({soonest} to {latest}) "
            f"at {self.per_hour:.3g} an hour"
        )


class Exhaustion:
    """Lines by row: float64[8, n], weight, ages, their squares, values, products, squares, first value, span.

    since: float64[n], since when a row's finding is open, NaN of closed ones. Where no policy asks, nothing is kept.
    """

    def __init__(self, rows: int) -> None:
        self._asked = False
        self._lines, self.since = np.zeros((8, rows)), np.full(rows, math.nan)
        self._bound, self._within = np.full(rows, math.nan), np.zeros(rows)
        self._last_at = math.nan

    def follow(self, policies: Sequence[WatchPolicy], owner: Rows) -> None:
        """Know what policies ask of their rows, where row i belongs to `policies[owner[i]]`."""
        asks = [one.exhaustion for one in policies]
        self._bound = np.array([math.nan if one is None else one.bound for one in asks])[owner]
        self._within = np.array([0.0 if one is None else one.within_s for one in asks])[owner]
        self._asked = bool(np.isfinite(self._bound).any())

    def look(self, at: Instant, values: F64, learn: Bools) -> list[Exhausted]:
        """Take values into their lines and return what is open."""
        if not self._asked:
            return []
        dt = at - self._last_at if at > self._last_at else 0.0
        self._last_at = at
        self._pass(dt)
        taken = np.isfinite(values) & learn & np.isfinite(self._bound)
        rows = np.flatnonzero(taken)
        self._begin(rows[self._lines[_W, rows] < 1e-6], values)
        self._leave(rows, values)
        moved = values[rows] - self._lines[_FIRST, rows]
        self._lines[_W, rows] += 1.0
        self._lines[_X, rows] += moved
        self._lines[_XX, rows] += moved * moved
        self._lines[_SPAN, rows] += dt
        return self._found(at, rows, values)

    def take(self, rows: Rows) -> None:
        """Become the lines of other rows; -1 starts afresh."""
        fresh, old = Exhaustion(len(rows)), rows >= 0
        fresh._lines[:, old], fresh.since[old] = self._lines[:, rows[old]], self.since[rows[old]]
        fresh._last_at = self._last_at
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint; nothing where nothing is asked."""
        own = {"lines": self._lines, "since": self.since, "clock": np.array([self._last_at])}
        return own if self._asked else {}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; one without it, or of other rows, starts afresh."""
        if "lines" in arrays and arrays["lines"].shape == self._lines.shape:
            self._lines, self.since = np.array(arrays["lines"], np.float64), np.array(arrays["since"], np.float64)
            self._last_at = float(arrays["clock"][0])

    # -- inner ---------------------------------------------------------------------------------------

    def _pass(self, dt: float) -> None:
        lines = self._lines
        lines[_AA] += dt * (2.0 * lines[_A] + dt * lines[_W])
        lines[_A] += dt * lines[_W]
        lines[_XA] += dt * lines[_X]
        lines[:_FIRST] *= math.exp(-dt / TAU_S)

    def _begin(self, rows: Rows, values: F64) -> None:
        self._lines[:, rows] = 0.0
        self._lines[_FIRST, rows] = values[rows]

    def _leave(self, rows: Rows, values: F64) -> None:
        """Begin a new line where a row has moved away from its bound, far off its old line."""
        level, _, sigma, _ = self._fit(rows)
        away = (values[rows] - level) * np.sign(level - self._bound[rows])
        least = np.maximum(RESET_SIGMAS * sigma, RESET_SHARE * np.abs(self._bound[rows] - level))
        self._begin(rows[(away > least) & (self._lines[_W, rows] >= LEAST_SAMPLES / 2)], values)

    def _fit(self, rows: Rows) -> tuple[F64, F64, F64, F64]:
        """Return level now, slope a second, deviation of samples, and error of the slope; float64[m] each."""
        w, a, aa, x, xa, xx = self._lines[:_FIRST, rows]
        w = np.maximum(w, 1e-9)
        spread = np.maximum(aa - a * a / w, 1e-9)
        slope = -(xa - a * x / w) / spread
        sigma = np.sqrt(np.maximum(xx - x * x / w - slope * slope * spread, 0.0) / w)
        level = self._lines[_FIRST, rows] + (x + slope * a) / w
        return level, slope, sigma, WIDER * sigma / np.sqrt(spread)

    def _found(self, at: Instant, rows: Rows, values: F64) -> list[Exhausted]:
        level, slope, _, error = self._fit(rows)
        bound, first = self._bound[rows], self._lines[_FIRST, rows]
        side = np.where(bound >= first, 1.0, -1.0)
        gap, speed = np.maximum((bound - level) * side, 0.0), slope * side
        known = (self._lines[_W, rows] >= LEAST_SAMPLES) & (self._lines[_SPAN, rows] >= LEAST_S)
        with np.errstate(divide="ignore", invalid="ignore"):
            left, soonest, latest = (
                np.where(pace > 0, gap / pace, math.inf)
                for pace in (speed, speed + SIGMAS * error, speed - SIGMAS * error)
            )
        full = (values[rows] - bound) * side >= 0
        horizon = self._within[rows] * np.where(np.isfinite(self.since[rows]), CLOSES, 1.0)
        opens = full | (known & (left <= horizon) & (speed > SIGMAS * error))
        self.since[rows] = np.where(opens, np.fmin(self.since[rows], at), math.nan)
        out = []
        for place in np.flatnonzero(opens).tolist():
            row, stands = int(rows[place]), bool(full[place])
            sigmas = float(speed[place] / error[place]) if error[place] > 0 else 40.0
            spans = (left[place], soonest[place], latest[place])
            out.append(
                Exhausted(
                    row=row,
                    kind=FindingKind.SATURATION if stands else FindingKind.EXHAUSTION,
                    since=float(self.since[row]),
                    score=1e3 if stands else min(1.0 + float(self._within[row] / max(left[place], 1.0)), 1e3),
                    p_value=0.0 if stands else 0.5 * math.erfc(sigmas / math.sqrt(2.0)),
                    level=float(level[place]),
                    bound=float(bound[place]),
                    left_s=(0.0, 0.0, 0.0) if stands else (float(spans[0]), float(spans[1]), float(spans[2])),
                    per_hour=float(slope[place]) * 3600.0,
                )
            )
        return out
