"""What one replica is, read off recorded load, replicas and latency: the M/M/c queue that answers most like it.

Three numbers are fitted, by a search on a grid that narrows, to the least mean absolute log error of the latency: what
one replica carries (requests per second), how long one request is served, and what is on top of it whatever the load
(network, the tail of the scrape). The latency's signal is fitted as the 95th percentile of the model. What is fitted is
judged on data that the fit did not see.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from aiops.core.model import F64
from aiops.core.policies import ScalingPolicy
from aiops.core.queueing import STEADY_RATIO, response_quantiles, wait_probabilities
from simulators.backtest.recording import Recording
from simulators.backtest.worked_off import LEAST_BUSY, busy, moved_on, partitions_of, stands

WORST_LOG_ERROR = 0.25
"""Median absolute log error above which the modelled latency is no fact: 28 % off."""

LEAST_RIGHT_RATIO = 0.95
"""Share of steps on the right side of the SLO below which misses are no facts."""

LEAST_POINTS = 120
_POINTS, _GRID, _ROUNDS = 800, 13, 5
_ON_TOP = (0.0, 0.15, 0.3, 0.5, 0.7, 0.85)
_SERVED_SHARE = 0.2
"""Without a recorded latency: a request is served in this share of the SLO."""

_P95 = math.log(20.0)
"""The 95th percentile of an exponential time, in means."""

_PLAINER = 0.02
"""How much error the time on top has to save: a service time explains what it can before anything is put on top."""

_ALIKE = 0.003
"""What errs by so much more than the best explains the data as well."""

_QUANTILE = re.compile(r"histogram_quantile\s*\(\s*(0?\.\d+|[01])")


class Basis(StrEnum):
    """Where the model's numbers come from."""

    LATENCY = "latency"
    BACKLOG = "backlog"
    UTILISATION = "utilisation"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The service model.

    per_replica: what one replica carries at full use; per_replica_range: what explains the data nearly as well, wide
    where the past never came near full use. on_top_s: added to every answer's time.
    use_scale: recorded utilisation over the model's. log_error, right_ratio: median absolute log error of the latency
    and share of steps on the right side of the SLO, on the `judged` steps that the fit did not see; None: not known.
    startup_s: from asked for to ready, and where that was read.
    """

    basis: Basis
    per_replica: float
    per_replica_range: tuple[float, float]
    service_s: float
    on_top_s: float
    use_scale: float
    startup_s: float
    startup_from: str
    fitted: int
    judged: int
    log_error: float | None
    right_ratio: float | None
    note: str

    @property
    def trusted(self) -> bool:
        """Return whether modelled misses may be told as facts."""
        if self.log_error is None or self.log_error > WORST_LOG_ERROR:
            return False
        return self.right_ratio is None or self.right_ratio >= LEAST_RIGHT_RATIO

    def as_json(self) -> dict[str, Any]:
        """Return plain data with documented, stable names."""
        return {**asdict(self), "basis": self.basis.value, "trusted": self.trusted}

    def latency(self, load: F64, ready: F64) -> F64:
        """Return the steady 95th percentile at a load with so many ready replicas; NaN where either is not known."""
        return _latency(load, ready, self.per_replica, self.service_s) + self.on_top_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was recorded of one target, float64[t] each; None where nothing was.

    backlog: what waited in its queue; partitions: among how many its work was shared.
    """

    load: F64
    ready: F64 | None
    wanted: F64 | None
    latency: F64 | None
    use_ratio: F64 | None
    backlog: F64 | None = None
    partitions: int | None = None

    def part(self, first: int, last: int) -> Measured:
        """Return the steps first to last - 1."""
        cut = [None if one is None else one[first:last] for one in (self.ready, self.wanted, self.latency)]
        use, waiting = (None if one is None else one[first:last] for one in (self.use_ratio, self.backlog))
        return Measured(
            load=self.load[first:last],
            ready=cut[0],
            wanted=cut[1],
            latency=cut[2],
            use_ratio=use,
            backlog=waiting,
            partitions=self.partitions,
        )


