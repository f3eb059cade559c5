"""A seeded fleet: what its containers would use if nothing were short, and what people requested for them.

The kinds are those of published traces: services that follow the day and the week, steady workers, spiky ones, data
that grows, leaks, batch in the night or on Sundays, and servers that need more while they start. People request between
a little too little and ten times as much, half of them about twice as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aiops.core.model import F64, Bools, Rows

STEP_S = 300.0
DAY_STEPS = 288
WEEK_STEPS = 7 * DAY_STEPS
MIB = 2.0**20


class Kind(IntEnum):
    """What a workload is like."""

    DIURNAL = 0
    STEADY = 1
    SPIKY = 2
    GROWING = 3
    LEAKY = 4
    BATCH = 5
    STARTING = 6


SHARES = (0.34, 0.2, 0.12, 0.08, 0.05, 0.11, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """c containers in p pods over t steps of five minutes.

    of: the container of each pod, int[p]. cores, bytes: float32[t, p], what would be used. leak: bytes a step since the
    start, float64[p]. start_ratio: times the cores in the first two steps after a start. releases: bool[t, p], starts
    that nobody's sizes cause. alive: bool[t, p], where there is a pod at all. request_*, limit_*: float64[c], NaN for
    no limit. kinds: Kind[c].
    """

    kinds: Rows
    of: Rows
    cores: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    bytes: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    leak: F64
    start_ratio: F64
    releases: Bools
    alive: Bools
    request_cores: F64
    request_bytes: F64
    limit_cores: F64
    limit_bytes: F64

    @property
    def steps(self) -> int:
        """Return how many steps there are."""
        return len(self.cores)


def fleet(seed: int, *, containers: int = 120, days: int = 42) -> Fleet:
    """Return the fleet of a seed."""
    dice = np.random.default_rng(seed)
    kinds = dice.choice(len(SHARES), size=containers, p=SHARES)
    pods = dice.choice([1, 2, 3, 4, 6], size=containers, p=[0.2, 0.3, 0.25, 0.15, 0.1])
    of = np.repeat(np.arange(containers), pods)
    steps = days * DAY_STEPS
    cores, size = np.empty((steps, containers)), np.empty((steps, containers))
    alive = np.ones((steps, containers), np.bool_)
    for row, kind in enumerate(kinds):
        cores[:, row], size[:, row] = _use(Kind(kind), steps, dice)
        if kind == Kind.BATCH:
            alive[:, row] = cores[:, row] > 0.0
    shift = _shifts(steps, containers, dice)
    cores *= shift
    skew = dice.lognormal(0.0, 0.06, len(of))
    noise = dice.lognormal(0.0, 0.08, (steps, len(of))).astype(np.float32)
    pod_cores = (cores[:, of] * skew).astype(np.float32) * noise
    pod_bytes = (size[:, of] * dice.lognormal(0.0, 0.02, len(of))).astype(np.float32)
    pod_bytes *= dice.lognormal(0.0, 0.01, (steps, len(of))).astype(np.float32)
    leak = np.where(kinds == Kind.LEAKY, size[0] * dice.uniform(0.02, 0.12, containers) / DAY_STEPS, 0.0)
    start = np.where(kinds == Kind.STARTING, dice.uniform(2.0, 5.0, containers), dice.uniform(1.0, 1.3, containers))
    requests = _requests(kinds, cores, size, dice)
    starts = _releases(steps, containers, dice)
    starts[1:] |= alive[1:] & ~alive[:-1]
    return Fleet(
        kinds=kinds,
        of=of,
        cores=pod_cores,
        bytes=pod_bytes,
        leak=leak[of],
        start_ratio=start[of],
        releases=starts[:, of],
        alive=alive[:, of],
        request_cores=requests[0],
        request_bytes=requests[1],
        limit_cores=requests[2],
        limit_bytes=requests[3],
    )


# -- use ---------------------------------------------------------------------------------------------


def _use(kind: Kind, steps: int, dice: np.random.Generator) -> tuple[F64, F64]:
    """Return cores and bytes of one pod of a workload, float64[steps] each."""
    base = float(dice.lognormal(np.log(0.25), 0.9))
    size = float(dice.lognormal(np.log(500.0), 0.8)) * MIB
    flat = np.ones(steps)
    match kind:
        case Kind.DIURNAL | Kind.STARTING:
            load = _load(steps, dice) * _wander(steps, 0.1, dice)
            return base * load, size * (0.85 + 0.15 * load)
        case Kind.STEADY:
            return base * _wander(steps, 0.12, dice), size * _wander(steps, 0.03, dice)
        case Kind.SPIKY:
            load = 0.3 + _bursts(steps, dice)
            return base * load, size * (0.8 + 0.1 * np.minimum(load, 3.0))
        case Kind.GROWING:
            per_day = dice.uniform(0.004, 0.02)
            grown = 1.0 + per_day * np.arange(steps) / DAY_STEPS
            return base * _load(steps, dice) * _wander(steps, 0.1, dice), size * grown * _wander(steps, 0.02, dice)
        case Kind.LEAKY:
            return base * _load(steps, dice) * _wander(steps, 0.1, dice), size * flat
        case Kind.BATCH:
            runs = _runs(steps, dice)
            return 2.0 * base * runs * _wander(steps, 0.1, dice), size * runs


def _load(steps: int, dice: np.random.Generator) -> F64:
    """Return the load of a day and a week about 0.6, up to 1."""
    at = np.arange(steps)
    peak, floor, weekend = dice.uniform(0.4, 0.75), dice.uniform(0.25, 0.6), dice.uniform(0.55, 1.0)
    day = (1.0 + np.cos(2.0 * np.pi * (at / DAY_STEPS - peak))) / 2.0
    week = np.where((at // DAY_STEPS) % 7 >= 5, weekend, 1.0)
    return np.asarray((floor + (1.0 - floor) * day ** dice.uniform(0.7, 1.5)) * week)


def _wander(steps: int, sigma: float, dice: np.random.Generator) -> F64:
    """Return a positive factor about 1 that wanders over hours: exp of an AR(1) process."""
    keep = 0.98
    shocks = dice.normal(0.0, sigma * np.sqrt(1.0 - keep**2), steps)
    made = np.empty(steps)
    now = dice.normal(0.0, sigma)
    for number, shock in enumerate(shocks):
        now = keep * now + shock
        made[number] = now
    return np.exp(made)


def _bursts(steps: int, dice: np.random.Generator) -> F64:
    """Return bursts of ten minutes to an hour, a few a day, of two to six times the base."""
    made = np.zeros(steps)
    for _ in range(int(dice.poisson(dice.uniform(1.0, 4.0) * steps / DAY_STEPS))):
        first, length = int(dice.integers(steps)), int(dice.integers(2, 13))
        made[first : first + length] = np.maximum(made[first : first + length], dice.uniform(1.5, 5.0))
    return made


def _runs(steps: int, dice: np.random.Generator) -> F64:
    """Return how hard batch works: one to four hours each night, or on Sundays."""
    weekly = dice.random() < 0.3
    first, length = int(dice.integers(0, DAY_STEPS // 3)), int(dice.integers(12, 49))
    made = np.zeros(steps)
    for day in range(6 if weekly else 0, steps // DAY_STEPS, 7 if weekly else 1):
        begin = day * DAY_STEPS + first + int(dice.integers(0, 4))
        made[begin : begin + length] = dice.uniform(0.85, 1.0)
    return made


def _shifts(steps: int, containers: int, dice: np.random.Generator) -> F64:
    """Return what releases and customers do to the load: every sixth workload has half to twice of it one day."""
    made = np.ones((steps, containers))
    for row in range(containers):
        if dice.random() < 1.0 / 6.0:
            made[int(dice.integers(steps // 6, steps)) :, row] = dice.lognormal(0.0, 0.35)
    return made


def _releases(steps: int, containers: int, dice: np.random.Generator) -> Bools:
    made = np.zeros((steps, containers), np.bool_)
    for row in range(containers):
        every, first = int(dice.integers(5, 15)) * DAY_STEPS, int(dice.integers(0, WEEK_STEPS))
        made[first::every, row] = True
    return made


# -- what people requested ---------------------------------------------------------------------------


def _requests(kinds: Rows, cores: F64, size: F64, dice: np.random.Generator) -> tuple[F64, F64, F64, F64]:
    """Return requests and limits by what was used in the first two weeks, and by how careful people are."""
    n, known = len(kinds), 14 * DAY_STEPS
    used_cores = np.array([np.quantile(one[one > 0.0], 0.95) if (one > 0.0).any() else 0.1 for one in cores[:known].T])
    used_bytes = size[:known].max(axis=0)
    careful = np.clip(dice.lognormal(np.log(1.8), 0.45, n), 0.9, 10.0)
    careful_bytes = np.clip(dice.lognormal(np.log(1.7), 0.35, n), 1.02, 6.0)
    # who knows of a leak or of growth, or was killed before, requests more
    careful_bytes = np.where(np.isin(kinds, (Kind.GROWING, Kind.LEAKY)), np.maximum(careful_bytes, 1.35), careful_bytes)
    request_cores = np.ceil(used_cores * careful * 20.0) / 20.0
    request_bytes = np.ceil(used_bytes * careful_bytes / (64.0 * MIB)) * 64.0 * MIB
    has_limit = dice.random(n)
    ratio = np.where(has_limit < 0.2, 1.0, dice.choice([1.5, 2.0, 4.0], n))
    limit_cores = np.where(has_limit < 0.55, request_cores * ratio, np.nan)
    above = np.where(dice.random(n) < 0.6, 1.0, dice.choice([1.25, 1.5, 2.0], n))
    return request_cores, request_bytes, limit_cores, request_bytes * above
