"""One arbiter over everything that is wanted of a target: safety before the SLO before cost, one actor for each field.

What is done to an object is a claim on one field of it. Who comes first is said by rank: failovers and remediations,
then ScalingPolicies, then savings; what gives back what a saving took has the rank of safety.
docs/decisions/0019-arbiter.md says why, and who asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias, assert_never

from aiops.core.model import (
    AwaitRemoval,
    CallWebhook,
    Cordon,
    DeletePod,
    Drain,
    Incident,
    Instant,
    Notify,
    Operation,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    RaiseNodeLimits,
    Reason,
    ResizePods,
    RestartWorkload,
    RestLever,
    RollBack,
    RunJob,
    ScaleTo,
    Scaling,
    SetResources,
    ShiftTraffic,
    Sleep,
    SplitReplicas,
    Stage,
    StartJob,
    SuspendCronJob,
    TargetRef,
    Wait,
    Wake,
)

OUT_S = 600.0
"""For so long after a scale-out nothing is taken away from the target, or from nodes: the need may still grow."""

AT_WORK = frozenset({PlanStatus.RUNNING, PlanStatus.ROLLING_BACK, PlanStatus.PAUSED, PlanStatus.ASKING})
_MOVES = frozenset({PlanStatus.RUNNING, PlanStatus.ROLLING_BACK})
_NOW = frozenset({Stage.BEGUN, Stage.UNDOING})
_OVER = frozenset({Stage.UNDONE, Stage.SKIPPED})
_SAFETY = frozenset({PlanKind.FAILOVER, PlanKind.FAILBACK, PlanKind.DRILL, PlanKind.PREPARE, PlanKind.REMEDIATION})


class Rank(IntEnum):
    """Who comes first; the lower goes before the higher."""

    SAFETY = 0
    SLO = 1
    COST = 2


class Part(StrEnum):
    """Which field of an object is claimed. replicas: of a workload, or the floor of its autoscaler."""

    REPLICAS = "replicas"
    TEMPLATE = "template"
    SUSPEND = "suspend"
    TRAFFIC = "traffic"
    NODE = "node"
    POD = "pod"


Claim: TypeAlias = tuple[str, Part]
"""A `TargetRef.key`, and the field of it."""


def rank(plan: Plan) -> Rank:
    """Return the rank of a plan: a saving that is taken back gives back, and that is safety."""
    gives = plan.kind is PlanKind.RESTORE or (plan.kind is PlanKind.SAVING and plan.status is PlanStatus.ROLLING_BACK)
    return Rank.SAFETY if plan.kind in _SAFETY or gives else Rank.COST


def claim(operation: Operation) -> tuple[TargetRef, Part] | None:
    """Return what an operation claims, None for what only tells somebody."""
    match operation:
        case ScaleTo(target=target) | SplitReplicas(base=target):
            return target, Part.REPLICAS
        case Sleep(target=target, lever=lever) | Wake(target=target, lever=lever):
            return target, Part.SUSPEND if lever is RestLever.SUSPEND else Part.REPLICAS
        case SetResources() | ResizePods() | RestartWorkload() | RollBack():
            return operation.target, Part.TEMPLATE
        case SuspendCronJob(target=target) | RunJob(template=target) | StartJob(job=target):
            return target, Part.SUSPEND
        case Cordon(node=node) | Drain(node=node) | AwaitRemoval(node=node) | RaiseNodeLimits(pool=node):
            return node, Part.NODE
        case DeletePod() | ShiftTraffic():
            return _elsewhere(operation)
        case CallWebhook() | Notify():
            return None
        case unknown:
            assert_never(unknown)


def _elsewhere(operation: DeletePod | ShiftTraffic) -> tuple[TargetRef, Part]:
    if isinstance(operation, DeletePod):
        return operation.pod, Part.POD
    return operation.object, Part.TRAFFIC


def claims(plan: Plan) -> dict[Claim, TargetRef]:
    """Return everything that a plan's steps claim."""
    found = (claim(step.operation) for step in plan.steps)
    return {(ref.key, part): ref for ref, part in (one for one in found if one is not None)}


# -- plans beside plans --------------------------------------------------------------------------------


def crossed(plan: Plan, plans: Iterable[Plan]) -> Plan | None:
    """Return the plan that goes before this one at the same field now, None where there is none.

    At most one of several plans goes on: the one of the better rank, and of these the older one. What gives back waits
    for nobody who stands still himself (S2).
    """
    mine = _now(plan)
    if mine is None or plan.status not in _MOVES:
        return None
    gives = plan.kind in (PlanKind.RESTORE, PlanKind.SAVING) and rank(plan) is Rank.SAFETY
    for other in plans:
        if other.id == plan.id or other.status not in _MOVES or (gives and other.held) or prepares(other, plan):
            continue
        if (rank(other), other.id) < (rank(plan), plan.id) and _now(other) == mine:
            return other
    return None


def prepares(other: Plan, plan: Plan) -> bool:
    """Return whether one plan only makes a standby ready for what the other does: that one waits for nothing."""
    return other.kind is PlanKind.PREPARE and other.policy == plan.policy and plan.kind is not PlanKind.PREPARE


def by_claim(plans: Iterable[Plan]) -> Mapping[Claim, tuple[str, ...]]:
    """Return for each field the ids of the plans of which any step claims it."""
    found: dict[Claim, list[str]] = {}
    for plan in plans:
        for one in claims(plan):
            found.setdefault(one, []).append(plan.id)
    return {key: tuple(ids) for key, ids in found.items()}


