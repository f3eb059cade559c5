"""A backtest: what was recorded, what a policy would have done, and what baselines would have, on the same load."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiops.core.model import F64
from aiops.core.observe.environment import asks_nodes
from aiops.core.policies import ScalingPolicy, WatchPolicy
from aiops.errors import InvalidContent, InvalidInput
from simulators.autoscalers import AUTOSCALERS, STOCK_KNOBS
from simulators.backtest.best import NAME as OPTIMUM
from simulators.backtest.best import by_optimum
from simulators.backtest.calibration import Calibration, calibrate, measured
from simulators.backtest.recording import Recording
from simulators.backtest.replay import Past, Run, by_autoscaler, by_policy, by_recorded
from simulators.backtest.scoring import Score, known_steps, scores

LEAST_SCORED_S, LEAST_LEARNT_S = 3600.0, 3600.0
DAY_S = 86_400.0
WORST = 5
_APART_S = 1800.0
DEFAULT_BASELINES = ("hpa", "keda", "static-peak")
ALIASES = {"static": "static-peak"}
MOST_POINTS = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be compared. warmup_s: what is only learnt from, None is the half, 14 days at most.

    baselines: names of autoscalers with their safety knob. replica_usd_per_hour: at all times; None is what was
    recorded.
    """

    baselines: tuple[tuple[str, float], ...] = tuple((name, STOCK_KNOBS[name]) for name in DEFAULT_BASELINES)
    warmup_s: float | None = None
    replica_usd_per_hour: float | None = None
    curves: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One of the worst: its time, the requests that were violated around it, what was there, and the decision."""

    at: float
    violating: float
    load: float
    ready: int
    latency_s: float
    story: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one policy. curves: by name, thinned for a chart; changes: (at, before, after) of the policy."""

    policy: str
    label: str
    target: str
    start: float
    end: float
    learnt_from: float
    step_s: float
    scored_steps: int
    unknown_steps: int
    slo_s: float | None
    drain_s: float | None
    calibration: Calibration
    scores: tuple[Score, ...]
    worst: tuple[Moment, ...]
    warnings: tuple[str, ...]
    changes: tuple[tuple[float, int, int], ...] = ()
    curves: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the policy, with what the grid set."""
        return f"{self.policy} {self.label}".strip()

    def as_json(self) -> dict[str, Any]:
        """Return plain data with documented, stable names; what is not to be trusted is null."""
        rows = []
        for one in self.scores:
            row = one.as_json()
            if not self.calibration.trusted:
                row["violating_ratio"] = row["miss_minutes"] = None
                row["less_policy"] = {k: v for k, v in one.less_policy.items() if k in ("replica_hours", "changes")}
            rows.append(row)
        return {
            "policy": self.policy,
            "grid": self.label,
            "target": self.target,
            "learnt_from": self.learnt_from,
            "start": self.start,
            "end": self.end,
            "step_s": self.step_s,
            "scored_steps": self.scored_steps,
            "unknown_steps": self.unknown_steps,
            "slo_s": self.slo_s,
            "drain_s": self.drain_s,
            "calibration": self.calibration.as_json(),
            "contenders": rows,
            "worst": [
                {"at": m.at, "violating": m.violating, "load": m.load, "ready": m.ready, "story": m.story}
                for m in self.worst
            ],
            "changes": [{"at": at, "before": before, "after": after} for at, before, after in self.changes],
            "warnings": list(self.warnings),
        }


def baselines(text: str) -> tuple[tuple[str, float], ...]:
    """Return the baselines of `hpa,keda:0.6,static`; raise InvalidInput with those that there are."""
    found = []
    for part in (one.strip() for one in text.split(",")):
        if part in ("", "none"):
            continue
        name, _, knob = part.partition(":")
        name = ALIASES.get(name, name)
        if name == OPTIMUM:
            if knob:
                raise InvalidInput(f"--baselines {part}: the optimum has no knob")
            found.append((name, 0.0))
            continue
        if name not in AUTOSCALERS:
            known = ", ".join((*AUTOSCALERS, OPTIMUM))
            raise InvalidInput(f"--baselines {part}: there is no such one; there are {known}, none")
        try:
            value = float(knob) if knob else STOCK_KNOBS[name]
        except ValueError as err:
            raise InvalidInput(f"--baselines {part}: {knob!r} is no number") from err
        if not 0.01 <= value <= 100.0:
            raise InvalidInput(f"--baselines {part}: {knob} is not between 0.01 and 100")
        found.append((name, value))
    return tuple(dict(found).items())


def past_of(recording: Recording, policy: ScalingPolicy, watches: Sequence[WatchPolicy], order: Order) -> Past:
    """Return what a policy's backtest stands on; raise InvalidInput when the recording does not carry it."""
    _check(recording, policy)
    step_s, count = recording.step_s, len(recording.times)
    warmup_s = min(count * step_s / 2.0, 14 * DAY_S) if order.warmup_s is None else order.warmup_s
    first = max(1, round(warmup_s / step_s))
    if warmup_s < LEAST_LEARNT_S or (count - first) * step_s < LEAST_SCORED_S:
        raise InvalidInput(
            f"{recording.origin}: {_span(count * step_s)} of history, of which {_span(warmup_s)} are to be learnt from;"
            f" at least {_span(LEAST_LEARNT_S)} to learn from and {_span(LEAST_SCORED_S)} after it are needed"
        )
    seen = measured(recording, policy)
    model = calibrate(policy, seen.part(0, first), seen.part(first, count), step_s)
    return Past(
        recording=recording,
        policy=policy,
        watches=tuple(watches),
        measured=seen,
        calibration=model,
        first=first,
        usd_per_hour=prices_of(recording, policy, order),
    )


