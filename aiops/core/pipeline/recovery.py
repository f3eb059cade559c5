"""What a predecessor left: actions without an answer are judged by the world, never sent again blindly (S6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiops.core import act
from aiops.core.model import Action, Instant, LoopState, Outcome, OutcomeKind, PackState, Snapshot
from aiops.core.policies import PolicySet, Verification
from aiops.core.verify import Sight, judgement

UNSEEN_S = 600.0
"""How long after its time to verify a target may stay out of sight before that is how its action ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The outcomes that can be told now, the state that knows them, and the actions that cannot be told yet."""

    state: LoopState
    outcomes: tuple[Outcome, ...]
    left: tuple[Action, ...]


def taken_over(state: LoopState) -> LoopState:
    """Return the state of a new leader: cooldowns and budgets go on, stabilisation windows begin anew (S5, S6).

    The predecessor's last wishes may be missing, so nothing is scaled in before a whole window was seen.
    """
    targets = {key: replace(carried, recommendations=()) for key, carried in state.targets.items()}
    return replace(state, targets=targets)


def with_followed(state: LoopState, followed: LoopState) -> LoopState:
    """Return the state of a new leader with the health of sites as it has seen it itself, standing by (S8).

    What was decided and moved is the journal's; what is seen is no older than the predecessor's last tick.
    """
    groups = dict(state.groups)
    for key, seen in followed.groups.items():
        known = groups.get(key)
        if known is None:
            groups[key] = replace(seen, fingerprint="", decision_id="")
        else:
            groups[key] = replace(
                known,
                sites=seen.sites,
                views=seen.views,
                signals=seen.signals,
                weights=seen.weights or known.weights,
                trouble_since=seen.trouble_since,
                wanted=seen.wanted,
            )
    return replace(state, groups=groups)


def resumed(state: LoopState, now: Instant) -> LoopState:
    """Return the state of a process that follows another: what that one sent has arrived by now, or never will.

    It has died, or its requests no longer fit the objects, which carry a newer epoch (S6). How calm a cluster was
    while nobody looked is not known, so that its time begins anew (S2).
    """
    targets = {
        key: replace(carried, pending=overdue(carried.pending, now)) if carried.pending is not None else carried
        for key, carried in state.targets.items()
    }
    savings = {
        key: replace(one, calm_since=math.inf) if isinstance(one, PackState) else one
        for key, one in state.savings.items()
    }
    return replace(state, targets=targets, savings=savings)


def overdue(action: Action, now: Instant) -> Action:
    """Return the action of a predecessor: nothing sends it any more."""
    return replace(action, expires_at=min(action.expires_at, now))


def orphans(state: LoopState, policies: PolicySet) -> tuple[Action, ...]:
    """Return the pending actions of policies that are gone: nobody else will judge them."""
    known = {policy.key for policy in policies.scaling}
    return tuple(one.pending for key, one in state.targets.items() if one.pending is not None and key not in known)


def recovered(state: LoopState, left: Sequence[Action], snapshot: Snapshot, policies: PolicySet) -> Recovered:
    """Return how actions without an answer ended; those that a policy has pending are judged by its decisions."""
    known = {policy.key for policy in policies.scaling}
    targets, outcomes, waiting = dict(state.targets), [], []
    for action in left:
        carried = targets.get(action.policy)
        pending = carried is not None and carried.pending is not None and carried.pending.id == action.id
        if pending and action.policy in known:
            continue
        outcome = _judged(action, snapshot)
        if outcome is None:
            waiting.append(action)
            continue
        outcomes.append(outcome)
        if pending and carried is not None:
            targets[action.policy] = replace(carried, pending=None)
    changed = replace(state, targets=targets) if outcomes else state
    return Recovered(state=changed, outcomes=tuple(outcomes), left=tuple(waiting))


def _judged(action: Action, snapshot: Snapshot) -> Outcome | None:
    workload = snapshot.workloads.get(action.target.key)
    level = None if workload is None else act.level(action.change, workload)
    if workload is None or level is None:
        if snapshot.at < action.verify_by + UNSEEN_S:
            return None
        return Outcome(
            action_id=action.id,
            policy=action.policy,
            target=action.target,
            kind=OutcomeKind.UNKNOWN,
            at=snapshot.at,
            detail="the process ended before the answer, and the target was not seen since",
        )
    git = workload.declaration(act.declared_field(action.change)) if action.by_commit else None
    sight = Sight(now=snapshot.at, as_of=workload.as_of, level=level, ready=workload.ready, env={}, declared=git)
    return judgement(action, Verification(within_s=0.0), sight)
