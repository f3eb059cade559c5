"""Who steers the field that the change would write (S4)."""

from __future__ import annotations

from collections.abc import Iterable

from aiops.core.guard.context import GuardContext, Wish, until_or_none
from aiops.core.model import (
    Autoscaler,
    Declared,
    Deny,
    FieldOwner,
    Hpa,
    OwnerKind,
    Pass,
    Reason,
    Ruling,
    TargetState,
    Wait,
)
from aiops.core.model.swift import changed
from aiops.core.policies import Lever

FREE_KINDS = frozenset({"Deployment"})
"""Kinds that may be scaled in unless the policy says no; all others only where it says yes (S3)."""

_OURS = Pass(detail="nobody else steers the field")
_IN_ALLOWED = Pass(detail="scale-in allowed")
_YIELD_TO = frozenset(OwnerKind) - {OwnerKind.AIOPS, OwnerKind.CREATOR, OwnerKind.OTHER}
_THEIRS = (OwnerKind.OTHER, OwnerKind.CREATOR)
_FOLLOWERS = frozenset(
    {
        OwnerKind.ARGO_CD,
        OwnerKind.FLUX,
        OwnerKind.CLUSTER_API,
        OwnerKind.CREATOR,
        OwnerKind.OTHER,
        OwnerKind.AIOPS,
    }
)
"""Who brings to the cluster what stands in Git, or is corrected by it: Git's own history tells whose the field is."""


def ownership(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Yield to whoever owns the field, and for a while to a person who wrote it after us (S4)."""
    if wish.delta == 0 or ctx.workload is None:
        return None
    ruling = _of_floor(ctx) if ctx.policy.lever.is_floor else _of_replicas(ctx)
    if ruling is not None:
        return ruling
    until = watched(ctx.state, ctx).override_until
    if until > ctx.now:
        who = "somebody" if ctx.declared is None else _written_by(ctx.declared)
        detail = f"{who} wrote {_field(ctx)} after us; we yield for {ctx.policy.manual_override_s:.0f} s"
        if ctx.declared is not None and ctx.declared.undone:
            detail = f"{ctx.declared.undone}; we yield for {ctx.policy.manual_override_s:.0f} s"
        return Wait(reason=Reason.MANUAL_OVERRIDE, detail=detail, until=until_or_none(until))
    return _OURS


def scaling_active(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Never lower the floor of an HPA that cannot scale at the moment (S4)."""
    hpa = ctx.hpa
    if wish.delta >= 0 or not ctx.policy.lever.is_floor or hpa is None or hpa.scaling_active is not False:
        return None
    return Wait(reason=Reason.SCALING_INACTIVE, detail=f"{hpa} cannot scale now, its floor is all there is")


def scale_in_allowed(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Deny scale-in of kinds whose members are not alike, unless the policy allows it (S3)."""
    if wish.delta >= 0:
        return None
    kind, said = ctx.policy.target.kind, ctx.policy.scale_in_allowed
    if said is False or (said is None and kind not in FREE_KINDS):
        why = "the policy forbids it" if said is False else f"a {kind} needs 'scaleIn: allowed' in the policy"
        return Deny(reason=Reason.SCALE_IN_NOT_ALLOWED, detail=f"scale-in is off: {why}")
    return _IN_ALLOWED


def watched(state: TargetState, ctx: GuardContext) -> TargetState:
    """Return the state that knows whether the field is ours, and until when we yield to whoever took it from us (S4).

    A field that was ours and is a person's now was written after us. Times in managedFields would not tell: a write
    through the scale subresource carries none. A first adoption yields to nobody.
    """
    known = _owners(ctx)
    if not known:
        return state
    field = _field(ctx)
    owners = [one for one in known if one.field == field]
    if not owners:
        return state
    if any(one.kind is OwnerKind.AIOPS for one in owners):
        return state if state.owned and not state.yielded else changed(state, owned=True, yielded="")
    theirs = [one for one in owners if one.kind in _THEIRS]
    undone = ctx.declared is not None and ctx.declared.undone
    if not theirs or not (state.owned or state.yielded or undone):
        return state
    named = sorted(f"{one.manager}@{'' if one.at is None else f'{one.at:.0f}'}" for one in theirs)
    yielded = f"{'+'.join(named)}={_level(ctx)}"
    if yielded == state.yielded:
        return state
    since = max((one.at for one in theirs if one.at is not None), default=ctx.now)
    until = max(state.override_until, since + ctx.policy.manual_override_s)
    return changed(state, owned=False, yielded=yielded, override_until=until)


def _written_by(declared: Declared) -> str:
    named = sorted({one.manager for one in declared.owners if one.kind in _THEIRS})
    return f"{' and '.join(named) or 'somebody'}, in {declared},"


def _level(ctx: GuardContext) -> int | None:
    if ctx.declared is not None:
        return ctx.declared.value
    if ctx.policy.lever.is_floor:
        return ctx.hpa.min_replicas if ctx.hpa is not None else None
    return ctx.workload.replicas if ctx.workload is not None else None


def _field(ctx: GuardContext) -> str:
    return "minReplicas" if ctx.policy.lever.is_floor else "replicas"


def _owners(ctx: GuardContext) -> Iterable[FieldOwner]:
    """Return who writes the field. Of what stands in Git those who commit, and controllers that do not follow Git."""
    if ctx.declared is None:
        return _managers(ctx)
    return (*ctx.declared.owners, *(one for one in _managers(ctx) if one.kind not in _FOLLOWERS))


def _managers(ctx: GuardContext) -> Iterable[FieldOwner]:
    if ctx.policy.lever.is_floor:
        return ctx.hpa.owners if ctx.hpa is not None else ()
    return ctx.workload.owners if ctx.workload is not None else ()


def _of_replicas(ctx: GuardContext) -> Ruling | None:
    hpas = ctx.workload.hpas if ctx.workload is not None else ()
    if hpas:
        names = ", ".join(map(str, hpas))
        use = {Autoscaler.HPA: Lever.HPA_FLOOR, Autoscaler.KNATIVE: Lever.KNATIVE_MIN_SCALE}[hpas[0].kind]
        return Deny(reason=Reason.OWNED, detail=f"{names} steers the replicas; use lever: {use.value}")
    return _foreign(_owners(ctx), "replicas")


def _of_floor(ctx: GuardContext) -> Ruling | None:
    hpas = ctx.workload.hpas if ctx.workload is not None else ()
    if not hpas:
        missing = "no HPA points at the target" if ctx.policy.lever is Lever.HPA_FLOOR else "no revision is ready"
        return Deny(reason=Reason.UNKNOWN_TARGET, detail=f"lever {ctx.policy.lever.value}, but {missing}")
    if len(hpas) > 1:
        names = ", ".join(hpa.name for hpa in hpas)
        return Deny(reason=Reason.OWNED, detail=f"several HPAs point at the target: {names}")
    return _of_hpa(hpas[0], ctx)


def _of_hpa(hpa: Hpa, ctx: GuardContext) -> Ruling | None:
    if hpa.reads_our_metric:
        detail = f"{hpa} reads our own metric: moving its floor would feed back"
        return Deny(reason=Reason.OWNED, detail=detail)
    return _foreign(_owners(ctx), "minReplicas")


def _foreign(owners: Iterable[FieldOwner], field: str) -> Ruling | None:
    for owner in owners:
        if owner.field == field and owner.kind in _YIELD_TO:
            return Deny(reason=Reason.OWNED, detail=f"{owner.kind.value} ({owner.manager}) owns {field}")
    return None
