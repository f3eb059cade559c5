"""A tick in one sentence."""

from __future__ import annotations

from aiops.core.model import Decision, Plan, Tick, VerdictWord
from aiops.core.record.story import clock

_SPOKEN = 3
"""How many targets a sentence names before it counts."""


def spoken(tick: Tick) -> str:
    """Return one sentence of a tick: every target when they are few, else those that move and a count of the rest."""
    live = [decision for decision in tick.decisions if not decision.candidate_for]
    parts = [f"{decision.target} {decision.story}" for decision in _worth_saying(live)]
    rest = len(live) - len(parts)
    if rest:
        parts.append(f"{rest} others as before")
    if not tick.decisions:
        parts.append("no policies to decide")
    shadows = len(tick.decisions) - len(live)
    if shadows:
        parts.append(f"{shadows} in the shadow")
    parts += tick.waiting
    parts += [_plan(plan) for plan in tick.plans if plan.notes and plan.notes[-1].at == tick.at]
    if tick.findings:
        worst = max(tick.findings, key=lambda finding: finding.score)
        more = f" and {len(tick.findings) - 1} more" if len(tick.findings) > 1 else ""
        parts.append(f"anomaly: {worst.reason}{more}")
    return f"{clock(tick.at)} {'; '.join(parts)}"


def _plan(plan: Plan) -> str:
    return f"plan {plan.id[-6:]} {plan.notes[-1].text}"


def _worth_saying(decisions: list[Decision]) -> list[Decision]:
    if len(decisions) <= _SPOKEN:
        return decisions
    moving = [d for d in decisions if d.word in (None, VerdictWord.ALLOW)]
    changed = [d for d in decisions if d.changed and d not in moving]
    return (moving + changed)[:_SPOKEN]