def measured(recording: Recording, policy: ScalingPolicy) -> Measured:
    """Return what was recorded of a policy's target."""
    objective, target = policy.objective, policy.target
    load = recording.signal(policy, objective.demand)
    latency = None if objective.slo is None else recording.signal(policy, objective.slo.signal)
    use = None if objective.utilisation is None else recording.signal(policy, objective.utilisation)
    waiting = None if objective.backlog is None else recording.signal(policy, objective.backlog.signal)
    replicas, ready = recording.of_target("replicas", target), recording.of_target("ready", target)
    wanted = recording.of_target("wanted", target)
    return Measured(
        load=np.full(len(recording.times), np.nan) if load is None else load,
        ready=ready if ready is not None else replicas,
        wanted=wanted if wanted is not None else replicas,
        latency=_known(latency),
        use_ratio=_known(use),
        backlog=_known(waiting),
        partitions=partitions_of(recording, policy),
    )


def _known(values: F64 | None) -> F64 | None:
    return values if values is not None and int(np.isfinite(values).sum()) >= LEAST_POINTS else None


def calibrate(policy: ScalingPolicy, past: Measured, later: Measured, step_s: float) -> Calibration:
    """Return the service model, fitted to the past alone and judged on what came later."""
    if policy.objective.backlog is not None:
        return of_queue(policy, past, later, step_s)
    slo = policy.objective.slo
    at_most = None if slo is None else slo.at_most
    usable = _usable(past)
    startup_s, startup_from = _startup(policy, past, step_s)
    basis, note = Basis.POLICY, ""
    if past.ready is not None and past.latency is not None and int(usable.sum()) >= LEAST_POINTS:
        load, ready, latency = (values[usable] for values in (past.load, past.ready, past.latency))
        per_replica, between, service_s, on_top_s = _fit(load, ready, latency)
        basis, note = Basis.LATENCY, _quantile_note(policy)
    else:
        per_replica, basis, note = _without_latency(policy, past)
        service_s, on_top_s, between = (at_most or 0.25) * _SERVED_SHARE, 0.0, (per_replica, per_replica)
    made = Calibration(
        basis=basis,
        per_replica=per_replica,
        per_replica_range=between,
        service_s=service_s,
        on_top_s=on_top_s,
        use_scale=_use_scale(past, per_replica),
        startup_s=startup_s,
        startup_from=startup_from,
        fitted=int(usable.sum()) if basis is Basis.LATENCY else 0,
        judged=0,
        log_error=None,
        right_ratio=None,
        note=note,
    )
    return made if basis is not Basis.LATENCY else _judged(made, later, at_most)


def of_queue(policy: ScalingPolicy, past: Measured, later: Measured, step_s: float) -> Calibration:
    """Return the model of a queue's workers, fitted to the past alone and judged on what came later."""
    startup_s, startup_from = _startup(policy, past, step_s)
    each = np.zeros(0)
    if past.ready is not None and past.backlog is not None:
        each = busy(past.load, past.ready, past.backlog, step_s, past.partitions).each
    if len(each) >= LEAST_BUSY:
        per_replica, basis, note = float(np.median(each)), Basis.BACKLOG, ""
        low, high = (float(one) for one in np.quantile(each, (0.25, 0.75)))
    else:
        per_replica, basis, note = _without_latency(policy, past)
        note = note.replace("no latency", f"no backlog that stood for {LEAST_BUSY} steps or more")
        low = high = per_replica
    made = Calibration(
        basis=basis,
        per_replica=per_replica,
        per_replica_range=(low, high),
        service_s=1.0 / per_replica,
        on_top_s=0.0,
        use_scale=_use_scale(past, per_replica),
        startup_s=startup_s,
        startup_from=startup_from,
        fitted=len(each),
        judged=0,
        log_error=None,
        right_ratio=None,
        note=note,
    )
    return _judged_queue(made, later, step_s) if later.backlog is not None else made


