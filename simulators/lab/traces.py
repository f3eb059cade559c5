"""Load for the lab: recorded traces on a grid of 15 s, and hostile ones, each with a history to learn from.

Slow traces have lost what moved between their samples. It is given back as an AR(1) of 5 % standard deviation, which is
what native traffic of 15 s shows; a trace of minutes keeps its own movement and gets what a minute hides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from aiops.core.model import F64
from simulators.load import read_trace

STEP_S = 15.0
DAY_STEPS = 5760
SLOW_STEP_S = 120.0
"""From this step on, a trace has lost the movement of minutes."""

SLOW_NOISE, FAST_NOISE = 0.05, 0.02
NOISE_MEMORY = 0.8
"""The AR(1) coefficient of a step: noise lives for about a minute."""

MEAN_PODS = 20.0
HISTORY_SHARE = 0.4
MOST_HISTORY_DAYS = 14.0

REAL = (
    "mongo_app01_query_rate",
    "mongo_app03_query_rate",
    "ingress_04_rate",
    "azure_vm_cpu_2019_5min",
    "alibaba_cluster_cpu_2018_30s",
    "donut_server_eth1out_6_5min",
    "jumpstarter_d2_service0_m11_5min",
    "wikipedia_limbo_hourly",
    "worldcup98_jun98",
    "nab_nyc_taxi",
)
"""The recorded traces of the development set that last for days."""

CORE = (
    "mongo_app01_query_rate",
    "azure_vm_cpu_2019_5min",
    "alibaba_cluster_cpu_2018_30s",
    "donut_server_eth1out_6_5min",
    "jumpstarter_d2_service0_m11_5min",
)
"""Five of them with a day that is like another: the headline's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Requests per second in steps of 15 s: history: float64[h], what was before; rps: float64[t], the contest.

    mean: float64[t], rps without the AR(1) that moves it from step to step.
    """

    name: str
    history: F64
    rps: F64
    mean: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of a recorded trace is the contest: at most `days`, from so many days after its first 40 % on.

    seed: of the movement that a slow trace has lost, and of the whole of one that is made up. What is before it is
    history. resolution_s: a recorded trace that is finer is read in means of so long.
    """

    days: float
    first_day: float = 0.0
    seed: int = 0
    resolution_s: float = 0.0


def real(name: str, folder: Path, *, pod_rps: float, part: Part) -> Trace:
    """Return a recorded trace, scaled to a mean of about 20 pods of `pod_rps` over the contest."""
    plain = folder / f"{name}.csv"
    times, values = _coarse(*read_trace(plain if plain.exists() else folder / f"{name}.csv.gz"), part.resolution_s)
    native_s = float(np.median(np.diff(times)))
    grid = np.arange(times[0], times[-1], STEP_S)
    mean = np.maximum(np.interp(grid, times, values), 0.0)
    rates = mean * _noise(len(grid), native_s, np.random.default_rng([part.seed, *name.encode()]))
    cut = int(len(grid) * HISTORY_SHARE) + int(part.first_day * DAY_STEPS)
    first = max(0, cut - int(MOST_HISTORY_DAYS * DAY_STEPS))
    last = cut + int(part.days * DAY_STEPS)
    return _scaled(Trace(name=name, history=rates[first:cut], rps=rates[cut:last], mean=mean[cut:last]), pod_rps)


