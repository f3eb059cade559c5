"""A whole turn: every policy's decision, and what is handed back. A bug in one policy holds that policy alone (S10)."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiops.core import act
from aiops.core.ids import ulid
from aiops.core.model import (
    Action,
    Allowance,
    Decision,
    Effect,
    Inputs,
    Looked,
    LoopState,
    Mode,
    Percepts,
    PolicyKey,
    PriceBook,
    Snapshot,
    TargetRef,
    TargetState,
    Tick,
)
from aiops.core.model.swift import changed, making, swift
from aiops.core.money.metering import labels_of
from aiops.core.observe.environment import asks_nodes, asks_prices
from aiops.core.pipeline.arbitrated import at_work_on, displaced, scalings
from aiops.core.pipeline.effects import reconciled, to_hand_back
from aiops.core.pipeline.lane import Lane, fleet
from aiops.core.pipeline.one import FRESH, Decided, Read, decide_one
from aiops.core.pipeline.planning import Planned, plan_turn, plans_judged
from aiops.core.policies import PolicySet, ScalingPolicy, Whose
from aiops.core.versions import beside, is_version, template_key

_NOTHING: frozenset[str] = frozenset()
_NO_PRICES, _NOT_LOOKED, _NONE = PriceBook(), Looked(), dict[str, Any]()
"""What most policies' inputs have none of, made once; nobody changes it."""

_inputs_of, _snapshot_of = making(Inputs), making(Snapshot)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one tick is decided with, beside the state. code and platform: see `Inputs`.

    elsewhere: the policies whose plans this turn leaves alone, as it judges but some. reads: signals that were read
    already in this turn, by policy key.
    """

    snapshot: Snapshot
    percepts: Percepts
    policies: PolicySet
    code: str
    platform: str
    elsewhere: frozenset[PolicyKey] = frozenset()
    reads: Mapping[PolicyKey, Read] = field(default_factory=dict)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """A whole turn: the tick to record, the state to carry on, and the inputs of each decision that changed.

    seen: by policy, the inputs of every decision.
    """

    tick: Tick
    state: LoopState
    inputs: Mapping[str, Inputs]
    seen: Mapping[PolicyKey, Inputs] = field(default_factory=dict)


def decide(state: LoopState, turn: Turn) -> Decisions:
    """Return what is decided for every policy at this instant."""
    now = turn.snapshot.at
    tick_id = ulid(now, "tick", str(state.ticks))
    effects, voided = reconciled(state.effects, turn.snapshot, turn.policies)
    state = changed(state, effects=effects)
    world = _World(state, turn, tick_id, _by_target(effects))
    made = [_contained(policy, world) for policy in turn.policies.scaling]
    returned, waiting = _hand_back(effects, turn, tick_id)
    states = {**state.targets, **{one.decision.policy: one.state for one in made}}
    planned = plan_turn(state, _lane(turn, tick_id, changed(state, targets=states)))
    made = _after_safety(made, planned, world)
    actions = (*(one.action for one in made if one.action is not None), *returned)
    tick = Tick(
        id=tick_id,
        at=now,
        decisions=(*(one.decision for one in made), *planned.decisions),
        actions=actions,
        outcomes=(*(outcome for one in made for outcome in one.outcomes), *voided),
        findings=turn.percepts.findings,
        incidents=turn.percepts.incidents,
        waiting=waiting,
        errands=planned.errands,
        plans=planned.plans,
    )
    # what is carried for a policy that is gone is kept while its set is away, so that a reload loses no window
    # of a version that runs beside no more, nothing is
    kept = {key: one for key, one in state.targets.items() if not is_version(key)}
    targets = {**kept, **{one.decision.policy: one.state for one in made}}
    after = changed(planned.state, targets=targets, effects=effects, ticks=state.ticks + 1)
    seen = {**{d.decision.policy: d.inputs for d in made}, **planned.seen}
    inputs = {one.id: seen[one.policy] for one in tick.decisions if one.changed}
    return Decisions(tick=tick, state=after, inputs=inputs, seen=seen)


@swift
@dataclass(frozen=True, slots=True)
class _World:
    """What every policy of a turn is decided in. effects: those of the state, by the target that they stand on."""

    state: LoopState
    turn: Turn
    tick_id: str
    effects: Mapping[TargetRef, Mapping[str, Effect]]


def _by_target(effects: Mapping[str, Effect]) -> dict[TargetRef, dict[str, Effect]]:
    found: dict[TargetRef, dict[str, Effect]] = {}
    for key, one in effects.items():
        found.setdefault(one.target, {})[key] = one
    return found


def _after_safety(made: list[Decided], planned: Planned, world: _World) -> list[Decided]:
    """Decide again where a plan of safety changes at this tick what a ScalingPolicy would change: safety goes first."""
    if not planned.errands:
        return made
    after = replace(world, state=changed(world.state, plans=planned.state.plans))
    by_key = {policy.key: policy for policy in world.turn.policies.scaling}
    return [
        _contained(by_key[one.decision.policy], after)
        if displaced(one.action, planned.errands, planned.state.plans)
        else one
        for one in made
    ]


def decide_plans(state: LoopState, turn: Turn) -> Decisions:
    """Return what is decided for the policies of plans alone, in a lane that is faster than the others' (S8)."""
    tick_id = ulid(turn.snapshot.at, "lane", str(state.ticks))
    planned = plan_turn(state, _lane(turn, tick_id, state))
    tick = Tick(
        id=tick_id,
        at=turn.snapshot.at,
        decisions=planned.decisions,
        actions=(),
        outcomes=(),
        findings=(),
        incidents=(),
        errands=planned.errands,
        plans=planned.plans,
    )
    inputs = {one.id: planned.seen[one.policy] for one in tick.decisions if one.changed}
    after = changed(planned.state, ticks=state.ticks + 1)
    return Decisions(tick=tick, state=after, inputs=inputs, seen=planned.seen)


