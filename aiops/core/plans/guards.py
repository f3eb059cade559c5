"""The guards of plans: whether one may begin, and whether one that runs may go on at this instant (S2, S3, S6, S9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiops.core.model import (
    Ask,
    Deny,
    Direction,
    Drain,
    Fleet,
    Freeze,
    Incident,
    Instant,
    Mode,
    Notify,
    Operation,
    Pass,
    Plan,
    PlanKind,
    PlanStatus,
    Reason,
    Scaling,
    Snapshot,
    SplitReplicas,
    TargetRef,
    Wait,
    Wake,
)
from aiops.core.model.swift import swift
from aiops.core.objects.evictions import leaving
from aiops.core.planning import arbiter
from aiops.core.plans import budget
from aiops.core.plans.changes import same
from aiops.core.plans.operations import verbs
from aiops.core.policies import PlanPolicy

OPT_IN = "policy.aiops/managed"

SETTLED_S = 3600.0
"""How long a dry run's plan is not told again."""

_FREEZE_BINDS = frozenset({PlanKind.FAILBACK, PlanKind.DRILL, PlanKind.REMEDIATION, PlanKind.SAVING})
"""What can wait for the end of a change freeze; users that fail cannot (S9)."""

Held: TypeAlias = Wait | Deny | Ask


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a plan is ruled in: its policy (None: in force no more), the world, and every plan there is.

    scalings: what ScalingPolicies have under way. incidents: those that are open. rivals: of the plans those that claim
    a field that the one in question claims, None for all of them. leaning: the workloads that failover groups lean on.
    fleet: how everything is that is remedied.
    """

    policy: PlanPolicy | None
    snapshot: Snapshot
    plans: tuple[Plan, ...]
    scalings: tuple[Scaling, ...] = ()
    incidents: tuple[Incident, ...] = ()
    rivals: tuple[Plan, ...] | None = None
    leaning: frozenset[str] = frozenset()
    fleet: Fleet = field(default_factory=Fleet)

    @property
    def now(self) -> Instant:
        """Return the instant."""
        return self.snapshot.at

    @property
    def mode(self) -> Mode:
        """Return the stricter of the policy's mode and the global ceiling (S6)."""
        ceiling = self.snapshot.scope.ceiling
        return ceiling if self.policy is None else min(self.policy.reach, ceiling, key=lambda mode: mode.rank)

    @property
    def ask_for_s(self) -> float:
        """Return how long a person has to answer."""
        return 0.0 if self.policy is None else self.policy.ask_for_s


def ruling(plan: Plan, bounds: Bounds) -> Held | None:
    """Return what keeps a proposed plan from beginning now, the first guard that speaks; None when nothing does."""
    for guard in WAKING if _wakes(plan) else GUARDS:
        said = guard(plan, bounds)
        if said is not None:
            return said
    return None


def stopped(plan: Plan, bounds: Bounds) -> str:
    """Return why a plan that has begun must stand still now, '' when it may go on (S9: frozen between steps)."""
    restoring = (_leader, _unfenced, _paused, _crossed)
    lent = (_leader, _store, _unfenced, _paused, _allowed, _crossed)
    every = (_observing, _leader, _store, _unfenced, _paused, _frozen, _allowed, _crossed)
    for guard in restoring if gives_back(plan) else lent if lends_back(plan) else every:
        said = guard(plan, bounds)
        if said is not None:
            return said.detail
    return ""


def gives_back(plan: Plan) -> bool:
    """Return whether a plan gives back what a saving took: whoever leads does so, unless a person holds it (S2, S9)."""
    return plan.kind is PlanKind.RESTORE or (plan.kind is PlanKind.SAVING and plan.status is PlanStatus.ROLLING_BACK)


def lends_back(plan: Plan) -> bool:
    """Return whether a standby is given back what it was lent: in every mode, as handing back goes on (S9)."""
    return plan.kind is PlanKind.PREPARE and plan.status is PlanStatus.ROLLING_BACK


def touched(plan: Plan) -> tuple[TargetRef, ...]:
    """Return every object that a plan's steps change, each once."""
    return tuple(dict.fromkeys(ref for step in plan.steps for ref in verbs(step.operation).touches(step.operation)))


