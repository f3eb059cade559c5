"""Whether anything may be written at all, and to this target (S2, S3, S6)."""

from __future__ import annotations

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Deny, Mode, Pass, Reason, Ruling, Wait

_ASKS_RANK = Mode.APPROVE.rank
_LEADS = Pass(detail="leader")
_JOURNALLED = Pass(detail="journal writes")
_REACHED = Pass(detail="API answers")
_ALLOWED = Pass(detail="in scope")
_KNOWN = Pass(detail="target known")


def leader(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold every write unless this process is surely the leader (S2)."""
    if wish.delta == 0:
        return None
    leadership = ctx.snapshot.leadership
    if not leadership.leader:
        holder = f", {leadership.holder} is" if leadership.holder else ""
        return Wait(reason=Reason.NOT_LEADER, detail=f"this process is not the leader{holder}")
    if leadership.until <= ctx.now:
        return Wait(reason=Reason.NOT_LEADER, detail="the lease has run out")
    unfenced = leadership.unfenced.get(ctx.policy.target.key) if leadership.unfenced else None
    if unfenced is not None:
        return Wait(reason=unfenced[0], detail=unfenced[1])
    return _LEADS


def store(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold every write whose intent cannot be journalled first (S2, S6)."""
    if wish.delta == 0:
        return None
    if not ctx.snapshot.store_ok:
        return Wait(reason=Reason.STORE_UNAVAILABLE, detail="the journal cannot be written, so nothing new is begun")
    return _JOURNALLED


def cluster(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold while the cluster's API does not answer; nothing is scaled in on what was read before the last tick (S2)."""
    down = ctx.snapshot.cluster_errors
    error = down.get(ctx.policy.target.cluster) if down else None
    if error is not None:
        return Wait(reason=Reason.CLUSTER_UNAVAILABLE, detail=f"cluster {ctx.policy.target.cluster}: {error}")
    errors = ctx.snapshot.target_errors
    refused = errors.get(ctx.policy.target.key) if errors else None
    if refused is not None:
        return Wait(reason=refused[0], detail=f"cluster {ctx.policy.target.cluster}: {refused[1]}")
    if wish.delta >= 0 or ctx.workload is None:
        return _REACHED
    age_s = ctx.now - ctx.workload.as_of
    if age_s > ctx.tick_s:
        detail = f"cluster {ctx.policy.target.cluster} is known only as of {age_s:.0f} s ago"
        return Wait(reason=Reason.CLUSTER_UNAVAILABLE, detail=detail)
    return _REACHED


def target(_: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold while the target is not there, is going away, or cannot be scaled."""
    workload, ref = ctx.workload, ctx.policy.target
    if workload is None:
        return Wait(reason=Reason.UNKNOWN_TARGET, detail=f"there is no {ref.kind} {ref} in cluster {ref.cluster}")
    if workload.deleting:
        return Wait(reason=Reason.UNKNOWN_TARGET, detail=f"{ref.kind} {ref} is being deleted")
    if not workload.scalable:
        return Deny(reason=Reason.UNKNOWN_TARGET, detail=f"{ref.kind} {ref} has no scale subresource")
    return _KNOWN


def protected(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Deny what is protected always, and what nobody opted in to (S3)."""
    if wish.delta == 0:
        return None
    scope, ref = ctx.snapshot.scope, ctx.policy.target
    if ref.namespace in scope.protected_namespaces:
        return Deny(reason=Reason.PROTECTED, detail=f"namespace {ref.namespace} is protected")
    if scope.protected_targets and (ref.key in scope.protected_targets or str(ref) in scope.protected_targets):
        return Deny(reason=Reason.PROTECTED, detail=f"{ref} is protected")
    opted_in = ref.namespace in scope.namespaces or (ctx.workload is not None and ctx.workload.opted_in)
    if not opted_in and ctx.mode.rank >= _ASKS_RANK:
        label = "policy.aiops/managed: 'true'"
        return Deny(
            reason=Reason.NOT_OPTED_IN,
            detail=f"namespace {ref.namespace} has no label {label} and is not in the settings' scope.namespaces",
        )
    return _ALLOWED
