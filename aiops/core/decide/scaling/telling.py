"""What a proposal of a ScalingPolicy says for itself, in a line."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import Instant, Need, Signal
from aiops.core.policies import ScalingPolicy


def told_backlog(policy: ScalingPolicy, signals: Mapping[str, Signal], need: Need, now: Instant) -> str:
    """Return what waits, by when it is to be gone, and what that needs."""
    backlog = policy.objective.backlog
    waiting = signals[backlog.signal].value if backlog is not None else 0.0
    left_s = max(0.0, need.drain_by - now)
    by = f"to be gone in {left_s:.0f} s" if left_s else "overdue"
    return f"{short(waiting)} wait, {by}, needs {need.reactive}"


def told_ahead(policy: ScalingPolicy, need: Need, unit: str) -> str:
    """Return what is foreseen, by which model, and what it needs or keeps."""
    ahead = short(need.demand_ahead or 0.0)
    steps = f" in steps of {policy.step_ratio:.0%}" if policy.step(need.forecast or 0) > 1 else ""
    needs = f"{unit} within {need.lead_s:.0f} s needs {need.forecast}{steps}"
    soon = need.foreseen
    if soon is not None and need.kept == need.forecast:
        gone = f"demand fell to {short(need.demand or 0.0)} at once, where {short(soon.kept)} {unit} are usual"
        return f"{gone}: {need.kept} are kept for {soon.kept_s:.0f} s yet, in case it comes back"
    if soon is not None and need.demand_ahead != soon.upper[1]:
        upper, within_s = short(soon.upper[0]), soon.horizons_s[0]
        return (
            f"forecast {short(soon.demand[0])} + margin = {upper} {unit} within {within_s:.0f} s keeps {need.forecast}"
        )
    if soon is not None:
        return f"forecast {short(soon.demand[1])} + margin = {ahead} {needs}"
    if need.price is not None and need.price.served_ratio is not None:
        return f"forecast p{100.0 * need.price.served_ratio:.4g} by price {ahead} {needs}"
    return f"forecast p{round(100 * policy.forecast.quantile) if policy.forecast else 0} {ahead} {needs}"


def told_overload(need: Need, unit: str) -> str:
    """Return what says that more is asked for than is served, and what is needed then."""
    refused = f"{short(need.refused)} {unit}".rstrip() + " are refused" if need.refused else ""
    why = " and ".join(one for one in ("the SLO is broken" if need.slo_broken else "", refused) if one)
    return f"{why}, demand cannot be trusted below what runs, needs {need.reactive}"


def unknown(policy: ScalingPolicy, signals: Mapping[str, Signal]) -> str:
    """Return what it is that is not known: demand, or what says how full the replicas are while they are not learnt."""
    use = signals.get(policy.objective.utilisation or "")
    for signal in (signals[policy.objective.demand], use):
        if signal is not None and not signal.usable:
            return f"{signal.name} is {signal.state.value}: {signal.detail}"
    return "what a replica carries is not learnt, and none is ready to tell by its use"


def short(value: float) -> str:
    """Return a number as people read it.

    >>> short(5104.0), short(390.4), short(0.1416)
    ('5.1k', '390', '0.142')
    """
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    if value >= 1e3:
        return f"{value / 1e3:.3g}k"
    return f"{value:.3g}"