# -- one guard each: what holds, or None -------------------------------------------------------------


def _observing(_: Plan, bounds: Bounds) -> Held | None:
    if bounds.mode is Mode.OBSERVE:
        return Wait(reason=Reason.MODE_OBSERVE, detail="mode observe: nothing is planned")
    return None


def _leader(_: Plan, bounds: Bounds) -> Held | None:
    leadership = bounds.snapshot.leadership
    if not leadership.leader:
        holder = f", {leadership.holder} is" if leadership.holder else ""
        return Wait(reason=Reason.NOT_LEADER, detail=f"this process is not the leader{holder}")
    if leadership.until <= bounds.now:
        return Wait(reason=Reason.NOT_LEADER, detail="the lease has run out")
    return None


def _store(_: Plan, bounds: Bounds) -> Held | None:
    if bounds.snapshot.store_ok:
        return None
    return Wait(reason=Reason.STORE_UNAVAILABLE, detail="the journal cannot be written, so nothing new is begun")


def _unfenced(plan: Plan, bounds: Bounds) -> Held | None:
    unfenced = bounds.snapshot.leadership.unfenced
    for ref in touched(plan):
        if ref.key in unfenced:
            reason, detail = unfenced[ref.key]
            return Wait(reason=reason, detail=detail)
    return None


def _subject(plan: Plan, bounds: Bounds) -> Held | None:
    for other in bounds.plans:
        if other.id != plan.id and other.subject == plan.subject and _stands(other) and not _passed_by(plan, other):
            detail = f"plan {other.id} ({other.kind.value}, {other.status.value}) stands for the same"
            return Wait(reason=Reason.IN_FLIGHT, detail=detail)
    return None


def _shared(plan: Plan, bounds: Bounds) -> Held | None:
    """Hold what would change an object that a plan of another subject is changing (S4)."""
    mine = {ref.key for ref in touched(plan)}
    for other in bounds.plans:
        at_work = _stands(other) or _lent(plan, other)
        if other.id == plan.id or not at_work or _passed_by(plan, other) or arbiter.prepares(other, plan):
            continue
        both = next((ref for ref in touched(other) if ref.key in mine), None)
        if both is not None:
            return Wait(reason=Reason.IN_FLIGHT, detail=f"plan {other.id} of {other.policy} is changing {both}")
    return None


def _lent(plan: Plan, other: Plan) -> bool:
    """Return whether a standby is still lent what another preparation gave it: two would not know whose is whose."""
    both = plan.kind is other.kind is PlanKind.PREPARE
    return both and other.status is PlanStatus.DONE and other.touches_back and not other.dry_run


def _passed_by(plan: Plan, other: Plan) -> bool:
    """Return whether a plan of safety does not wait for a saving: one that stands still gives nothing back itself."""
    if other.kind is not PlanKind.SAVING or arbiter.rank(plan) is not arbiter.Rank.SAFETY:
        return False
    return other.status in (PlanStatus.PAUSED, PlanStatus.ASKING)


def _yields(plan: Plan, bounds: Bounds) -> Held | None:
    """Let a saving wait for safety, and for what ScalingPolicies have under way: safety before SLO before cost."""
    if plan.kind is not PlanKind.SAVING:
        return None
    return (
        arbiter.guarded(plan, bounds.plans)
        or arbiter.troubled(plan, bounds.incidents)
        or arbiter.scaled(plan, bounds.scalings, bounds.now)
    )


def _crossed(plan: Plan, bounds: Bounds) -> Held | None:
    """Let one actor alone change a field at a time: who comes first goes on, the others stand still meanwhile."""
    other = arbiter.crossed(plan, bounds.plans if bounds.rivals is None else bounds.rivals)
    if other is None:
        return None
    detail = f"plan {other.id} ({other.kind.value}) is changing the same and goes first"
    return Wait(reason=Reason.IN_FLIGHT, detail=detail)


