"""How a workload stands to rest: which field would rest, who has it in hand, and what is known of what it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model import (
    Instant,
    Looked,
    Plan,
    PlanStatus,
    PlanStep,
    Reason,
    RestLever,
    SeenObject,
    Sleep,
)
from aiops.core.objects.bodies import at, instant, strings
from aiops.core.objects.neighbours import Neighbours
from aiops.core.objects.resting import Rest, fits, rest, shown
from aiops.core.objects.steering import paused_by_a_person, scaled_objects_of

SLEEPS = "policy.aiops/sleep"
"""On a workload: `never`, and it is left awake."""

AWAKE_UNTIL = "policy.aiops/awake-until"
"""On a workload: a time with its zone, or a day, until which it is left awake."""


class Lie(StrEnum):
    """How it lies. `torn`: it rests, and its record was taken away or broken by hand; the plan has what it was.

    `interrupted`: it should rest, and somebody has it awake. `orphan`: it rests by our record, and no plan is known.
    `other`: it rests by a record that is not ours. `unreadable`: its record cannot be read, and no plan is known.
    """

    AWAKE = "awake"
    OFF = "off"
    ASLEEP = "asleep"
    INTERRUPTED = "interrupted"
    TORN = "torn"
    ORPHAN = "orphan"
    OTHER = "other"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """One workload at one instant. seen: the workload, object: what is written. to: the value at rest.

    plan: of ours, by which it rests or rested last; at_work: one that has not ended. said: what people should know of
    its record. left: plans of ours that stand for it no more, though they are not taken back; elsewhere: those that
    stand for it by another object. own: all of the policy's plans for it. near: who steers it, and what guards it.
    """

    seen: SeenObject
    object: SeenObject
    lever: RestLever
    to: str
    rest: Rest
    lie: Lie
    plan: Plan | None = None
    at_work: Plan | None = None
    said: str = ""
    left: tuple[Plan, ...] = ()
    elsewhere: tuple[Plan, ...] = ()
    own: tuple[Plan, ...] = ()
    near: Looked = field(default_factory=Looked)

    @property
    def key(self) -> str:
        """Return the key of the workload."""
        return self.seen.ref.key

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"{self.seen.ref.kind} {self.seen.ref.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBed:
    """Why nothing can be said or done about a workload now."""

    seen: SeenObject
    reason: Reason
    why: str


def beds(
    workloads: Iterable[SeenObject], looked: Looked, plans: Sequence[Plan], own: tuple[str, int]
) -> list[Bed | NoBed]:
    """Return how each workload lies. own: the policy's key, and its replicas at rest."""
    by_subject: dict[str, list[Plan]] = {}
    for plan in plans:
        if plan.policy == own[0] and not plan.dry_run:
            by_subject.setdefault(plan.subject, []).append(plan)
    near = Neighbours(looked)
    return [_bed(one, near.of(one), by_subject.get(one.ref.key, []), own) for one in workloads]


def _bed(seen: SeenObject, looked: Looked, plans: Sequence[Plan], own: tuple[str, int]) -> Bed | NoBed:
    found = _lever(seen, looked, own[1])
    if isinstance(found, NoBed):
        return found
    thing, lever, to = found
    now = rest(thing, lever)
    done = [one for one in plans if one.status is PlanStatus.DONE and one.touches_back]
    standing = [one for one in done if sleep_of(one).uid == thing.uid]
    plan = next((one for one in standing if sleep_of(one).mark == now.plan), None)
    newest = plan or max(standing, key=lambda one: one.created_at, default=None)
    lie, said = _lie(now, newest, plan, (thing, to, own[0]))
    resting = newest if lie in (Lie.ASLEEP, Lie.INTERRUPTED, Lie.TORN) else None
    at_work = (one for one in plans if not one.status.ended and one.status is not PlanStatus.PROPOSED)
    return Bed(
        seen=seen,
        object=thing,
        lever=lever,
        to=to,
        rest=now,
        lie=lie,
        plan=resting,
        at_work=next(at_work, None),
        said=said,
        left=tuple(one for one in standing if one is not resting),
        elsewhere=tuple(one for one in done if one not in standing),
        own=tuple(plans),
        near=looked,
    )