def _judged_queue(made: Calibration, later: Measured, step_s: float) -> Calibration:
    if later.ready is None or later.backlog is None:
        return made
    seen = busy(later.load, later.ready, later.backlog, step_s, later.partitions)
    told = moved_on(later.load, seen.worth, later.backlog, made.per_replica, step_s)
    both = np.isfinite(told) & np.isfinite(later.backlog) & np.isfinite(later.ready)
    if len(seen.each) < LEAST_BUSY or int(both.sum()) < LEAST_POINTS:
        return replace(made, note=f"{made.note}; too little backlog was recorded later to judge it".strip("; "))
    stood, stands_told = (stands(one, seen.worth, made.per_replica, step_s)[both] for one in (later.backlog, told))
    error = float(np.median(np.abs(np.log(seen.each / made.per_replica))))
    return replace(made, judged=len(seen.each), log_error=error, right_ratio=float(np.mean(stood == stands_told)))


def _usable(one: Measured) -> F64:
    if one.ready is None or one.latency is None:
        return np.zeros(len(one.load), np.bool_)
    there = np.isfinite(one.load) & np.isfinite(one.ready) & np.isfinite(one.latency)
    with np.errstate(invalid="ignore"):
        return np.asarray(there & (one.load > 0.0) & (one.ready > 0.0) & (one.latency > 0.0))


def _judged(made: Calibration, later: Measured, at_most: float | None) -> Calibration:
    usable = _usable(later)
    if later.ready is None or later.latency is None or int(usable.sum()) < LEAST_POINTS:
        return replace(made, note=f"{made.note}; too little latency was recorded later to judge it".strip("; "))
    model = made.latency(later.load[usable], later.ready[usable])
    seen = later.latency[usable]
    right = None if at_most is None else float(np.mean((model > at_most) == (seen > at_most)))
    error = float(np.median(np.abs(np.log(model / seen))))
    return replace(made, judged=int(usable.sum()), log_error=error, right_ratio=right)


def _latency(load: F64, ready: F64, per_replica: F64 | float, service_s: F64 | float) -> F64:
    able = np.maximum(ready, 1e-9) * per_replica
    rho = np.minimum(load / able, STEADY_RATIO)
    waiting = wait_probabilities(able * service_s, rho)
    return response_quantiles(0.95, service_s, able * (1.0 - rho), waiting)


def _fit(load: F64, ready: F64, latency: F64) -> tuple[float, tuple[float, float], float, float]:
    """Return (per replica, its range, service time, on top)."""
    load, ready, latency = _thinned(load, ready, latency)
    quiet = float(np.quantile(latency, 0.1)) / _P95
    most = float(np.quantile(load / ready, 0.98))
    carried = (math.log(most * 0.8), math.log(most * 20.0))
    served = (math.log(quiet * 0.05), math.log(quiet * 1.5))
    tried: list[tuple[float, float, float, float]] = []
    for _ in range(_ROUNDS):
        for one in np.exp(np.linspace(*carried, _GRID)):
            for other in np.exp(np.linspace(*served, _GRID)):
                tried.append(_best_on_top(load, ready, latency, (float(one), float(other), quiet)))
        best = min(tried)
        carried, served = _narrowed(carried, best[1]), _narrowed(served, best[2])
    alike = [one[1] for one in tried if one[0] <= best[0] + _ALIKE]
    return best[1], (min(alike), max(alike)), best[2], best[3]


