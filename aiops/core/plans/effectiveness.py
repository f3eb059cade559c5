"""Whether a plan helped: what was seen after it, against what would have been without it (S7)."""

from __future__ import annotations

from aiops.core.model import Effectiveness, Instant, Plan


def judged(plan: Plan, now: Instant) -> Effectiveness | None:
    """Return the judgement once the goal's time has come, None before and for a plan without a counterfactual."""
    if plan.goal is None or plan.counterfactual is None or now < plan.ended_at + plan.goal.within_s:
        return None
    raise NotImplementedError
