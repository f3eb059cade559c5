"""The clairvoyant optimum: the cheapest schedule of ready replicas that keeps within an allowance of violations.

Model: a replica is billed from its creation, serves `startup_steps` later, and goes at once when it is not wanted. So a
schedule n[0..T) of ready replicas is billed sum(n) plus `startup_steps` for each replica by which it rises. Nothing is
created before the first step: up to step `startup_steps` a schedule can only keep what it starts with, or lose it.

Method: Lagrangian relaxation of the allowance. For a price `lam` of one violating request the optimum is a shortest
path, found by dynamic programming over the number of replicas:

    V[t](n) = n + lam * violating[t, n] + min( min over m >= n of V[t-1](m),
                                               min over m <= n of V[t-1](m) + startup_steps * (n - m) )

and both inner minima are running ones, so that a step costs a few array operations. The dual is concave and piecewise
linear in `lam`; its maximum is found by intersecting the two lines that enclose it until no schedule lies below (the
lower convex hull of cost and violations). The maximum of the dual bounds from below what any schedule within the
allowance must cost. The answer is the hull's schedule within it, made cheaper by stretches of its neighbour on the
other side: where both have as many replicas one can change over for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import F64, Bools
from aiops.errors import InvalidContent

Counts: TypeAlias = NDArray[np.int64]

_MOST_CUTS = 200
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A schedule for one price. ready: int64[t]. billed: replica steps from creation on. violating: requests.

    lam: replica steps that one violating request is taken to cost.
    """

    ready: Counts
    billed: float
    violating: float
    lam: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The cheapest plan that the method finds within the allowance.

    bound: no schedule within the allowance is billed less. violating_share: of all requests.
    """

    plan: Plan
    violating_share: float
    bound: float

    @property
    def gap(self) -> float:
        """Return by how many replica steps the plan may be dearer than the true optimum."""
        return self.plan.billed - self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What the oracle knows. violating: float64[t, levels], column j for `least + j` ready replicas.

    start: how many are ready before the first step, None if the schedule may start with any number, unbilled before.
    """

    violating: F64
    startup_steps: int
    least: int = 0
    start: int | None = None

    def __post_init__(self) -> None:
        steps, levels = self.violating.shape
        if steps == 0 or levels == 0 or not np.isfinite(self.violating).all() or self.startup_steps < 0:
            raise InvalidContent(
                "the oracle needs at least one step and one level, finite violations and a start-up >= 0"
            )
        if self.start is not None and not self.least <= self.start < self.least + levels:
            raise InvalidContent(f"the oracle's start of {self.start} replicas is outside of its levels")


def optimum(problem: Problem, requests: float, allowed_share: float) -> Optimum:
    """Return the cheapest schedule with at most `allowed_share` of `requests` violating.

    Raise InvalidInput if even the dearest schedule violates more.
    """
    allowance = allowed_share * requests
    dear, cheap = _most(problem), plan(problem, 0.0)
    if dear.violating > allowance * (1.0 + _CLOSE) + _CLOSE:
        raise InvalidContent(f"{dear.violating:.6g} requests violate whatever is done, {allowance:.6g} may")
    if cheap.violating <= allowance:
        return _answer(cheap, cheap.billed, requests)
    bound = 0.0
    for number in range(_MOST_CUTS):
        exact = number % 2 == 0
        cut = plan(problem, _price(cheap, dear, exact=exact))
        value = cut.billed + cut.lam * cut.violating
        bound = max(bound, value - cut.lam * allowance)
        if exact and value >= (dear.billed + cut.lam * dear.violating) * (1.0 - _CLOSE):
            break
        if cut.violating <= allowance:
            dear = cut
        else:
            cheap = cut
    return _answer(_mixed(problem, dear, cheap, allowance), bound, requests)


def _mixed(problem: Problem, dear: Plan, cheap: Plan, allowance: float) -> Plan:
    """Return the dear plan with those stretches of the cheap one that fit into the allowance, greatest first."""
    starts = np.unique(np.append(np.flatnonzero(dear.ready == cheap.ready), 0))
    ends = np.append(starts[1:], len(dear.ready))
    more = _violations(problem, cheap.ready) - _violations(problem, dear.ready)
    less = _bills(problem, dear.ready) - _bills(problem, cheap.ready)
    whole_more, whole_less = np.add.reduceat(more, starts), np.add.reduceat(less, starts)
    left, ready, kept = allowance - dear.violating, dear.ready.copy(), []
    for one in np.argsort(-whole_less, kind="stable"):
        span = slice(starts[one], ends[one])
        if whole_less[one] <= 0.0:
            break
        if whole_more[one] <= left:
            left -= max(0.0, whole_more[one])
            ready[span] = cheap.ready[span]
        else:
            kept.append(span)
    for span in kept[:1]:
        part = _part(problem, (dear.ready, cheap.ready), (more, less), span, left)
        ready[part] = cheap.ready[part]
    return _priced(problem, ready - problem.least, dear.lam)


