"""`SetFloor`: the floor of the autoscaler beneath, with a restore record on the object itself (S4, S9).

An HPA's floor is `spec.minReplicas`. Knative's is the annotation `min-scale`: on the PodAutoscaler of the revision that
serves, since writing it on the Service's template would make a new revision each time. A new revision has a
PodAutoscaler of its own; what is left on the former one is handed back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiops.core.act import inscribe
from aiops.core.model import (
    FLOOR,
    Action,
    Autoscaler,
    Change,
    Declared,
    Effect,
    Hpa,
    Instant,
    SetFloor,
    Step,
    TargetRef,
    Workload,
)

RESTORE = "policy.aiops/restore"
ACTION = "policy.aiops/action"
EPOCH = "policy.aiops/epoch"
ATTRIBUTE = "minReplicas"
MIN_SCALE = "autoscaling.knative.dev/min-scale"


@dataclass(frozen=True, slots=True)
class _SetFloor:
    def steps(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return one patch of the HPA: its floor, and how to give it back. Where it stands in Git it is one commit."""
        hpa = _hpa(change, workload)
        if hpa is None:
            return ()
        declared = declaration(workload, hpa)
        if declared is not None:
            return inscribe.steps(hpa_ref(workload, hpa), declared, change.after, origin)
        record = {
            ATTRIBUTE: _original(hpa, change.before),
            "written": change.after,
            "policy": origin["policy"],
            "action": origin["action"],
        }
        notes = {
            RESTORE: json.dumps(record, sort_keys=True),
            ACTION: origin["action"],
            EPOCH: origin["epoch"],
        }
        summary = f"{hpa} of {workload.ref}: {_word(hpa)} {change.before} -> {change.after}"
        return (_patch(workload, hpa, notes, change.after, summary),)

    def undo(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return what takes the change back."""
        hpa = _hpa(change, workload)
        declared = None if hpa is None else declaration(workload, hpa)
        if hpa is not None and declared is not None:
            return inscribe.back(hpa_ref(workload, hpa), declared, change.after, origin)
        return self.steps(replace(change, before=change.after, after=change.before), workload, origin)

    def level(self, change: Change, workload: Workload) -> int | None:
        """Return `spec.minReplicas` of the HPA."""
        hpa = _hpa(change, workload)
        return None if hpa is None else hpa.min_replicas


VERBS = _SetFloor()


def declaration(workload: Workload, hpa: Hpa) -> Declared | None:
    """Return what a file in Git says of the floor of an HPA; a Knative revision's stands in none."""
    return workload.declaration(FLOOR) if hpa.kind is Autoscaler.HPA else None


def stamp(workload: Workload, hpa: Hpa, epoch: int) -> Step:
    """Return the patch that writes the epoch on an HPA, and nothing else."""
    return Step(
        target=hpa_ref(workload, hpa),
        subresource="",
        body={"metadata": {"annotations": {EPOCH: str(epoch)}}},
        uid=hpa.uid,
        resource_version=hpa.resource_version,
        summary=f"{hpa} of {workload.ref}: epoch {epoch}",
    )


def recorded(workload: Workload, hpa: Hpa, now: Instant) -> Effect | None:
    """Return the effect that an HPA's own restore record tells of, while the floor is still what the record says."""
    declared = declaration(workload, hpa)
    if declared is not None:
        return inscribe.recorded(declared, workload.ref, hpa_ref(workload, hpa), now)
    try:
        record = json.loads(hpa.annotations[RESTORE])
        original, written = int(record[ATTRIBUTE]), int(record["written"])
        policy, action_id = str(record["policy"]), str(record["action"])
    except (KeyError, TypeError, ValueError):
        return None
    if hpa.min_replicas != written:
        return None
    return Effect(
        policy=policy,
        target=workload.ref,
        object=hpa_ref(workload, hpa),
        attribute=ATTRIBUTE,
        original=original,
        written=written,
        action_id=action_id,
        since=now,
        written_at=now,
    )


def void(effect: Effect, workload: Workload) -> str:
    """Return why there is nothing left to hand back, '' while there is."""
    hpa = _of(workload, effect.object)
    if hpa is None:
        return f"{effect.object.kind} {effect.object.name} is gone"
    declared = declaration(workload, hpa)
    if declared is not None:
        stands = declared.value is None or declared.value == effect.written
        return "" if stands else f"{declared} says {declared.value}"
    if RESTORE not in hpa.annotations and hpa.min_replicas != effect.written:
        return f"{hpa} holds {_word(hpa)} {hpa.min_replicas} and no record of ours"
    return ""


def effect(done: Action, change: SetFloor, workload: Workload, prior: Effect | None) -> Effect | None:
    """Return the restore record after a floor was set; None once the floor is what it was before us."""
    hpa = _hpa(change, workload)
    if hpa is None:
        return None
    declared = declaration(workload, hpa)
    if declared is not None and declared.propose:
        return None  # what is proposed stands once somebody merged it; the branch's history tells of it then
    first = _original(hpa, change.before) if declared is None else inscribe.original(declared, done.policy)
    original = prior.original if prior is not None else change.before if first is None else first
    if change.after == original:
        return None
    return Effect(
        policy=done.policy,
        target=done.target,
        object=hpa_ref(workload, hpa),
        attribute=ATTRIBUTE,
        original=original,
        written=change.after,
        action_id=done.id,
        since=prior.since if prior is not None else done.issued_at,
        written_at=done.issued_at,
    )


def release(effect: Effect, workload: Workload, origin_id: str) -> tuple[Step, ...]:
    """Return the patch that gives the floor back and takes our notes away, while the floor is still ours."""
    hpa = _of(workload, effect.object)
    if hpa is None or not _standing(effect, workload, hpa) or hpa.scaling_active is False:
        return ()
    declared = declaration(workload, hpa)
    if declared is not None:
        waits = declared.offered is not None and declared.offered.after == effect.original
        origin = {"action": origin_id, "policy": effect.policy, "reason": "handed back"}
        return () if waits else inscribe.steps(effect.object, declared, effect.original, origin)
    gone = {RESTORE: None, ACTION: None, EPOCH: None}
    summary = f"{hpa} of {workload.ref}: {_word(hpa)} {effect.written} back to {effect.original}"
    return (_patch(workload, hpa, gone, effect.original, summary),)


def release_held(effect: Effect, workload: Workload) -> str:
    """Return why a floor that stands cannot be given back now, '' when it can or when it is not ours any more (S4)."""
    hpa = _of(workload, effect.object)
    if hpa is None or not _standing(effect, workload, hpa):
        return ""
    declared = declaration(workload, hpa)
    if declared is not None and declared.held is not None:
        return declared.held[1]
    if declared is not None and declared.offered is not None and declared.offered.after == effect.original:
        return f"that is proposed on branch {declared.offered_on}, and not merged yet"
    if hpa.scaling_active is not False:
        return ""
    return f"{hpa} cannot scale now, its floor of {effect.written} is all there is"


def hpa_ref(workload: Workload, hpa: Hpa) -> TargetRef:
    """Return the reference of an autoscaler in the workload's namespace."""
    knative = hpa.kind is Autoscaler.KNATIVE
    return TargetRef(
        cluster=workload.ref.cluster,
        namespace=workload.ref.namespace,
        api_version="autoscaling.internal.knative.dev/v1alpha1" if knative else "autoscaling/v2",
        kind="PodAutoscaler" if knative else "HorizontalPodAutoscaler",
        name=hpa.name,
    )


def _hpa(change: Change, workload: Workload) -> Hpa | None:
    """Return the autoscaler that a change names: among those that steer the target before those that did once."""
    if not isinstance(change, SetFloor):
        return None
    return next((one for one in workload.autoscalers if one.name == change.hpa), None)


def _of(workload: Workload, ref: TargetRef) -> Hpa | None:
    """Return the autoscaler that an effect stands on: of its name and of its kind."""
    return next((one for one in workload.autoscalers if hpa_ref(workload, one) == ref), None)


def _standing(effect: Effect, workload: Workload, hpa: Hpa) -> bool:
    """Return whether the floor is still what we wrote: as Git says it, where it stands there."""
    declared = declaration(workload, hpa)
    return (hpa.min_replicas if declared is None else declared.value) == effect.written


def _word(hpa: Hpa) -> str:
    return ATTRIBUTE if hpa.kind is Autoscaler.HPA else "min-scale"


def _original(hpa: Hpa, before: int) -> int:
    """Return the floor before us: as the record on the object says, or what it is now."""
    try:
        return int(json.loads(hpa.annotations[RESTORE])[ATTRIBUTE])
    except (KeyError, TypeError, ValueError):
        return before


def _patch(workload: Workload, hpa: Hpa, notes: Mapping[str, Any], floor: int, summary: str) -> Step:
    body: dict[str, Any]
    if hpa.kind is Autoscaler.HPA:
        body = {"metadata": {"annotations": dict(notes)}, "spec": {"minReplicas": floor}}
    else:  # a floor of 0 is Knative's default: nothing written
        body = {"metadata": {"annotations": {**notes, MIN_SCALE: str(floor) if floor else None}}}
    return Step(
        target=hpa_ref(workload, hpa),
        subresource="",
        body=body,
        uid=hpa.uid,
        resource_version=hpa.resource_version,
        summary=summary,
    )
