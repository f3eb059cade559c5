"""What is done about each workload at one instant: put to rest, left alone, or woken; and what is remembered of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from aiops.core.decide.cost.rest.beds import Bed, Lie, NoBed, awake_by_wish, beds, sleep_of, step_of
from aiops.core.decide.cost.rest.fit import made_at, unfit
from aiops.core.ids import ulid
from aiops.core.model import (
    Instant,
    Operation,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    SeenObject,
    Sleep,
    Wake,
    Wanted,
)
from aiops.core.model.saved.sleep import Sleeper
from aiops.core.objects.bodies import at, number
from aiops.core.objects.resting import fits
from aiops.core.planning import Situation
from aiops.core.planning.cost_sleep import RestPolicy

STARTS_A_TURN = 50
"""How many workloads are put to rest at one instant; waking has no such limit."""

LEAST_S = 600.0
"""A rest shorter than this is not worth a start."""

AGAIN_S = 900.0
"""After a rest that did not come about, the next is not tried before."""

DAY_S = 86_400.0
STARTUPS, LONGEST_S = 5, 3_600.0

WITHIN_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Whether a workload should rest now, until when, and why."""

    asleep: bool
    why: str
    until: Instant = math.inf


WishOf: TypeAlias = Callable[[Sleeper], Wish]
Often: TypeAlias = Callable[[Sleeper], tuple[Reason, str] | None]
"""Says why a workload has rested often enough, None while it has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why something is not done about a workload now."""

    name: str
    reason: Reason
    why: str