def _part(problem: Problem, plans: tuple[Counts, Counts], change: tuple[F64, F64], span: slice, left: float) -> slice:
    """Return the beginning or the end of a stretch that saves most within what is left of the allowance."""
    (dear, cheap), (more, less) = plans, change
    at = np.arange(max(span.start + 1, problem.startup_steps), span.stop)
    if len(at) == 0:
        return slice(0, 0)
    before = at - 1
    done = before - span.start
    begun_more, begun_less = np.cumsum(more[span])[done], np.cumsum(less[span])[done]
    begin = begun_less + problem.startup_steps * (_rise(cheap[before], cheap[at]) - _rise(cheap[before], dear[at]))
    end = less[span].sum() - begun_less
    end += problem.startup_steps * (_rise(dear[before], dear[at]) - _rise(dear[before], cheap[at]))
    begin[begun_more > left] = 0.0
    end[more[span].sum() - begun_more > left] = 0.0
    if max(begin.max(), end.max()) <= 0.0:
        return slice(0, 0)
    if begin.max() >= end.max():
        return slice(span.start, int(at[begin.argmax()]))
    return slice(int(at[end.argmax()]), span.stop)


def _rise(before: Counts, after: Counts) -> F64:
    return np.asarray(np.maximum(after - before, 0), np.float64)


def _violations(problem: Problem, ready: Counts) -> F64:
    return np.asarray(problem.violating[np.arange(len(ready)), ready - problem.least])


def _bills(problem: Problem, ready: Counts) -> F64:
    """Return float64[t]: what each step is billed, the rise after it included."""
    after = np.append(ready[1:], ready[-1])
    return np.asarray(ready + problem.startup_steps * _rise(ready, after), np.float64)


def _price(cheap: Plan, dear: Plan, *, exact: bool) -> float:
    """Return where the two plans cost the same; every other time a price between theirs, which halves long ways."""
    if exact or not 0.0 < cheap.lam < dear.lam < np.inf:
        return (dear.billed - cheap.billed) / (cheap.violating - dear.violating)
    return float(np.sqrt(cheap.lam * dear.lam))


def _answer(best: Plan, bound: float, requests: float) -> Optimum:
    share = best.violating / requests if requests > 0.0 else 0.0
    return Optimum(plan=best, violating_share=share, bound=min(bound, best.billed))


def plan(problem: Problem, lam: float) -> Plan:
    """Return the schedule that costs least when a violating request costs `lam` replica steps."""
    replicas = np.arange(problem.least, problem.least + problem.violating.shape[1], dtype=np.float64)
    cost = problem.violating * lam
    cost += replicas
    if problem.start is not None:
        cost[0, replicas > problem.start] = np.inf
    return _priced(problem, _path(cost, problem.startup_steps), lam)


def _most(problem: Problem) -> Plan:
    """Return the schedule of as many replicas as can be."""
    steps, levels = problem.violating.shape
    path = np.full(steps, levels - 1)
    if problem.start is not None:
        path[: max(1, problem.startup_steps)] = problem.start - problem.least
    return _priced(problem, path, np.inf)


def _priced(problem: Problem, path: Counts, lam: float) -> Plan:
    ready = path + problem.least
    billed, violating = float(_bills(problem, ready).sum()), float(_violations(problem, ready).sum())
    return Plan(ready=ready, billed=billed, violating=violating, lam=lam)


def _path(cost: F64, startup_steps: int) -> Counts:
    """Return the columns of the cheapest path through float64[t, levels]. Kept for the way back: three bits a state."""
    steps, levels = cost.shape
    rise = startup_steps * np.arange(levels, dtype=np.float64)
    falls, stays_above, stays_below = (np.zeros(cost.shape, np.bool_) for _ in range(3))
    value = cost[0].copy()
    above, below, raised = (np.empty(levels) for _ in range(3))
    reverse, reversed_above = value[::-1], above[::-1]
    running = np.minimum.accumulate
    falls[:startup_steps] = True
    for step in range(1, steps):
        running(reverse, out=reversed_above)
        np.equal(value, above, out=stays_above[step])
        if step >= startup_steps:
            np.subtract(value, rise, out=raised)
            running(raised, out=below)
            np.equal(raised, below, out=stays_below[step])
            below += rise
            np.less_equal(above, below, out=falls[step])
            np.minimum(above, below, out=above)
        np.add(above, cost[step], out=value)
    return _back(int(value.argmin()), falls, stays_above, stays_below)


def _back(last: int, falls: Bools, stays_above: Bools, stays_below: Bools) -> Counts:
    """Walk the path back: on a fall up to the level that it came from, on a rise down to it."""
    steps = len(falls)
    path = np.empty(steps, np.int64)
    level = path[steps - 1] = last
    for step in range(steps - 1, 0, -1):
        if falls[step, level]:
            while not stays_above[step, level]:
                level += 1
        else:
            while not stays_below[step, level]:
                level -= 1
        path[step - 1] = level
    return path
