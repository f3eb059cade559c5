"""What stands in the clusters until it is handed back: kept true to the objects, stamped, and handed back (S6, S9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiops.core import act, guard
from aiops.core.decide.scaling.propose import nothing
from aiops.core.model import (
    STAMP_MANAGER,
    Effect,
    Instant,
    LoopState,
    Mode,
    Outcome,
    OutcomeKind,
    SeenObject,
    Snapshot,
    Stamp,
    Step,
    TargetState,
    stricter,
)
from aiops.core.plans.guards import touched
from aiops.core.policies import PolicySet, ScalingPolicy

SETTLE_S = 60.0
"""How long the caches of a cluster may take to show what was written."""

EPOCH = "policy.aiops/epoch"
"""The annotation that carries the epoch on an object of a plan."""

_FRESH = TargetState()


def reconciled(
    effects: Mapping[str, Effect], snapshot: Snapshot, policies: PolicySet
) -> tuple[Mapping[str, Effect], tuple[Outcome, ...]]:
    """Return the effects as the objects show them, with an outcome for each that is void.

    A record on an object that is not known here is adopted when its policy acts: the process died before it wrote
    down what it did. An effect of which the object shows nothing any more is void: somebody else took it.
    """
    found = dict(effects)
    # records stand on autoscalers, which most workloads have none of
    floors = [one for one in snapshot.workloads.values() if one.hpas or one.beside or one.left]
    if not floors and not found:
        return effects, ()
    acting = {policy.key for policy in policies.scaling if floors and acts(policy, snapshot)}
    for workload in floors:
        for one in act.recorded_effects(workload, snapshot.at):
            if one.policy in acting:
                found.setdefault(act.effect_key(one), one)
    outcomes = []
    for key, effect in list(found.items()):
        why = _void(effect, snapshot)
        if why:
            del found[key]
            outcomes.append(_gone(effect, snapshot.at, why))
    return (found if found != effects else effects), tuple(outcomes)


def to_hand_back(effects: Mapping[str, Effect], snapshot: Snapshot, policies: PolicySet) -> Iterator[Effect]:
    """Yield the effects that were released, or left by a policy that is gone or acts no more."""
    acting = {policy.key: policy for policy in policies.scaling if acts(policy, snapshot)}
    for effect in effects.values():
        policy = acting.get(effect.policy)
        if policy is None or policy.target != effect.target or _released(effect, snapshot) or _left(effect, snapshot):
            yield effect


def stamps(policies: PolicySet, state: LoopState, snapshot: Snapshot) -> tuple[Stamp, ...]:
    """Return what writes a new leader's epoch on every object that it may act on or has to hand back (S6)."""
    epoch = snapshot.leadership.epoch
    made: dict[tuple[str, str], Stamp] = {}
    for policy in policies.scaling:
        workload = snapshot.workloads.get(policy.target.key)
        if workload is None or not acts(policy, snapshot):
            continue
        carried = state.targets.get(policy.key, _FRESH)
        context = guard.GuardContext(
            now=snapshot.at,
            tick_s=policies.step_s,
            policy=policy,
            mode=stricter(policy.reach, snapshot.scope.ceiling),
            snapshot=snapshot,
            workload=workload,
            state=carried,
            signals={},
            env={},
        )
        if guard.may_write(nothing(policy, "epoch"), context):
            made.update({stamp.mark: stamp for stamp in act.stamps(policy, workload, epoch)})
    for effect in to_hand_back(state.effects, snapshot, policies):
        workload = snapshot.workloads.get(effect.target.key)
        if workload is not None:
            made.update({stamp.mark: stamp for stamp in act.release_stamp(effect, workload, epoch)})
    return tuple(made.values())


def plan_stamps(state: LoopState, snapshot: Snapshot) -> tuple[Stamp, ...]:
    """Return what writes a new leader's epoch on every object that a plan which was begun may have asked for (S6)."""
    epoch, made = snapshot.leadership.epoch, {}
    for plan in state.plans.values():
        if plan.status.ended or not any(step.sent for step in plan.steps):
            continue
        for ref in touched(plan):
            seen = snapshot.looked.objects.get(ref.key)
            if seen is not None:
                stamp = Stamp(target=ref, epoch=epoch, step=_stamp(seen, epoch))
                made[stamp.mark] = stamp
    return tuple(made.values())


def _stamp(seen: SeenObject, epoch: int) -> Step:
    """Return the apply of an annotation with the epoch: it moves nothing, and the object's resourceVersion changes."""
    ref = seen.ref
    metadata = {"name": ref.name, "annotations": {EPOCH: str(epoch)}}
    if ref.namespace:
        metadata["namespace"] = ref.namespace
    return Step(
        target=ref,
        subresource="",
        body={"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata},
        uid=seen.uid,
        resource_version=seen.resource_version,
        summary=f"{ref.kind} {ref}: epoch {epoch}",
        apply_as=f"{STAMP_MANAGER}{epoch}",
        force=True,
    )


def acts(policy: ScalingPolicy, snapshot: Snapshot) -> bool:
    """Return whether a policy writes at all, in its mode and under the ceiling."""
    return min(policy.reach.rank, snapshot.scope.ceiling.rank) >= Mode.APPROVE.rank


def _void(effect: Effect, snapshot: Snapshot) -> str:
    workload = snapshot.workloads.get(effect.target.key)
    if workload is None or workload.as_of < effect.written_at + SETTLE_S:
        return ""
    return act.void(effect, workload)


def _gone(effect: Effect, at: Instant, why: str) -> Outcome:
    return Outcome(
        action_id=effect.action_id,
        policy=effect.policy,
        target=effect.target,
        kind=OutcomeKind.UNDONE,
        at=at,
        detail=f"nothing to hand back: {why}",
    )


def _left(effect: Effect, snapshot: Snapshot) -> bool:
    """Return whether it stands on the autoscaler of a former revision, which serves no more."""
    workload = snapshot.workloads.get(effect.target.key)
    return workload is not None and act.left(effect, workload)


def _released(effect: Effect, snapshot: Snapshot) -> bool:
    return any(p.release and p.concerns(effect.target, effect.policy, snapshot.at) for p in snapshot.pauses)