def _lever(seen: SeenObject, looked: Looked, to: int) -> tuple[SeenObject, RestLever, str] | NoBed:
    """Return the object that is written, by which field, and its value at rest."""
    if seen.ref.kind == "CronJob":
        return seen, RestLever.SUSPEND, "true"
    scaled = scaled_objects_of(seen.ref, looked)
    if scaled is None:
        return NoBed(seen=seen, reason=Reason.CLUSTER_UNAVAILABLE, why="whether KEDA steers it cannot be read")
    if len(scaled) > 1:
        names = ", ".join(one.ref.name for one in scaled)
        return NoBed(seen=seen, reason=Reason.OWNED, why=f"several ScaledObjects steer it: {names}")
    if not scaled:
        return seen, RestLever.REPLICAS, str(to)
    if paused_by_a_person(scaled[0]):
        why = f"somebody paused ScaledObject {scaled[0].ref.name}"
        return NoBed(seen=seen, reason=Reason.MANUAL_OVERRIDE, why=why)
    return scaled[0], RestLever.PAUSED_REPLICAS, str(to)


def _lie(now: Rest, newest: Plan | None, plan: Plan | None, own: tuple[SeenObject, str, str]) -> tuple[Lie, str]:
    thing, to, policy = own
    record = now.record
    if plan is not None:
        # the store's copy counts, whatever became of the one on the object
        resting = now.value == sleep_of(plan).to
        return (Lie.ASLEEP if resting else Lie.INTERRUPTED), _differs(now, plan)
    if newest is not None and now.value == sleep_of(newest).to and not _newer(now, newest, thing):
        was = shown(sleep_of(newest).lever, sleep_of(newest).original)
        return Lie.TORN, f"its record was changed by hand; plan {newest.id} knows that it was {was}"
    if record is not None:
        return _recorded(now, (thing, to, policy))
    if now.broken:
        return Lie.UNREADABLE, f"{now.broken}, and no plan is known that could say what it was"
    return (Lie.OFF if now.value == to or _no_more(now.value, to) else Lie.AWAKE), ""


def _newer(now: Rest, plan: Plan, thing: SeenObject) -> bool:
    """Return whether a whole record is of another object, or was written after the plan had ended: it counts then."""
    record = now.record
    return record is not None and (record.uid != thing.uid or record.since > plan.ended_at + 1.0)


def _no_more(value: str, to: str) -> bool:
    """Return whether a workload has no more than it would have at rest: somebody keeps it so small, or switched off."""
    counts = fits(RestLever.REPLICAS, value) and fits(RestLever.REPLICAS, to)
    return (counts and int(value) <= int(to)) or value == "0"


def _recorded(now: Rest, own: tuple[SeenObject, str, str]) -> tuple[Lie, str]:
    """Return how it lies by its record alone: the store knows of no plan."""
    thing, _, policy = own
    record = now.record
    if record is None:
        return Lie.AWAKE, ""
    was = shown(record.lever, record.original)
    if record.uid != thing.uid:
        return Lie.OTHER, f"its record is of another object, deleted since (a backup?); that one had {was}"
    if record.policy != policy:
        return Lie.OTHER, f"it rests by {record.policy} since {record.since:.0f}, and was {was}"
    if now.value != record.to:
        return Lie.ORPHAN, f"somebody woke it; by its record, of a plan that the store does not know, it was {was}"
    return Lie.ORPHAN, f"it rests by its record, of a plan that the store does not know; it was {was}"


def _differs(now: Rest, plan: Plan) -> str:
    sleep = sleep_of(plan)
    was = shown(sleep.lever, sleep.original)
    if now.broken:
        return f"{now.broken}; plan {plan.id} knows that it was {was}"
    if now.record is None:
        return f"its record was taken away by hand; plan {plan.id} knows that it was {was}"
    if now.record.original != sleep.original:
        said = shown(sleep.lever, now.record.original)
        return f"its record says {said}, and was changed by hand; plan {plan.id} knows that it was {was}"
    return ""


def sleep_of(plan: Plan) -> Sleep:
    """Return what a plan does to let a workload rest; only plans that do are asked."""
    return next(step.operation for step in plan.steps if isinstance(step.operation, Sleep))


def step_of(plan: Plan) -> PlanStep:
    """Return the step that lets the workload rest."""
    return next(step for step in plan.steps if isinstance(step.operation, Sleep))


# -- what people wrote on a workload -------------------------------------------------------------------


def awake_by_wish(seen: SeenObject, now: Instant) -> tuple[str, str]:
    """Return why a person wants a workload awake, '' for nothing; and what of their words is not understood."""
    notes = {**strings(at(seen.body, "metadata", "labels")), **strings(at(seen.body, "metadata", "annotations"))}
    if notes.get(SLEEPS, "").lower() == "never":
        return f"it says {SLEEPS}: never", ""
    text = notes.get(AWAKE_UNTIL)
    if text is None:
        return "", ""
    until = instant(text)
    if until is None:
        return "it says until when it is awake, not understood", f"{AWAKE_UNTIL}: {text[:60]!r} is no time with a zone"
    return (f"it says {AWAKE_UNTIL}: {text[:40]}", "") if now < until else ("", "")
