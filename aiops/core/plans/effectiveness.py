"""Whether a plan helped: what was seen after it, against what would have been without it (S7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiops.core.model import Counterfactual, Effectiveness, Goal, Helped, Instant, Plan, PlanStatus

LEVEL = 0.05
"""Below this p-value a difference is no chance."""

LATE_RATIO = 0.5
"""The last part of the goal's time in which is looked: what comes before is on its way."""

LEAST_SEEN = 3

DECILE = 1.2815515655446004
"""The 90 % quantile of the standard normal distribution."""

WORTH_RATIO = 0.05
"""The standard error is taken as at least this share of the goal's bound: less is no effect worth the name."""

_NOTHING_DONE = frozenset({PlanStatus.REFUSED, PlanStatus.REHEARSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """Means over what was looked at. better: by how many standard errors, in the direction that the goal wants."""

    seen: float
    without: float
    better: float
    p_value: float


def judged(plan: Plan, now: Instant) -> Effectiveness | None:
    """Return the judgement once the goal's time has come, None before and for a plan without a counterfactual.

    The null hypothesis is that nothing changed: what is seen is a draw from the counterfactual, normal between its
    deciles. Its errors at neighbouring instants are one error, so many readings make it no more certain.
    """
    goal, without = plan.goal, plan.counterfactual
    if goal is None or without is None or plan.status in _NOTHING_DONE or now < plan.ended_at + goal.within_s:
        return None
    end = plan.ended_at + goal.within_s
    late = [(at, value) for at, value in plan.seen if end - LATE_RATIO * goal.within_s <= at <= end]
    late = [(at, value) for at, value in late if math.isfinite(value)]
    if len(late) < LEAST_SEEN:
        detail = f"{goal.signal} was seen {len(late)} times in the end, {LEAST_SEEN} are needed"
        return Effectiveness(word=Helped.INCONCLUSIVE, p_value=math.nan, at=now, detail=detail)
    found = _compared(late, without, goal)
    word = _word(found, without, goal)
    reached = "is" if goal.at_least <= found.seen <= goal.at_most else "is not"
    detail = f"{goal.signal} {found.seen:.4g}, without the plan {found.without:.4g}; it {reached} where it should be"
    excuse = _excused(plan, without, goal) if word is Helped.HARMED else ""
    if excuse:
        word, detail = Helped.INCONCLUSIVE, f"{detail}; {excuse}"
    return Effectiveness(word=word, p_value=found.p_value, at=now, detail=detail)


def _excused(plan: Plan, without: Counterfactual, goal: Goal) -> str:
    """Return why worse is no harm, '' where it is: load rose beyond what was foreseen, or is not known (S7)."""
    if not goal.load:
        return ""
    late = [value for at, value in plan.loads if at >= plan.ended_at + (1.0 - LATE_RATIO) * goal.within_s]
    if len(late) < LEAST_SEEN or not without.load:
        return f"how much load there was is not known ({goal.load})"
    mean, foreseen = sum(late) / len(late), without.load[_step(without, plan.ended_at + goal.within_s)]
    return f"{goal.load} rose to {mean:.4g}, at most {foreseen:.4g} was foreseen" if mean > foreseen else ""


def _compared(late: list[tuple[Instant, float]], without: Counterfactual, goal: Goal) -> _Compared:
    number = len(late)
    seen = sum(value for _, value in late) / number
    quantiles = [_at(without, at) for at, _ in late]
    lower, middle, upper = (sum(one[n] for one in quantiles) / number for n in range(3))
    spread = (upper - middle if seen > middle else middle - lower) / DECILE
    bound = goal.at_most if math.isfinite(goal.at_most) else goal.at_least
    error = max(spread, WORTH_RATIO * abs(bound) if math.isfinite(bound) else 0.0, 1e-12)
    better = (middle - seen if math.isfinite(goal.at_most) else seen - middle) / error
    return _Compared(seen=seen, without=middle, better=better, p_value=math.erfc(abs(better) / math.sqrt(2.0)))


def _word(found: _Compared, without: Counterfactual, goal: Goal) -> Helped:
    """Return what the comparison says; where the goal lies within the counterfactual, no difference tells nothing."""
    if found.p_value < LEVEL:
        return Helped.HELPED if found.better > 0.0 else Helped.HARMED
    apart = without.lower[-1] > goal.at_most or without.upper[-1] < goal.at_least
    return Helped.NO_EFFECT if apart else Helped.INCONCLUSIVE


def _at(without: Counterfactual, at: Instant) -> tuple[float, float, float]:
    """Return the quantiles of the grid's step at an instant; beyond its ends those of the ends."""
    number = _step(without, at)
    return without.lower[number], without.middle[number], without.upper[number]


def _step(without: Counterfactual, at: Instant) -> int:
    return min(len(without.middle) - 1, max(0, int((at - without.start) / without.step_s)))
