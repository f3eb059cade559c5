"""Whether what was read allows this change: missing is not zero, and no scale-in on a blind signal (S1, S2)."""

from __future__ import annotations

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Pass, Reason, Ruling, Signal, SignalState, Wait
from aiops.core.policies import Reaction, SignalSpec

_FRESH = Pass(detail="signals fresh")
_UNCENSORED = Pass(detail="SLO met")

_REASONS = {
    SignalState.ABSENT: Reason.ABSENT_SIGNAL,
    SignalState.EMPTY: Reason.EMPTY_SIGNAL,
    SignalState.NAN: Reason.NAN_SIGNAL,
    SignalState.STALE: Reason.STALE_SIGNAL,
    SignalState.PARTIAL: Reason.PARTIAL_SIGNAL,
    SignalState.FAILED: Reason.FAILED_SIGNAL,
}


def freshness(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold on missing demand, and hold scale-in on any blind signal; scale-out by others goes on (S1, S2)."""
    if wish.delta > 0:
        return _FRESH
    demand = ctx.signals[ctx.policy.objective.demand]
    if not demand.usable:
        return _blind(demand)
    if wish.delta == 0:
        return _FRESH
    for name, signal in ctx.signals.items():
        if not signal.usable and _reaction(ctx.policy.signals[name], signal.state) is not Reaction.IGNORE:
            return _blind(signal)
    return _FRESH


def censored(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold scale-in while the SLO is broken: what is served is not what is offered (S1)."""
    if wish.delta >= 0:
        return None
    slo = ctx.policy.objective.slo
    if slo is None or not wish.proposal.need.slo_broken:
        return _UNCENSORED
    value = ctx.signals[slo.signal].value
    detail = f"{slo.signal} {value:.3g} is above {slo.at_most:g}: demand may be more than what is served"
    return Wait(reason=Reason.CENSORED_DEMAND, detail=detail)


def _blind(signal: Signal) -> Wait:
    return Wait(reason=_REASONS[signal.state], detail=f"{signal.name} is {signal.state.value}: {signal.detail}")


def _reaction(spec: SignalSpec, state: SignalState) -> Reaction:
    match state:
        case SignalState.ABSENT | SignalState.EMPTY:
            return spec.on_absent
        case SignalState.NAN:
            return spec.on_nan
        case SignalState.STALE:
            return spec.on_stale
        case SignalState.PARTIAL:
            return spec.on_partial
        case SignalState.FAILED | SignalState.VALUE:
            return Reaction.HOLD
