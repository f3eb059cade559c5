"""The plan that changes one container's sizes: some pods first, then the rest, watched, and taken back on harm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiops.core.decide.cost.rightsize.sizes import Recommendation, text
from aiops.core.ids import ulid
from aiops.core.model import (
    Aim,
    Check,
    DeclaredSizes,
    Instant,
    Otherwise,
    Plan,
    PlanKind,
    PlanStep,
    ResizePods,
    SeenObject,
    SetResources,
    Settled,
    SignalWithin,
)
from aiops.core.planning.cost_rightsize import How, RightsizePolicy

RESIZE_WITHIN_S = 300.0
ROLLOUT_WITHIN_S = 1800.0
PROPOSED_WITHIN_S = 7 * 86_400.0
"""So long a proposal waits for a person who merges it; after that the plan ends, and nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is changed of one container. pods: those that there are, by name; of How.IN_PLACE those that differ.

    git: what a file says of it, where its sizes stand in Git and are written there.
    """

    workload: SeenObject
    container: str
    wished: tuple[Recommendation, ...]
    pods: tuple[str, ...]
    git: DeclaredSizes | None = None

    @property
    def requests(self) -> dict[str, str]:
        """Return the requests that change, as quantities."""
        return {one.resource: text(one.resource, one.wished) for one in self.wished}

    @property
    def limits(self) -> dict[str, str]:
        """Return the limits that change, as quantities."""
        moved = (one for one in self.wished if math.isfinite(one.wished_limit) and one.wished_limit != one.limit)
        return {one.resource: text(one.resource, one.wished_limit) for one in moved}

    @property
    def raises(self) -> bool:
        """Return whether anything is too small, which comes before all that is too large."""
        return any(one.wished > one.request or one.wished_limit > one.limit for one in self.wished)

    @property
    def usd_per_month(self) -> float | None:
        """Return what it costs less in a month, None where a price is not known."""
        known = [one.usd_per_month for one in self.wished]
        return None if any(one is None for one in known) else math.fsum(one for one in known if one is not None)

    @property
    def said(self) -> str:
        """Return what is changed, and why."""
        ref = self.workload.ref
        parts = [
            f"{one.resource} {text(name, one.request) or 'none'} -> {text(name, one.wished)} ({one.said})"
            for one in self.wished
            for name in (one.resource,)
        ]
        return f"{self.container} of {ref.kind} {ref}: {', '.join(parts)}"


def saves(usd_per_month: float | None) -> str:
    """Return what is said of money: a price that is not known counts as nothing."""
    if usd_per_month is None:
        return "what that saves is not known, for want of a price"
    if usd_per_month < 0.0:
        return f"costs {-usd_per_month:.4g} USD a month more"
    return f"frees what costs {usd_per_month:.4g} USD a month"


def plan(policy: RightsizePolicy, change: Change, now: Instant) -> Plan:
    """Return the plan of a change."""
    ref = change.workload.ref
    signals = tuple(
        SignalWithin(policy=policy.key, signal=one.signal, at_least=one.at_least, at_most=one.at_most)
        for one in policy.trial.slo
    )
    return Plan(
        id=ulid(now, policy.key, ref.key, change.container, "rightsize"),
        kind=PlanKind.SAVING,
        policy=policy.key,
        subject=ref.key,
        reason=f"{change.said}; {saves(change.usd_per_month)}{_written(change)}",
        created_at=now,
        steps=_steps(policy, change),
        keeps=(Settled(policy=policy.key, subject=ref.key), *signals),
        by=policy.key,
        needed=policy.approvers,
    )


def _steps(policy: RightsizePolicy, change: Change) -> tuple[PlanStep, ...]:
    """Return a canary where there is one, then all."""
    ref, trial = change.workload.ref, policy.trial
    well: tuple[Check, ...] = (Aim(), Settled(policy=policy.key, subject=ref.key))
    # pods that a canary resized would stay so for as long as nobody merges
    first = () if change.git is not None and change.git.propose else _canary(policy, change)
    steps = []
    if first:
        steps.append(
            PlanStep(
                name="canary",
                operation=_resize(change, first),
                checks=well,
                hold_s=trial.canary_s,
                within_s=RESIZE_WITHIN_S + trial.canary_s,
                # a server without it, or a node without room, is no harm: the template says what pods get
                otherwise=Otherwise.GO_ON if policy.how is How.ROLLOUT else Otherwise.UNDO,
            )
        )
    rest = tuple(name for name in change.pods if name not in first)
    if policy.how is How.ROLLOUT:
        operation: SetResources | ResizePods = SetResources(
            target=ref, container=change.container, requests=change.requests, limits=change.limits
        )
        within_s = ROLLOUT_WITHIN_S + trial.watch_s
        if change.git is not None:
            within_s += PROPOSED_WITHIN_S if change.git.propose else change.git.settle_s
    else:
        operation, within_s = _resize(change, rest or first), RESIZE_WITHIN_S + trial.watch_s
    steps.append(PlanStep(name="all", operation=operation, checks=well, hold_s=trial.watch_s, within_s=within_s))
    return tuple(steps)


def _written(change: Change) -> str:
    if change.git is None:
        return ""
    return f"; {'proposed' if change.git.propose else 'written'} in {change.git}"


def _canary(policy: RightsizePolicy, change: Change) -> tuple[str, ...]:
    """Return the pods that are resized first: none where it would be all of them, or where a pod has no request yet."""
    ratio, count = policy.trial.canary_ratio, len(change.pods)
    new = any(one.request <= 0.0 for one in change.wished)
    if ratio <= 0.0 or count < 2 or new:
        return ()
    return change.pods[: min(count - 1, max(1, math.ceil(count * ratio - 1e-9)))]


def _resize(change: Change, pods: Sequence[str]) -> ResizePods:
    return ResizePods(
        target=change.workload.ref,
        pods=tuple(pods),
        container=change.container,
        requests=change.requests,
        limits=change.limits,
    )


def changed_by(one: Plan) -> tuple[str, dict[str, str]]:
    """Return the container and the requests that a plan sets."""
    operation = one.steps[-1].operation
    if isinstance(operation, SetResources | ResizePods):
        return operation.container, dict(operation.requests)
    return "", {}