def _paused(plan: Plan, bounds: Bounds) -> Held | None:
    targets = touched(plan) if bounds.policy is None else (bounds.policy.target, *touched(plan))
    restores = gives_back(plan)
    handed = restores or plan.status is PlanStatus.ROLLING_BACK
    binding = {
        Direction.ALL,
        *([Direction.OUT] if restores else [Direction.IN] if plan.kind is PlanKind.SAVING or lends_back(plan) else []),
    }
    for pause in bounds.snapshot.pauses:
        if pause.direction not in binding or (handed and pause.release):
            continue
        if any(pause.concerns(target, plan.policy, bounds.now) for target in targets):
            why = f": {pause.reason}" if pause.reason else ""
            return Wait(reason=Reason.PAUSED, detail=f"paused by {pause.by}{why}")
    return None


def _frozen(plan: Plan, bounds: Bounds) -> Held | None:
    if plan.kind not in _FREEZE_BINDS:
        return None
    freezes = () if bounds.policy is None else bounds.policy.freezes
    own = ((one.name, one.schedule.active_until(bounds.now)) for one in freezes)
    standing = [
        *(one for one in bounds.snapshot.freezes if one.concerns(plan.policy)),
        *(Freeze(name=name, until=until) for name, until in own if until is not None),
    ]
    if not standing:
        return None
    latest = max(standing, key=lambda one: one.until)
    return Wait(reason=Reason.FROZEN, detail=f"change freeze {latest.name}", until=latest.until)


def _allowed(plan: Plan, bounds: Bounds) -> Held | None:
    """Deny what is protected always, and what nobody opted in to (S3)."""
    for ref in touched(plan):
        said = None if _gone(ref, plan, bounds) else _allowed_object(ref, bounds)
        if said is not None:
            return said
    return _evicting(plan, bounds)


def _evicting(plan: Plan, bounds: Bounds) -> Held | None:
    """Deny to empty a node on which pods of protected namespaces run; kube-system's stay there anyway."""
    for step in plan.steps:
        node = step.operation.node if isinstance(step.operation, Drain) else None
        pods = () if node is None else leaving(node, bounds.snapshot.looked) or ()
        held = next((one for one in pods if one.ref.namespace in bounds.snapshot.scope.protected_namespaces), None)
        if held is not None:
            why = f"namespace {held.ref.namespace} is protected, and its Pod {held.ref.name} would be evicted"
            return Deny(reason=Reason.PROTECTED, detail=why)
    return None


def _gone(ref: TargetRef, plan: Plan, bounds: Bounds) -> bool:
    """Return whether a plan at work, whose objects are looked at at every instant, has outlived a node: none to ask."""
    looked = bounds.snapshot.looked
    return not ref.namespace and _stands(plan) and ref.key not in looked.objects and ref.key not in looked.errors


def _allowed_object(ref: TargetRef, bounds: Bounds) -> Held | None:
    scope, looked = bounds.snapshot.scope, bounds.snapshot.looked
    if ref.key in scope.protected_targets or str(ref) in scope.protected_targets:
        return Deny(reason=Reason.PROTECTED, detail=f"{ref.kind} {ref} is protected")
    if ref.namespace in scope.protected_namespaces:
        return Deny(reason=Reason.PROTECTED, detail=f"namespace {ref.namespace} is protected")
    if bounds.mode.rank < Mode.APPROVE.rank or (ref.namespace and ref.namespace in scope.namespaces):
        return None
    bearer = ref if not ref.namespace else namespace_of(ref)
    seen = looked.objects.get(bearer.key)
    if seen is None:
        why = looked.errors[bearer.key][1] if bearer.key in looked.errors else "not seen yet"
        return Wait(reason=Reason.UNKNOWN_TARGET, detail=f"whether {bearer.kind} {bearer.name} opted in: {why}")
    labels = (seen.body.get("metadata") or {}).get("labels") or {}
    if labels.get(OPT_IN) == "true":
        return None
    return Deny(reason=Reason.NOT_OPTED_IN, detail=f"{bearer.kind} {bearer.name} has no label {OPT_IN}: 'true'")


def _budgets(plan: Plan, bounds: Bounds) -> Held | None:
    """Hold what all policies together would do too much of (S5), and deny what is too much by itself."""
    there = budget.there(plan, bounds.snapshot, bounds.fleet)
    said = budget.ruling(plan, bounds.plans, bounds.now, bounds.snapshot.scope.blast, there)
    return None if isinstance(said, Pass) else said


