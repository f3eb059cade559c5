"""The plans of a failover group, as steps: failover, failback, drill.

A failure of part of the requests is shifted by steps: whoever is still served there is risked step by step, and a
standby that cannot carry the load shows it while it can be undone. The more fail, the larger the first step may be:
none risks more of those who are still served than the policy's own first step does where all are. Where (nearly) nobody
is served there is nobody to risk: everything goes at once, and it is not undone, since what it would go back to serves
nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.decide.failover.aims import counterfactual, goal
from aiops.core.decide.failover.scene import Scene, Way
from aiops.core.ids import ulid
from aiops.core.model import (
    Aim,
    Check,
    Notify,
    Otherwise,
    Plan,
    PlanKind,
    PlanStep,
    ReadyAtLeast,
    ScaleTo,
    ShiftTraffic,
    SiteServes,
)
from aiops.core.planning.failover import Site, Steps
from aiops.core.planning.weights import shifted

CRASHED_ABOVE = 0.9
"""From this share of failing requests on, nobody is left to be risked."""

READY_WITHIN_S = 300.0
SHIFT_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why traffic is moved. by: the policy's key, or who ordered it. asks: what a person has to answer for."""

    reason: str
    by: str
    asks: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """What is done, in order. keeps: what takes all of it back once it is known to be false."""

    kind: PlanKind
    steps: tuple[PlanStep, ...]
    keeps: tuple[Check, ...] = ()


def failover(scene: Scene, way: Way, cause: Cause, share: float) -> Plan:
    """Return the plan that sends everybody to another site. share: of the active site's requests that fails.

    A proposal that waits for people keeps its shape, though a few more or fewer may fail meanwhile.
    """
    proposed = scene.proposed(PlanKind.FAILOVER)
    crashed = share >= CRASHED_ABOVE if proposed is None else not proposed.keeps
    if crashed:
        at_once = Steps(percents=(100,), pause_s=scene.policy.shift.pause_s)
        steps = (*_raised(way), *_shifts(scene, way.site, at_once, Otherwise.ASK))
        return _plan(scene, way, cause, _Course(kind=PlanKind.FAILOVER, steps=steps))
    shift = (
        _hastened(scene.policy.shift, share) if proposed is None else _as_proposed(scene.policy.shift, proposed, way)
    )
    steps = (*_raised(way), *_shifts(scene, way.site, shift, Otherwise.UNDO))
    keeps = (_serves(scene, way.site),)
    return _plan(scene, way, cause, _Course(kind=PlanKind.FAILOVER, steps=steps, keeps=keeps))


def _hastened(steps: Steps, share: float) -> Steps:
    """Return the steps from the largest on that risks no more served users than the first where all are served.

    >>> _hastened(Steps(percents=(20, 50, 100), pause_s=10.0), 0.6).percents
    (50, 100)
    """
    least = steps.percents[0]
    first = max((one for one in steps.percents if one * (1.0 - share) < least), default=least)
    return Steps(percents=tuple(one for one in steps.percents if one >= first), pause_s=steps.pause_s)


def _as_proposed(steps: Steps, proposed: Plan, way: Way) -> Steps:
    """Return the steps that people are asked about, however many more or fewer fail by now."""
    shifts = (one.operation for one in proposed.steps if isinstance(one.operation, ShiftTraffic))
    asked = {dict(one.weights).get(way.site.backend) for one in shifts}
    return Steps(percents=tuple(one for one in steps.percents if one in asked) or steps.percents, pause_s=steps.pause_s)


def failback(scene: Scene, way: Way, cause: Cause) -> Plan:
    """Return the plan that sends everybody home by canary steps; home turning sick takes all of it back."""
    steps = (*_raised(way), *_shifts(scene, way.site, scene.policy.failback.steps, Otherwise.UNDO))
    keeps = (_serves(scene, way.site),)
    return _plan(scene, way, cause, _Course(kind=PlanKind.FAILBACK, steps=steps, keeps=keeps))


def drill(scene: Scene, way: Way, cause: Cause) -> Plan:
    """Return the plan that sends a canary's share to another site, watches it, and takes it back."""
    steps = scene.policy.failback.steps
    canary = Steps(percents=steps.percents[:1], pause_s=steps.pause_s)
    back = PlanStep(
        name="back",
        operation=scene.policy.traffic.shift(scene.weights),
        within_s=SHIFT_WITHIN_S,
        otherwise=Otherwise.ASK,
    )
    moves = (*_raised(way), *_shifts(scene, way.site, canary, Otherwise.UNDO), back)
    return _plan(scene, way, cause, _Course(kind=PlanKind.DRILL, steps=moves, keeps=(_serves(scene, way.site),)))


def _plan(scene: Scene, way: Way, cause: Cause, course: _Course) -> Plan:
    policy, kind = scene.policy, course.kind.value
    source = scene.active.name if scene.active is not None else "elsewhere"
    title = f"{kind} of {policy.key.rpartition('/')[2]}: {source} to {way.site.name}"
    told = Notify(title=title, text="\n".join((cause.reason, *cause.evidence)))
    said = PlanStep(name="tell", operation=told, within_s=60.0, otherwise=Otherwise.GO_ON)
    return Plan(
        id=ulid(scene.now, policy.key, kind, way.site.name),
        kind=course.kind,
        policy=policy.key,
        subject=policy.key,
        reason=cause.reason,
        created_at=scene.now,
        steps=(*course.steps, said),
        evidence=cause.evidence,
        keeps=course.keeps,
        by=cause.by,
        goal=goal(scene),
        counterfactual=counterfactual(scene, course.kind),
        asks="; ".join(cause.asks),
        needed=policy.approvers,
        approvals=() if cause.by == policy.key else (cause.by,),
    )


def _serves(scene: Scene, site: Site) -> SiteServes:
    return SiteServes(group=scene.policy.key, site=site.name)


def _raised(way: Way) -> tuple[PlanStep, ...]:
    """Return the step that makes the standby large enough, none where it is."""
    site, count = way.site, way.site.standby_replicas
    if not way.small:
        return ()
    step = PlanStep(
        name=f"ready {site.name}",
        operation=ScaleTo(target=site.target, replicas=count, only_up=True),
        checks=(ReadyAtLeast(target=site.target, count=count),),
        within_s=READY_WITHIN_S,
        otherwise=Otherwise.ASK,
    )
    return (step,)


def _shifts(scene: Scene, site: Site, steps: Steps, otherwise: Otherwise) -> tuple[PlanStep, ...]:
    """Return a step for each share that lies ahead of what the site gets already."""
    serves, share = _serves(scene, site), dict(scene.weights)[site.backend]
    return tuple(
        PlanStep(
            name=f"{percent} % to {site.name}",
            operation=scene.policy.traffic.shift(shifted(scene.weights, site.backend, percent)),
            requires=(serves,),
            checks=(Aim(), serves),
            hold_s=steps.pause_s,
            within_s=SHIFT_WITHIN_S + steps.pause_s,
            otherwise=otherwise,
        )
        for percent in steps.percents
        if percent > share
    )