@dataclass(slots=True)
class Turned:
    """What came of it. said: of workloads that nothing is done about, and why."""

    sleepers: dict[str, Sleeper]
    plans: list[Plan] = field(default_factory=list)
    back: list[tuple[str, str]] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    asleep: list[str] = field(default_factory=list)
    awake: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    look: list[SeenObject] = field(default_factory=list)

    @property
    def wanted(self) -> Wanted:
        """Return what must be looked at by its name before it may be written."""
        return Wanted(objects=tuple(dict.fromkeys(one.ref for one in self.look)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One policy at one instant. bound: why nothing is put to rest now, None when it may be; waking goes on."""

    policy: RestPolicy
    situation: Situation
    wish_of: WishOf
    bound: tuple[Reason, str] | None = None
    often: Often = lambda _: None

    @property
    def now(self) -> Instant:
        """Return the instant."""
        return self.situation.now


def turned(night: Night, workloads: Sequence[SeenObject], before: Mapping[str, Sleeper]) -> Turned:
    """Return what is done about each workload, and what is remembered of each. workloads: all that there are."""
    made = Turned(sleepers=dict(before))
    own = (night.policy.key, night.policy.to)
    for bed in beds(workloads, night.situation.snapshot.looked, night.situation.plans, own):
        key = bed.seen.ref.key
        if isinstance(bed, NoBed):
            made.held.append(Held(name=f"{bed.seen.ref.kind} {bed.seen.ref.name}", reason=bed.reason, why=bed.why))
            continue
        sleeper = _remembered(night, bed, before.get(key, Sleeper()))
        wish = night.wish_of(sleeper)
        why, broken = awake_by_wish(bed.seen, night.now)
        if why:
            wish = Wish(asleep=False, why=why)
        if broken:
            made.held.append(Held(name=bed.name, reason=Reason.MANUAL_OVERRIDE, why=broken))
        made.sleepers[key] = _Turn(night, made, bed).turn(sleeper, wish)
        if bed.said:
            made.evidence.append(f"{bed.name}: {bed.said}")
    _strays(night, made, {one.ref.key for one in workloads})
    return made


def _strays(night: Night, made: Turned, present: set[str]) -> None:
    """Take back what stands for a workload that is gone, or is not the policy's any more."""
    for plan in night.situation.plans:
        stands = plan.policy == night.policy.key and plan.status is PlanStatus.DONE and plan.touches_back
        if stands and plan.subject not in present and not plan.dry_run:
            made.back.append((plan.id, "it is gone, or is not of this policy any more"))
    made.sleepers = {key: one for key, one in made.sleepers.items() if key in present}


# -- what is remembered --------------------------------------------------------------------------------


def _remembered(night: Night, bed: Bed, before: Sleeper) -> Sleeper:
    """Return what is known of a workload, from what became of its plans."""
    before = _in_time(before, night.now)
    if before.uid != bed.object.uid:
        # made anew: what somebody makes now is wanted now
        before = Sleeper(uid=bed.object.uid, since=night.now, startups_s=before.startups_s)
    ended = sorted(_ended(night, bed, before), key=lambda one: one.ended_at)
    after = before
    for plan in ended:
        after = _after(night, bed, plan, after)
    naps = tuple(one for one in after.naps if one > night.now - DAY_S)
    if naps != after.naps:
        after = replace(after, naps=naps)
    return _started(bed, after, night.now)


def _in_time(sleeper: Sleeper, now: Instant) -> Sleeper:
    """Return what is remembered without what lies ahead: the clock was set back."""
    known = [one for one in (sleeper.counted_at, sleeper.interrupted_at, sleeper.woke_at) if math.isfinite(one)]
    if max(known, default=-math.inf) <= now:
        return sleeper
    return replace(
        sleeper,
        counted_at=min(sleeper.counted_at, now),
        interrupted_at=min(sleeper.interrupted_at, now) if math.isfinite(sleeper.interrupted_at) else math.inf,
        woke_at=math.inf,
        not_before=-math.inf,
    )


def _ended(night: Night, bed: Bed, sleeper: Sleeper) -> Iterator[Plan]:
    for plan in bed.own:
        new = plan.status.ended and sleeper.counted_at < plan.ended_at <= night.now
        if new and plan.kind is PlanKind.SAVING:
            yield plan


def _after(night: Night, bed: Bed, plan: Plan, sleeper: Sleeper) -> Sleeper:
    sleeper = replace(sleeper, counted_at=plan.ended_at)
    step = step_of(plan)
    slept = math.isfinite(step.well_since)
    match plan.status:
        case PlanStatus.DONE:
            return replace(sleeper, naps=(*sleeper.naps, plan.ended_at), interrupted_at=math.inf)
        case PlanStatus.ROLLED_BACK | PlanStatus.FAILED if slept:
            woke_at = step.sent_at if bed.seen.ref.kind != "CronJob" else math.inf
            sleeper = replace(sleeper, woke_at=woke_at, interrupted_at=math.inf)
            if plan.id == sleeper.backed:
                return sleeper
            # somebody else took it back: awake until this rest would have ended
            wish = night.wish_of(sleeper)
            until = wish.until if wish.asleep and math.isfinite(wish.until) else plan.ended_at + night.policy.override_s
            return replace(sleeper, not_before=until)
        case PlanStatus.ROLLED_BACK | PlanStatus.FAILED:
            return replace(sleeper, not_before=plan.ended_at + AGAIN_S)
        case _:
            return sleeper


def _started(bed: Bed, sleeper: Sleeper, now: Instant) -> Sleeper:
    """Return what is known of how long it takes to start, once it is ready again."""
    if not math.isfinite(sleeper.woke_at):
        return sleeper
    if now - sleeper.woke_at > LONGEST_S or bed.lie is not Lie.AWAKE:
        return replace(sleeper, woke_at=math.inf)
    wanted = number(at(bed.seen.body, "spec", "replicas"), 1) or 0
    ready = number(at(bed.seen.body, "status", "readyReplicas"), 0) or 0
    if wanted < 1 or ready < wanted:
        return sleeper
    took_s = max(0.0, bed.seen.as_of - sleeper.woke_at)
    return replace(sleeper, woke_at=math.inf, startups_s=(*sleeper.startups_s, took_s)[-STARTUPS:])


# -- what is done --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Turn:
    night: Night
    made: Turned
    bed: Bed

    def turn(self, sleeper: Sleeper, wish: Wish) -> Sleeper:
        """Take down what is done about one workload, and return what is remembered of it."""
        bed = self.bed
        for plan in bed.left:
            self.made.back.append((plan.id, "another rest took its place, or somebody ended it"))
        if not wish.asleep:
            # by another lever, since an autoscaler came or went
            self.made.back += [(plan.id, wish.why) for plan in bed.elsewhere]
        if bed.at_work is not None:
            if bed.at_work.held:
                self._hold(Reason.IN_FLIGHT, f"plan {bed.at_work.id} is {bed.at_work.status}: {bed.at_work.held}")
            (self.made.asleep if wish.asleep else self.made.awake).append(bed.name)
            return sleeper
        match bed.lie:
            case Lie.AWAKE:
                return self._awake(sleeper, wish)
            case Lie.ASLEEP:
                return self._asleep(sleeper, wish)
            case Lie.INTERRUPTED:
                return self._interrupted(sleeper, wish)
            case Lie.TORN:
                return self._torn(sleeper, wish)
            case Lie.OFF | Lie.ORPHAN | Lie.OTHER | Lie.UNREADABLE:
                self._without_plan(wish)
                return sleeper

    def _without_plan(self, wish: Wish) -> None:
        """Do what can be done where no plan of ours says what it was."""
        bed = self.bed
        match bed.lie:
            case Lie.ORPHAN:
                self._orphan(wish)
            case Lie.OTHER:
                self._hold(Reason.OWNED, bed.said)
            case Lie.UNREADABLE:
                self._hold(Reason.INCONCLUSIVE, f"{bed.said}: set {bed.lever.value} by hand and take the record away")
            case _:
                self.made.off.append(bed.name)

    def _hold(self, reason: Reason, why: str) -> None:
        self.made.held.append(Held(name=self.bed.name, reason=reason, why=why))

    def _awake(self, sleeper: Sleeper, wish: Wish) -> Sleeper:
        if not wish.asleep:
            self.made.awake.append(self.bed.name)
            return sleeper
        self._rest(sleeper, wish, original=self.bed.rest.value)
        return sleeper

    def _asleep(self, sleeper: Sleeper, wish: Wish) -> Sleeper:
        if wish.asleep:
            self.made.asleep.append(self.bed.name)
            return replace(sleeper, interrupted_at=math.inf) if math.isfinite(sleeper.interrupted_at) else sleeper
        return self._wake(sleeper, wish)

    def _wake(self, sleeper: Sleeper, wish: Wish) -> Sleeper:
        if self.bed.plan is None:
            return sleeper
        self.made.back.append((self.bed.plan.id, wish.why))
        self.made.awake.append(self.bed.name)
        return replace(sleeper, backed=self.bed.plan.id)

    def _interrupted(self, sleeper: Sleeper, wish: Wish) -> Sleeper:
        """Respect that somebody has it awake; what comes back one day stays what it was before us."""
        bed, now = self.bed, self.night.now
        if not wish.asleep or bed.plan is None:
            return self._wake(sleeper, wish)
        sleeper = replace(sleeper, interrupted_at=min(sleeper.interrupted_at, now))
        left_s = sleeper.interrupted_at + self.night.policy.override_s - now
        if left_s > 0:
            why = f"somebody woke it ({bed.lever.value} {bed.rest.value or 'none'}): respected for {left_s:.0f} s"
            self._hold(Reason.MANUAL_OVERRIDE, why)
            return sleeper
        self._rest(sleeper, wish, original=sleep_of(bed.plan).original)
        return sleeper

    def _torn(self, sleeper: Sleeper, wish: Wish) -> Sleeper:
        """Write the record anew from the plan, or wake it by the plan."""
        bed = self.bed
        if bed.plan is None:
            return sleeper
        slept = sleep_of(bed.plan)
        if wish.asleep:
            # another plan than the one that knows what it was, whenever that was made
            mark = ulid(self.night.now, self.night.policy.key, bed.key, "anew", bed.plan.id)
            again = replace(self._sleep(slept.original), to=slept.to, mark=mark)
            self._propose(PlanKind.SAVING, again, f"{bed.said}: it is written anew")
            self.made.asleep.append(bed.name)
            return sleeper
        return self._wake(sleeper, wish)

    def _orphan(self, wish: Wish) -> None:
        record = self.bed.rest.record
        if wish.asleep or record is None:
            self.made.asleep.append(self.bed.name)
            return
        self._restore(record.original, record.to, wish)

    def _rest(self, sleeper: Sleeper, wish: Wish, *, original: str) -> None:
        """Put it to rest unless something speaks against it."""
        held = self._not_now(sleeper, wish)
        if held is None and not fits(self.bed.lever, original):
            held = Reason.INCONCLUSIVE, f"{self.bed.lever.value} is {original[:40]!r}, which no record could give back"
        if held is not None:
            self._hold(*held)
            return
        self._propose(PlanKind.SAVING, self._sleep(original), wish.why)

    def _not_now(self, sleeper: Sleeper, wish: Wish) -> tuple[Reason, str] | None:
        night, now = self.night, self.night.now
        if night.bound is not None:
            return night.bound
        if now < sleeper.not_before:
            left_s = sleeper.not_before - now
            return Reason.MANUAL_OVERRIDE, f"somebody took it back, or a try failed: awake for {left_s:.0f} s more"
        often = night.often(sleeper)
        if often is not None:
            return often
        if wish.until - now < LEAST_S:
            return Reason.TOLERANCE, f"{wish.until - now:.0f} s until it is woken are not worth it"
        made = made_at(self.bed)
        new_s = -math.inf if made is None else made + night.policy.override_s - now
        if new_s > 0:
            return Reason.MANUAL_OVERRIDE, f"it is new, and wanted now: respected for {new_s:.0f} s"
        return unfit(self.bed, night.policy)

    def _sleep(self, original: str) -> Sleep:
        bed = self.bed
        mark = ulid(self.night.now, self.night.policy.key, bed.key, "sleep")
        return Sleep(
            target=bed.seen.ref,
            object=bed.object.ref,
            uid=bed.object.uid,
            lever=bed.lever,
            seen=bed.rest.value,
            original=original,
            to=bed.to,
            mark=mark,
            after=bed.rest.plan,
        )

    def _restore(self, original: str, to: str, wish: Wish) -> None:
        """Propose to wake it without a plan that stands."""
        bed = self.bed
        wake = Wake(
            target=bed.seen.ref,
            object=bed.object.ref,
            uid=bed.object.uid,
            lever=bed.lever,
            original=original,
            to=to,
            mark=bed.rest.plan,
        )
        self._propose(PlanKind.RESTORE, wake, f"{wish.why}; {bed.said}")

    def _propose(self, kind: PlanKind, operation: Operation, why: str) -> None:
        """Propose a plan; what was seen in a list alone is looked at by itself first, so that it can be fenced."""
        bed, night = self.bed, self.night
        self.made.look.append(bed.object)
        if bed.object.ref.key not in night.situation.snapshot.looked.objects:
            return
        if kind is PlanKind.SAVING and len(self.made.plans) >= STARTS_A_TURN:
            return
        mark = operation.mark if isinstance(operation, Sleep) else ulid(night.now, night.policy.key, bed.key, "wake")
        name = "rest" if kind is PlanKind.SAVING else "wake"
        self.made.plans.append(
            Plan(
                id=mark,
                kind=kind,
                policy=night.policy.key,
                subject=bed.key,
                reason=f"{bed.name}: {why}",
                created_at=night.now,
                steps=(PlanStep(name=name, operation=operation, within_s=WITHIN_S),),
                by=night.policy.key,
                needed=night.policy.approvers,
            )
        )