def _told(plan: Plan, bounds: Bounds) -> Held | None:
    """Do not tell the same dry run every tick."""
    if bounds.mode is not Mode.DRY_RUN:
        return None
    for other in bounds.plans:
        if other.status is PlanStatus.REHEARSED and same(other, plan) and bounds.now - other.ended_at < SETTLED_S:
            return Wait(reason=Reason.DRY_RUN_SETTLED, detail=f"dry-run: plan {other.id} was told and not begun")
    return None


def _rejected(plan: Plan, bounds: Bounds) -> Held | None:
    """Do not ask again so soon what a person has said no to, or what nobody answered."""
    for other in bounds.plans:
        until = other.ended_at + bounds.ask_for_s
        if other.status is PlanStatus.REFUSED and same(other, plan) and bounds.now < until and other.answered:
            return Wait(reason=Reason.APPROVAL_REJECTED, detail=f"plan {other.id}: {other.notes[-1].text}", until=until)
    return None


def _asked(plan: Plan, bounds: Bounds) -> Held | None:
    """Ask a person in mode approve, and for what nothing can take back (S6); to tell people needs no asking."""
    if not plan.asks and all(isinstance(step.operation, Notify) for step in plan.steps):
        return None
    if plan.kind is PlanKind.RESTORE and not plan.asks:
        return None  # who said yes to a saving said yes to its end (S2: wakes and restores go on)
    expires_at = bounds.now + bounds.ask_for_s
    missing = plan.needed - len(set(plan.approvals))
    if plan.approvals and missing <= 0:
        return None
    ordered = plan.by != plan.policy
    if ordered and plan.needed <= 1:
        return None  # the order of a person is that person's yes
    if plan.asks:
        return Ask(reason=Reason.APPROVAL_NEEDED, detail=f"{plan.reason}: {plan.asks}", expires_at=expires_at)
    if bounds.mode is Mode.APPROVE or ordered:
        detail = f"{plan.reason}: needs a yes" if missing <= 1 else f"{plan.reason}: needs {missing} people's yes"
        return Ask(reason=Reason.APPROVAL_NEEDED, detail=detail, expires_at=expires_at)
    lasting = [step.name for step in plan.steps if not step.undoable]
    if lasting and bounds.mode is Mode.ENFORCE:
        detail = f"nothing can take back {', '.join(lasting)}: needs a yes"
        return Ask(reason=Reason.NOT_UNDOABLE, detail=detail, expires_at=expires_at)
    return None


_Guard: TypeAlias = Callable[[Plan, Bounds], Held | None]

GUARDS: tuple[_Guard, ...] = (
    _observing,
    _leader,
    _store,
    _unfenced,
    _subject,
    _shared,
    _yields,
    _paused,
    _frozen,
    _allowed,
    _budgets,
    _told,
    _rejected,
    _asked,
)
"""In order: what forbids all, what stands in the way, what people said, what is touched, how much, what was asked."""


WAKING: tuple[_Guard, ...] = (_observing, _leader, _unfenced, _subject, _shared, _paused, _told, _rejected, _asked)
"""Of these what holds back capacity of ours that is to be given back, though no plan of it is known any more (S2).

A store that is full, a label that was taken away since, a freeze and a budget keep nothing asleep.
"""


def _wakes(plan: Plan) -> bool:
    return plan.kind is PlanKind.RESTORE and all(_returns(step.operation) for step in plan.steps)


def _returns(operation: Operation) -> bool:
    """Return whether all that is done is to give back capacity of ours: a rest ends, a share on spot nodes shrinks."""
    match operation:
        case Wake():
            return True
        case SplitReplicas(seen=before, replicas=after):
            return after < before
        case _:
            return False


def _stands(plan: Plan) -> bool:
    return not plan.status.ended and plan.status is not PlanStatus.PROPOSED


def namespace_of(ref: TargetRef) -> TargetRef:
    """Return the Namespace that an object lies in, whose label says whether it may be changed (S3)."""
    return TargetRef(cluster=ref.cluster, namespace="", api_version="v1", kind="Namespace", name=ref.namespace)
