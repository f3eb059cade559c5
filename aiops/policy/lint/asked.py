"""The queries of a policy with what they are for, so that a rule can ask more of some than of others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiops.core.planning.failover import SERVED, FailoverPolicy, lag, users, volume
from aiops.core.policies import AnyPolicy, CostBudget, PlanPolicy, ScalingPolicy, SignalSpec, WatchPolicy
from aiops.policy.document import Path as FieldPath
from aiops.policy.lint.trees import Facts, facts


class Role(StrEnum):
    """What a query is for."""

    DEMAND = "demand"
    SLO = "slo"
    UTILISATION = "utilisation"
    BACKLOG = "backlog"
    REFUSED = "refused"
    OTHER = "other"
    PRESENCE = "presence"
    WATCH = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One query. signal: its name, '' for a watch; unit: as it was written; lead_s: how far ahead its policy looks."""

    path: FieldPath
    expr: str
    role: Role
    facts: Facts
    signal: str = ""
    unit: str = ""
    lead_s: float = 0.0


def asked(policy: AnyPolicy) -> tuple[Asked, ...]:
    """Return the queries of a policy, those that tell a presence behind their signals."""
    if isinstance(policy, CostBudget):
        return ()
    if isinstance(policy, WatchPolicy):
        expr = policy.query.expr
        return (Asked(path=("spec", "query"), expr=expr, role=Role.WATCH, facts=facts(expr)),)
    if isinstance(policy, FailoverPolicy):
        return _of_failover(policy)
    return tuple(one for name, spec in policy.signals.items() for one in _of_signal(policy, name, spec))


def _of_failover(policy: FailoverPolicy) -> tuple[Asked, ...]:
    """Return each query as it is asked for the first site at the first vantage point: the others ask the same."""
    site, point = policy.sites[0].name, policy.watching.vantage_points[0].name
    places: dict[str, FieldPath] = {
        users(site, point): ("spec", "health", "users", "query"),
        volume(site, point): ("spec", "health", "users", "volume"),
        lag(site): ("spec", "preconditions", "replicationLag", "query"),
        SERVED: ("spec", "health", "served", "query"),
    }
    known = [(policy.signals[name], path) for name, path in places.items() if name in policy.signals]
    return tuple(
        Asked(path=path, expr=one.query.expr, role=Role.OTHER, facts=facts(one.query.expr), signal=one.query.name)
        for one, path in known
    )


def role(policy: ScalingPolicy, name: str) -> Role:
    """Return what a signal is for; one that is for several things is for the first of them."""
    objective = policy.objective
    roles = {
        objective.demand: Role.DEMAND,
        **({objective.slo.signal: Role.SLO} if objective.slo is not None else {}),
        **({objective.utilisation: Role.UTILISATION} if objective.utilisation is not None else {}),
        **({objective.backlog.signal: Role.BACKLOG} if objective.backlog is not None else {}),
        **({objective.refused: Role.REFUSED} if objective.refused is not None else {}),
    }
    return Role.DEMAND if name == objective.demand else roles.get(name, Role.OTHER)


def _of_signal(policy: ScalingPolicy | PlanPolicy, name: str, spec: SignalSpec) -> tuple[Asked, ...]:
    path: FieldPath = ("spec", "signals", name)
    scaling = policy if isinstance(policy, ScalingPolicy) else None
    lead_s = scaling.forecast.lead_s if scaling is not None and scaling.forecast is not None else 0.0
    own = Asked(
        path=(*path, "query"),
        expr=spec.query.expr,
        role=Role.OTHER if scaling is None else role(scaling, name),
        facts=facts(spec.query.expr),
        signal=name,
        unit=spec.unit,
        lead_s=lead_s,
    )
    presence = spec.query.presence_expr
    if presence is None:
        return (own,)
    other = Asked(path=(*path, "presence"), expr=presence, role=Role.PRESENCE, facts=facts(presence), signal=name)
    return own, other
