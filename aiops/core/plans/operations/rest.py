"""`Sleep` and `Wake`: a workload rests by its own lever, with the record of what it was on the object (S4, S9)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiops.core.model import Looked, Reason, RestLever, Sleep, TargetRef, Wake, Wanted
from aiops.core.objects.bodies import absent, around, found, gitops, missing, patch
from aiops.core.objects.resting import (
    MARK,
    RECORD,
    WOKEN,
    SleepRecord,
    ignored_by_gitops,
    rest,
    shown,
    written,
)
from aiops.core.objects.steering import HPAS, SCALED_OBJECTS, steered
from aiops.core.plans.operations.verbs import Origin, Requests


@dataclass(frozen=True, slots=True)
class _Sleep:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: Sleep) -> Wanted:
        objects = tuple(dict.fromkeys((operation.object, operation.target)))
        if operation.lever is not RestLever.REPLICAS:
            return Wanted(objects=objects)
        around_it = (around(operation.target, *HPAS), around(operation.target, *SCALED_OBJECTS))
        return Wanted(objects=objects, selections=around_it)

    def requests(self, operation: Sleep, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.object)
        if seen is None or self.reached(operation, looked) or self.refusal(operation, looked) is not None:
            return Requests()
        record = SleepRecord(
            policy=origin.policy,
            plan=operation.mark,
            uid=operation.uid,
            lever=operation.lever,
            original=operation.original,
            to=operation.to,
            since=origin.now,
        )
        body = written(operation.lever, operation.to, {RECORD: record.text, MARK: operation.mark, WOKEN: None})
        return Requests(steps=(patch(seen, body, f"{seen.ref.kind} {seen.ref}: rests, {_change(operation)}"),))

    def reached(self, operation: Sleep, looked: Looked) -> bool | None:
        """Return whether the object rests, or rested, by this plan: its record says so, whatever else was changed."""
        seen = found(looked, operation.object)
        if seen is None:
            return None if absent(looked, operation.object) is None else False
        return seen.uid == operation.uid and rest(seen, operation.lever).plan == operation.mark

    def undo(self, operation: Sleep, looked: Looked) -> tuple[Wake, ...] | None:
        if found(looked, operation.object) is None:
            return None
        made = Wake(
            target=operation.target,
            object=operation.object,
            uid=operation.uid,
            lever=operation.lever,
            original=operation.original,
            to=operation.to,
            mark=operation.mark,
        )
        return (made,)

    def refusal(self, operation: Sleep, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.object)
        seen = found(looked, operation.object)
        if gone is not None or seen is None:
            return gone
        if seen.uid != operation.uid:
            return Reason.UNKNOWN_TARGET, f"{seen.ref.kind} {seen.ref} was deleted and made anew"
        if self.reached(operation, looked):
            return None
        now = rest(seen, operation.lever)
        if now.plan != operation.after:
            other = f"rests by plan {now.plan}" if now.plan else "has lost its record"
            return Reason.MANUAL_OVERRIDE, f"{seen.ref.kind} {seen.ref} {other} since this was planned"
        if now.value != operation.seen:
            was = shown(operation.lever, operation.seen)
            said = f"{operation.lever.value} is {shown(operation.lever, now.value)}, and was {was} when it was planned"
            return Reason.MANUAL_OVERRIDE, f"{seen.ref.kind} {seen.ref}: {said}"
        return steered(operation.target, operation.lever, operation.to, looked) or (
            None if ignored_by_gitops(seen, operation.lever) else gitops(seen)
        )

    def touches(self, operation: Sleep) -> tuple[TargetRef, ...]:
        return tuple(dict.fromkeys((operation.object, operation.target)))

    def says(self, operation: Sleep) -> str:
        return f"let {_named(operation)} rest: {_change(operation)}"


@dataclass(frozen=True, slots=True)
class _Wake:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: Wake) -> Wanted:
        return Wanted(objects=tuple(dict.fromkeys((operation.object, operation.target))))

    def requests(self, operation: Wake, looked: Looked, origin: Origin) -> Requests:
        del origin
        seen = found(looked, operation.object)
        if seen is None or self.reached(operation, looked):
            return Requests()
        what, notes = f"{seen.ref.kind} {seen.ref}", {RECORD: None, MARK: None, WOKEN: operation.mark}
        if rest(seen, operation.lever).value != operation.to:
            body = written(operation.lever, None, notes)
            return Requests(steps=(patch(seen, body, f"{what}: somebody woke it, it stays as it is"),))
        body = written(operation.lever, operation.original, notes)
        change = f"{shown(operation.lever, operation.to)} -> {shown(operation.lever, operation.original)}"
        return Requests(steps=(patch(seen, body, f"{what}: wakes, {operation.lever.value} {change}"),))

    def reached(self, operation: Wake, looked: Looked) -> bool | None:
        """Return whether it does not rest by this plan any more: woken, gone, or put to rest by another."""
        seen = found(looked, operation.object)
        if seen is None:
            return None if absent(looked, operation.object) is None else True
        now = rest(seen, operation.lever)
        if seen.uid != operation.uid:
            return True
        if not operation.bare:
            return now.plan != operation.mark
        # where every trace was taken away by hand, the value tells, until the wake has left its own
        return now.plan not in ("", operation.mark) or now.woken == operation.mark or now.value != operation.to

    def undo(self, operation: Wake, looked: Looked) -> tuple[Wake, ...] | None:
        del operation
        del looked
        return ()  # nothing is lost by what runs

    def refusal(self, operation: Wake, looked: Looked) -> tuple[Reason, str] | None:
        return missing(looked, operation.object)

    def touches(self, operation: Wake) -> tuple[TargetRef, ...]:
        return tuple(dict.fromkeys((operation.object, operation.target)))

    def says(self, operation: Wake) -> str:
        original = shown(operation.lever, operation.original)
        return f"wake {_named(operation)}: {operation.lever.value} {original} again"


SLEEP, WAKE = _Sleep(), _Wake()


def mended(operation: Sleep, looked: Looked) -> tuple[Wake, ...]:
    """Return what wakes a workload that rested by a plan, and whose every trace was taken away by hand.

    Then its value alone tells that it rests; () where another record says by whom, or it was woken, or does not rest.
    """
    seen = found(looked, operation.object)
    if seen is None or seen.uid != operation.uid:
        return ()
    now = rest(seen, operation.lever)
    if now.value != operation.to or now.plan or now.woken == operation.mark:
        return ()
    return tuple(replace(one, bare=True) for one in SLEEP.undo(operation, looked) or ())


def _named(operation: Sleep | Wake) -> str:
    target = operation.target
    by = "" if operation.object == target else f" by {operation.object.kind} {operation.object.name}"
    return f"{target.kind} {target} in {target.cluster}{by}"


def _change(operation: Sleep) -> str:
    lever = operation.lever
    return f"{lever.value} {shown(lever, operation.seen)} -> {shown(lever, operation.to)}"
