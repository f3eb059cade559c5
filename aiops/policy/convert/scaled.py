"""What every source ends in: a ScalingPolicy that does what the manifest did, in dry-run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiops.policy.convert.draft import Data, Draft
from aiops.policy.convert.metrics import CPU, Demand, Workload, utilisation

SYNCS_PER_HOUR = 240
"""An HPA may change something every 15 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was read of one manifest. extra: fields of the spec that only this source has."""

    name: str
    workload: Workload
    demand: Demand
    bounds: Data
    behavior: Data
    about: tuple[str, ...]
    checks: tuple[str, ...] = ()
    keeps_hpa: bool = False
    more_signals: Data = field(default_factory=dict)
    objective: Data = field(default_factory=dict)
    fallback: Data | None = None


def draft(plan: Plan) -> Draft:
    """Return the policy of a plan."""
    work, demand = plan.workload, plan.demand
    spec: dict[str, Any] = {
        "mode": "dry-run",
        "target": {"apiVersion": work.api_version, "kind": work.kind, "name": work.name},
        "lever": "hpa-floor" if plan.keeps_hpa else "replicas",
        "signals": {demand.name: {"query": demand.query, "unit": demand.unit}, **plan.more_signals},
        "objective": {"demand": demand.name, "perReplica": _plain(demand.per_replica), **plan.objective},
    }
    comments: dict[str, tuple[str, ...]] = {
        "mode": ("It says what it would do, and does nothing: see docs/promotion.md.",)
    }
    if plan.checks:
        comments["signals"] = plan.checks
    if plan.keeps_hpa:
        spec["forecast"] = {"history": "14d", "quantile": 0.95, "leadTime": "60s"}
        comments["lever"] = ("The HPA stays and reacts; its floor (minReplicas) is raised ahead of what is expected.",)
        comments["forecast"] = (
            "What the HPA cannot do. leadTime is how long a pod takes to start until it is measured.",
        )
    elif plan.checks != IDLE_CHECK:
        comments["bounds"] = ("To scale ahead of demand, add: forecast: {history: 14d, leadTime: 60s}",)
    spec["bounds"] = plan.bounds
    if plan.behavior:
        spec |= {"behavior": plan.behavior, "limits": {"changesPerHour": SYNCS_PER_HOUR}}
    if work.kind != "Deployment":
        spec["scaleIn"] = "allowed"
        comments["scaleIn"] = (f"What a {work.kind} loses with a replica is yours to know; it was allowed before.",)
    spec["verify"] = {"within": "5m"}
    if plan.fallback is not None:
        spec["fallback"] = plan.fallback
    return Draft(
        kind="ScalingPolicy",
        name=plan.name,
        namespace=work.namespace,
        spec=spec,
        about=plan.about,
        comments=comments,
    )


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


IDLE_CHECK = (
    "Only the clock scales here: within the bounds below there is nothing to decide. Loosen them, and demand decides.",
    "While this query answers nothing, the policy holds what runs (S1), and does not go down at night either.",
)


def idle(workload: Workload) -> Demand:
    """Return the demand of what only the clock scales: the use of CPU, until bounds are loosened."""
    return utilisation(workload, CPU, 0.7)
