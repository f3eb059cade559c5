"""What stands in Git: the range that its owners declare, whether it may be written now, whether it is followed (S4)."""

from __future__ import annotations

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Clamp, Declared, Pass, Reason, Ruling, Wait

_WITHIN = Pass(detail="within the range that its owners declare")


def declared_range(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Keep to the range that the file's owners declare; what lies outside of it is not written."""
    found = ctx.declared
    if wish.delta == 0 or found is None or (found.low is None and found.high is None):
        return None
    return _within(wish, (found.low, found.high), str(found))


def node_group(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Keep a group of nodes to the range of its annotations, which Cluster Autoscaler keeps to as well (S4)."""
    group = None if ctx.workload is None else ctx.workload.nodes
    if wish.delta == 0 or group is None or (group.least is None and group.most is None):
        return None
    return _within(wish, (group.least, group.most), f"the annotations of {ctx.policy.target.kind} {ctx.policy.target}")


def declared(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold while the file cannot be read or written, while what it says is not followed, while a proposal waits."""
    found = ctx.declared
    if wish.delta == 0 or found is None:
        return None
    if found.held is not None:
        reason, detail = found.held
        return Wait(reason=reason, detail=detail, until=found.held_until)
    if found.value is None:
        return Wait(reason=Reason.UNDECLARED, detail=f"{found} is not known")
    if found.offered is not None and found.offered.after == wish.after:
        detail = f"{wish.after} is proposed on branch {found.offered_on}, and not merged yet"
        return Wait(reason=Reason.PROPOSED, detail=detail)
    if found.value == wish.before:
        return Pass(detail=f"written in Git: {found}")
    if wish.delta > 0 and wish.after > found.value:
        return Pass(detail=f"{found} says {found.value}, which is not followed yet and would not be enough")
    return Wait(reason=Reason.NOT_SYNCED, detail=_unfollowed(found, wish.before))


def _within(wish: Wish, span: tuple[int | None, int | None], whose: str) -> Ruling:
    low, high = span
    nearest = max(wish.after, low) if low is not None else wish.after
    nearest = min(nearest, high) if high is not None else nearest
    if nearest == wish.after:
        return _WITHIN
    detail = f"{whose}: {_said(low, high)}, and not {wish.after}"
    if (nearest - wish.before) * wish.delta <= 0:
        return Wait(reason=Reason.OUT_OF_RANGE, detail=detail)
    return Clamp(after=nearest, reason=Reason.OUT_OF_RANGE, detail=detail)


def _unfollowed(found: Declared, level: int) -> str:
    return f"{found} says {found.value}, and the cluster holds {level}: what follows the branch has not brought it yet"


def _said(low: int | None, high: int | None) -> str:
    if low is None:
        return f"{high} at most"
    return f"{low} at least" if high is None else f"{low} to {high}"
