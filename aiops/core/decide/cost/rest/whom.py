"""Which workloads a policy of rest is for at one instant."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.model import Judgement, Reason, SeenObject, VerdictWord
from aiops.core.planning import Situation
from aiops.core.planning.cost_sleep import RestPolicy

_EVERY = 2**31


def workloads_of(policy: RestPolicy, situation: Situation) -> tuple[SeenObject, ...] | Judgement:
    """Return every workload that matches, however many; or why they are not known, when nothing is done."""
    if policy.targets is None:
        return ()
    # more than may rest are awake all the same, and those that rest must be woken
    found = replace(policy.targets, most=_EVERY).found(situation.snapshot.looked)
    if found and isinstance(found[0], Reason):
        return Judgement(word=VerdictWord.WAIT, reason=found[0], detail=f"{found[1]}: nothing is done")
    return tuple(one for one in found if isinstance(one, SeenObject))


def too_many(policy: RestPolicy, found: tuple[SeenObject, ...]) -> tuple[Reason, str] | None:
    """Return that more workloads match than the policy may let rest, None when it does not (S3)."""
    most = 1 if policy.targets is None else policy.targets.most
    if len(found) <= most:
        return None
    return Reason.BOUNDS, f"{len(found)} workloads match, more than maxTargets: {most}: none is put to rest"
