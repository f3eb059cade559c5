"""Whether what was read allows this change: missing is not zero, and no scale-in on a blind signal (S1, S2)."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.model import Need, Pass, Reason, Ruling, Signal, SignalState, Wait

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
        if not signal.usable and not ctx.policy.signals[name].ignores(signal.state):
            return _blind(signal)
    return _FRESH


def censored(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold scale-in while the SLO is broken, requests are refused or replicas are full: served is not offered (S1)."""
    if wish.delta >= 0:
        return None
    if not wish.proposal.need.censored:
        return _UNCENSORED
    detail = f"{' and '.join(_hidden(wish.proposal.need, ctx))}: demand may be more than what is served"
    return Wait(reason=Reason.CENSORED_DEMAND, detail=detail)


def _hidden(need: Need, ctx: GuardContext) -> Iterator[str]:
    """Yield what says that more may be asked for."""
    objective = ctx.policy.objective
    if need.slo_broken and objective.slo is not None:
        value = ctx.signals[objective.slo.signal].value
        yield f"{objective.slo.signal} {value:.3g} is above {objective.slo.at_most:g}"
    if need.refused:
        yield f"{objective.refused} is {need.refused:.3g}, not 0"
    if need.saturated and objective.utilisation is not None:
        use = ctx.signals[objective.utilisation].value
        yield f"{objective.utilisation} {use:.0%} is full use, and no latency says that the SLO is kept"


def _blind(signal: Signal) -> Wait:
    return Wait(reason=_REASONS[signal.state], detail=f"{signal.name} is {signal.state.value}: {signal.detail}")
