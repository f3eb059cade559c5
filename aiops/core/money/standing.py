"""Plans that save something, as their steps say it: what stands in the clusters now, and what was there before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from aiops.core.model import (
    Drain,
    Instant,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    ResizePods,
    RestLever,
    ScaleTo,
    SetResources,
    Sleep,
    Snapshot,
    SplitReplicas,
    Stage,
    SuspendCronJob,
    TargetRef,
)
from aiops.core.money.ledger import SavingKind
from aiops.core.money.spend import nano
from aiops.core.objects.bodies import at, number

GIB = 2.0**30
_SUFFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)([numkMGT]|[KMGT]i)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rested:
    """What a target was before. replicas: None where they did not change. least: what it would have run at least.

    extra: nano-USD per hour that a replica cost more with the requests of before, None where that is not known.
    """

    replicas: int | None = None
    extra: int | None = None
    least: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A plan, or one that is only told. rested: by `TargetRef.key`. nodes: that were let go of, as `CLUSTER/NODE`."""

    plan: Plan
    kind: SavingKind
    since: Instant
    rested: Mapping[str, Rested]
    nodes: tuple[str, ...] = ()

    @property
    def stands(self) -> bool:
        """Return whether anything of it is in the cluster."""
        return bool(self.rested or self.nodes) and not self.plan.dry_run


def standing(plans: Iterable[Plan], snapshot: Snapshot) -> tuple[Standing, ...]:
    """Return the plans of savings that stand or are told of, oldest first."""
    found = [_standing(plan, snapshot) for plan in plans if plan.kind is PlanKind.SAVING]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.since, one.plan.id)))


def _standing(plan: Plan, snapshot: Snapshot) -> Standing | None:
    told = plan.dry_run or plan.status is PlanStatus.REHEARSED
    steps = plan.steps if told else [one for one in plan.steps if _stands(one)]
    if not steps:
        return None
    kinds = [kind for one in steps if (kind := _kind(one)) is not None]
    if not kinds:
        return None
    rested = {} if told else {ref.key: one for step in steps for ref, one in _rested(step, snapshot)}
    if not rested and not told:
        rested = _resized(plan, steps, snapshot)
    nodes = () if told else tuple(f"{o.node.cluster}/{o.node.name}" for o in _operations(steps, Drain))
    since = plan.created_at if told else min(one.since for one in steps)
    return Standing(plan=plan, kind=kinds[0], since=since, rested=rested, nodes=nodes)


def _stands(step: PlanStep) -> bool:
    """Return whether a step's work is in the cluster: it is done, and nothing has taken it back."""
    return step.stage is Stage.DONE


def _operations(steps: Iterable[PlanStep], kind: type[Drain]) -> Iterator[Drain]:
    return (one.operation for one in steps if isinstance(one.operation, kind))


def _kind(step: PlanStep) -> SavingKind | None:
    """Return what a step saves, None of those that only prepare or tell."""
    match step.operation:
        case Sleep(lever=RestLever.SUSPEND) | SuspendCronJob():
            return SavingKind.DEFER
        case Sleep() | ScaleTo():
            return SavingKind.SLEEP
        case SetResources() | ResizePods():
            return SavingKind.RIGHTSIZE
        case Drain():
            return SavingKind.PACK
        case SplitReplicas():
            return SavingKind.SPOT
        case _:
            return None


def _rested(step: PlanStep, snapshot: Snapshot) -> Iterator[tuple[TargetRef, Rested]]:
    match step.operation:
        case Sleep(lever=RestLever.REPLICAS, target=target, original=original, to=to) if original.isdecimal():
            yield target, Rested(replicas=int(original), least=int(to) if to.isdecimal() else 0)
        case ScaleTo(target=target, replicas=replicas):
            before = [one.replicas for one in step.undo if isinstance(one, ScaleTo) and not one.floor]
            if before:
                yield target, Rested(replicas=before[0], least=replicas)
        case SplitReplicas(base=base, spot=spot):
            yield spot, Rested(extra=_dearer(base, spot, snapshot))
        case SetResources() as made:
            before_it = [one for one in step.undo if isinstance(one, SetResources)]
            if before_it:
                yield made.target, Rested(extra=_extra(before_it[0], made, snapshot))
        case _:
            return


def _resized(plan: Plan, steps: Iterable[PlanStep], snapshot: Snapshot) -> dict[str, Rested]:
    """Return what pods cost more before they were resized in place and nowhere else, over all replicas of the workload.

    A canary alone is a part of them; those that come later are made from the template, and cost what it says.
    """
    done = [(one, one.operation) for one in steps if isinstance(one.operation, ResizePods)]
    if not done:
        return {}
    target = done[0][1].target
    pods = {name for one in plan.steps if isinstance(one.operation, ResizePods) for name in one.operation.pods}
    seen = snapshot.looked.objects.get(target.key)
    asked = number(at(seen.body, "spec", "replicas"), 1) if seen is not None else None
    whole, total = max(1, len(pods), asked or 0), 0
    for step, made in done:
        for before in step.undo:
            if isinstance(before, ResizePods):
                extra = _extra(before, made, snapshot)
                if extra is None:
                    return {target.key: Rested(extra=None)}
                total += extra * len(before.pods)
    return {target.key: Rested(extra=total // whole)}


def _extra(before: SetResources | ResizePods, after: SetResources | ResizePods, snapshot: Snapshot) -> int | None:
    """Return what a replica cost more with the requests of before, by the prices of a core and a GiB now."""
    units = snapshot.prices.units(after.target.key)
    if units is None:
        return None
    cores = amount(before.requests.get("cpu", "0")) - amount(after.requests.get("cpu", "0"))
    gib = (amount(before.requests.get("memory", "0")) - amount(after.requests.get("memory", "0"))) / GIB
    return nano(cores * units.core_usd + gib * units.gib_usd)


def _dearer(base: TargetRef, spot: TargetRef, snapshot: Snapshot) -> int | None:
    """Return what a replica of the companion would cost more on demand, by the prices of both now."""
    prices = snapshot.prices.replica_usd_per_hour
    here, there = prices.get(base.key), prices.get(spot.key)
    known = here is not None and there is not None and here > 0.0 and there > 0.0
    return nano(here - there) if known and here is not None and there is not None else None


def amount(text: str) -> float:
    """Return the number of a Kubernetes quantity, 0 for none that can be read.

    >>> amount("250m"), amount("2Gi"), amount("nonsense")
    (0.25, 2147483648.0, 0.0)
    """
    match = _QUANTITY.fullmatch(text.strip())
    return 0.0 if match is None else float(match[1]) * _SUFFIXES[match[2] or ""]