def prices_of(recording: Recording, policy: ScalingPolicy, order: Order) -> F64 | None:
    """Return what a replica costs at each step: what is given for all of them, else what was recorded."""
    if order.replica_usd_per_hour is None:
        return recording.price(policy.target)
    return np.full(len(recording.times), order.replica_usd_per_hour)


def _check(recording: Recording, policy: ScalingPolicy) -> None:
    objective, where = policy.objective, recording.origin
    load = recording.signal(policy, objective.demand)
    if load is None:
        named = ", ".join(sorted(recording.columns)) or "none"
        raise InvalidInput(
            f"{where}: no column for the signal {objective.demand!r} of {policy.key}; expected"
            f" `{policy.key}#{objective.demand}` or `{objective.demand}`, there are {named}"
        )
    if not bool(np.isfinite(load).any()):
        raise InvalidContent(f"{where}: the signal {objective.demand!r} of {policy.key} has no data in this time")
    with np.errstate(invalid="ignore"):
        below = np.flatnonzero(load < 0.0)
    if len(below):
        raise InvalidContent(f"{where}: {objective.demand}: row {int(below[0]) + 1}: {load[below[0]]:g} is below 0")
    if bool(np.isinf(load).any()):
        raise InvalidContent(f"{where}: {objective.demand}: row {int(np.argmax(np.isinf(load))) + 1} is infinite")


def steps_to_go(past: Past, order: Order) -> int:
    """Return how often `progress` is called."""
    return len(past.steps) * (1 + len(order.baselines) + (past.measured.ready is not None))


def run(past: Past, order: Order, label: str = "", progress: Callable[[], None] = lambda: None) -> Result:
    """Return how the policy fared beside what was recorded and the baselines."""
    if known_steps(past) * past.recording.step_s < LEAST_SCORED_S:
        raise InvalidContent(f"{past.recording.origin}: the load is known for less than an hour of what is scored")
    runs = [by_policy(past, progress)]
    recorded = by_recorded(past, progress)
    runs += [recorded] if recorded is not None else []
    stock = [one for one in order.baselines if one[0] != OPTIMUM]
    runs += [by_autoscaler(past, name, AUTOSCALERS[name](knob), progress) for name, knob in stock]
    best, why = by_optimum(past, runs[0], progress) if len(stock) < len(order.baselines) else (None, "")
    runs += [best] if best is not None else []
    policy, times = past.policy, past.recording.times
    ours = runs[0]
    moved = np.diff(np.array(ours.replicas), prepend=ours.replicas[0])
    return Result(
        policy=policy.key,
        label=label,
        target=str(policy.target),
        start=float(times[past.first]),
        end=float(times[-1]),
        learnt_from=float(times[0]),
        step_s=past.recording.step_s,
        scored_steps=len(past.steps),
        unknown_steps=len(past.steps) - known_steps(past),
        slo_s=past.at_most,
        drain_s=None if policy.objective.backlog is None else policy.objective.backlog.drain_s,
        calibration=past.calibration,
        scores=tuple(scores(past, runs)),
        worst=worst(past, ours),
        warnings=(*warnings_of(past), *((why,) if why else ())),
        changes=tuple(
            (float(times[past.first + at]), int(ours.replicas[at] - moved[at]), int(ours.replicas[at]))
            for at in np.flatnonzero(moved).tolist()
        ),
        curves=_curves(past, runs) if order.curves else {},
    )