def _coarse(times: F64, values: F64, resolution_s: float) -> tuple[F64, F64]:
    """Return means of so long, each at its middle, of what is finer than that."""
    if float(np.median(np.diff(times))) >= resolution_s:
        return times, values
    place = ((times - times[0]) // resolution_s).astype(np.int64)
    count = np.bincount(place)
    known = np.flatnonzero(count)
    means = np.bincount(place, weights=values)[known] / count[known]
    return times[0] + (known + 0.5) * resolution_s, means


def _noise(count: int, native_s: float, dice: np.random.Generator) -> F64:
    if native_s <= STEP_S:
        return np.ones(count)
    sd = SLOW_NOISE if native_s >= SLOW_STEP_S else FAST_NOISE
    return np.asarray(1.0 + sd * ar1(count, dice))


def ar1(count: int, dice: np.random.Generator, memory: float = NOISE_MEMORY) -> F64:
    """Return a stationary AR(1) of unit variance."""
    shocks = dice.standard_normal(count) * math.sqrt(1.0 - memory**2)
    shocks[0] /= math.sqrt(1.0 - memory**2)
    return np.fromiter(accumulate(shocks.tolist(), lambda before, shock: memory * before + shock), np.float64, count)


def _scaled(trace: Trace, pod_rps: float) -> Trace:
    factor = MEAN_PODS * pod_rps / max(float(trace.rps.mean()), 1e-12)
    return replace(trace, history=trace.history * factor, rps=trace.rps * factor, mean=trace.mean * factor)


MADE_UP = ("noise", "shocks", "flash-crowds", "random-walk", "drifting-season")
HOSTILE = (*MADE_UP, "nab_elb_requests")


def hostile(name: str, folder: Path, *, pod_rps: float, part: Part) -> Trace:
    """Return load that nothing can foretell, or that punishes who believes the past."""
    if name == "nab_elb_requests":
        return real(name, folder, pod_rps=pod_rps, part=part)
    dice = np.random.default_rng([part.seed, *name.encode()])
    history_steps, steps = int(5 * DAY_STEPS), int(part.days * DAY_STEPS)
    count = history_steps + steps
    at = np.arange(count) / DAY_STEPS
    wave = 1.0 + 0.4 * np.sin(2 * np.pi * at)
    quick = 1.0 + SLOW_NOISE * ar1(count, dice)
    match name:
        case "noise":
            mean = np.exp(0.35 * ar1(count, dice, 0.97))
        case "shocks":
            mean = wave * _shocks(count, dice)
        case "flash-crowds":
            mean = wave * _crowds(count, dice)
        case "random-walk":
            walk = np.cumsum(dice.standard_normal(count)) * 0.006
            mean = np.exp(walk - np.linspace(0.0, walk[-1], count))
        case "drifting-season":
            mean = 1.0 + 0.5 * np.sin(2 * np.pi * (at + 0.03 * at**2))
        case _:
            raise KeyError(f"unknown trace {name!r}; known: {', '.join(HOSTILE)}")
    rates = np.maximum(quick * mean, 0.02)
    past, now = rates[:history_steps], rates[history_steps:]
    return _scaled(Trace(name=name, history=past, rps=now, mean=mean[history_steps:]), pod_rps)


def _shocks(count: int, dice: np.random.Generator) -> F64:
    """Return a level that jumps to another at random times, about six a day."""
    jumps = dice.random(count) < 6.0 / DAY_STEPS
    levels = np.exp(0.5 * dice.standard_normal(int(jumps.sum()) + 1))
    return np.asarray(levels[np.cumsum(jumps)])


def _crowds(count: int, dice: np.random.Generator) -> F64:
    """Return a factor that rises two- to fivefold within minutes and fades within the hour, about twice a day."""
    out = np.ones(count)
    for start in np.flatnonzero(dice.random(count) < 2.0 / DAY_STEPS):
        rise, fade = int(dice.integers(4, 40)), float(dice.uniform(60.0, 240.0))
        since = np.arange(count - start, dtype=np.float64)
        shape = np.where(since < rise, since / rise, np.exp(-(since - rise) / fade))
        out[start:] = np.maximum(out[start:], 1.0 + (dice.uniform(1.0, 4.0)) * shape)
    return out


def load(names: Sequence[str], folder: Path, *, pod_rps: float, part: Part) -> list[Trace]:
    """Return traces by name, recorded or hostile."""
    return [(hostile if name in HOSTILE else real)(name, folder, pod_rps=pod_rps, part=part) for name in names]