def plans_followed(state: LoopState, turn: Turn) -> LoopState:
    """Return what somebody who stands by knows for policies of plans, after one more look; it decides nothing."""
    return plans_judged(state, _lane(turn, ulid(turn.snapshot.at, "standing by"), state))


def _lane(turn: Turn, tick_id: str, state: LoopState) -> Lane:
    plans = turn.policies.plans or state.plans  # without any, nobody asks what scales
    return Lane(
        policies=turn.policies.plans,
        elsewhere=turn.elsewhere,
        snapshot=turn.snapshot,
        tick_id=tick_id,
        tick_s=turn.policies.step_s,
        code=turn.code,
        platform=turn.platform,
        findings=turn.percepts.findings,
        incidents=turn.percepts.incidents,
        unseen=turn.percepts.unseen,
        scalings=scalings(turn.policies.scaling, state.targets, turn.snapshot) if plans else (),
        fleet=fleet(turn.policies.plans, state.ladders, turn.snapshot.looked),
    )


def _prices(policy: ScalingPolicy, seen: frozenset[str], book: PriceBook) -> PriceBook:
    """Return what of the prices a decision looks at: its target's, where its objective or a condition weighs them."""
    if policy.objective.price is None and not asks_prices(seen):
        return _NO_PRICES
    quote = book.replicas.get(policy.target.key)
    return PriceBook(replicas={} if quote is None else {policy.target.key: quote}, rates=book.rates)


def _inputs(policy: ScalingPolicy, world: _World) -> Inputs:
    key, target = policy.key, policy.target.key
    state, turn = world.state, world.turn
    snapshot, percepts = turn.snapshot, turn.percepts
    workload = snapshot.workloads.get(target)
    price = snapshot.replica_usd_per_hour.get(target)
    refused = snapshot.target_errors.get(target)
    # conditions alone see findings, incidents and alerts, of which a storm has thousands
    asks = bool(policy.guardrails) or policy.verify.expect is not None
    seen = policy.seen if asks else _NOTHING
    pools = snapshot.pools if asks_nodes(seen) else ()
    return _inputs_of(
        tick_id=world.tick_id,
        tick_s=turn.policies.step_s,
        policy=key,
        policy_digest=policy.digest,
        code=turn.code,
        platform=turn.platform,
        snapshot=_snapshot_of(
            at=snapshot.at,
            answers={key: snapshot.answers.get(key, _NONE)},
            workloads=_NONE if workload is None else {target: workload},
            leadership=snapshot.leadership,
            scope=snapshot.scope,
            store_ok=snapshot.store_ok,
            cluster_errors=snapshot.cluster_errors,
            target_errors={target: refused} if refused is not None else _NONE,
            pauses=snapshot.pauses,
            freezes=tuple(one for one in snapshot.freezes if one.concerns(key)) if snapshot.freezes else (),
            approvals=snapshot.approvals,
            alerts=snapshot.alerts if asks else (),
            replica_usd_per_hour=_NONE if price is None else {target: price},
            prices=_prices(policy, seen, snapshot.prices),
            looked=_NOT_LOOKED,
            budgets=_NONE,
            tables=_NONE,
            pasts=_NONE,
            pools=tuple(one for one in pools if one.cluster == policy.target.cluster) if pools else (),
        ),
        state=_carried(policy, state),
        effects=world.effects.get(policy.target, _NONE) if world.effects else _NONE,
        forecast=percepts.forecasts.get(key),
        nowcast=percepts.nowcasts.get(key),
        capacity=percepts.capacities.get(key),
        findings=percepts.findings if asks else (),
        incidents=percepts.incidents if asks else (),
        unseen=percepts.unseen if asks else _NONE,
        allowances=_allowances(policy, turn),
        plans=at_work_on(policy.target, state.plans.values()) if state.plans else (),
    )


