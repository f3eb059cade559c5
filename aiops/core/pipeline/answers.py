"""What the API answered, as the state that knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiops.core import act, guard
from aiops.core.model import (
    Action,
    Effect,
    LoopState,
    Outcome,
    OutcomeKind,
    PolicyKey,
    SetFloor,
    Snapshot,
    StepResult,
    StepStatus,
    TargetState,
    Tick,
)
from aiops.core.model.swift import swift

_FRESH = TargetState()


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The state that knows the answers, and the outcomes that are certain already."""

    state: LoopState
    outcomes: tuple[Outcome, ...]


def settled(state: LoopState, tick: Tick, results: Mapping[str, StepResult], snapshot: Snapshot) -> Settled:
    """Return the state after the API's answers, by action id; an unknown answer stays pending and is looked at (S6)."""
    targets, effects = dict(state.targets), dict(state.effects)
    outcomes = []
    for action in tick.actions:
        result = results.get(action.id)
        if result is None:
            continue
        outcome = _answered(action, result, targets)
        if outcome is not None:
            outcomes.append(outcome)
        if result.status is StepStatus.DONE:
            _note_effect(action, snapshot, effects)
    return Settled(state=replace(state, targets=targets, effects=effects), outcomes=tuple(outcomes))


def _answered(action: Action, result: StepResult, targets: dict[PolicyKey, TargetState]) -> Outcome | None:
    carried = targets.get(action.policy, _FRESH)
    is_pending = carried.pending is not None and carried.pending.id == action.id
    match result.status:
        case StepStatus.DONE:
            if is_pending:
                targets[action.policy] = guard.accepted(carried, action, action.issued_at)
                return None
            return _outcome(action, OutcomeKind.TOOK_EFFECT, result, "handed back")
        case StepStatus.DRY_RUN:
            return _outcome(action, OutcomeKind.DRY_RUN, result, "not sent")
        case StepStatus.REFUSED:
            if is_pending:  # a refused write starts no cooldown (S5)
                targets[action.policy] = replace(carried, pending=None)
            return _outcome(action, OutcomeKind.FAILED, result, "refused")
        case StepStatus.UNKNOWN:
            return None if is_pending else _outcome(action, OutcomeKind.UNKNOWN, result, "no answer")


def _outcome(action: Action, kind: OutcomeKind, result: StepResult, what: str) -> Outcome:
    detail = f"{what}: {result.message}" if result.message else what
    return Outcome(
        action_id=action.id, policy=action.policy, target=action.target, kind=kind, at=result.at, detail=detail
    )


def _of(action: Action, effect: Effect) -> bool:
    """Return whether an effect stands on the very object that an action writes."""
    if effect.target != action.target or not isinstance(action.change, SetFloor):
        return False
    return any(step.target == effect.object for step in action.steps)


def _note_effect(action: Action, snapshot: Snapshot, effects: dict[str, Effect]) -> None:
    """Keep the restore record of what was written; one that was handed back is gone (S9)."""
    workload = snapshot.workloads.get(action.target.key)
    if workload is None:
        return
    prior = next((e for e in effects.values() if _of(action, e)), None)
    effect = act.effect_of(action, workload, prior)
    if effect is not None:
        effects[act.effect_key(effect)] = effect
    elif prior is not None and prior.written == action.change.before and prior.original == action.change.after:
        effects.pop(act.effect_key(prior), None)
