"""What a policy of deferral makes of one instant: which Jobs begin now, since it is cheap or their time has come."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aiops.core.decide.cost.defer.costs import Best, Cost, Late, cached, cheapest, cost_of, remembered
from aiops.core.decide.cost.defer.work import Waiting, Wrong, learnt, runs, waiting, waits
from aiops.core.ids import ulid
from aiops.core.model import (
    DeferState,
    Instant,
    Judgement,
    Mode,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    SeenObject,
    StartJob,
    VerdictWord,
    Wanted,
)
from aiops.core.planning import Judged, Situation
from aiops.core.planning.cost_defer import DeferPolicy

BLIND_S = 600.0
"""Work waits so long for a signal of which nothing is known; then it begins."""

WITHIN_S = 300.0
MOST_SAID = 20
_LAST = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """A Job that begins now, and why. urgent: its deadline asks for it."""

    work: Waiting
    why: str
    urgent: bool


def judged(policy: DeferPolicy, situation: Situation, memory: DeferState) -> Judged[DeferState]:
    """Return the plans of Jobs that begin, and what is said of those that wait."""
    now, signal = situation.now, situation.signals.get(policy.signal)
    if policy.tariff is None:
        memory = remembered(memory, signal, now)
    jobs = _jobs(policy, situation)
    if isinstance(jobs, Judgement):
        return Judged(memory=memory, judgement=jobs)
    memory = replace(memory, runs=learnt(memory.runs, jobs))
    work = [waiting(policy, one, memory.runs) for one in jobs if waits(one)]
    cost = cached(cost_of(policy, memory, signal, now))
    blind_s = 0.0 if math.isinf(memory.blind_since) else now - memory.blind_since
    looks = [_look(one, cost, (now, blind_s, policy.late_runs)) for one in work]
    room = policy.at_once - sum(runs(one) for one in jobs)
    chosen = list(_chosen([one for one in looks if isinstance(one, _Begun)], room))
    asks = min(policy.reach, situation.snapshot.scope.ceiling, key=lambda mode: mode.rank) is Mode.APPROVE
    plans = tuple(_plan(policy, one, now, asks=asks) for one in chosen if _seen(one.work.seen, situation))
    wanted = Wanted(objects=tuple(one.work.seen.ref for one in chosen))
    said = _said(looks, chosen, now)
    return Judged(memory=replace(memory, wanted=wanted), judgement=said, plans=_fresh(plans, situation))


def _jobs(policy: DeferPolicy, situation: Situation) -> tuple[SeenObject, ...] | Judgement:
    if policy.targets is None:
        return ()
    found = replace(policy.targets, most=2**31).found(situation.snapshot.looked)
    if found and isinstance(found[0], Reason):
        return Judgement(word=VerdictWord.WAIT, reason=found[0], detail=f"{found[1]}: nothing is begun")
    return tuple(one for one in found if isinstance(one, SeenObject))


def _seen(job: SeenObject, situation: Situation) -> bool:
    """Return whether a Job was looked at by its name, so that what is sent can be fenced."""
    return job.ref.key in situation.snapshot.looked.objects


def _fresh(plans: Sequence[Plan], situation: Situation) -> tuple[Plan, ...]:
    """Return the plans of Jobs for which none is at work."""
    at_work = {one.subject for one in situation.plans if not one.status.ended and one.status is not PlanStatus.PROPOSED}
    return tuple(one for one in plans if one.subject not in at_work)


# -- when ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Later:
    """A Job that waits, and until when as far as that is known."""

    work: Waiting
    best: Best


def _look(work: Waiting | Wrong, cost: Cost, what: tuple[Instant, float, float]) -> _Begun | _Later | Wrong:
    now, blind_s, late_runs = what
    if isinstance(work, Wrong):
        return work
    if now >= work.latest:
        left_s = work.deadline - now
        why = f"it takes {work.length.most_s:.0f} s and must be done in {left_s:.0f} s"
        return _Begun(work=work, why=why, urgent=True)
    late = Late(deadline=work.deadline, length=work.length, runs=late_runs)
    best = cheapest(cost, now, work.latest, work.length.usual_s, late)
    if best is None:
        if blind_s < BLIND_S:
            return _Later(work=work, best=Best(at=now + BLIND_S - blind_s, cost=math.nan, now=math.nan))
        return _Begun(work=work, why="what it costs is not known, now or later", urgent=False)
    if best.at > now:
        return _Later(work=work, best=best)
    return _Begun(
        work=work, why=f"it is as cheap as it gets until {_clock(work.latest)} ({best.now:.4g})", urgent=False
    )


def _chosen(begun: Sequence[_Begun], room: int) -> Iterator[_Begun]:
    """Yield what begins now: whatever is urgent, then the soonest deadlines, as long as there is room."""
    for one in sorted(begun, key=lambda one: (not one.urgent, one.work.deadline, one.work.seen.ref.name)):
        if one.urgent or room > 0:
            room -= 1
            yield one


def _plan(policy: DeferPolicy, begun: _Begun, now: Instant, *, asks: bool) -> Plan:
    """Return the plan that lets a Job run: it gives back what its owner has asked for.

    asks: people are asked before what is only cheap now; what is due begins all the same, since nobody may have looked.
    """
    job = begun.work.seen
    step = PlanStep(name="start", operation=StartJob(job=job.ref, uid=job.uid), within_s=WITHIN_S)
    return Plan(
        id=ulid(now, policy.key, job.ref.key, job.uid, "start"),
        kind=PlanKind.SAVING if asks and not begun.urgent else PlanKind.RESTORE,
        policy=policy.key,
        subject=job.ref.key,
        reason=f"Job {job.ref.name}: {begun.why}",
        created_at=now,
        steps=(step,),
        by=policy.key,
        needed=policy.approvers,
    )


# -- what is said --------------------------------------------------------------------------------------


def _said(looks: Sequence[_Begun | _Later | Wrong], chosen: Sequence[_Begun], now: Instant) -> Judgement:
    later = [one for one in looks if isinstance(one, _Later)]
    wrong = [one for one in looks if isinstance(one, Wrong)]
    full = [one for one in looks if isinstance(one, _Begun) and one not in chosen]
    lines = [f"Job {one.seen.ref.name}: {one.why}" for one in wrong]
    lines += [f"Job {one.work.seen.ref.name}: {_waits(one, now)}" for one in later]
    lines += [f"Job {one.work.seen.ref.name}: waits for room" for one in full]
    counts = [(len(chosen), "begin"), (len(later), "wait for a better hour"), (len(full), "wait for room")]
    counted = ", ".join(f"{count} {what}" for count, what in counts if count) or "no work waits"
    evidence = tuple(lines[:MOST_SAID])
    if wrong and not chosen:
        detail = f"Job {wrong[0].seen.ref.name}: {wrong[0].why}; {counted}"
        return Judgement(word=VerdictWord.WAIT, reason=wrong[0].reason, detail=detail, evidence=evidence)
    word = VerdictWord.ALLOW if chosen else VerdictWord.STEADY
    return Judgement(word=word, detail=counted, evidence=evidence)


def _waits(one: _Later, now: Instant) -> str:
    if math.isnan(one.best.cost):
        return (
            f"what it costs is not known; it begins in {one.best.at - now:.0f} s, by {_clock(one.work.latest)} at last"
        )
    saves = 1.0 - one.best.cost / one.best.now if one.best.now else 0.0
    return f"begins about {_clock(one.best.at)}, {saves:.0%} cheaper, by {_clock(one.work.latest)} at last"


def _clock(at: Instant) -> str:
    # the last days of the calendar are as late as it can be said
    return f"{datetime.fromtimestamp(min(at, _LAST), UTC):%a %H:%M} UTC"
