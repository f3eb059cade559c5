"""What one consumer of a queue works off, read off recorded arrivals, backlog and replicas.

While more waits than a step's work, consumers are busy throughout: what came less what the backlog grew by is what they
worked off. Its median by consumer (by their share of whole partitions) is what one carries. It is judged on steps that
the median did not see: by the work of single steps, and by whether a backlog that is moved on from the first of them by
the model alone stands when one was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.decide.scaling.backlog import shared
from aiops.core.model import F64, Bools
from aiops.core.policies import ScalingPolicy
from simulators.backtest.recording import Recording

LEAST_BUSY = 20
"""With fewer busy steps nobody can tell what a consumer carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """worked: units per s, float64[t], NaN where consumers were not known to be busy. worth: as how many they count."""

    worked: F64
    worth: F64

    @property
    def each(self) -> F64:
        """Return what one consumer worked off in busy steps."""
        with np.errstate(all="ignore"):
            each = self.worked / self.worth
        return np.asarray(each[np.isfinite(each) & (each > 0.0)])


def busy(load: F64, ready: F64, backlog: F64, step_s: float, partitions: int | None) -> Busy:
    """Return what was worked off in the steps in which work waited throughout."""
    before = np.concatenate([[np.nan], backlog[:-1]])
    worked = load - (backlog - before) / step_s
    with np.errstate(invalid="ignore"):
        throughout = np.minimum(before, backlog) > np.maximum(worked, 0.0) * step_s
        # a step in which their number changed is none of either number
        steady = ready == np.concatenate([[np.nan], ready[:-1]])
    worth = ready if partitions is None else np.array([shared(one, partitions) for one in np.nan_to_num(ready)])
    return Busy(
        worked=np.where(throughout & steady & (worked > 0.0), worked, np.nan), worth=np.asarray(worth, np.float64)
    )


def moved_on(load: F64, worth: F64, backlog: F64, each: float, step_s: float) -> F64:
    """Return the backlog as the model alone moves it on from the first that is known; load of gaps is taken as none."""
    out = np.full(len(load), np.nan)
    known = np.flatnonzero(np.isfinite(backlog))
    if len(known) == 0:
        return out
    waiting = out[known[0]] = float(backlog[known[0]])
    come, able = np.nan_to_num(load) * step_s, np.nan_to_num(worth) * each * step_s
    for step in range(int(known[0]) + 1, len(load)):
        waiting = out[step] = max(0.0, waiting + float(come[step]) - float(able[step]))
    return out


def stands(backlog: F64, worth: F64, each: float, step_s: float) -> Bools:
    """Return whether more waits than the consumers work off in a step: when a policy takes it for a backlog."""
    with np.errstate(invalid="ignore"):
        return np.asarray(backlog > worth * each * step_s)


def partitions_of(recording: Recording, policy: ScalingPolicy) -> int | None:
    """Return among how many partitions the work is shared: as it is written, or the middle of what was recorded."""
    backlog = policy.objective.backlog
    said = None if backlog is None else backlog.partitions
    if not isinstance(said, str):
        return said
    seen = recording.signal(policy, said)
    known = np.zeros(0) if seen is None else seen[np.isfinite(seen)]
    return max(1, int(np.median(known))) if len(known) else None
