"""`RaiseNodeLimits`: how much a NodePool of Karpenter may hold; its nodes are Karpenter's to make (S4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiops.core.model import Looked, RaiseNodeLimits, Reason, SeenObject, TargetRef, Wanted
from aiops.core.objects.bodies import at, found, gitops, missing, patch, strings
from aiops.core.objects.quantities import amount
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
        limits = {name: int(value) if name in operation.bare else value for name, value in changed.items()}
        body = {"metadata": {"annotations": dict(origin.annotations)}, "spec": {"limits": limits}}
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
        try:
            changed = _changed(operation, now)
        except ValueError:
            return None
        if not changed:
            return ()
        before = {name: now[name] for name in changed}
        said = at(seen.body, "spec", "limits")
        bare = tuple(sorted(name for name in changed if isinstance(said[name], int)))
        return (replace(operation, limits=before, back=True, over=changed, bare=bare),)

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
    """Return whether any limit is what was written; None while that is not known.

    One that was higher or open is none of ours, and the others are given back all the same.
    """
    seen = found(looked, operation.pool)
    if seen is None:
        return None
    now = _limits(seen)
    try:
        return any(name in now and amount(now[name]) == amount(value) for name, value in operation.limits.items())
    except ValueError:
        return False


def _limits(seen: SeenObject) -> Mapping[str, str]:
    said = at(seen.body, "spec", "limits")
    # a quantity may be a bare number
    return {name: str(value) for name, value in said.items()} if isinstance(said, Mapping) else strings(said)


def _changed(operation: RaiseNodeLimits, now: Mapping[str, str]) -> dict[str, str]:
    """Return the limits to write: those that are lower, or (taking a raise back) still ours; raise ValueError."""
    return {
        name: value
        for name, value in operation.limits.items()
        if name in now and (_ours(operation, name, now[name]) if operation.back else amount(now[name]) < amount(value))
    }


def _ours(operation: RaiseNodeLimits, name: str, now: str) -> bool:
    """Return whether a limit is what the raise wrote, and not yet what it was before."""
    changed_since = name in operation.over and amount(now) != amount(operation.over[name])
    return not changed_since and amount(now) != amount(operation.limits[name])