def worst(past: Past, ours: Run) -> tuple[Moment, ...]:
    """Return the worst moments of the policy, half an hour apart at least.

    They are ranked by requests beyond the 5 % that a 95th percentile lets be slow, then by latency.
    """
    violating = np.array(ours.violating) if past.at_most is not None else np.zeros(len(ours.offered))
    beyond = np.maximum(violating - 0.05 * np.array(ours.offered), 0.0)
    latency = np.nan_to_num(np.array(ours.latency_s))
    known = np.isfinite(past.measured.load[past.first :])
    order = np.lexsort((latency, beyond))[::-1]
    times = past.recording.times[past.first :]
    found: list[Moment] = []
    story_times = np.array([at for at, _ in ours.stories])
    for place in order[: 200 * WORST].tolist():
        at = float(times[place])
        if not known[place] or any(abs(at - one.at) < _APART_S for one in found):
            continue
        told = int(np.searchsorted(story_times, at + 1e-6)) - 1
        found.append(
            Moment(
                at=at,
                violating=float(violating[place]),
                load=float(past.measured.load[past.first + place]),
                ready=ours.ready[place],
                latency_s=float(latency[place]),
                story=ours.stories[told][1] if told >= 0 else "nothing had been decided yet",
            )
        )
        if len(found) == WORST:
            break
    return tuple(found)


def warnings_of(past: Past) -> list[str]:
    """Return what of a backtest is not to be relied on, or could not be known."""
    model, out = past.calibration, []
    if not model.trusted:
        what = "latency" if past.policy.objective.backlog is None else "backlog"
        why = f"no {what} was recorded to judge it" if model.log_error is None else "it is off by too much"
        why = "the policy has no SLO" if past.at_most is None else why
        out.append(f"modelled latency and SLO misses are no facts: {why}; they are not shown")
    if model.note:
        out.append(model.note)
    unknown = np.isnan(past.measured.load)
    if bool(unknown.any()):
        out.append(f"the load is unknown in {unknown.mean():.1%} of the steps; nobody is scored in them")
        longest = _longest(unknown) * past.recording.step_s
        if longest >= DAY_S / 4:
            out.append(f"the longest gap is {_span(longest)}")
    if past.measured.ready is None:
        out.append("no replicas were recorded: there is no comparison with what really ran")
    if past.policy.lever.value == "knative-min-scale":
        out.append("Knative's floor is replayed as replicas: no Knative runs in the past")
    out += _unknown(past)
    silent = [name for name in past.policy.signals if past.recording.signal(past.policy, name) is None]
    if silent:
        out.append(f"not recorded: {', '.join(silent)}: absent throughout, and what guards on them may hold for ever")
    return out


def _unknown(past: Past) -> list[str]:
    """Return what of prices and nodes was not recorded, and is asked for."""
    out, priced = [], past.usd_per_hour
    if priced is not None and not bool(np.isfinite(priced[past.first :]).all()):
        share = 1.0 - float(np.isfinite(priced[past.first :]).mean())
        out.append(f"what a replica cost is unknown in {share:.1%} of the steps: no cost is told")
    if asks_nodes(past.policy.seen) and not past.nodes().known:
        out.append("no nodes were recorded: what conditions ask of them cannot be told, and scale-in is held")
    elif "pools" in past.policy.seen:
        out.append("to which pool nodes belonged was not recorded: conditions on pools cannot be told")
    return out


def _longest(flags: F64) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int64), [0]])))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _curves(past: Past, runs: Sequence[Run]) -> dict[str, list[float]]:
    """Return curves for charts, the most of each stretch, so that peaks are kept."""
    count = len(past.steps)
    size = max(1, math.ceil(count / MOST_POINTS))
    out = {"at": past.recording.times[past.first :: size].tolist()}
    series: dict[str, F64] = {"load": past.measured.load[past.first :], "forecast": np.array(runs[0].ahead)}
    if past.measured.latency is not None:
        series["measured"] = past.measured.latency[past.first :]
    for one in runs:
        series[f"replicas {one.name}"] = np.array(one.replicas, np.float64)
        series[f"latency {one.name}"] = np.array(one.latency_s)
    for name, values in series.items():
        padded = np.full(-(-count // size) * size, -np.inf)
        padded[:count] = np.where(np.isfinite(values), values, -np.inf)
        most = padded.reshape(-1, size).max(axis=1)
        out[name] = np.where(np.isfinite(most), most, np.nan).tolist()
    return out


def _span(seconds: float) -> str:
    for unit, size in (("days", DAY_S), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size or unit == "minutes":
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"
