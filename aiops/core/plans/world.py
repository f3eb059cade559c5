"""What a plan's checks look at, and whether they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from aiops.core.model import (
    Aim,
    Calm,
    Check,
    GroupState,
    Health,
    Holds,
    Instant,
    LadderState,
    Operation,
    PolicyKey,
    ReadyAtLeast,
    SavingState,
    Settled,
    Signal,
    SignalWithin,
    SiteServes,
    Snapshot,
)
from aiops.core.model.swift import swift
from aiops.core.plans.operations import verbs


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One instant as plans see it: after every policy was judged at it.

    holds: whether a policy's condition, by its text, holds; None when that cannot be said.
    """

    now: Instant
    snapshot: Snapshot
    groups: Mapping[PolicyKey, GroupState] = field(default_factory=dict)
    ladders: Mapping[PolicyKey, LadderState] = field(default_factory=dict)
    savings: Mapping[PolicyKey, SavingState] = field(default_factory=dict)
    signals: Mapping[PolicyKey, Mapping[str, Signal]] = field(default_factory=dict)
    holds: Callable[[PolicyKey, str], bool | None] = lambda _policy, _text: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Whether something holds, None while that is not known, and what was seen."""

    holds: bool | None
    detail: str


def seen(check: Check, operation: Operation, world: World) -> Seen:
    """Return whether one check of a step holds; what cannot be seen is unknown, and neither good nor bad (S1)."""
    match check:
        case Aim():
            reached = verbs(operation).reached(operation, world.snapshot.looked)
            return Seen(holds=reached, detail=f"{verbs(operation).says(operation)}: {_word(reached)}")
        case ReadyAtLeast():
            return _ready(check, world)
        case SiteServes():
            return _serves(check, world)
        case SignalWithin():
            return _within(check, world)
        case Holds():
            holds = world.holds(check.policy, check.text)
            return Seen(holds=holds, detail=f"{check.text}: {_word(holds)}")
        case Calm():
            return _calm(check, world)
        case Settled():
            return _settled(check, world)
        case unknown:
            assert_never(unknown)


def all_seen(checks: Iterable[Check], operation: Operation, world: World) -> Seen:
    """Return whether all of them hold: one that is known not to decides, then one that is not known."""
    every = [seen(check, operation, world) for check in checks]
    for wanted in (False, None):
        for one in every:
            if one.holds is wanted:
                return one
    return Seen(holds=True, detail="; ".join(one.detail for one in every))


def _word(holds: bool | None) -> str:
    return "not known" if holds is None else "yes" if holds else "not yet"


def _ready(check: ReadyAtLeast, world: World) -> Seen:
    target = check.target
    where = f"{target.kind} {target} in {target.cluster}"
    workload = world.snapshot.workloads.get(target.key)
    if target.cluster in world.snapshot.cluster_errors or target.key in world.snapshot.target_errors:
        return Seen(holds=None, detail=f"{where} cannot be read")
    if workload is None:
        return Seen(holds=None, detail=f"{where} is not there")
    return Seen(holds=workload.ready >= check.count, detail=f"{where}: {workload.ready} of {check.count} ready")


def _serves(check: SiteServes, world: World) -> Seen:
    group = world.groups.get(check.group)
    site = None if group is None else group.sites.get(check.site)
    if site is None:
        return Seen(holds=None, detail=f"nothing is known of site {check.site}")
    match site.health:
        case Health.WELL:
            for_s = max(0.0, world.now - site.well_since)
            return Seen(holds=for_s >= check.for_s, detail=f"site {check.site} well for {for_s:.0f} s")
        case Health.SICK:
            return Seen(holds=False, detail=f"site {check.site} is sick")
        case Health.INCONCLUSIVE:
            return Seen(holds=None, detail=f"it is not known how site {check.site} is")
        case unknown:
            assert_never(unknown)


def _within(check: SignalWithin, world: World) -> Seen:
    signal = world.signals.get(check.policy, {}).get(check.signal)
    if signal is None or not signal.usable:
        why = "not asked" if signal is None else signal.detail or signal.state.value
        return Seen(holds=None, detail=f"{check.signal} is not known ({why})")
    holds = check.at_least <= signal.value <= check.at_most
    return Seen(holds=holds, detail=f"{check.signal} is {signal.value:.4g}")


def _calm(check: Calm, world: World) -> Seen:
    ladder = world.ladders.get(check.policy)
    if ladder is None:
        return Seen(holds=None, detail=f"{check.policy} was not judged")
    subject = ladder.subjects.get(check.subject)
    if subject is not None and not subject.known:
        return Seen(holds=None, detail=f"whether {check.subject} is calm is not known")
    troubled = subject is not None and subject.since <= world.now
    return Seen(holds=not troubled, detail=f"{check.subject} is {'still in trouble' if troubled else 'calm'}")


def _settled(check: Settled, world: World) -> Seen:
    saving = world.savings.get(check.policy)
    settled = None if saving is None else saving.settled.get(check.subject)
    return Seen(holds=settled, detail=f"{check.subject} is settled: {_word(settled)}")