def _allowances(policy: ScalingPolicy, turn: Turn) -> tuple[Allowance, ...]:
    """Return what each budget that covers a policy leaves to it now."""
    budgets, standings = turn.policies.budgets, turn.snapshot.budgets
    if not budgets or not standings:
        return ()
    labels = labels_of(policy.key, turn.policies)
    _, namespace, name = template_key(policy.key).split("/", 2)
    most = policy.bounds.at(turn.snapshot.at)[1]
    whose = Whose(name=name, namespace=namespace, labels=labels, most=most)
    covers = (one for one in budgets if one.key in standings and one.scope.covers(namespace, labels))
    return tuple(one.allowance(whose, standings[one.key]) for one in covers)


def _carried(policy: ScalingPolicy, state: LoopState) -> TargetState:
    own = state.targets.get(policy.key, FRESH)
    return beside(own, state.targets.get(policy.candidate_for, FRESH)) if policy.candidate_for else own


def _contained(policy: ScalingPolicy, world: _World) -> Decided:
    inputs, foreseeing = _inputs(policy, world), world.turn.percepts.bugs.get(policy.key)
    if foreseeing:
        return Decided(inputs=inputs, decision=_broken(policy, inputs, foreseeing), state=inputs.state)
    try:
        return decide_one(policy, inputs, world.turn.reads.get(policy.key))
    except Exception:  # a bug in one policy's path holds that policy alone (S10); docs/decisions says why here
        return Decided(inputs=inputs, decision=_broken(policy, inputs, traceback.format_exc()), state=inputs.state)


def _broken(policy: ScalingPolicy, inputs: Inputs, trace: str) -> Decision:
    last = trace.strip().splitlines()[-1]
    return Decision(
        id=ulid(inputs.snapshot.at, policy.key, inputs.tick_id),
        tick_id=inputs.tick_id,
        at=inputs.snapshot.at,
        policy=policy.key,
        policy_digest=policy.digest,
        target=policy.target,
        verdict=None,
        signals=(),
        action_id=None,
        changed=True,
        story=f"hold: a bug in deciding, nothing is done ({last})",
        bug=trace,
        candidate_for=policy.candidate_for,
    )


def _hand_back(effects: Mapping[str, Effect], turn: Turn, tick_id: str) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    """Return what hands back what was released or left by a policy that acts no more, and why some of it waits (S9)."""
    snapshot = turn.snapshot
    if not effects or not snapshot.leadership.leader or not snapshot.store_ok:
        return (), ()
    actions, waiting = [], []
    for effect in to_hand_back(effects, snapshot, turn.policies):
        workload = snapshot.workloads.get(effect.target.key)
        unfenced = snapshot.leadership.unfenced.get(effect.target.key)
        why = "its target is not known now" if workload is None else unfenced[1] if unfenced is not None else ""
        if workload is not None and not why:
            why = act.release_held(effect, workload)
            actions.append(act.release_action(effect, workload, _release_issue(effect, turn, tick_id)))
        if why:
            waiting.append(f"{effect.target} is not handed back yet: {why}")
    return tuple(action for action in actions if action.steps), tuple(waiting)


def _release_issue(effect: Effect, turn: Turn, tick_id: str) -> act.Issue:
    return act.Issue(
        tick_id=tick_id,
        decision_id=ulid(turn.snapshot.at, effect.policy, tick_id, "release"),
        at=turn.snapshot.at,
        tick_s=turn.policies.step_s,
        epoch=turn.snapshot.leadership.epoch,
        mode=Mode.ENFORCE,
    )
