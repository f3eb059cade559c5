"""Every policy of plans judged at one instant, and every plan moved by one: the half of a tick that acts step by step.

`judge_one` is the literal function that both the tick and the replay of a stored decision call.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.core.ids import ulid
from aiops.core.model import (
    Decision,
    Errand,
    GroupState,
    IncidentState,
    Inputs,
    Instant,
    Judgement,
    LadderState,
    LoopState,
    Plan,
    PolicyKey,
    SavingState,
    Signal,
    Snapshot,
    StepResult,
    TargetState,
    VerdictWord,
)
from aiops.core.model.swift import changed, swift
from aiops.core.observe import environment
from aiops.core.pipeline.lane import OF_POLICIES, Lane, inputs_of
from aiops.core.pipeline.paging import acknowledged, noted, page
from aiops.core.pipeline.plan_signals import read_signals
from aiops.core.pipeline.planners import PLANNERS, Memory
from aiops.core.planning import Judged, Situation, arbiter
from aiops.core.planning.costs import counted
from aiops.core.planning.saving import SavingPolicy
from aiops.core.plans.changes import answered, held
from aiops.core.plans.guards import Bounds
from aiops.core.plans.handing_back import handed_back, leaned_on
from aiops.core.plans.lifecycle import (
    Entered,
    confirmed,
    entered,
    expired,
    kept_still,
    let_go,
    ordered,
    taken_back,
    to_forget,
    watched,
)
from aiops.core.plans.machine import Advanced, advance
from aiops.core.plans.world import World
from aiops.core.policies import PlanPolicy
from aiops.core.protocols import ConditionError, Env
from aiops.core.versions import base_key, is_version

_FRESH = TargetState()
_SPOKEN = {
    VerdictWord.STEADY: "steady",
    VerdictWord.ALLOW: "acts",
    VerdictWord.WAIT: "hold",
    VerdictWord.ASK: "asks",
    VerdictWord.DENY: "denied",
}


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What came of it: decisions with their inputs, the state that is carried on, and what is to be sent."""

    state: LoopState
    decisions: tuple[Decision, ...] = ()
    seen: Mapping[PolicyKey, Inputs] = field(default_factory=dict)
    errands: tuple[Errand, ...] = ()
    plans: tuple[Plan, ...] = ()


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOne:
    """One policy judged and ruled, from its inputs and nothing else. signals, env: what its plans' checks see, too."""

    judged: Judged[Any]
    entered: Entered
    signals: Mapping[str, Signal]
    env: Env


@dataclass(slots=True)
class _Made:
    """What is gathered over the policies of one tick."""

    plans: dict[str, Plan]
    groups: dict[PolicyKey, GroupState]
    ladders: dict[PolicyKey, LadderState]
    savings: dict[PolicyKey, SavingState]
    orders: dict[str, Instant]
    decisions: list[Decision] = field(default_factory=list)
    seen: dict[PolicyKey, Inputs] = field(default_factory=dict)
    signals: dict[PolicyKey, Mapping[str, Signal]] = field(default_factory=dict)
    envs: dict[PolicyKey, Env] = field(default_factory=dict)
    pages: list[Errand] = field(default_factory=list)

    @property
    def state(self) -> LoopState:
        """Return what is carried so far."""
        return LoopState(
            plans=self.plans, groups=self.groups, ladders=self.ladders, savings=self.savings, orders=self.orders
        )

    @classmethod
    def of(cls, state: LoopState, plans: dict[str, Plan], orders: dict[str, Instant]) -> _Made:
        """Return what there is before any policy was judged."""
        return cls(plans, dict(state.groups), dict(state.ladders), dict(state.savings), orders)

    def remember(self, key: PolicyKey, memory: Memory) -> None:
        """Carry on what a policy remembers."""
        match memory:
            case GroupState():
                self.groups[key] = memory
            case LadderState():
                self.ladders[key] = memory
            case _:
                # what many containers use is much to write: it is written when something was learnt
                if self.savings.get(key) != memory:
                    self.savings[key] = memory


