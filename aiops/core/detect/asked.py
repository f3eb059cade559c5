"""What policies ask of their rows beyond a score: times that do not count, values too small, and a budget for them all.

Of the rows of one policy that has a budget for all, each may spend its share; but of many that are odd at once, the
k-th may be less rare in proportion (Benjamini and Hochberg, "Controlling the false discovery rate", 1995, at every
tick): what comes alone must be very rare, what comes together need not. A row's share is of alarms, each of eleven
samples or so; rows at one tick are samples: so it is from the twelfth on that they help each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aiops.core.detect.habits import TOGETHER
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.policies import WatchPolicy
from aiops.core.protocols import Scores


class Asked:
    """What `policies` ask of rows, where row i belongs to `policies[owner[i]]`."""

    def __init__(self, policies: Sequence[WatchPolicy], owner: Rows) -> None:
        self._owner = owner
        self._shared = [np.flatnonzero(owner == number) for number, one in enumerate(policies) if one.budget_per_week]
        self._quiet = [(number, one.maintenance) for number, one in enumerate(policies) if one.maintenance]
        least = np.array([one.ignore_below for one in policies], np.float64)
        self._least = least[owner] if np.isfinite(least).any() else None

    def learns(self, at: Instant, learn: Bools) -> Bools:
        """Return which rows may be learnt from: none in its policy's maintenance."""
        off = self.quiet(at)
        return learn if off is None else learn & ~off

    def speaks(self, at: Instant, rows: Rows) -> Rows:
        """Return those of some rows of which anything may be found now."""
        off = self.quiet(at)
        return rows if off is None else rows[~off[rows]]

    def judged(self, at: Instant, values: F64, scores: Scores) -> Scores:
        """Return scores as the policies want them; what they say of a row in maintenance is nothing (NaN)."""
        score, off = scores.score, self.quiet(at)
        if off is not None:
            score = np.where(off, np.nan, score)
        if self._least is not None:
            small = np.fmax(np.abs(values), np.abs(scores.expected)) < self._least
            score = np.where(small & np.isfinite(score), 0.0, score)
        for rows in self._shared:
            score = _stepped_up(score, rows)
        return scores if score is scores.score else replace(scores, score=score)

    def quiet(self, at: Instant) -> Bools | None:
        """Return which rows are in maintenance, None where there is none."""
        off = [number for number, spans in self._quiet if any(one.schedule.active_until(at) for one in spans)]
        return np.isin(self._owner, off) if off else None


def _stepped_up(score: F64, rows: Rows) -> F64:
    """Return scores where those of some rows count for as many decades more as so many odd ones at once allow."""
    mine = np.nan_to_num(score[rows], nan=0.0, posinf=1e300)
    worst_first = np.sort(mine[mine > 1.0 / (1.0 + len(rows))])[::-1]
    # a score is 2^(decades rarer than the row's share): the k-th may lack log10(k / 11) of them
    lacks = np.log10(np.maximum(np.arange(1, len(worst_first) + 1) / TOGETHER, 1.0))
    enough = np.flatnonzero(worst_first * 2.0**lacks > 1.0)
    if not len(enough):
        return score
    out = score.copy()
    out[rows] *= 2.0 ** lacks[enough[-1]]
    return out
