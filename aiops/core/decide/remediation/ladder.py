"""How far the ladder has been climbed for each subject: carried from one instant to the next."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from aiops.core.decide.remediation.remedies import plan_id
from aiops.core.decide.remediation.sights import Subject
from aiops.core.model import (
    Cordon,
    Helped,
    Instant,
    LadderState,
    Notify,
    Plan,
    PlanStatus,
    Stage,
    SubjectState,
)
from aiops.core.planning.remediation import RemediationPolicy

CALM_S = 300.0
"""Trouble that stays away for so long is over: the ladder begins anew. Tries are remembered for longer."""

MOST_ANSWERED, ANSWERED_S = 64, 86_400.0
"""Alerts that were answered are known for a day: told late, they are not taken for new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbed:
    """A subject with its state as it is now. ignored: it is in trouble by alerts alone that were answered before."""

    subject: Subject
    state: SubjectState
    ignored: bool = False


def climbed(
    policy: RemediationPolicy, subject: Subject, state: SubjectState, plans: Iterable[Plan], now: Instant
) -> Climbed:
    """Return the subject's state: what plans of it have ended is counted, and how long it has been in trouble."""
    own = sorted(
        (
            one
            for one in plans
            if one.policy == policy.key
            and one.subject == subject.ref.key
            and one.status.ended
            and state.counted_at < one.ended_at < now
        ),
        key=lambda one: one.ended_at,
    )
    for plan in own:
        state = _counted(policy, state, plan)
    state = _harmed(policy, subject, state, plans)
    if subject.node is not None and not subject.node.cordoned:
        state = replace(state, cordoned=False)
    return _seen(policy, subject, state, now)


def kept(policy: RemediationPolicy, every: Iterable[Climbed], memory: LadderState, now: Instant) -> LadderState:
    """Return the memory with the subjects that are in trouble or were lately; a node that is gone is forgotten."""
    known = {one.subject.ref.key: one.state for one in every if one.state != SubjectState()}
    return replace(memory, subjects={key: one for key, one in known.items() if not _forgotten(policy, one, now)})


def _forgotten(policy: RemediationPolicy, state: SubjectState, now: Instant) -> bool:
    """Return whether nothing of a subject need be remembered any more."""
    if math.isfinite(state.since) or state.cordoned or not state.known:
        return False
    least_s = max(CALM_S, policy.breaker.for_s, ANSWERED_S if state.answered else 0.0)
    return now - state.calm_since > least_s


def _harmed(policy: RemediationPolicy, subject: Subject, state: SubjectState, plans: Iterable[Plan]) -> SubjectState:
    """Return the state that knows which rungs did harm: that is judged a while after their plans were counted."""
    found = {
        number
        for plan in plans
        if plan.policy == policy.key and plan.subject == subject.ref.key
        if plan.effectiveness is not None and plan.effectiveness.word is Helped.HARMED
        if (number := rung_of(policy, plan)) is not None
    }
    return state if found <= set(state.harmful) else replace(state, harmful=tuple(sorted({*state.harmful, *found})))


def _counted(policy: RemediationPolicy, state: SubjectState, plan: Plan) -> SubjectState:
    """Return the state that knows of a plan which has ended: the next rung, and not too soon."""
    state = replace(state, counted_at=plan.ended_at)
    match plan.status:
        case PlanStatus.REFUSED:
            return state  # the guards say for how long it is not asked again
        case PlanStatus.REHEARSED:
            return replace(state, settled=True)
        case _:
            pass
    if hands_back(plan):
        return replace(state, cordoned=state.cordoned and plan.status is not PlanStatus.DONE)
    if _cordons(plan) and plan.status is PlanStatus.DONE:
        state = replace(state, cordoned=True)
    number = rung_of(policy, plan)
    if number is None:
        return state
    first, state = state.rung == 0, replace(state, rung=max(state.rung, number + 1))
    if tells(plan):
        return state
    lately = [at for at in state.tries if plan.ended_at - at < policy.breaker.for_s]
    tries = (*lately, plan.ended_at) if first else tuple(lately)
    return replace(state, tries=tries, not_before=plan.ended_at + policy.back_off.after_s(len(tries)))


def rung_of(policy: RemediationPolicy, plan: Plan) -> int | None:
    """Return which rung a plan is of: its id is made of that; None for one of another version of the policy."""
    numbers = range(len(policy.ladder))
    return next((n for n in numbers if plan.id == plan_id(policy, plan.subject, n, plan.created_at)), None)


def tells(plan: Plan) -> bool:
    """Return whether a plan only tells people."""
    return all(isinstance(step.operation, Notify) for step in plan.steps)


def hands_back(plan: Plan) -> bool:
    """Return whether a plan only lets a node take pods again."""
    operations = [step.operation for step in plan.steps]
    return all(isinstance(one, Cordon) and not one.unschedulable for one in operations)


def _cordons(plan: Plan) -> bool:
    return any(
        isinstance(step.operation, Cordon) and step.operation.unschedulable and step.stage is Stage.DONE and step.undo
        for step in plan.steps
    )


def _seen(policy: RemediationPolicy, subject: Subject, state: SubjectState, now: Instant) -> Climbed:
    sight = subject.sight
    if not sight.troubled and state == SubjectState():
        return Climbed(subject=subject, state=state)
    if sight.troubled is None:
        # neither there nor gone: it is remembered, and nothing is done on its account
        return Climbed(subject=subject, state=replace(state, known=False))
    new = tuple(one for one in sight.episodes if one not in state.answered)
    if not sight.troubled or (sight.episodes and not new):
        return Climbed(subject=subject, state=_calm(state, now), ignored=bool(sight.troubled))
    state = replace(state, known=True, since=min(state.since, now), calm_since=math.inf, episodes=new or state.episodes)
    lately = tuple(at for at in state.tries if now - at < policy.breaker.for_s)
    # a ladder that was begun is climbed to its end
    open_ = len(lately) >= policy.breaker.after and now >= state.breaker_until and state.rung == 0
    if open_:
        state = replace(state, breaker_until=now + policy.breaker.for_s, tries=(), tried_out=True)
    return Climbed(subject=subject, state=state)


def _calm(state: SubjectState, now: Instant) -> SubjectState:
    """Return the state while no trouble is seen: after a while the ladder begins anew, and its alerts are answered."""
    calm_since = min(state.calm_since, now)
    state = replace(state, known=True, since=math.inf, calm_since=calm_since)
    if now - calm_since < CALM_S:
        return state
    answered = (*(one for one in state.answered if one not in state.episodes), *state.episodes)[-MOST_ANSWERED:]
    return replace(state, rung=0, settled=False, tried_out=False, episodes=(), answered=answered)
