"""The variables that conditions (CEL) see. What is not known is left out: a condition that needs it cannot be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from aiops.core.model import (
    Alert,
    Allowance,
    BudgetPeriod,
    Finding,
    Forecast,
    Incident,
    IncidentState,
    Instant,
    Pool,
    PriceBook,
    Signal,
    Workload,
)
from aiops.core.objects.pools import TOGETHER
from aiops.core.policies import ScalingPolicy

TOLD = 5
"""Suspects of an incident that conditions see, the likeliest."""

_HORIZON_QUANTILES = {"forecast.p50": 0.5, "forecast.p95": 0.95, "forecast.p99": 0.99}


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def of_policy(policy: ScalingPolicy, signals: Mapping[str, Signal], now: Instant) -> dict[str, object]:
    """Return what follows from the policy, its signals and the clock."""
    env: dict[str, object] = {f"signals.{name}": signal.value for name, signal in signals.items() if signal.usable}
    if policy.objective.slo is not None:
        env["slo.atMost"] = policy.objective.slo.at_most
    env.update(_clock(now, policy.time_zone))
    return env


@lru_cache(maxsize=64)
def _clock(now: Instant, zone: str) -> Mapping[str, float]:
    """Return what the clock says somewhere, for all policies of a turn that ask for it there."""
    local = datetime.fromtimestamp(now, UTC).astimezone(_zone(zone))
    hour, minute, weekday = float(local.hour), float(local.minute), float(local.weekday())
    return {"time.hour": hour, "time.minute": minute, "time.weekday": weekday}


def of_workload(workload: Workload | None, usd_per_hour: float | None) -> dict[str, object]:
    """Return what the inventory and the price say."""
    if workload is None:
        return {}
    env: dict[str, object] = {
        "replicas.current": float(workload.replicas),
        "replicas.ready": float(workload.ready),
    }
    if usd_per_hour is not None:
        env["cost.hour"] = usd_per_hour * workload.replicas
        env["cost.replica"] = usd_per_hour
    return env


def of_prices(prices: PriceBook, target: str) -> dict[str, object]:
    """Return `prices.*`, what a unit costs where a target's replicas run. target: its `TargetRef.key`."""
    units = prices.units(target)
    if units is None:
        return {}
    known = {"prices.core": units.core_usd, "prices.gib": units.gib_usd, "prices.gpu": units.gpu_usd}
    return {name: usd for name, usd in known.items() if usd is not None}


@lru_cache(maxsize=4096)
def asks_nodes(seen: frozenset[str]) -> bool:
    """Return whether one of these variables is about nodes."""
    return bool(seen) and ("pools" in seen or any(name.startswith("nodes.") for name in seen))


@lru_cache(maxsize=4096)
def asks_prices(seen: frozenset[str]) -> bool:
    """Return whether one of these variables is the price of a unit."""
    return bool(seen) and any(name.startswith("prices.") for name in seen)


def of_nodes(pools: Sequence[Pool], cluster: str) -> dict[str, object]:
    """Return `nodes.*`, and `pools` where these are known; a cluster without any node is one of which nothing is."""
    mine = [one for one in pools if one.cluster == cluster]
    if not mine:
        return {}
    env: dict[str, object] = {
        "nodes.count": float(sum(one.count for one in mine)),
        "nodes.ready": float(sum(one.ready for one in mine)),
        "nodes.schedulable": float(sum(one.schedulable for one in mine)),
        "nodes.cores": sum(one.cores for one in mine),
        "nodes.memoryGiB": sum(one.memory_gib for one in mine),
        "nodes.gpus": sum(one.gpus for one in mine),
    }
    if all(one.name != TOGETHER for one in mine):
        env["pools"] = [_pool(one) for one in mine]
    usd = [one.usd_per_hour for one in mine if one.usd_per_hour is not None]
    return {**env, "nodes.usdPerHour": sum(usd)} if len(usd) == len(mine) else env


def _pool(one: Pool) -> dict[str, object]:
    known: dict[str, object] = {
        "name": one.name,
        "zone": one.zone,
        "type": one.instance_type,
        "spot": one.spot,
        "count": float(one.count),
        "ready": float(one.ready),
        "schedulable": float(one.schedulable),
        "cores": one.cores,
        "memoryGiB": one.memory_gib,
        "gpus": one.gpus,
    }
    return known if one.usd_per_hour is None else {**known, "usdPerHour": one.usd_per_hour}


def of_forecast(forecast: Forecast | None, until: Instant) -> dict[str, object]:
    """Return the greatest value of each quantile path until `until`."""
    if forecast is None:
        return {}
    known = {name: q for name, q in _HORIZON_QUANTILES.items() if q in forecast.quantiles}
    return {name: forecast.quantile_max(q, until) for name, q in known.items()}


def of_percepts(findings: Iterable[Finding], incidents: Iterable[Incident]) -> dict[str, object]:
    """Return findings and incidents as lists of maps."""
    return {
        "findings": [
            {"kind": f.kind.value, "series": f.series, "score": f.score, "policy": f.policy, "labels": dict(f.labels)}
            for f in findings
        ],
        "incidents": [_incident(one) for one in incidents if one.state is IncidentState.OPEN],
    }


def _incident(one: Incident) -> dict[str, object]:
    return {
        "id": one.id,
        "kind": one.kind,
        "score": one.peak_score,
        "labels": dict(one.labels),
        "start": one.since,
        "suspects": [suspect.name for suspect in one.suspects[:TOLD]],
    }


def of_budgets(allowances: Iterable[Allowance]) -> dict[str, object]:
    """Return `cost.month.*` and `cost.day.*`, of the budget of each period that is nearest to its end; in USD."""
    env: dict[str, object] = {}
    for period in BudgetPeriod:
        known = [one.standing for one in allowances if one.standing.period is period]
        if not known:
            continue
        worst = max(known, key=lambda one: (one.ratio or one.spent / one.amount, one.budget))
        numbers = {
            "budget": worst.amount,
            "spent": worst.spent,
            "projected": worst.projected,
            "low": worst.low,
            "high": worst.high,
            "left": worst.amount - worst.spent,
            "burn": worst.burn,
            "chance": worst.chance_over,
        }
        env |= {f"cost.{period.value}.{name}": value for name, value in numbers.items() if value is not None}
    return env


def of_alerts(alerts: Iterable[Alert]) -> dict[str, object]:
    """Return the alerts that fire as a list of maps; what their labels say is compared, and never anything else."""
    return {"alerts": [{"name": one.name, "labels": dict(one.labels), "since": one.starts_at} for one in alerts]}