def _thinned(load: F64, ready: F64, latency: F64) -> tuple[F64, F64, F64]:
    """Return at most `_POINTS` points, half of them spread evenly over use, so that rare high use counts."""
    each = load / ready
    ranked = np.argsort(each, kind="stable")
    if len(ranked) > _POINTS:
        even = ranked[np.linspace(0, len(ranked) - 1, _POINTS // 2).astype(np.int64)]
        levels = np.linspace(each[ranked[0]], each[ranked[-1]], _POINTS // 2)
        spread = ranked[np.clip(np.searchsorted(each[ranked], levels), 0, len(ranked) - 1)]
        ranked = np.unique(np.concatenate([even, spread]))
    return load[ranked], ready[ranked], latency[ranked]


def _best_on_top(
    load: F64, ready: F64, latency: F64, tried: tuple[float, float, float]
) -> tuple[float, float, float, float]:
    """Return (error, per replica, service time, on top); of what explains alike, the least on top is taken."""
    per_replica, service_s, quiet = tried
    plain, floor = _latency(load, ready, per_replica, service_s), quiet * _P95
    log_seen = np.log(latency)
    middle = max(0.0, float(np.median(latency - plain)))
    tops = [share * floor for share in _ON_TOP] + [middle]
    scored = [(float(np.mean(np.abs(np.log(plain + top) - log_seen))) + _PLAINER * top / floor, top) for top in tops]
    error, top = min(scored)
    return error, per_replica, service_s, top


def _narrowed(span: tuple[float, float], best: float) -> tuple[float, float]:
    width = (span[1] - span[0]) * 0.2
    return math.log(best) - width, math.log(best) + width


def _without_latency(policy: ScalingPolicy, past: Measured) -> tuple[float, Basis, str]:
    stated = policy.objective.per_replica
    if past.ready is not None and past.use_ratio is not None:
        with np.errstate(all="ignore"):
            each = past.load / (past.ready * past.use_ratio)
        each = each[np.isfinite(each) & (each > 0.0)]
        if len(each) >= LEAST_POINTS:
            note = "no latency to calibrate by: a replica is taken to carry load over utilisation"
            return float(np.median(each)), Basis.UTILISATION, note
    if stated is not None:
        note = (
            f"no latency to calibrate by: a replica is taken to carry the policy's perReplica ({stated:g}) and no more"
        )
        return stated, Basis.POLICY, note
    raise _nothing(policy)


def _nothing(policy: ScalingPolicy) -> Exception:
    from aiops.errors import InvalidInput

    return InvalidInput(
        f"{policy.key}: nobody knows what a replica carries: neither latency with replicas nor utilisation was"
        " recorded, and the policy has no objective.perReplica"
    )


def _use_scale(past: Measured, per_replica: float) -> float:
    if past.ready is None or past.use_ratio is None:
        return 1.0
    with np.errstate(all="ignore"):
        scale = past.use_ratio / (past.load / (past.ready * per_replica))
    scale = scale[np.isfinite(scale) & (scale > 0.0)]
    return float(np.median(scale)) if len(scale) else 1.0


def _startup(policy: ScalingPolicy, past: Measured, step_s: float) -> tuple[float, str]:
    """Return the median time from more replicas asked for to all of them ready, or what the policy says."""
    taken: list[float] = []
    if past.wanted is not None and past.ready is not None and past.wanted is not past.ready:
        rises = np.flatnonzero(np.diff(past.wanted) > 0.0) + 1
        for rise in rises[:500]:
            ahead = past.wanted[rise : rise + 120]
            same = ahead == ahead[0]
            length = int(np.argmin(same)) if not bool(same.all()) else len(ahead)
            there = past.ready[rise : rise + length] >= ahead[0]
            if bool(there.any()):
                taken.append((float(np.argmax(there)) - 0.5) * step_s)  # it was seen at a step's end
    if len(taken) >= 3:
        return max(float(np.median(taken)), 1.0), f"{len(taken)} recorded scale-outs"
    if policy.forecast is not None:
        return max(policy.forecast.lead_s, 1.0), "the policy's forecast.leadTime"
    return 60.0, "an assumption"


def _quantile_note(policy: ScalingPolicy) -> str:
    slo = policy.objective.slo
    found = None if slo is None else _QUANTILE.search(policy.signals[slo.signal].query.expr)
    if found is None or abs(float(found.group(1)) - 0.95) < 1e-6:
        return ""
    return f"the latency is a {float(found.group(1)):g} quantile and is fitted as the model's 0.95: read it as such"
