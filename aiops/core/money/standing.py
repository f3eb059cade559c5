"""Plans that save something, as their steps say it: what stands in the clusters now, and what was there before."""

from __future__ import annotations

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
from aiops.core.money.chains import Link, links_of
from aiops.core.money.ledger import SavingKind
from aiops.core.money.spend import Share, nano


@dataclass(frozen=True, slots=True, kw_only=True)
class Rested:
    """What a target was before. replicas: None where they did not change. least: what it would have run at least.

    extra: nano-USD per hour that a replica cost more before, None where that is not known. moved: replicas that the
    companion had before and after, where some were moved there. shares: see `Meter`, of all that stands. links: the
    requests that were changed, whose price follows from the chain of all such changes.
    """

    replicas: int | None = None
    extra: int | None = None
    least: int = 0
    moved: tuple[int, int] | None = None
    shares: tuple[Share, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def change(self) -> tuple[int, int] | None:
        """Return the replicas before and after, of what rests or was moved; None of what changed none."""
        return self.moved if self.replicas is None else (self.replicas, self.least)


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
    links = () if told else links_of(steps)
    sized = [one.operation.target for one in steps if isinstance(one.operation, SetResources | ResizePods)]
    if links and sized:
        rested |= {sized[0].key: Rested(links=links)}
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
        case SplitReplicas(base=base, spot=spot, seen=seen, replicas=replicas):
            yield spot, Rested(extra=_dearer(base, spot, snapshot), moved=(seen, replicas))
        case _:
            return


def _dearer(base: TargetRef, spot: TargetRef, snapshot: Snapshot) -> int | None:
    """Return what a replica of the companion would cost more on demand, by the prices of both now."""
    prices = snapshot.prices.replica_usd_per_hour
    here, there = prices.get(base.key), prices.get(spot.key)
    known = here is not None and there is not None and here > 0.0 and there > 0.0
    return nano(here - there) if known and here is not None and there is not None else None
