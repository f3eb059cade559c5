"""Stage act: an accepted change as requests, what undoes it, and what it leaves behind.

Effects are data: nothing here sends anything. Each member of `Change` has its file and its line in `ACTIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from aiops.core.act import scale, set_floor
from aiops.core.ids import ulid
from aiops.core.model import (
    FLOOR,
    REPLICAS,
    Action,
    Change,
    Effect,
    Instant,
    Mode,
    Scale,
    SetFloor,
    Stamp,
    Step,
    Verdict,
    Workload,
)
from aiops.core.model.swift import making, swift
from aiops.core.policies import Lever, ScalingPolicy

__all__ = [
    "ACTIONS",
    "Issue",
    "action",
    "declared_field",
    "effect_key",
    "effect_of",
    "left",
    "level",
    "recorded_effects",
    "release_action",
    "release_held",
    "release_stamp",
    "release_steps",
    "stamped",
    "stamps",
    "void",
]

SEND_TICKS, SEND_LEAST_S = 2.0, 30.0
"""A request is sent within two ticks, or not at all."""

RELEASE_VERIFY_S = 300.0


class Verbs(Protocol):
    """What a kind of change must be able to say of itself."""

    def steps(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return the requests of the change. origin: `action`, `policy` and `epoch`, to be left on the object."""
        ...

    def undo(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return the requests that take the change back."""
        ...

    def level(self, change: Change, workload: Workload) -> int | None:
        """Return what the field that the change moves holds now, or None when it is not there."""
        ...


ACTIONS: Mapping[type[Change], Verbs] = {Scale: scale.VERBS, SetFloor: set_floor.VERBS}


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Under which tick, decision, epoch and mode an action is issued."""

    tick_id: str
    decision_id: str
    at: Instant
    tick_s: float
    epoch: int
    mode: Mode


_made = making(Action)


def action(policy: ScalingPolicy, verdict: Verdict, workload: Workload, issue: Issue) -> Action:
    """Return the action for what a verdict allows: with its requests, its expiry and its undo."""
    declared = workload.declaration(declared_field(verdict.change)) if workload.declared else None
    settle_s = 0.0 if declared is None else declared.settle_s
    change, verbs = verdict.change, ACTIONS[type(verdict.change)]
    action_id = ulid(issue.at, policy.key, issue.tick_id, "action", str(change.before), str(change.after))
    origin = {
        "action": action_id,
        "decision": issue.decision_id,
        "policy": policy.key,
        "epoch": str(issue.epoch),
        "reason": verdict.proposal.reason,
    }
    return _made(
        id=action_id,
        tick_id=issue.tick_id,
        decision_id=issue.decision_id,
        policy=policy.key,
        target=verdict.proposal.target,
        change=change,
        mode=issue.mode,
        dry_run=verdict.dry_run,
        issued_at=issue.at,
        expires_at=issue.at + max(SEND_LEAST_S, SEND_TICKS * issue.tick_s),
        verify_by=issue.at + settle_s + policy.verify.within_s,
        epoch=issue.epoch,
        steps=verbs.steps(change, workload, origin),
        undo=verbs.undo(change, workload, origin),
    )


def declared_field(change: Change) -> str:
    """Return the name under which a file in Git may say the field that a change moves."""
    match change:
        case Scale():
            return REPLICAS
        case SetFloor():
            return FLOOR


def level(change: Change, workload: Workload) -> int | None:
    """Return what the field that the change moves holds now, or None when it is not there."""
    return ACTIONS[type(change)].level(change, workload)


def effect_of(done: Action, workload: Workload, prior: Effect | None) -> Effect | None:
    """Return the restore record of an action that was done, or None when it leaves nothing to hand back (S9)."""
    match done.change:
        case Scale():
            return None
        case SetFloor() as change:
            return set_floor.effect(done, change, workload, prior)


def effect_key(effect: Effect) -> str:
    """Return the name under which an effect is kept."""
    return f"{effect.object.key}#{effect.attribute}"


def release_steps(effect: Effect, workload: Workload, action_id: str = "") -> tuple[Step, ...]:
    """Return the requests that hand an effect back; none when the field no longer holds what we wrote (S7, S9)."""
    return set_floor.release(effect, workload, action_id)


def stamps(policy: ScalingPolicy, workload: Workload, epoch: int) -> tuple[Stamp, ...]:
    """Return what writes a new leader's epoch on the object that a policy's lever moves (S6).

    Of what stands in Git the object is not written: there the branch itself is compared and swapped.
    """
    if policy.lever is Lever.REPLICAS:
        steps = [] if workload.declaration(REPLICAS) else [scale.stamp(workload, epoch)]
    else:
        written = (hpa for hpa in workload.hpas if set_floor.declaration(workload, hpa) is None)
        steps = [set_floor.stamp(workload, hpa, epoch) for hpa in written]
    return tuple(Stamp(target=workload.ref, epoch=epoch, step=step) for step in steps)


def release_stamp(effect: Effect, workload: Workload, epoch: int) -> tuple[Stamp, ...]:
    """Return what writes the epoch on the object that holds an effect, before that is handed back (S6)."""
    every = (hpa for hpa in workload.autoscalers if set_floor.declaration(workload, hpa) is None)
    hpas = (hpa for hpa in every if set_floor.hpa_ref(workload, hpa) == effect.object)
    return tuple(Stamp(target=workload.ref, epoch=epoch, step=set_floor.stamp(workload, hpa, epoch)) for hpa in hpas)


def stamped(workload: Workload, step: Step, resource_version: str) -> Workload:
    """Return the workload as it is after a stamp: nothing has changed but the version of the object."""
    if step.target == workload.ref:
        return replace(workload, resource_version=resource_version)
    hpas, former, beside = (
        tuple(replace(hpa, resource_version=resource_version) if hpa.uid == step.uid else hpa for hpa in some)
        for some in (workload.hpas, workload.left, workload.beside)
    )
    return replace(workload, hpas=hpas, left=former, beside=beside)


def recorded_effects(workload: Workload, now: Instant) -> tuple[Effect, ...]:
    """Return the effects that the restore records on the objects themselves tell of (S9)."""
    found = (set_floor.recorded(workload, hpa, now) for hpa in workload.autoscalers)
    return tuple(effect for effect in found if effect is not None)


def void(effect: Effect, workload: Workload) -> str:
    """Return why there is nothing left of an effect to hand back, '' while there is."""
    return set_floor.void(effect, workload)


def left(effect: Effect, workload: Workload) -> bool:
    """Return whether an effect stands on the autoscaler of a former revision, which serves no more."""
    return any(set_floor.hpa_ref(workload, hpa) == effect.object for hpa in workload.left)


def release_held(effect: Effect, workload: Workload) -> str:
    """Return why an effect that stands cannot be handed back now, '' when it can."""
    return set_floor.release_held(effect, workload)


def release_action(effect: Effect, workload: Workload, issue: Issue) -> Action:
    """Return the action that hands an effect back; it has no steps when there is nothing to hand back."""
    change = SetFloor(hpa=effect.object.name, before=effect.written, after=effect.original)
    action_id = ulid(issue.at, effect.policy, issue.tick_id, "release", effect_key(effect))
    return Action(
        id=action_id,
        tick_id=issue.tick_id,
        decision_id=issue.decision_id,
        policy=effect.policy,
        target=effect.target,
        change=change,
        mode=issue.mode,
        dry_run=False,
        issued_at=issue.at,
        expires_at=issue.at + max(SEND_LEAST_S, SEND_TICKS * issue.tick_s),
        verify_by=issue.at + RELEASE_VERIFY_S,
        epoch=issue.epoch,
        steps=release_steps(effect, workload, action_id),
        undo=(),
    )
