"""How many replicas a ScalingPolicy wants: reactive need and forecast need, combined by max.

The forecast raises only: it never lowers below the reactive need. Missing demand wants nothing but to stay (S1, S2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from aiops.core.decide.scaling.ahead import served
from aiops.core.decide.scaling.backlog import NONE, Drain, Queue, drain
from aiops.core.decide.scaling.carrying import Carrying, carrying
from aiops.core.decide.scaling.censored import SATURATED_RATIO, Censored, at_least, censored
from aiops.core.decide.scaling.pricing import ahead_of, demand_at, span, terms_of, weighed
from aiops.core.decide.scaling.room import ready_before, room_of, tops_up
from aiops.core.decide.scaling.telling import short, told_ahead, told_backlog, told_overload, unknown
from aiops.core.model import (
    Capacity,
    Change,
    Expectation,
    Forecast,
    Instant,
    Need,
    Nowcast,
    PriceBook,
    Proposal,
    Scale,
    SetFloor,
    Signal,
    TargetState,
    Weighed,
    Workload,
)
from aiops.core.model.started import LEAD_QUANTILE, ranked
from aiops.core.model.swift import making, swift
from aiops.core.policies import ScalingPolicy

OVERLOAD_STEP_RATIO = 0.25
"""How much is added for demand that cannot be seen because it is refused or queued."""

UNEXPLAINED_TICKS = 2
"""An SLO that stays broken for so many ticks, and no forecast says why, is answered as an overload."""

_FUZZ = 1e-9


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a proposal is made from. replica_usd_per_hour: None while the price is unknown. prices: to be weighed."""

    now: Instant
    tick_s: float
    workload: Workload
    signals: Mapping[str, Signal]
    forecast: Forecast | None
    state: TargetState
    nowcast: Nowcast | None = None
    capacity: Capacity | None = None
    replica_usd_per_hour: float | None
    prices: PriceBook = field(default_factory=PriceBook)


_proposal, _needed, _expected = making(Proposal), making(Need), making(Expectation)
_set_floor, _scale = making(SetFloor), making(Scale)


def proposal(policy: ScalingPolicy, seen: Situation) -> Proposal:
    """Return what the policy wants now; a wish to stay is a proposal too."""
    before = _level(policy, seen.workload)
    need, room = _need(policy, seen, before)
    wanted, reason = _wish(policy, seen, need, before, room)
    return _proposal(
        policy=policy.key,
        target=policy.target,
        change=_change(policy, seen.workload, before, wanted),
        need=need,
        evidence=_evidence(policy),
        reason=reason,
        expectation=_expectation(seen, need, before, wanted),
    )


def _evidence(policy: ScalingPolicy) -> tuple[str, ...]:
    asked = policy.objective
    named = (asked.demand,) if asked.slo is None else (asked.demand, asked.slo.signal)
    return named if asked.refused is None else (*named, asked.refused)


def nothing(policy: ScalingPolicy, why: str) -> Proposal:
    """Return the wish for nothing, for a target that is not there."""
    need = Need(
        reactive=None,
        forecast=None,
        demand=None,
        demand_ahead=None,
        capacity=policy.objective.per_replica or 0.0,
        lead_s=0.0,
        lead_measured=False,
        usage_ratio=None,
    )
    return Proposal(
        policy=policy.key,
        target=policy.target,
        change=Scale(before=0, after=0),
        need=need,
        evidence=(),
        reason=why,
        expectation=Expectation(risk_before=None, risk_after=None, cost_usd_per_hour=None),
    )


def lead_time(policy: ScalingPolicy, workload: Workload) -> tuple[float, bool]:
    """Return the start-up lead time in seconds (p95 of what was measured, else the policy's), and whether measured."""
    if workload.startup is not None:
        return workload.startup.p95_s, True
    if workload.startup_s:
        return _lead_of(workload.startup_s), True
    return (policy.forecast.lead_s if policy.forecast else 0.0), False


@lru_cache(maxsize=4096)
def _lead_of(startup_s: tuple[float, ...]) -> float:
    """Return how long all but the slowest start-ups take."""
    return ranked(sorted(startup_s), LEAD_QUANTILE)


