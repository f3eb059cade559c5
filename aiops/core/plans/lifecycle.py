"""The life of plans around their steps: proposed, begun, withdrawn, ordered about, held, and forgotten."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiops.core.model import (
    Ask,
    Deny,
    Errand,
    Helped,
    Instant,
    Judgement,
    Mode,
    Order,
    OrderKind,
    Plan,
    PlanKind,
    PlanStatus,
    Reason,
    Sleep,
    Snapshot,
    SplitReplicas,
    Stage,
    VerdictWord,
    Wait,
    Wake,
)
from aiops.core.model.swift import swift
from aiops.core.planning import arbiter, costs
from aiops.core.plans import effectiveness
from aiops.core.plans.changes import begun, ended, held, noted, resumed, rolling_back, same
from aiops.core.plans.guards import Bounds, gives_back, lends_back, ruling, stopped
from aiops.core.plans.handing_back import needed
from aiops.core.plans.operations import mended, stands, verbs

KEPT_S = 3600.0
"""How long a plan that ended is carried on: rulings look at it, the store keeps it longer."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What became of a policy's wish: every plan there is now, and what is said of it."""

    plans: Mapping[str, Plan]
    judgement: Judgement


def entered(wished: tuple[Plan, ...], judgement: Judgement, bounds: Bounds) -> Entered:
    """Return the plans after a policy said what it wants: what it wants no more is withdrawn, the rest is ruled."""
    plans = {one.id: one for one in bounds.plans}
    waiting = _proposed(bounds)
    for one in waiting:
        if not any(same(one, wish) for wish in wished):
            why = "something else is wanted now" if wished else "what it was for is gone"
            plans[one.id] = ended(one, PlanStatus.REFUSED, bounds.now, why)
    if not wished:
        return Entered(plans=plans, judgement=_with_standing(judgement, bounds))
    said = []
    for wish in wished:
        old = next((one for one in waiting if same(one, wish)), None)
        # what would be without it is foreseen anew, however long people thought
        plan = wish if old is None else replace(old, counterfactual=wish.counterfactual)
        plan = costs.counted(plan, bounds.snapshot.looked)
        plans = made_way(plan, plans, bounds)
        fresh = replace(bounds, plans=tuple(plans.values()))
        one_ = _ruled(plan, judgement, fresh, plans)
        plans = dict(one_.plans)
        # a standby that is made ready on suspicion changes nothing of what is said about the users
        said.append(judgement if plan.kind is PlanKind.PREPARE else one_.judgement)
    return Entered(plans=plans, judgement=_together(said))


def made_way(plan: Plan, plans: Mapping[str, Plan], bounds: Bounds) -> dict[str, Plan]:
    """Return the plans, of which savings are taken back that are in the way of a plan of safety that may act.

    It begins once they are: cost never displaces it for longer than that takes.
    """
    after = dict(plans)
    there = {one.id: one for one in arbiter.in_the_way(plan, plans.values())}
    if not there or bounds.mode.rank < Mode.APPROVE.rank:
        return after
    alone = replace(bounds, plans=tuple(one for one in plans.values() if one.id not in there))
    if ruling(answered_by_people(plan, bounds.snapshot), alone) is None:
        for one in there.values():
            after[one.id] = rolling_back(one, bounds.now, f"it yields to {plan.policy} ({plan.kind.value})")
    return after


_LOUDEST = (VerdictWord.ALLOW, VerdictWord.ASK, VerdictWord.WAIT, VerdictWord.DENY, VerdictWord.STEADY)
"""Of several plans of one policy the one that does most is told, and how many others there are."""


def _together(said: list[Judgement]) -> Judgement:
    first = min(said, key=lambda one: _LOUDEST.index(one.word))
    if len(said) == 1:
        return first
    counted = ", ".join(f"{n} {word.value}" for word in _LOUDEST if (n := sum(one.word is word for one in said)))
    return replace(first, detail=f"{first.detail} (of {len(said)} plans: {counted})")


