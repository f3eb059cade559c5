"""What each watched row asks of its detector, as arrays: rows of many policies share one detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from aiops.core.model import F64, Bools, Rows
from aiops.core.policies import Side, WatchPolicy
from aiops.core.protocols import Detector

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowRules:
    """Structure of arrays, one entry per row.

    season_s: length of the season. false_alarms_per_week: the budget of false alarms of the row. above, below: which
    deviations count. min_deviation (units of the series) and min_deviation_ratio (share of what was expected): what is
    smaller is not worth an alarm.
    """

    season_s: F64
    false_alarms_per_week: F64
    above: Bools
    below: Bools
    min_deviation: F64
    min_deviation_ratio: F64

    def __len__(self) -> int:
        return len(self.season_s)

    def take(self, rows: Rows) -> RowRules:
        """Return the rules of other rows; -1 takes the rules that no policy has asked to change."""
        fresh, kept = usual(len(rows)), rows >= 0
        return RowRules(**{name: np.where(kept, old[rows], new) for name, old, new in _pairs(self, fresh)})


class RuledDetector(Detector, Protocol):
    """A detector that follows rules by row; they may be replaced when policies change."""

    rules: RowRules


def usual(rows: int) -> RowRules:
    """Return the rules of rows that ask for nothing: a day, one false alarm a week, both sides, any deviation."""
    return RowRules(
        season_s=np.full(rows, DAY_S),
        false_alarms_per_week=np.ones(rows),
        above=np.ones(rows, np.bool_),
        below=np.ones(rows, np.bool_),
        min_deviation=np.zeros(rows),
        min_deviation_ratio=np.zeros(rows),
    )


def of_policies(policies: Sequence[WatchPolicy], owner: Rows) -> RowRules:
    """Return the rules of rows where row i belongs to `policies[owner[i]]`."""
    return RowRules(
        season_s=np.array([p.season_s for p in policies], np.float64)[owner],
        false_alarms_per_week=np.array([p.false_alarms_per_week for p in policies], np.float64)[owner],
        above=np.array([p.side is not Side.BELOW for p in policies], np.bool_)[owner],
        below=np.array([p.side is not Side.ABOVE for p in policies], np.bool_)[owner],
        min_deviation=np.array([p.min_deviation for p in policies], np.float64)[owner],
        min_deviation_ratio=np.array([p.min_deviation_ratio for p in policies], np.float64)[owner],
    )


def _pairs(old: RowRules, new: RowRules) -> list[tuple[str, F64, F64]]:
    if len(old) == 0:
        old = usual(1)
    return [(field.name, getattr(old, field.name), getattr(new, field.name)) for field in fields(RowRules)]