def _now(plan: Plan) -> Claim | None:
    """Return what the step at work claims."""
    at = plan.current
    found = None if at is None else claim(plan.steps[at].operation)
    return None if found is None else (found[0].key, found[1])


def in_the_way(wish: Plan, plans: Iterable[Plan]) -> Iterator[Plan]:
    """Yield the savings at work that change an object which a plan of safety wants: they yield."""
    if rank(wish) is not Rank.SAFETY:
        return
    wanted = {key for key, _ in claims(wish)} | {wish.subject}
    running = (one for one in plans if one.kind is PlanKind.SAVING and one.status is PlanStatus.RUNNING)
    for one in running:
        if one.id != wish.id and (one.subject in wanted or any(key in wanted for key, _ in claims(one))):
            yield one


# -- plans beside ScalingPolicies ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beside:
    """What a plan does to a target that a ScalingPolicy steers. now: at this moment, so that nothing else may."""

    plan: Plan
    part: Part
    now: bool


def beside(target: TargetRef, plans: Iterable[Plan]) -> tuple[Beside, ...]:
    """Return what plans at work do to a workload, what is done at this moment first."""
    found = []
    for plan in plans:
        if plan.status not in AT_WORK or plan.dry_run:
            continue
        for step in plan.steps:
            wanted = claim(step.operation)
            if wanted is not None and wanted[0].key == target.key and step.stage not in _OVER:
                found.append(Beside(plan, wanted[1], _acts(plan, step)))
    return tuple(sorted(found, key=lambda one: (not one.now, one.plan.id)))


def _acts(plan: Plan, step: PlanStep) -> bool:
    return plan.status in _MOVES and step.stage in _NOW


# -- savings yield -------------------------------------------------------------------------------------


def scaled(plan: Plan, scalings: Iterable[Scaling], now: Instant) -> Wait | None:
    """Return what a saving waits for: a change of replicas that is under way, or a need that grew a moment ago."""
    wanted = claims(plan)
    nodes = {ref.cluster for (_, part), ref in wanted.items() if part is Part.NODE}
    for one in scalings:
        parts = {part for (key, part) in wanted if key == one.target.key}
        if one.pending and parts:
            detail = f"{one.policy} is changing {one.target.kind} {one.target}, and that is not seen to be done yet"
            return Wait(reason=Reason.IN_FLIGHT, detail=detail)
        out_s = now - one.out_at
        takes = Part.TEMPLATE in parts or one.target.cluster in nodes
        if takes and (one.pending_out or out_s < OUT_S):
            ago = "scales out" if one.pending_out else f"scaled out {out_s:.0f} s ago"
            detail = f"{one.policy} {ago}: nothing is taken away for {OUT_S:.0f} s"
            return Wait(reason=Reason.STABILISATION, detail=detail, until=max(now, one.out_at) + OUT_S)
    return None


def clashes(mine: Claim, scalings: Iterable[Scaling]) -> Scaling | None:
    """Return the ScalingPolicy that is changing at this moment what is claimed, if one is."""
    return next((one for one in scalings if one.pending and mine == (one.target.key, Part.REPLICAS)), None)


def guarded(plan: Plan, plans: Iterable[Plan]) -> Wait | None:
    """Return what a saving waits for: a plan of safety for the same objects, for its namespace, or for nodes."""
    wanted = claims(plan)
    namespaces = {ref.namespace for ref in wanted.values() if ref.namespace}
    nodes = any(part is Part.NODE for _, part in wanted)
    for other in plans:
        if other.status not in AT_WORK or other.kind not in _SAFETY or other.dry_run:
            continue
        theirs = claims(other)
        same = other.subject in {key for key, _ in wanted} or any(key in theirs for key in wanted)
        moving = other.kind is not PlanKind.REMEDIATION and _namespace(other) in namespaces
        on_nodes = nodes and any(part is Part.NODE for _, part in theirs)
        if same or moving or on_nodes or (nodes and other.kind is PlanKind.FAILOVER):
            detail = f"plan {other.id} ({other.kind.value} of {other.policy}) is at work: cost waits for safety"
            return Wait(reason=Reason.IN_FLIGHT, detail=detail)
    return None


def troubled(plan: Plan, incidents: Iterable[Incident]) -> Wait | None:
    """Return the open incident on a workload that a saving would change, None where there is none."""
    targets = [ref for ref in claims(plan).values() if ref.namespace]
    for one in incidents:
        ref = next((each for each in targets if concerns(one, each)), None)
        if ref is not None:
            detail = f"incident {one.id} ({one.kind}) is open on {ref.kind} {ref}: cost waits for safety"
            return Wait(reason=Reason.IN_FLIGHT, detail=detail)
    return None


_NAMES = ("deployment", "statefulset", "workload", "app", "service", "job_name", "cronjob", "app_kubernetes_io_name")
"""Labels by which series name their workload."""


def concerns(incident: Incident, target: TargetRef) -> bool:
    """Return whether an incident is on a workload by its labels: one that names none is on its whole namespace."""
    labels = incident.labels
    if labels.get("namespace", labels.get("exported_namespace")) != target.namespace:
        return False
    named = [labels[name] for name in _NAMES if name in labels]
    return not named or target.name in named


def _namespace(plan: Plan) -> str:
    parts = plan.policy.split("/")
    return parts[1] if len(parts) > 1 else ""
