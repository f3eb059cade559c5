"""`RaiseNodeLimits`: how much a NodePool of Karpenter may hold; its nodes are Karpenter's to make (S4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiops.core.model import Looked, RaiseNodeLimits, Reason, SeenObject, TargetRef, Wanted
from aiops.core.objects.bodies import at, found, gitops, missing, patch, strings
from aiops.core.plans.operations.set_resources import amount
from aiops.core.plans.operations.verbs import Origin, Requests


@dataclass(frozen=True, slots=True)
class _RaiseNodeLimits:
    """A pool without a limit may hold anything: nothing is written there, so that none is taken away."""

    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: RaiseNodeLimits) -> Wanted:
        return Wanted(objects=(operation.pool,))

    def requests(self, operation: RaiseNodeLimits, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.pool)
        if seen is None or self.refusal(operation, looked) is not None:
            return Requests()
        now = _limits(seen)
        changed = _changed(operation, now)
        if not changed:
            return Requests()
        said = ", ".join(f"{name} {now[name]} -> {value}" for name, value in sorted(changed.items()))
        body = {"metadata": {"annotations": dict(origin.annotations)}, "spec": {"limits": dict(changed)}}
        return Requests(steps=(patch(seen, body, f"NodePool {operation.pool.name}: limits {said}"),))

    def reached(self, operation: RaiseNodeLimits, looked: Looked) -> bool | None:
        seen = found(looked, operation.pool)
        try:
            return None if seen is None else not _changed(operation, _limits(seen))
        except ValueError:
            return False

    def undo(self, operation: RaiseNodeLimits, looked: Looked) -> tuple[RaiseNodeLimits, ...] | None:
        seen = found(looked, operation.pool)
        if seen is None:
            return None
        now = _limits(seen)
        before = {name: now[name] for name in _changed(operation, now)}
        return (replace(operation, limits=before, back=True),) if before else ()

    def refusal(self, operation: RaiseNodeLimits, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.pool)
        seen = found(looked, operation.pool)
        if gone is not None or seen is None:
            return gone
        try:
            changed = _changed(operation, _limits(seen))
        except ValueError as err:
            return Reason.BOUNDS, f"NodePool {operation.pool.name}: {err}"
        return gitops(seen) if changed else None

    def touches(self, operation: RaiseNodeLimits) -> tuple[TargetRef, ...]:
        return (operation.pool,)

    def says(self, operation: RaiseNodeLimits) -> str:
        wished = ", ".join(f"{name} {value}" for name, value in sorted(operation.limits.items()))
        pool = f"NodePool {operation.pool.name} in {operation.pool.cluster}"
        return f"give {pool} limits of {wished} again" if operation.back else f"let {pool} hold {wished}"


VERBS = _RaiseNodeLimits()


def stands(operation: RaiseNodeLimits, looked: Looked) -> bool | None:
    """Return whether the limits are what was written, and not what somebody wrote since; None while not known."""
    seen = found(looked, operation.pool)
    if seen is None:
        return None
    now = _limits(seen)
    try:
        return all(name in now and amount(now[name]) == amount(value) for name, value in operation.limits.items())
    except ValueError:
        return False


def _limits(seen: SeenObject) -> Mapping[str, str]:
    said = at(seen.body, "spec", "limits")
    # a quantity may be a bare number
    return {name: str(value) for name, value in said.items()} if isinstance(said, Mapping) else strings(said)


def _changed(operation: RaiseNodeLimits, now: Mapping[str, str]) -> dict[str, str]:
    """Return the limits to write: those that are lower, or (taking a raise back) other; raise ValueError."""
    return {
        name: value
        for name, value in operation.limits.items()
        if name in now
        and (amount(now[name]) < amount(value) or (operation.back and amount(now[name]) != amount(value)))
    }