def _proposed(bounds: Bounds) -> list[Plan]:
    """Return the policy's own proposals that wait for a person."""
    key = "" if bounds.policy is None else bounds.policy.key
    own = [one for one in bounds.plans if one.policy == key and one.by == one.policy]
    return [one for one in own if one.status is PlanStatus.PROPOSED]


def _with_standing(judgement: Judgement, bounds: Bounds) -> Judgement:
    """Return the judgement that names the plan which stands for its policy, if one does."""
    if judgement.plan_id or bounds.policy is None:
        return judgement
    own = [one for one in bounds.plans if one.policy == bounds.policy.key and not one.status.ended]
    return replace(judgement, plan_id=own[0].id) if own else judgement


def _ruled(plan: Plan, judgement: Judgement, bounds: Bounds, plans: dict[str, Plan]) -> Entered:
    plan = answered_by_people(plan, bounds.snapshot)
    if plan.status is PlanStatus.REFUSED:
        plans[plan.id] = plan
        said = _said(judgement, VerdictWord.DENY, Reason.APPROVAL_REJECTED, plan.notes[-1].text)
        return Entered(plans=plans, judgement=replace(said, plan_id=plan.id))
    match ruling(plan, bounds):
        case None:
            return _begun(plan, judgement, bounds, plans)
        case Ask(reason=reason, detail=detail, expires_at=expires_at):
            if plan.id not in plans:
                plan = noted(replace(plan, expires_at=expires_at), bounds.now, f"proposed: {detail}")
            plans[plan.id] = plan
            said = _said(judgement, VerdictWord.ASK, reason, detail)
            return Entered(plans=plans, judgement=replace(said, plan_id=plan.id))
        case Wait(reason=reason, detail=detail):
            word = VerdictWord.WAIT
        case Deny(reason=reason, detail=detail):
            word = VerdictWord.DENY
    if plan.id in plans:
        plans[plan.id] = plan
    return Entered(plans=plans, judgement=_said(judgement, word, reason, detail))


def _begun(plan: Plan, judgement: Judgement, bounds: Bounds, plans: dict[str, Plan]) -> Entered:
    plan = _started(plan, bounds, plan.reason)
    detail = f"{plan.reason} (dry-run: not begun)" if plan.dry_run else plan.reason
    plans[plan.id] = plan
    said = replace(judgement, word=VerdictWord.ALLOW, reason=None, detail=detail, plan_id=plan.id)
    return Entered(plans=plans, judgement=said)


def _started(plan: Plan, bounds: Bounds, why: str) -> Plan:
    """Return the plan that runs; in a dry run it ends at once, and says what it would have done."""
    if bounds.mode is not Mode.DRY_RUN:
        return begun(plan, bounds.now, why)
    for number, step in enumerate(plan.steps, 1):
        plan = noted(plan, bounds.now, f"would {number}. {verbs(step.operation).says(step.operation)}")
    return ended(replace(plan, dry_run=True), PlanStatus.REHEARSED, bounds.now, "dry-run: nothing was sent")


def _said(judgement: Judgement, word: VerdictWord, reason: Reason, detail: str) -> Judgement:
    return replace(judgement, word=word, reason=reason, detail=detail)


def wakes(plan: Plan, errand: Errand) -> bool:
    """Return whether all that an errand does is to give back capacity of ours, of which the objects themselves tell.

    A workload that rests is woken, a share on spot nodes shrinks.
    """
    operation = plan.steps[errand.step].operation
    match operation:
        case Wake():
            return True
        case Sleep():
            return errand.back
        case SplitReplicas(seen=before, replicas=after):
            return errand.back or after < before
        case _:
            return False