def plan_turn(state: LoopState, lane: Lane) -> Planned:
    """Return what is decided for every policy of a lane at this instant, and the next errands of their plans."""
    snapshot = lane.snapshot
    if not (lane.policies or state.plans or state.orders or snapshot.orders):
        return Planned(state=state)
    made = _Made.of(state, dict(state.plans), _in_force(state.orders, snapshot.at))
    # safety is judged before cost, so that what it wants is known to who has to yield
    for policy in sorted(lane.policies, key=lambda one: isinstance(one, SavingPolicy)):
        _judge(policy, lane, made)
    _follow_orders(made, snapshot)
    by_key = {policy.key: policy for policy in lane.policies}
    world = _world(by_key, made, snapshot)
    errands: list[Errand] = []
    taken: set[arbiter.Claim] = set()
    claimed = arbiter.by_claim(made.plans.values())
    leaning = leaned_on(lane.policies, made.groups)
    for plan in sorted(made.plans.values(), key=lambda one: (arbiter.rank(one), one.id)):
        if plan.policy in lane.elsewhere:
            continue
        bounds = Bounds(
            policy=by_key.get(plan.policy),
            snapshot=snapshot,
            plans=tuple(made.plans.values()),
            scalings=lane.scalings,
            rivals=tuple(made.plans[name] for one in arbiter.claims(plan) for name in claimed[one]),
            leaning=leaning,
        )
        known = counted(handed_back(plan, bounds), snapshot.looked)
        still = kept_still(confirmed(expired(known, snapshot.at), bounds), bounds)
        advanced = _alone(still, advance(still, world, lane.tick_s), taken, lane)
        if advanced.errand is not None:
            errands.append(advanced.errand)
        value, load = _goal_now(advanced.plan, made)
        made.plans[plan.id] = watched(advanced.plan, value, snapshot.at, load)
    # what moves users goes first: a channel that is slow to be told costs nobody anything
    return _planned(state, made, (*errands, *made.pages), snapshot)


def _alone(still: Plan, advanced: Advanced, taken: set[arbiter.Claim], lane: Lane) -> Advanced:
    """Return what becomes of a plan; as it was, and held, where another changes at this tick what it would change."""
    errand = advanced.errand
    wanted = None if errand is None else arbiter.claim(advanced.plan.steps[errand.step].operation)
    if errand is None or wanted is None:
        return advanced
    mine = (wanted[0].key, wanted[1])
    scaling = arbiter.clashes(mine, lane.scalings) if arbiter.rank(still) is arbiter.Rank.COST else None
    if mine not in taken and scaling is None:
        taken.add(mine)
        return advanced
    who = "another plan" if scaling is None else scaling.policy
    return Advanced(plan=held(still, f"{who} is changing the {wanted[1].value} of {wanted[0]} first", lane.snapshot.at))


def plans_judged(state: LoopState, lane: Lane) -> LoopState:
    """Return the state of whoever stands by: it follows what there is to know, and neither wants nor moves anything.

    So a successor knows how sites are when it begins to lead, even when the leader died with one of them (S8).
    """
    made = _Made.of(state, {}, {})
    for policy in lane.policies:
        _judge(policy, lane, made)
    return changed(state, groups=made.groups, ladders=made.ladders, savings=made.savings)


def _planned(state: LoopState, made: _Made, errands: tuple[Errand, ...], snapshot: Snapshot) -> Planned:
    moved = tuple(plan for key, plan in made.plans.items() if state.plans.get(key) is not plan)
    kept = {key: plan for key, plan in made.plans.items() if not to_forget(plan, snapshot)}
    after = changed(made.state, plans=kept, targets=state.targets, effects=state.effects, ticks=state.ticks)
    return Planned(state=after, decisions=tuple(made.decisions), seen=made.seen, errands=errands, plans=moved)