def _level(policy: ScalingPolicy, workload: Workload) -> int:
    if policy.lever.is_floor and workload.hpas:
        return workload.hpas[0].min_replicas
    return workload.replicas


def _change(policy: ScalingPolicy, workload: Workload, before: int, after: int) -> Change:
    if policy.lever.is_floor:
        return _set_floor(hpa=workload.hpas[0].name if workload.hpas else "", before=before, after=after)
    return _scale(before=before, after=after)


def _need(policy: ScalingPolicy, seen: Situation, before: int) -> tuple[Need, float | None]:
    # what a partial signal shows is a lower bound: enough to scale out on, and the guard holds scale-in (S1)
    hidden = censored(policy, seen.signals)
    demand = _plus(at_least(seen.signals[policy.objective.demand]), hidden.beside)
    carried = carrying(policy.objective, seen.capacity, seen.signals, seen.workload.replicas)
    lead_s, measured = lead_time(policy, seen.workload)
    followed = _followed(policy, seen) if demand is not None else None
    price = _price(policy, seen, carried, (followed, lead_s))
    ahead = _ahead(policy, seen, lead_s, price) if demand is not None and followed is None else None
    draining = _draining(policy, seen, carried, lead_s)
    if followed is not None:
        ahead = served(followed, carried, before, _rate(draining))
    room = _room(policy, seen) if carried is None or (ahead is None and tops_up(policy)) else None
    by_demand = _reactive(demand, carried, room)
    backlog = None if draining is None or carried is None else _for_backlog(seen, carried, demand or 0.0, draining)
    reactive = _both(by_demand, backlog, before)
    peak = _peak(demand, ahead, draining)
    forecast = None if ahead is None or carried is None else _foreseen(policy, carried, ahead + _rate(draining))
    kept = _kept(followed, carried, before)
    forecast = forecast if kept is None or forecast is None else max(forecast, kept)
    if _overloaded(hidden, explained=followed is not None and _explained(seen, forecast)):
        reactive = _under_overload(seen, reactive, lead_s, _used_ratio(policy, seen, demand, carried))
    if reactive is not None and carried is not None:
        reactive = carried.useful(reactive)
    need = _needed(
        reactive=reactive,
        forecast=forecast,
        demand=demand,
        demand_ahead=ahead,
        capacity=0.0 if carried is None else carried.each(max(before, reactive or 1)),
        lead_s=lead_s,
        lead_measured=measured,
        usage_ratio=_usage_ratio(peak, carried, room, before),
        slo_broken=hidden.slo_broken,
        refused=hidden.beside,
        saturated=hidden.saturated,
        capacity_learned=policy.objective.per_replica is None and carried is not None,
        foreseen=followed,
        kept=kept,
        backlog=backlog,
        drain_by=seen.state.drain_by if draining is None else draining.due,
        price=price,
    )
    return need, room