def taken_back(plans: Mapping[str, Plan], back: tuple[tuple[str, str], ...], bounds: Bounds) -> Mapping[str, Plan]:
    """Return the plans, of which a policy takes some of its own back: what stands of them is undone step by step."""
    after = dict(plans)
    for plan_id, why in back:
        plan = after.get(plan_id)
        if plan is None or bounds.policy is None or plan.policy != bounds.policy.key or not plan.touches_back:
            continue
        if plan.status in (PlanStatus.RUNNING, PlanStatus.DONE):
            after[plan_id] = rolling_back(replace(plan, ended_at=math.inf), bounds.now, why)
    return after


def let_go(plans: Mapping[str, Plan], over: tuple[tuple[str, str], ...], bounds: Bounds) -> Mapping[str, Plan]:
    """Return the plans, of which a policy lets some end that wait for people, since what they ask about is over."""
    after = dict(plans)
    for plan_id, why in over:
        plan = after.get(plan_id)
        if plan is None or bounds.policy is None or plan.policy != bounds.policy.key:
            continue
        if plan.status is PlanStatus.PROPOSED:
            after[plan_id] = ended(plan, PlanStatus.REFUSED, bounds.now, why)
        elif plan.status is PlanStatus.ASKING:
            after[plan_id] = ended(plan, PlanStatus.FAILED, bounds.now, why)
    return after


def unanswered(plan: Plan, bounds: Bounds) -> Plan:
    """Return a plan that asks how it goes on; it ends when nobody says so in time, and what it did stands (S6).

    Until then it is the only one of its subject, and a plan for what is long over must not keep the next one away.
    What costs capacity goes on giving it back (S2).
    """
    if (
        plan.status is not PlanStatus.ASKING
        or plan.kind in (PlanKind.SAVING, PlanKind.RESTORE)
        or bounds.policy is None
    ):
        return plan
    since = plan.notes[-1].at if plan.notes else plan.created_at
    if bounds.now - since < bounds.ask_for_s:
        return plan
    why = f"nobody said for {bounds.ask_for_s / 60.0:.0f} minutes how it goes on; what it did stands"
    return ended(plan, PlanStatus.FAILED, bounds.now, why)


def answered_by_people(plan: Plan, snapshot: Snapshot) -> Plan:
    """Return a proposed plan that knows what people said to it: each yes of another person counts, one no is enough."""
    if plan.status is not PlanStatus.PROPOSED:
        return plan
    yes = list(plan.approvals)
    for answer in snapshot.approvals:
        if answer.ask_id != plan.id:
            continue
        if not answer.approved:
            why = f": {answer.reason}" if answer.reason else ""
            refused = replace(plan, answered=True)
            return ended(refused, PlanStatus.REFUSED, snapshot.at, f"{answer.by} said no{why}")
        if answer.by not in yes:
            yes.append(answer.by)
    if tuple(yes) != plan.approvals:
        plan = noted(replace(plan, approvals=tuple(yes)), snapshot.at, f"{', '.join(yes)} said yes")
    return plan


def expired(plan: Plan, now: Instant) -> Plan:
    """Return the plan; a proposal whose time is over is withdrawn."""
    if plan.status is PlanStatus.PROPOSED and now >= plan.expires_at:
        return ended(replace(plan, answered=True), PlanStatus.REFUSED, now, "nobody answered in time")
    return plan


def confirmed(plan: Plan, bounds: Bounds) -> Plan:
    """Return a plan that a person ordered and that waited for another person: begun once everything is said (S6)."""
    if plan.status is not PlanStatus.PROPOSED or plan.by == plan.policy:
        return plan
    plan = answered_by_people(plan, bounds.snapshot)
    if plan.status is PlanStatus.PROPOSED and ruling(plan, bounds) is None:
        return _started(plan, bounds, f"{', '.join(plan.approvals)} said yes")
    return plan


