"""How contenders fared, in numbers beside each other, and how sure the differences are.

The 95 % intervals are of a moving-block bootstrap of paired differences: every metric is summed by hour for both
contenders, runs of consecutive hours are drawn with replacement until the time is as long as the recorded one, and the
difference of the sums is taken (H. R. Kuensch, "The jackknife and the bootstrap for general stationary observations",
Ann. Statist. 17, 1989). Blocks are a day long where there are four days or more, else an eighth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from aiops.core.model import F64, Bools
from simulators.backtest.replay import Past, Run

REVERSED_S = 600.0
"""A change that is taken back within this time was none."""

RESAMPLES = 1_000
_SEED = 20_240_229
METRICS = ("violating_ratio", "miss_minutes", "replica_hours", "changes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One contender.

    violating_ratio: of its requests, slower than the SLO or failed; miss_minutes: with a 95th percentile above the SLO;
    both are modelled. short_ratio: of the load, in steps in which replicas were fewer than perReplica
    asks for. measured_miss_minutes: by the recorded latency, of what really ran only. reversed: changes taken back
    within ten minutes. less_policy: by metric, the 95 % interval of this one less the policy.
    """

    name: str
    violating_ratio: float
    miss_minutes: float
    measured_miss_minutes: float | None
    short_ratio: float | None
    replica_hours: float
    cost_usd: float | None
    scale_outs: int
    scale_ins: int
    reversed: int
    less_policy: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """Return how often replicas changed."""
        return self.scale_outs + self.scale_ins

    def as_json(self) -> dict[str, Any]:
        """Return plain data with documented, stable names."""
        return {**asdict(self), "changes": self.changes}


def scores(past: Past, runs: list[Run]) -> list[Score]:
    """Return the scores, in the order of the runs; the first is the policy's."""
    load = past.measured.load[past.first :]
    known = np.isfinite(load)
    hourly = [_hourly(past, run, known) for run in runs]
    return [_score(past, run, known, _less(hourly[0], by_hour)) for run, by_hour in zip(runs, hourly, strict=True)]


def known_steps(past: Past) -> int:
    """Return in how many scored steps the load is known."""
    return int(np.isfinite(past.measured.load[past.first :]).sum())


def _missed(past: Past, run: Run) -> Bools:
    at_most = past.at_most
    if at_most is None:
        return np.zeros(len(run.latency_s), np.bool_)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.array(run.latency_s) > at_most)


def _changes(run: Run) -> F64:
    """Return float64[t]: by how much replicas changed at each step."""
    return np.diff(np.array(run.replicas, np.float64), prepend=float(run.replicas[0]))


def _cost(past: Past, run: Run, known: Bools) -> float | None:
    """Return what its replicas cost at the prices of then; None while that of one step is not known."""
    if past.usd_per_hour is None:
        return None
    usd = past.usd_per_hour[past.first :][known]
    return float((np.array(run.pod_s)[known] * usd).sum()) / 3600.0 if np.isfinite(usd).all() else None


def _score(past: Past, run: Run, known: Bools, less: Mapping[str, tuple[float, float]]) -> Score:
    changed = _changes(run)
    step_s = past.recording.step_s
    offered = float(np.array(run.offered)[known].sum())
    hours = float(np.array(run.pod_s)[known].sum()) / 3600.0
    return Score(
        name=run.name,
        violating_ratio=float(np.array(run.violating)[known].sum()) / max(offered, 1e-9),
        miss_minutes=float((_missed(past, run) & known).sum()) * step_s / 60.0,
        measured_miss_minutes=_measured_misses(past, known) if run.name == "recorded" else None,
        short_ratio=_short(past, run, known),
        replica_hours=hours,
        cost_usd=_cost(past, run, known),
        scale_outs=int((changed > 0).sum()),
        scale_ins=int((changed < 0).sum()),
        reversed=_reversed(changed, step_s),
        less_policy=less if run.name != "policy" else {},
    )


def _measured_misses(past: Past, known: Bools) -> float | None:
    slo, latency = past.policy.objective.slo, past.measured.latency
    if slo is None or latency is None or past.policy.objective.backlog is not None:
        return None
    with np.errstate(invalid="ignore"):
        missed = (latency[past.first :] > slo.at_most) & known
    return float(missed.sum()) * past.recording.step_s / 60.0


def _short(past: Past, run: Run, known: Bools) -> float | None:
    one = past.policy.objective.per_replica
    if one is None:
        return None
    load = past.measured.load[past.first :][known]
    short = load > np.array(run.ready)[known] * one
    return float(load[short].sum() / max(load.sum(), 1e-9))


def _reversed(changed: F64, step_s: float) -> int:
    places = np.flatnonzero(changed)
    if len(places) < 2:
        return 0
    turned = np.sign(changed[places[1:]]) != np.sign(changed[places[:-1]])
    return int((turned & (np.diff(places) * step_s <= REVERSED_S)).sum())


# -- uncertainty -----------------------------------------------------------------------------------------


def _hourly(past: Past, run: Run, known: Bools) -> Mapping[str, F64]:
    """Return sums by hour: float64[h] each."""
    step_s = past.recording.step_s
    hour = (np.arange(len(known)) * step_s // 3600.0).astype(np.int64)

    def summed(values: F64 | Bools) -> F64:
        return np.asarray(np.bincount(hour, np.where(known, values, 0.0)), np.float64)

    return {
        "offered": summed(np.array(run.offered)),
        "violating_ratio": summed(np.array(run.violating)),
        "miss_minutes": summed(_missed(past, run)) * step_s / 60.0,
        "replica_hours": summed(np.array(run.pod_s)) / 3600.0,
        "changes": summed(_changes(run) != 0.0),
    }


def _less(policy: Mapping[str, F64], other: Mapping[str, F64]) -> Mapping[str, tuple[float, float]]:
    """Return the 95 % interval of other less policy, by metric."""
    hours = len(policy["offered"])
    block = 24 if hours >= 96 else max(1, hours // 8)
    if hours < 4:
        return {}
    dice = np.random.default_rng(_SEED)
    begins = dice.integers(0, hours - block + 1, (RESAMPLES, -(-hours // block)))
    offered = _drawn(policy["offered"], begins, block)
    out = {}
    for name in METRICS:
        drawn = _drawn(other[name] - policy[name], begins, block)
        if name == "violating_ratio":
            drawn = drawn / np.maximum(offered, 1e-9)
        else:
            drawn = drawn * (hours / (begins.shape[1] * block))
        low, high = np.quantile(drawn, (0.025, 0.975))
        out[name] = (float(low), float(high))
    return out


def _drawn(values: F64, begins: np.ndarray[Any, np.dtype[np.int64]], block: int) -> F64:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((sums[begins + block] - sums[begins]).sum(axis=1))
