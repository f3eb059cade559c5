"""The clairvoyant optimum on recorded load: the fewest replica-hours with which no more than the policy's violated.

It knows all of the load in advance, what a replica carries and how long it takes to start, so nobody can be expected to
reach it; what is between it and the policy is what foresight could still save. Its schedule is found without a queue
from one step to the next (`simulators.autoscalers.oracle`) and then replayed through the same queue as everybody's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from aiops.core.model import F64
from aiops.errors import InvalidContent
from simulators.autoscalers.oracle import Counts, Problem, optimum
from simulators.backtest.replay import Past, Run
from simulators.service import Queue

NAME = "optimum"
LOADS = 240
"""So many loads from none to the greatest are tried with each number of replicas; between them shares are linear."""

MOST_CELLS = 40_000_000
"""Steps times levels: eleven bytes each, and as many operations for each price that is tried."""

SPARE_RATIO, SPARE = 1.3, 4
"""No schedule is better for more than what the greatest load needs, with a margin."""


def by_optimum(past: Past, ours: Run, progress: Callable[[], None]) -> tuple[Run | None, str]:
    """Return how the optimum fares, and why there is none, '' where there is one."""
    if past.at_most is None or past.policy.objective.backlog is not None:
        return None, "an optimum is told of policies with an SLO: without one, none at all is the cheapest"
    load = np.nan_to_num(np.maximum(past.measured.load[past.first :], 0.0))
    least, most = _levels(past, load)
    if len(load) * (most - least + 1) > MOST_CELLS:
        return None, f"no optimum: {len(load)} steps by {most - least + 1} levels are too many; a shorter time has one"
    step_s = past.recording.step_s
    startup_steps = math.ceil(past.calibration.startup_s / step_s)
    begins = min(max(past.begins_with(), least), most)
    problem = Problem(
        violating=_violating(past, load, range(least, most + 1)),
        startup_steps=startup_steps,
        least=least,
        start=begins,
    )
    requests = float(load.sum()) * step_s
    known = np.isfinite(past.measured.load[past.first :])
    allowed = float(np.array(ours.violating)[known].sum()) / max(requests, 1e-9)
    try:
        found = optimum(problem, requests, allowed)
    except InvalidContent as err:
        return None, f"no optimum: {err}"
    return _replayed(past, found.plan.ready, startup_steps, progress), ""


def _levels(past: Past, load: F64) -> tuple[int, int]:
    """Return the fewest and the most replicas that come into question; windows of the bounds are left aside."""
    bounds = past.policy.bounds
    needed = math.ceil(float(load.max()) / past.calibration.per_replica * SPARE_RATIO) + SPARE
    return bounds.min_replicas, max(bounds.min_replicas, min(bounds.max_replicas, needed))


def _violating(past: Past, load: F64, levels: range) -> F64:
    """Return float64[t, levels]: violating requests of each step by the number of ready replicas, without a backlog."""
    step_s, loads = past.recording.step_s, np.linspace(0.0, max(float(load.max()), 1e-9), LOADS)
    out = np.empty((len(load), len(levels)))
    for place, ready in enumerate(levels):
        shares = [_share(past.queue(), step_s, one, ready) for one in loads.tolist()]
        out[:, place] = np.interp(load, loads, shares) * load * step_s
    return out


def _share(queue: Queue, step_s: float, load: float, ready: int) -> float:
    queue.serve(step_s, load, ready)
    served = queue.drain(ready, ready, 0.0)
    return served.violating / served.offered if served.offered > 0.0 else 0.0


def _replayed(past: Past, ready: Counts, startup_steps: int, progress: Callable[[], None]) -> Run:
    """Return the course of a schedule. A replica is there, and paid for, from when it was asked for."""
    rises = np.maximum(np.diff(ready, prepend=ready[0]), 0)
    coming = np.concatenate([np.cumsum(rises), np.full(startup_steps, rises.sum())])
    begun = coming[startup_steps : startup_steps + len(ready)] - np.cumsum(rises)
    run, queue, step_s = Run(NAME), past.queue(), past.recording.step_s
    for step, have, starting in zip(past.steps, ready.tolist(), begun.tolist(), strict=True):
        seen = float(past.measured.load[step])
        queue.serve(step_s, seen if seen > 0.0 else 0.0, have)
        there = have + starting
        run.note(queue.drain(have, there, there * step_s), past.calibration.on_top_s, there)
        progress()
    return run