def ordered(plan: Plan, order: Order, now: Instant) -> Plan:
    """Return the plan after a person's word to it; what makes no sense for it as it stands is noted, and no more."""
    why = f"{order.by}: {order.reason}" if order.reason else order.by
    match order.kind:
        case OrderKind.PAUSE if plan.status in (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK):
            return noted(replace(plan, status=PlanStatus.PAUSED), now, f"paused: {why}")
        case OrderKind.RESUME if plan.status in (PlanStatus.PAUSED, PlanStatus.ASKING):
            return resumed(plan, now, why)
        case OrderKind.ROLL_BACK | OrderKind.ABORT if plan.status is PlanStatus.PROPOSED:
            return ended(replace(plan, answered=True), PlanStatus.REFUSED, now, f"withdrawn: {why}")
        case OrderKind.ROLL_BACK | OrderKind.ABORT if not plan.status.ended:
            return rolling_back(plan, now, why)
        case OrderKind.ROLL_BACK if plan.status is PlanStatus.DONE and plan.kind is PlanKind.FAILOVER:
            return noted(plan, now, f"rollback by {order.by}: failover back checks the home site first, and does it")
        case OrderKind.ROLL_BACK if plan.status is PlanStatus.DONE and plan.touches_back:
            return rolling_back(replace(plan, ended_at=math.inf), now, why)
        case _:
            return noted(plan, now, f"{order.kind.value} by {order.by} has no meaning: the plan is {plan.status.value}")


def kept_still(plan: Plan, bounds: Bounds) -> Plan:
    """Return a plan that has begun, held while something stands against it going on (S9)."""
    if plan.status not in (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK):
        return unanswered(replace(plan, held="") if plan.held else plan, bounds)
    if lends_back(plan) and needed(plan, bounds):
        steps = tuple(replace(one, stage=Stage.DONE) if one.stage is Stage.UNDOING else one for one in plan.steps)
        return ended(replace(plan, steps=steps), PlanStatus.DONE, bounds.now, "it is needed, and kept")
    if gives_back(plan):
        return held(plan, stopped(plan, bounds), bounds.now)
    if bounds.policy is None and plan.status is PlanStatus.RUNNING:
        return held(plan, f"{plan.policy} is not in force any more; it can be rolled back", bounds.now)
    if bounds.mode.rank < Mode.APPROVE.rank and not plan.dry_run and not lends_back(plan):
        return held(plan, f"mode {bounds.mode.value} sends nothing", bounds.now)
    return held(plan, stopped(plan, bounds), bounds.now)


def watched(plan: Plan, value: float | None, now: Instant, load: float | None = None) -> Plan:
    """Return the plan with the goal's signal as it is now, judged when the time for that has come (S7).

    A remediation or a saving that did harm is taken back where it can be.
    """
    if plan.goal is None or plan.effectiveness is not None or plan.status is PlanStatus.PROPOSED:
        return plan
    if value is not None and (not plan.seen or plan.seen[-1][0] < now):
        plan = replace(plan, seen=(*plan.seen, (now, value)))
    if load is not None and (not plan.loads or plan.loads[-1][0] < now):
        plan = replace(plan, loads=(*plan.loads, (now, load)))
    judged = effectiveness.judged(plan, now)
    if judged is None:
        return plan
    plan = noted(replace(plan, effectiveness=judged), now, f"{judged.word.value}: {judged.detail}")
    harmed = judged.word is Helped.HARMED and plan.kind in (PlanKind.REMEDIATION, PlanKind.SAVING)
    if harmed and plan.status is PlanStatus.DONE and plan.touches_back:
        return rolling_back(replace(plan, ended_at=math.inf), now, judged.detail)
    return plan


def to_forget(plan: Plan, snapshot: Snapshot) -> bool:
    """Return whether a plan need not be carried on: ended long ago, judged, and nothing of it stands."""
    if not plan.status.ended or snapshot.at - plan.ended_at < KEPT_S:
        return False
    if plan.status is not PlanStatus.DONE or not plan.touches_back:
        return True
    looked = snapshot.looked
    sent = [step.operation for step in plan.steps if step.sent and step.undo]
    return all(stands(one, looked) is False for one in sent) and not any(mended(one, looked) for one in sent)