def _in_force(orders: Mapping[str, Instant], now: Instant) -> dict[str, Instant]:
    return {key: until for key, until in orders.items() if until > now}


# -- one policy --------------------------------------------------------------------------------------


def judge_one(policy: PlanPolicy, inputs: Inputs) -> JudgedOne:
    """Return what one policy makes of its inputs and nothing else."""
    planner, snapshot = PLANNERS[type(policy)], inputs.snapshot
    memory = planner.memory(inputs)
    signals, memories = read_signals(policy, memory.signals, snapshot)
    env = {**_environment(signals, inputs), **environment.of_nodes(snapshot.pools, policy.target.cluster)}
    situation = Situation(
        now=snapshot.at,
        tick_s=inputs.tick_s,
        snapshot=snapshot,
        signals=signals,
        env=env,
        findings=inputs.findings,
        incidents=tuple(one for one in inputs.incidents if one.state is IncidentState.OPEN),
        unseen=inputs.unseen,
        plans=inputs.plans,
        scalings=inputs.scalings,
        orders=snapshot.orders,
        fleet=inputs.fleet,
    )
    judged = planner.judged(policy, situation, replace(memory, signals=memories))
    bounds = Bounds(
        policy=policy,
        snapshot=snapshot,
        plans=inputs.plans,
        scalings=inputs.scalings,
        incidents=situation.incidents,
        fleet=inputs.fleet,
    )
    ruled = entered(judged.plans, judged.judgement, bounds)
    ruled = changed(ruled, plans=let_go(taken_back(ruled.plans, judged.back, bounds), judged.over, bounds))
    return JudgedOne(judged=judged, entered=ruled, signals=signals, env=env)


def _environment(signals: Mapping[str, Signal], inputs: Inputs) -> Env:
    env: dict[str, object] = {f"signals.{name}": one.value for name, one in signals.items() if one.usable}
    if not inputs.unseen:
        env.update(environment.of_percepts(inputs.findings, inputs.incidents))
    env.update(environment.of_alerts(inputs.snapshot.alerts))
    return env


def judge_again(policy: PlanPolicy, inputs: Inputs) -> Decision:
    """Return the decision that a policy of plans makes from its stored inputs."""
    return _decision(policy, inputs, judgement=judge_one(policy, inputs).entered.judgement)


def _judge(policy: PlanPolicy, lane: Lane, made: _Made) -> None:
    """Judge one policy and take what it wants; a bug in it holds that policy alone (S10)."""
    key = policy.key
    inputs = made.seen[key] = inputs_of(policy, lane, made.state)
    try:
        one = judge_one(policy, inputs)
    except Exception:  # S10: a bug in one policy's path holds that policy alone
        made.decisions.append(_decision(policy, inputs, bug=traceback.format_exc()))
        return
    given = {plan.id: plan for plan in inputs.plans}
    # it was shown those plans that can sway it; what it did not change, and was not shown, stays as it is
    made.plans.update({name: plan for name, plan in one.entered.plans.items() if given.get(name) is not plan})
    made.signals[key], made.envs[key] = one.signals, one.env
    orders = {order.id: order.expires_at for order in inputs.snapshot.orders}
    made.orders.update({name: orders[name] for name in one.judged.followed if name in orders})
    decision = _decision(policy, inputs, judgement=one.entered.judgement)
    made.decisions.append(decision)
    fingerprint = _fingerprint(policy, one.entered.judgement)
    memory = one.judged.memory
    paged = _paging(memory.paged, policy, one.entered.judgement, made, inputs)
    made.remember(key, replace(memory, fingerprint=fingerprint, decision_id=decision.id, paged=paged))


def _paging(
    paged: Mapping[str, Instant], policy: PlanPolicy, judgement: Judgement, made: _Made, inputs: Inputs
) -> Mapping[str, Instant]:
    """Take what people are to be told, and return when they were told what."""
    bounds = Bounds(policy=policy, snapshot=inputs.snapshot, plans=inputs.plans)
    told = page(judgement, paged, bounds)
    if told is None:
        return paged
    made.pages.append(told)
    return noted(paged, judgement, inputs.snapshot.at)


