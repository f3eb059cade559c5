"""What each watched row asks of its detector, as arrays: rows of many policies share one detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from aiops.core.detect.rebasing import Shifts, Usual
from aiops.core.detect.wall_clock import UTC
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.policies import Side, WatchPolicy
from aiops.core.protocols import Detector

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowRules:
    """Structure of arrays, one entry per row; `season_s`, the length of the season, is that of all of them.

    zone: whose wall clocks the season follows, for all of them, too. false_alarms_per_week: the budget of false alarms
    of the row. above, below: which deviations count. min_deviation (units of the series) and min_deviation_ratio (share
    of what was expected): what is smaller is not worth an alarm.
    """

    season_s: float
    false_alarms_per_week: F64
    above: Bools
    below: Bools
    min_deviation: F64
    min_deviation_ratio: F64
    zone: str = UTC

    def __len__(self) -> int:
        return len(self.above)

    def take(self, rows: Rows) -> RowRules:
        """Return the rules of other rows; -1 takes the rules that no policy has asked to change."""
        fresh, kept = usual(len(rows), self.season_s, self.zone), rows >= 0
        if not len(self):
            return fresh
        arrays = {name: np.where(kept, getattr(self, name)[rows], getattr(fresh, name)) for name in _ARRAYS}
        return RowRules(season_s=self.season_s, zone=self.zone, **arrays)


_ARRAYS = tuple(field.name for field in fields(RowRules) if field.name not in ("season_s", "zone"))


class RuledDetector(Detector, Protocol):
    """A detector that is made from rules by row.

    open_hits: how many of the last three samples must be anomalous for a finding. step_s: seconds between samples.
    """

    rules: RowRules
    open_hits: int

    @property
    def step_s(self) -> float:
        """Return the seconds between samples, as they came lately."""
        ...

    def follow(self, rules: RowRules) -> None:
        """Follow other rules from now on; as many rows, and the same season."""
        ...

    def usual(self, at: Instant, rows: Rows) -> Usual:
        """Return what is usual of some rows at an instant, whatever their newest sample is."""
        ...

    def rebase(self, at: Instant, shifts: Shifts) -> None:
        """Let what was usual of some rows move by what an announced change has moved them; asked between ticks."""
        ...

    def evidence(self, row: int) -> Mapping[str, float]:
        """Return the numbers behind what was said of a row at the last score, by name; finite ones, for people."""
        ...


def usual(rows: int, season_s: float = DAY_S, zone: str = UTC) -> RowRules:
    """Return the rules of rows that ask for nothing: one false alarm a week, both sides, any deviation."""
    return RowRules(
        season_s=season_s,
        false_alarms_per_week=np.ones(rows),
        above=np.ones(rows, np.bool_),
        below=np.ones(rows, np.bool_),
        min_deviation=np.zeros(rows),
        min_deviation_ratio=np.zeros(rows),
        zone=zone,
    )


def group_name(policy: WatchPolicy) -> str:
    """Return the name of the rows that share a detector, a length of the season, and the clock that it goes by."""
    name = f"{policy.detector}@{policy.season_s:g}"
    return name if policy.time_zone == UTC else f"{name}@{policy.time_zone}"


def of_policies(policies: Sequence[WatchPolicy], owner: Rows, seen: int | None = None) -> RowRules:
    """Return the rules of rows where row i belongs to `policies[owner[i]]`; all of these have one season.

    seen: of the first so many rows there are samples (all, unless said): only these share a budget for all series.
    """
    # a group may have no row yet: its season is that of its policies
    asking = [policies[number] for number in set(owner.tolist())] or policies
    seasons = {(one.season_s, one.time_zone) for one in asking}
    if len(seasons) > 1:
        raise ValueError(f"rows of one detector share a season, these have {sorted(seasons)}")
    rows = np.maximum(np.bincount(owner[:seen], minlength=len(policies)), 1)
    shares = [p.budget_per_week / n if p.budget_per_week else np.inf for p, n in zip(policies, rows, strict=True)]
    budgets = np.minimum([p.false_alarms_per_week for p in policies], shares)
    budgets = budgets / np.array([p.ways for p in policies])  # what is looked for besides has its part of it
    season_s, zone = seasons.pop() if seasons else (DAY_S, UTC)
    return RowRules(
        season_s=season_s,
        zone=zone,
        false_alarms_per_week=np.asarray(budgets, np.float64)[owner],
        above=np.array([p.side is not Side.BELOW for p in policies], np.bool_)[owner],
        below=np.array([p.side is not Side.ABOVE for p in policies], np.bool_)[owner],
        min_deviation=np.array([p.min_deviation for p in policies], np.float64)[owner],
        min_deviation_ratio=np.array([p.min_deviation_ratio for p in policies], np.float64)[owner],
    )
