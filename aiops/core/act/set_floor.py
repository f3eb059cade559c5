"""`SetFloor`: `minReplicas` of the HPA beneath, with a restore record on the object itself (S4, S9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.core.model import Action, Change, Effect, Hpa, Instant, SetFloor, Step, TargetRef, Workload

RESTORE = "policy.aiops/restore"
ACTION = "policy.aiops/action"
EPOCH = "policy.aiops/epoch"
ATTRIBUTE = "minReplicas"


@dataclass(frozen=True, slots=True)
class _SetFloor:
    def steps(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return one patch of the HPA: its floor, and how to give it back."""
        hpa = _hpa(change, workload)
        if hpa is None:
            return ()
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
        summary = f"HPA {hpa.name} of {workload.ref}: minReplicas {change.before} -> {change.after}"
        return (_patch(workload, hpa, notes, change.after, summary),)

    def level(self, change: Change, workload: Workload) -> int | None:
        """Return `spec.minReplicas` of the HPA."""
        hpa = _hpa(change, workload)
        return None if hpa is None else hpa.min_replicas


VERBS = _SetFloor()


def stamp(workload: Workload, hpa: Hpa, epoch: int) -> Step:
    """Return the patch that writes the epoch on an HPA, and nothing else."""
    return Step(
        target=hpa_ref(workload, hpa.name),
        subresource="",
        body={"metadata": {"annotations": {EPOCH: str(epoch)}}},
        uid=hpa.uid,
        resource_version=hpa.resource_version,
        summary=f"HPA {hpa.name} of {workload.ref}: epoch {epoch}",
    )


def recorded(workload: Workload, hpa: Hpa, now: Instant) -> Effect | None:
    """Return the effect that an HPA's own restore record tells of, while the floor is still what the record says."""
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
        object=hpa_ref(workload, hpa.name),
        attribute=ATTRIBUTE,
        original=original,
        written=written,
        action_id=action_id,
        since=now,
        written_at=now,
    )


def void(effect: Effect, workload: Workload) -> str:
    """Return why there is nothing left to hand back, '' while there is."""
    hpa = next((one for one in workload.hpas if one.name == effect.object.name), None)
    if hpa is None:
        return f"HPA {effect.object.name} is gone"
    if RESTORE not in hpa.annotations and hpa.min_replicas != effect.written:
        return f"HPA {hpa.name} holds minReplicas {hpa.min_replicas} and no record of ours"
    return ""


def effect(done: Action, change: SetFloor, workload: Workload, prior: Effect | None) -> Effect | None:
    """Return the restore record after a floor was set; None once the floor is what it was before us."""
    hpa = _hpa(change, workload)
    if hpa is None:
        return None
    original = prior.original if prior is not None else _original(hpa, change.before)
    if change.after == original:
        return None
    return Effect(
        policy=done.policy,
        target=done.target,
        object=hpa_ref(workload, hpa.name),
        attribute=ATTRIBUTE,
        original=original,
        written=change.after,
        action_id=done.id,
        since=prior.since if prior is not None else done.issued_at,
        written_at=done.issued_at,
    )


def release(effect: Effect, workload: Workload) -> tuple[Step, ...]:
    """Return the patch that gives the floor back and takes our notes away, while the floor is still ours."""
    hpa = next((one for one in workload.hpas if one.name == effect.object.name), None)
    if hpa is None or hpa.min_replicas != effect.written or hpa.scaling_active is False:
        return ()
    gone = {RESTORE: None, ACTION: None, EPOCH: None}
    summary = f"HPA {hpa.name} of {workload.ref}: minReplicas {effect.written} back to {effect.original}"
    return (_patch(workload, hpa, gone, effect.original, summary),)


def release_held(effect: Effect, workload: Workload) -> str:
    """Return why a floor that stands cannot be given back now, '' when it can or when it is not ours any more (S4)."""
    hpa = next((one for one in workload.hpas if one.name == effect.object.name), None)
    if hpa is None or hpa.min_replicas != effect.written or hpa.scaling_active is not False:
        return ""
    return f"HPA {hpa.name} cannot scale now, its floor of {effect.written} is all there is"


def hpa_ref(workload: Workload, name: str) -> TargetRef:
    """Return the reference of an HPA in the workload's namespace."""
    return TargetRef(
        cluster=workload.ref.cluster,
        namespace=workload.ref.namespace,
        api_version="autoscaling/v2",
        kind="HorizontalPodAutoscaler",
        name=name,
    )


def _hpa(change: Change, workload: Workload) -> Hpa | None:
    name = change.hpa if isinstance(change, SetFloor) else ""
    return next((hpa for hpa in workload.hpas if hpa.name == name), None)


def _original(hpa: Hpa, before: int) -> int:
    """Return the floor before us: as the record on the object says, or what it is now."""
    try:
        return int(json.loads(hpa.annotations[RESTORE])[ATTRIBUTE])
    except (KeyError, TypeError, ValueError):
        return before


def _patch(workload: Workload, hpa: Hpa, notes: Mapping[str, Any], floor: int, summary: str) -> Step:
    return Step(
        target=hpa_ref(workload, hpa.name),
        subresource="",
        body={"metadata": {"annotations": dict(notes)}, "spec": {"minReplicas": floor}},
        uid=hpa.uid,
        resource_version=hpa.resource_version,
        summary=summary,
    )
