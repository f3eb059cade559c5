"""`SplitReplicas`: part of a workload runs in its companion on spot nodes, and as many fewer on demand (S4, S7, S9).

More on spot nodes: the companion grows, and once its pods are ready the base gives up as many. Fewer: the base grows,
and once its pods are ready the companion gives up as many, at once where those have no ready pods anyway. Each request
writes a record beside the replicas, so that who looks knows how far it is; nothing is done twice, nothing is forgotten.
The base that an HPA steers is not written: the HPA scales it in by itself, and out when its floor is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiops.core.model import Looked, Reason, SeenObject, SplitReplicas, Step, TargetRef, Wanted
from aiops.core.objects.bodies import around, at, found, missing, number, patch, strings
from aiops.core.objects.shares import steered
from aiops.core.objects.spot import (
    FLOOR,
    FLOOR_S,
    ON_SPOT,
    PLAN,
    SHARE,
    RaisedFloor,
    ShareRecord,
    given_up,
    raised,
    share_of,
)
from aiops.core.objects.steering import HPAS, SCALED_OBJECTS, hpas_of
from aiops.core.plans.operations.verbs import Origin, Requests


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The base and its companion as they are now. gave: what the base gave up, None where nothing says so."""

    base: SeenObject
    spot: SeenObject
    hpa: SeenObject | None
    has: int
    has_ready: int
    now: int
    ready: int
    gave: int | None


def _pair(operation: SplitReplicas, looked: Looked) -> _Pair | None:
    base, spot = found(looked, operation.base), found(looked, operation.spot)
    hpas = hpas_of(operation.base, looked)
    if base is None or spot is None or hpas is None:
        return None
    return _Pair(
        base=base,
        spot=spot,
        hpa=hpas[0] if hpas else None,
        has=_replicas(base),
        has_ready=_ready(base),
        now=_replicas(spot),
        ready=_ready(spot),
        gave=given_up(base),
    )


@dataclass(frozen=True, slots=True)
class _SplitReplicas:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: SplitReplicas) -> Wanted:
        around_it = (around(operation.base, *HPAS), around(operation.base, *SCALED_OBJECTS))
        return Wanted(objects=(operation.base, operation.spot), selections=around_it)

    def requests(self, operation: SplitReplicas, looked: Looked, origin: Origin) -> Requests:
        pair = _pair(operation, looked)
        if pair is None or self.reached(operation, looked):
            return Requests()
        if operation.mark and pair.now == operation.replicas:
            return Requests(steps=(_spot(operation, pair, origin),))
        if pair.now > operation.replicas:
            step = _fewer(operation, pair, origin)
        elif pair.now < operation.replicas < operation.seen:
            # what was to shrink has shrunk further meanwhile: it is never made to grow by this
            step = None if pair.hpa is None else _lowered(pair.hpa, origin)
        else:
            step = _more(operation, pair, origin)
        return Requests() if step is None else Requests(steps=(step,))

    def reached(self, operation: SplitReplicas, looked: Looked) -> bool | None:
        pair = _pair(operation, looked)
        if pair is None:
            return None
        if pair.base.uid != operation.base_uid or pair.spot.uid != operation.spot_uid:
            return operation.replicas <= operation.home  # nothing of ours is on what was made anew
        further = pair.now < operation.replicas < operation.seen
        if pair.now != operation.replicas and not further:
            return False
        if operation.replicas > operation.seen and pair.ready < operation.replicas:
            return False
        if operation.mark:
            return strings(at(pair.spot.body, "metadata", "annotations")).get(PLAN) == operation.mark
        if pair.hpa is not None:
            return raised(pair.hpa) is None
        return operation.steered or further or (pair.gave or 0) == _aim(operation)

    def undo(self, operation: SplitReplicas, looked: Looked) -> tuple[SplitReplicas, ...] | None:
        if _pair(operation, looked) is None:
            return None
        if operation.replicas <= operation.home:
            return ()
        return (replace(operation, seen=operation.replicas, replicas=operation.home, least=0, mark=""),)

    def refusal(self, operation: SplitReplicas, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.base) or missing(looked, operation.spot)
        pair = _pair(operation, looked)
        if gone is not None:
            return gone
        if pair is None:
            return Reason.CLUSTER_UNAVAILABLE, "whether an autoscaler steers it cannot be read"
        for seen, uid in ((pair.base, operation.base_uid), (pair.spot, operation.spot_uid)):
            if seen.uid != uid:
                return Reason.UNKNOWN_TARGET, f"{seen.ref.kind} {seen.ref} was deleted and made anew"
        if self.reached(operation, looked) or operation.replicas <= operation.seen:
            return None  # what gives capacity back waits for nobody
        if pair.now not in (operation.seen, operation.replicas):
            said = f"has {pair.now} replicas, and had {operation.seen} when this was planned"
            return Reason.MANUAL_OVERRIDE, f"{pair.spot.ref.kind} {pair.spot.ref} {said}"
        return steered(operation.base, operation.spot, looked) or _too_few(operation, pair)

    def touches(self, operation: SplitReplicas) -> tuple[TargetRef, ...]:
        return (operation.base, operation.spot)

    def says(self, operation: SplitReplicas) -> str:
        base, spot = operation.base, operation.spot
        where = f"{base.kind} {base} in {base.cluster}"
        return f"run {operation.replicas} replicas of {where} on spot nodes ({spot.name}), {operation.seen} before"