def _decision(policy: PlanPolicy, inputs: Inputs, *, judgement: Judgement | None = None, bug: str = "") -> Decision:
    memory = PLANNERS[type(policy)].memory(inputs)
    before, known = memory.fingerprint, memory.decision_id
    changed = judgement is None or not known or _fingerprint(policy, judgement) != before
    now = inputs.snapshot.at
    story = f"hold: a bug in deciding, nothing is done ({bug.strip().splitlines()[-1]})" if bug else ""
    if judgement is not None:
        story = f"{_SPOKEN[judgement.word]}: {judgement.detail}"
    return Decision(
        id=ulid(now, policy.key, inputs.tick_id) if changed else known,
        tick_id=inputs.tick_id,
        at=now,
        policy=policy.key,
        policy_digest=policy.digest,
        target=policy.target,
        verdict=None,
        signals=(),
        action_id=None,
        changed=changed,
        story=story,
        bug=bug,
        judgement=judgement,
        candidate_for=base_key(policy.key) if is_version(policy.key) else "",
    )


def _fingerprint(policy: PlanPolicy, judgement: Judgement) -> str:
    reason = "" if judgement.reason is None else judgement.reason.value
    return f"{policy.digest}|{judgement.word.value}|{reason}|{judgement.plan_id}"


# -- people's words ------------------------------------------------------------------------------------


def _follow_orders(made: _Made, snapshot: Snapshot) -> None:
    """Follow what people said to plans: by the plan's id, or by the policy for whatever stands for it."""
    for order in snapshot.orders:
        if order.id in made.orders or order.kind in OF_POLICIES or order.expires_at <= snapshot.at:
            continue
        named = [plan for plan in made.plans.values() if order.subject == plan.id]
        standing = [p for p in made.plans.values() if order.subject == p.policy and not p.status.ended]
        for plan in named or standing:
            made.plans[plan.id] = ordered(plan, order, snapshot.at)
        if named or standing:
            made.orders[order.id] = order.expires_at


# -- the world of plans --------------------------------------------------------------------------------


def _world(policies: Mapping[PolicyKey, PlanPolicy], made: _Made, snapshot: Snapshot) -> World:
    def holds(key: PolicyKey, text: str) -> bool | None:
        policy = policies.get(key)
        condition = None if policy is None else policy.conditions.get(text)
        if condition is None:
            return None
        try:
            return condition.holds(made.envs.get(key, {}))
        except ConditionError:
            return None

    return World(
        now=snapshot.at,
        snapshot=snapshot,
        groups=made.groups,
        ladders=made.ladders,
        savings=made.savings,
        signals=made.signals,
        holds=holds,
    )


def _goal_now(plan: Plan, made: _Made) -> tuple[float | None, float | None]:
    """Return the goal's signal and the load, None for what is not known."""
    if plan.goal is None:
        return None, None
    signals = made.signals.get(plan.policy, {})
    found = (signals.get(plan.goal.signal), signals.get(plan.goal.load))
    value, load = (one.value if one is not None and one.usable else None for one in found)
    return value, load


# -- what was answered ---------------------------------------------------------------------------------


def plans_answered(
    state: LoopState, errands: tuple[Errand, ...], results: Mapping[str, tuple[StepResult, ...]]
) -> LoopState:
    """Return the state whose plans know what became of their errands, by errand id, and whose policies who was told."""
    plans = dict(state.plans)
    for errand in errands:
        plan, found = plans.get(errand.plan_id), results.get(errand.id, ())
        if plan is not None:
            plans[plan.id] = answered(plan, errand, found)
        elif not errand.plan_id:
            state = acknowledged(state, errand, found)
    return changed(state, plans=plans)
