"""Whether a pending action took effect: look at the world, never send blindly again (S6, S7)."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model import Action, Declared, Instant, Outcome, OutcomeKind
from aiops.core.model.swift import swift
from aiops.core.policies import Verification
from aiops.core.protocols import ConditionError, Env

ABSENT_S = 60.0
"""How long after its time to verify an object that is not there is waited for: a cache of the API may lag so far."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a later Snapshot shows of an action's target.

    level: what the field that was written holds now. as_of: when the cluster's API last proved that. env: for `expect`.
    declared: what Git says of the field, where it stands there.
    """

    now: Instant
    as_of: Instant
    level: int
    ready: int
    env: Env
    declared: Declared | None = None


def judgement(action: Action, verification: Verification, seen: Sight) -> Outcome | None:
    """Return how the action ended, or None while that cannot be said yet.

    A field that holds the wish is half of it: scale-out also needs the pods to be ready, and `expect` to hold.
    """
    after = action.change.after
    if seen.level != after:
        return _unfollowed(action, seen) if action.by_commit else _missed(action, seen)
    short = after - seen.ready if after > action.change.before else 0
    unmet = f"{seen.ready} of {after} are ready" if short > 0 else _unmet(verification, seen.env)
    if not unmet:
        return _outcome(action, OutcomeKind.TOOK_EFFECT, seen.now, f"holds {after}, {seen.ready} ready")
    if seen.now < action.verify_by:
        return None
    return _outcome(action, OutcomeKind.NO_EFFECT, seen.now, f"holds {after}, but {unmet} by the time to verify")


def superseded(action: Action, level: int | None, by: str, now: Instant) -> Outcome:
    """Return the outcome of an action that another one replaced unverified. level: None of a field that is gone."""
    held = level == action.change.after
    kind = OutcomeKind.TOOK_EFFECT if held else OutcomeKind.UNKNOWN
    what = "the autoscaler was gone" if level is None else f"the field held {level}"
    return _outcome(action, kind, now, f"{what} when {by} replaced it")


def unseen(action: Action, now: Instant) -> Outcome:
    """Return the outcome of an action whose object was deleted and made again before it was verified."""
    return _outcome(action, OutcomeKind.UNKNOWN, now, "the object was deleted and made again before it was verified")


def gone(action: Action, kind: str, now: Instant) -> Outcome | None:
    """Return the outcome of an action whose object, of this kind, is not there; None while it may yet be seen again."""
    if now < max(action.verify_by, action.expires_at) + ABSENT_S:
        return None
    return _outcome(action, OutcomeKind.UNKNOWN, now, f"the {kind} is not there, so what became of it cannot be seen")


def lost(action: Action, as_of: Instant, now: Instant) -> Outcome | None:
    """Return the outcome of an action whose autoscaler is not the target's any more; None while it may yet arrive.

    as_of: when the cluster's API last proved that. Nobody will ever see what became of it: waiting would hold for ever.
    """
    if as_of <= action.expires_at:
        return None
    return _outcome(action, OutcomeKind.UNKNOWN, now, "the autoscaler is gone, so what became of it cannot be seen")


def _missed(action: Action, seen: Sight) -> Outcome | None:
    """Return a failure only once the API has shown, after the last moment of sending, that the wish is not there."""
    if seen.as_of <= action.expires_at:
        return None
    if seen.level == action.change.before:
        return _outcome(action, OutcomeKind.FAILED, seen.now, f"still {seen.level}: the request did not arrive")
    return _outcome(action, OutcomeKind.FAILED, seen.now, f"holds {seen.level}: somebody else wrote it")


def _unfollowed(action: Action, seen: Sight) -> Outcome | None:
    """Return how a commit ended that the cluster does not show: taken back, or not followed in its time.

    A branch that was read after the last moment of pushing, and does not say what was written, will not say it later.
    """
    git, after = seen.declared, action.change.after
    if git is None or git.value is None:
        if seen.now < action.verify_by:
            return None
        detail = f"holds {seen.level} by the time to verify, and what Git says is not known"
        return _outcome(action, OutcomeKind.UNKNOWN, seen.now, detail)
    if git.value == after:
        if seen.now < action.verify_by:
            return None
        detail = f"{git} says {after}, and the cluster holds {seen.level}: nothing has followed it in its time"
        return _outcome(action, OutcomeKind.NO_EFFECT, seen.now, detail)
    if git.offered is not None and git.offered.action_id == action.id:
        if seen.now < action.verify_by:
            return None
        detail = f"{after} is proposed on branch {git.offered_on}, and nobody has merged it in its time"
        return _outcome(action, OutcomeKind.NO_EFFECT, seen.now, detail)
    if git.as_of <= action.expires_at:
        return None
    why = git.undone or f"{git} says {git.value}"
    return _outcome(action, OutcomeKind.FAILED, seen.now, f"not there: {why}")


def _unmet(verification: Verification, env: Env) -> str:
    expect = verification.expect
    if expect is None:
        return ""
    try:
        return "" if expect.holds(env) else f"{expect.text} does not hold"
    except ConditionError as err:
        return f"{expect.text} cannot be told ({err})"


def _outcome(action: Action, kind: OutcomeKind, at: Instant, detail: str) -> Outcome:
    return Outcome(action_id=action.id, policy=action.policy, target=action.target, kind=kind, at=at, detail=detail)