VERBS = _SplitReplicas()


def stands(operation: SplitReplicas, looked: Looked) -> bool | None:
    """Return whether anything of the share is still there as it was written: this one, or a later and smaller one."""
    pair = _pair(operation, looked)
    if pair is None:
        return None
    if pair.spot.uid != operation.spot_uid or pair.now <= operation.home:
        return False
    record = share_of(pair.spot)
    # a record that was edited or taken away by hand tells nothing: then the store's copy does
    return pair.now == (record.set if isinstance(record, ShareRecord) else operation.replicas)


# -- one request at a time -----------------------------------------------------------------------------


def _more(operation: SplitReplicas, pair: _Pair, origin: Origin) -> Step | None:
    writes = pair.hpa is None and not operation.steered
    if pair.now < operation.replicas:
        if writes and pair.gave is None:
            # from now on a note that is missing was taken away by hand, and is not one that was never written
            return _based(pair, pair.has, max(0, pair.now - operation.home), origin)
        return _spot(operation, pair, origin)
    gave, aim = pair.gave or 0, _aim(operation)
    if pair.hpa is not None:
        return _lowered(pair.hpa, origin)
    if operation.steered or gave == aim:
        return None
    if gave < aim and (pair.ready < operation.replicas or pair.has - (aim - gave) < operation.least):
        return None  # the base gives up what runs elsewhere, and nothing before
    return _based(pair, pair.has - (aim - gave), aim, origin)


def _fewer(operation: SplitReplicas, pair: _Pair, origin: Origin) -> Step | None:
    serves = pair.ready > operation.replicas
    if pair.hpa is not None:
        floor = raised(pair.hpa)
        if floor is None:
            return _raised(operation, pair, pair.hpa, origin)
        waits = pair.has_ready < floor.to
    else:
        aim = _aim(operation)
        gave = pair.now - operation.home if pair.gave is None else pair.gave
        if gave > aim:
            return _based(pair, pair.has + (gave - aim), aim, origin)
        waits = pair.has_ready < pair.has
    return None if waits and serves else _spot(operation, pair, origin)


def _spot(operation: SplitReplicas, pair: _Pair, origin: Origin) -> Step:
    record = ShareRecord(set=operation.replicas, home=operation.home)
    kept = None if operation.replicas <= operation.home else record.text
    said = f"{pair.spot.ref.kind} {pair.spot.ref}: replicas {pair.now} -> {operation.replicas}"
    return patch(pair.spot, _body(operation.replicas, {SHARE: kept}, origin), said)


def _based(pair: _Pair, replicas: int, gave: int, origin: Origin) -> Step:
    said = f"{pair.base.ref.kind} {pair.base.ref}: replicas {pair.has} -> {replicas}, {gave} of it on spot nodes"
    return patch(pair.base, _body(replicas, {ON_SPOT: str(gave)}, origin), said)


def _raised(operation: SplitReplicas, pair: _Pair, hpa: SeenObject, origin: Origin) -> Step:
    before = number(at(hpa.body, "spec", "minReplicas"), 1) or 1
    most = number(at(hpa.body, "spec", "maxReplicas"), 1) or 1
    # what the HPA has asked for itself is its own answer to the same loss, and not wanted twice
    lost = pair.now - operation.replicas
    wished = max(before, min(most, max(pair.has, min(pair.has, pair.has_ready) + lost)))
    floor = RaisedFloor(before=before, to=wished, since=int(origin.now))
    said = f"HPA {hpa.ref}: minReplicas {before} -> {wished} for what leaves spot nodes"
    return patch(hpa, _floor_body(wished, floor.text, origin), said)


def _lowered(hpa: SeenObject, origin: Origin) -> Step | None:
    floor = raised(hpa)
    if floor is None or origin.now < floor.since + FLOOR_S:
        return None
    now = number(at(hpa.body, "spec", "minReplicas"), 1) or 1
    # another floor than ours is somebody's wish
    before = floor.before if now == floor.to else now
    said = f"HPA {hpa.ref}: minReplicas {now} -> {before} again"
    return patch(hpa, _floor_body(before, None, origin), said)


def _body(replicas: int, notes: Mapping[str, str | None], origin: Origin) -> dict[str, Any]:
    return {"metadata": {"annotations": {**origin.annotations, **notes}}, "spec": {"replicas": replicas}}


def _floor_body(floor: int, note: str | None, origin: Origin) -> dict[str, Any]:
    return {"metadata": {"annotations": {**origin.annotations, FLOOR: note}}, "spec": {"minReplicas": floor}}


def _too_few(operation: SplitReplicas, pair: _Pair) -> tuple[Reason, str] | None:
    if pair.hpa is not None or operation.steered:
        return None
    left = pair.has - max(0, _aim(operation) - (pair.gave or 0))
    if left >= operation.least:
        return None
    said = f"would keep {left} replicas on demand, {operation.least} are needed"
    return Reason.BOUNDS, f"{pair.base.ref.kind} {pair.base.ref} {said}"


def _aim(operation: SplitReplicas) -> int:
    return max(0, operation.replicas - operation.home)


def _replicas(seen: SeenObject) -> int:
    return number(at(seen.body, "spec", "replicas"), 1) or 0


def _ready(seen: SeenObject) -> int:
    return number(at(seen.body, "status", "readyReplicas"), 0) or 0