def _foreseen(policy: ScalingPolicy, carried: Carrying, demand: float) -> int:
    """Return how many carry what is foreseen, in whole steps: what is a little more is then seldom a change."""
    least = carried.replicas_for(demand)
    step = policy.step(least)
    return least if step == 1 else max(least, carried.useful(-(-least // step) * step))


def _kept(followed: Nowcast | None, carried: Carrying | None, before: int) -> int | None:
    """Return how many stay for demand that is gone and may come back: of those that there are, and no more."""
    if followed is None or carried is None or followed.kept_s <= 0.0:
        return None
    return min(carried.replicas_for(followed.upper_kept), before)


def _plus(demand: float | None, beside: float) -> float | None:
    return None if demand is None else demand + beside


def _draining(policy: ScalingPolicy, seen: Situation, carried: Carrying | None, lead_s: float) -> Drain | None:
    """Return how fast what waits must shrink, None where no backlog is served or it is not known."""
    backlog = policy.objective.backlog
    waiting = None if backlog is None else at_least(seen.signals[backlog.signal])
    if backlog is None or waiting is None or carried is None:
        return None
    queue = Queue(
        waiting=waiting,
        arriving=at_least(seen.signals[policy.objective.demand]) or 0.0,
        carried=carried.by(seen.workload.ready),
        due=seen.state.drain_by,
        delay_s=lead_s + seen.tick_s + backlog.rebalance_s,
    )
    return drain(backlog, queue, seen.now, seen.tick_s)


def _for_backlog(seen: Situation, carried: Carrying, demand: float, draining: Drain) -> int:
    """Return how many serve what arrives and drain what waits; one at least where anything stands."""
    if draining == NONE:
        return 0
    return max(1, carried.replicas_for(demand + draining.rate))


def _both(by_demand: int | None, backlog: int | None, before: int) -> int | None:
    """Return the reactive need; a backlog alone asks for more where demand is not known, and never for less (S2)."""
    if by_demand is None:
        return backlog if backlog is not None and backlog > before else None
    return max(by_demand, backlog or 0)


def _rate(draining: Drain | None) -> float:
    return 0.0 if draining is None else draining.rate


def _peak(demand: float | None, ahead: float | None, draining: Drain | None) -> float | None:
    """Return the most that is to be carried, now or ahead, with what waits."""
    known = [value for value in (demand, ahead) if value is not None]
    return max(known) + _rate(draining) if known else None


def _reactive(demand: float | None, carried: Carrying | None, room: float | None) -> int | None:
    """Return what demand now needs; by utilisation, as an HPA does, while the capacity is not known.

    A learnt capacity is what replicas carry at the edge of the SLO. Room above that is the forecast's to add, so that
    without one utilisation asks for it (room: how many replicas it wants, None where it is not asked or not known).
    """
    by_use = None if room is None else math.ceil(room - _FUZZ)
    if carried is None:
        return by_use
    return None if demand is None else max(carried.replicas_for(demand), by_use or 0)


def _room(policy: ScalingPolicy, seen: Situation) -> float | None:
    return room_of(policy, seen.signals, seen.workload, ready_before(seen.state, seen.now, seen.tick_s))


def _usage_ratio(peak: float | None, carried: Carrying | None, room: float | None, before: int) -> float | None:
    """Return what is wanted over what there is, None while what replicas carry is not known."""
    if peak is None or carried is None or before == 0:
        return None
    return max(carried.used_ratio(peak, before), (room or 0.0) / before)


def _followed(policy: ScalingPolicy, seen: Situation) -> Nowcast | None:
    """Return the nowcast that is served, None where none is asked for or it may not be acted on."""
    return seen.nowcast if policy.by_slo and seen.nowcast is not None and seen.nowcast.acts else None


def _explained(seen: Situation, forecast: int | None) -> bool:
    """Return whether a broken SLO calls for no more than the forecast: it has just begun, or more is on its way."""
    begun_s = seen.now - min(seen.state.slo_broken_since, seen.now)
    return begun_s < UNEXPLAINED_TICKS * seen.tick_s or (forecast is not None and forecast > seen.workload.replicas)


def _overloaded(hidden: Censored, *, explained: bool) -> bool:
    """Return whether more is asked of what runs than it serves; full replicas alone may serve all that is asked."""
    return hidden.beside > 0.0 or (hidden.slo_broken and not explained)


def _used_ratio(policy: ScalingPolicy, seen: Situation, demand: float | None, carried: Carrying | None) -> float:
    """Return how full the ready ones are: by demand over what they carry, or as measured, whichever is more.

    What they carry may be less than what is known: requests that become dearer fill them at the same demand.
    """
    use = seen.signals.get(policy.objective.utilisation or "")
    measured = use.value if use is not None and use.usable else 0.0
    return max(measured, 0.0 if carried is None else carried.used_ratio(demand, seen.workload.ready))


def _under_overload(seen: Situation, reactive: int | None, lead_s: float, used_ratio: float) -> int:
    """Return the need under an overload: demand is censored, so never less than what runs (S1).

    Saturated replicas hide demand: then a step is added, and given its lead time before the next. It is a step above
    those of them that were ever ready: what never was is no reason for more of it, what is no more is.
    """
    running = seen.workload.replicas
    needed = max(running, reactive or 0)
    if used_ratio < SATURATED_RATIO or seen.now - seen.state.last_out_at < lead_s:
        return needed
    serving = max(seen.workload.ready, min(seen.state.most_ready, running))
    return max(needed, math.ceil(serving * (1.0 + OVERLOAD_STEP_RATIO)))


def _price(
    policy: ScalingPolicy, seen: Situation, carried: Carrying | None, soon: tuple[Nowcast | None, float]
) -> Weighed | None:
    """Return what a replica costs against late requests, None without prices. soon: what is followed, and the lead."""
    followed, lead_s = soon
    priced = terms_of(policy, seen.prices)
    if priced is None:
        return None
    ahead = ahead_of(seen.forecast, followed, seen.now + lead_s + seen.tick_s)
    return weighed(priced, carried, ahead, span(policy, seen.forecast, followed=followed is not None))


def _ahead(policy: ScalingPolicy, seen: Situation, lead_s: float, price: Weighed | None) -> float | None:
    """Return the served quantile of demand until a replica asked for now, or a tick later, would be ready."""
    if policy.forecast is None or seen.forecast is None or not seen.forecast.learned:
        return None
    quantile = policy.forecast.quantile if price is None or price.served_ratio is None else price.served_ratio
    ahead = demand_at(seen.forecast, quantile, seen.now + lead_s + seen.tick_s)
    return ahead if math.isfinite(ahead) else None


def _wish(policy: ScalingPolicy, seen: Situation, need: Need, before: int, room: float | None) -> tuple[int, str]:
    demand = policy.objective.demand
    unit = policy.signals[demand].unit
    if need.reactive is None:
        return _blind_wish(policy, seen, before)
    if need.forecast is not None and need.forecast > need.reactive and need.demand_ahead is not None:
        return need.forecast, told_ahead(policy, need, unit)
    if need.backlog is not None and need.backlog >= need.reactive and need.drain_by < math.inf:
        return need.reactive, told_backlog(policy, seen.signals, need, seen.now)
    if need.overloaded:
        return need.reactive, told_overload(need, unit)
    if need.capacity <= 0.0 or (room is not None and need.reactive == math.ceil(room - _FUZZ)):
        use = seen.signals[policy.objective.utilisation or demand].value
        why = "what one carries is not learnt yet" if need.capacity <= 0.0 else "and no forecast may be acted on"
        return need.reactive, f"{use:.0%} of {seen.workload.ready} ready are used, {why}: needs {need.reactive}"
    return need.reactive, f"{demand} {short(need.demand or 0.0)} {unit} needs {need.reactive}"


def _blind_wish(policy: ScalingPolicy, seen: Situation, before: int) -> tuple[int, str]:
    """Return the wish to stay; to rise to the minimum; or to the fallback once all has been blind for long (S2)."""
    why = unknown(policy, seen.signals)
    low, _, _ = policy.bounds.at(seen.now)
    if before < low:
        return low, f"{why}; rises to the minimum {low}"
    fallback = policy.fallback
    if fallback is None or any(other.usable for other in seen.signals.values()):
        return before, why
    good = [memory.last_good_at for memory in seen.state.signals.values()]
    blind_since = max(min(seen.state.since, seen.now), *good) if good else seen.now
    if fallback.replicas <= before or seen.now - blind_since < fallback.after_s:
        return before, why
    return fallback.replicas, f"{why}; blind for {fallback.after_s:.0f} s, falls back to {fallback.replicas}"


def _expectation(seen: Situation, need: Need, before: int, after: int) -> Expectation:
    price = seen.replica_usd_per_hour
    risk_before = _risk(seen, need, before)
    return _expected(
        risk_before=risk_before,
        risk_after=risk_before if after == before else _risk(seen, need, after),
        cost_usd_per_hour=None if price is None else price * (after - before),
    )


def _risk(seen: Situation, need: Need, replicas: int) -> float | None:
    """Return P(demand > what the replicas carry) within the lead time, linear between the forecast's quantiles."""
    forecast = seen.forecast
    if forecast is None or not forecast.learned or need.demand_ahead is None:
        return None
    until = seen.now + need.lead_s + seen.tick_s
    carried = replicas * need.capacity
    below_q, below_v = 0.0, 0.0
    for quantile in forecast.quantiles:
        value = forecast.quantile_max(quantile, until)
        if carried < value:
            share = (carried - below_v) / (value - below_v) if value > below_v else 0.0
            return 1.0 - (below_q + max(0.0, share) * (quantile - below_q))
        below_q, below_v = quantile, value
    return 1.0 - below_q
