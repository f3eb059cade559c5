"""The policies of plans that are judged together at one instant, and the part of the world that each is judged from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from aiops.core.model import (
    Cordon,
    Finding,
    Fleet,
    Incident,
    Inputs,
    Instant,
    LadderState,
    Looked,
    LoopState,
    Order,
    OrderKind,
    Plan,
    PlanKind,
    PlanStatus,
    PolicyKey,
    PriceBook,
    Scaling,
    SeenObject,
    Snapshot,
    TargetState,
    Wanted,
)
from aiops.core.model.swift import swift
from aiops.core.objects.budgets import ready_of
from aiops.core.observe.environment import asks_nodes
from aiops.core.planning.doing import operations_of
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.planning.remediation import RemediationPolicy
from aiops.core.planning.saving import SavingPolicy
from aiops.core.plans import budget
from aiops.core.plans.guards import namespace_of
from aiops.core.plans.operations import verbs
from aiops.core.policies import PlanPolicy

OF_POLICIES = frozenset({OrderKind.START, OrderKind.BACK, OrderKind.DRILL})
"""Orders that a policy follows; the others are for plans."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The policies of plans that are judged together at one instant. elsewhere: those whose plans are left alone.

    `snapshot` is whole; each policy is judged from its part. code and platform: see `Inputs`. scalings: what
    ScalingPolicies have under way. fleet: see `fleet`.
    """

    policies: tuple[PlanPolicy, ...]
    elsewhere: frozenset[PolicyKey]
    snapshot: Snapshot
    tick_id: str
    tick_s: float
    code: str = ""
    platform: str = ""
    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    unseen: Mapping[PolicyKey, str] = field(default_factory=dict)
    scalings: tuple[Scaling, ...] = ()
    fleet: Fleet = field(default_factory=Fleet)


def fleet(policies: tuple[PlanPolicy, ...], ladders: Mapping[PolicyKey, LadderState], looked: Looked) -> Fleet:
    """Return how all workloads are that are remedied: those are sick whose trouble was seen when last looked for."""
    troubled: dict[str, bool] = {}
    for one in policies:
        if isinstance(one, RemediationPolicy) and one.nodes is None:
            name, ladder = one.target.key, ladders.get(one.key)
            state = None if ladder is None else ladder.subjects.get(name)
            troubled[name] = troubled.get(name, False) or (state is not None and math.isfinite(state.since))
    ready = sum(ready_of(looked.objects.get(name)) for name in troubled)
    return Fleet(workloads=len(troubled), sick=sum(troubled.values()), ready=ready)


def wanted(policies: tuple[PlanPolicy, ...], state: LoopState) -> Wanted:
    """Return every object that must be looked at: by the policies, by their memories, by plans that have not ended."""
    asked = [policy.wanted for policy in policies]
    asked += [one.wanted for one in state.groups.values()]
    asked += [one.wanted for one in state.ladders.values()]
    asked += [one.wanted for one in state.savings.values()]
    asked += [one for policy in policies for one in _foreseen(policy, state)]
    for plan in state.plans.values():
        for step in plan.steps:
            asked += [verbs(one).wanted(one) for one in (step.operation, *step.undo)]
    objects = [ref for one in asked for ref in one.objects]
    objects += [policy.target for policy in policies if policy.target.name]
    around = [*objects, *(ref for policy in policies for ref in policy.workloads)]
    namespaces = {(ref.cluster, ref.namespace): ref for ref in around if ref.namespace}
    objects += [namespace_of(ref) for ref in namespaces.values()]
    selections = {one.key: one for some in asked for one in some.selections}
    return Wanted(objects=tuple(dict.fromkeys(objects)), selections=tuple(selections.values()))


def _foreseen(policy: PlanPolicy, state: LoopState) -> Iterator[Wanted]:
    """Yield what a failover would touch, while any request fails: seen before the plan, it begins a turn sooner."""
    group = state.groups.get(policy.key)
    failing = group is not None and any(one.failed_s > 0.0 for one in group.views.values())
    if failing or (group is not None and math.isfinite(group.trouble_since)):
        for one in operations_of(policy):
            yield verbs(one).wanted(one)


HASTE_RATIO, LEAST_TURN_S, PRESSING_S = 0.4, 1.0, 600.0
_HURRIED = frozenset({PlanKind.FAILOVER, PlanKind.PREPARE})


def hastened(lane_s: float) -> float:
    """Return how often the fast lane turns while something presses, in seconds.

    >>> hastened(5.0), hastened(2.0)
    (2.0, 1.0)
    """
    return max(LEAST_TURN_S, round(HASTE_RATIO * lane_s))


def pressing(policies: tuple[PlanPolicy, ...], state: LoopState, now: Instant) -> bool:
    """Return whether users of a group may have been failing since lately, or are being moved: looks are worth more."""
    keys = {policy.key for policy in policies if isinstance(policy, FailoverPolicy)}
    groups = (state.groups.get(key) for key in keys)
    if any(one is not None and now - PRESSING_S < one.trouble_since < math.inf for one in groups):
        return True
    moving = (one for one in state.plans.values() if one.policy in keys and one.kind in _HURRIED and not one.held)
    return any(one.status is PlanStatus.RUNNING for one in moving)


def concerns(order: Order, policy: PlanPolicy) -> bool:
    """Return whether an order is for a policy to follow, and not for a plan."""
    return order.kind in OF_POLICIES and order.subject == policy.key


def inputs_of(policy: PlanPolicy, lane: Lane, state: LoopState) -> Inputs:
    """Return the part of a lane's world that one policy is judged from; it is what is stored for replay.

    state: with the plans, memories and followed orders as they are when its turn comes.
    """
    key, snapshot = policy.key, lane.snapshot
    group, ladder, saving = state.groups.get(key), state.ladders.get(key), state.savings.get(key)
    own = LoopState(
        plans={one.id: one for one in state.plans.values() if one.policy == key},
        groups={} if group is None else {key: group},
        ladders={} if ladder is None else {key: ladder},
        savings={} if saving is None else {key: saving},
    )
    targets = {ref.key for ref in (policy.target, *policy.workloads)}
    looked = _part(snapshot.looked, wanted((policy,), own))
    part = Snapshot(
        at=snapshot.at,
        answers={key: snapshot.answers.get(key, {})},
        tables={key: snapshot.tables[key]} if key in snapshot.tables else {},
        pasts={key: snapshot.pasts[key]} if key in snapshot.pasts else {},
        workloads={name: one for name, one in snapshot.workloads.items() if name in targets},
        leadership=snapshot.leadership,
        scope=snapshot.scope,
        store_ok=snapshot.store_ok,
        cluster_errors=snapshot.cluster_errors,
        target_errors={name: one for name, one in snapshot.target_errors.items() if name in targets},
        pauses=snapshot.pauses,
        freezes=tuple(one for one in snapshot.freezes if one.concerns(key)),
        approvals=snapshot.approvals,
        alerts=snapshot.alerts,
        prices=_priced(snapshot.prices, looked) if isinstance(policy, SavingPolicy) else PriceBook(),
        looked=looked,
        pools=snapshot.pools if asks_nodes(policy.seen) else (),
        orders=tuple(one for one in snapshot.orders if one.id not in state.orders and concerns(one, policy)),
    )
    return Inputs(
        tick_id=lane.tick_id,
        tick_s=lane.tick_s,
        policy=key,
        policy_digest=policy.digest,
        code=lane.code,
        platform=lane.platform,
        snapshot=part,
        state=TargetState(),
        findings=lane.findings,
        incidents=lane.incidents,
        unseen=lane.unseen,
        plans=tuple(one for one in state.plans.values() if one.policy == key or _counts(one, snapshot.at)),
        group=group,
        ladder=ladder,
        saving=saving,
        scalings=lane.scalings if isinstance(policy, SavingPolicy | RemediationPolicy) else (),
        fleet=lane.fleet if isinstance(policy, RemediationPolicy) else Fleet(),
    )


def _counts(plan: Plan, now: Instant) -> bool:
    """Return whether another policy's plan can sway anything: it is at work, was so lately, or holds a node.

    What rests since last week is many plans, and none of them is in anybody's way.
    """
    if not plan.status.ended or now - plan.ended_at < budget.HOUR_S:
        return True
    if plan.kind is PlanKind.PREPARE and plan.touches_back:
        return True  # a standby is still lent what it was given
    begun = max((step.since for step in plan.steps if math.isfinite(step.since)), default=-math.inf)
    return now - begun < budget.HOUR_S or any(isinstance(step.operation, Cordon) for step in plan.steps)


def _priced(prices: PriceBook, looked: Looked) -> PriceBook:
    """Return the prices of what a policy looks at, and of what could be had."""
    seen = {*looked.objects, *(one.ref.key for some in looked.selections.values() for one in some)}
    nodes = {f"{one.ref.cluster}/{one.ref.name}" for some in looked.selections.values() for one in some if _node(one)}
    return replace(
        prices,
        replicas={key: one for key, one in prices.replicas.items() if key in seen},
        nodes={key: one for key, one in prices.nodes.items() if key in nodes},
    )


def _node(one: SeenObject) -> bool:
    return one.ref.kind == "Node"


def _part(looked: Looked, asked: Wanted) -> Looked:
    objects, selections = {ref.key for ref in asked.objects}, {one.key for one in asked.selections}
    placed = set(objects)
    if looked.sizes:
        placed |= {one.ref.key for key in selections for one in looked.selections.get(key, ())}
    return Looked(
        objects={key: one for key, one in looked.objects.items() if key in objects},
        selections={key: one for key, one in looked.selections.items() if key in selections},
        errors={key: one for key, one in looked.errors.items() if key in objects or key in selections},
        sizes={key: one for key, one in looked.sizes.items() if key in placed},
    )
