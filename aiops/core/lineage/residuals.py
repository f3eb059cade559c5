"""Drift of what a policy's forecasts miss, as a finding of a kind of its own, where the policy asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiops.core.lineage.drift import Drifted
from aiops.core.lineage.lineage import Lineage
from aiops.core.lineage.next_minutes import SUFFIX, NextMinutes
from aiops.core.model import Finding, FindingKind, Instant, PolicyKey
from aiops.core.policies import PolicySet, ScalingPolicy


def asking(policies: PolicySet) -> tuple[ScalingPolicy, ...]:
    """Return the policies that ask for it; a shadow's forecast is of the demand of who acts, and says nothing new."""
    every = (one for one in policies.scaling if one.forecast is not None and one.forecast.finds_drift)
    return tuple(one for one in every if not one.candidate_for)


def residual_drifts(
    policies: Iterable[ScalingPolicy], lineages: Mapping[PolicyKey, Lineage | NextMinutes], at: Instant
) -> tuple[Finding, ...]:
    """Return a finding for each model of these policies whose errors have drifted; people are called once for it.

    value, expected, lower, upper: the mean pinball loss of an hour and what is usual of it, in units of the demand (of
    the next minutes: of its logarithm); or shares of values in the 80 % interval.
    """
    found = []
    for policy in policies:
        for name in (policy.key, f"{policy.key}/{SUFFIX}"):
            lineage = lineages.get(name)
            drifted = None if lineage is None else lineage.drifted
            if lineage is not None and drifted is not None:
                found.append(_finding(policy, name, lineage.champion.name, drifted, at))
    return tuple(found)


def _finding(policy: ScalingPolicy, name: str, model: str, drifted: Drifted, at: Instant) -> Finding:
    signal = policy.objective.demand
    return Finding(
        policy=policy.key,
        series=f"{name}#{signal}",
        labels={"__name__": signal, "namespace": policy.target.namespace, "workload": policy.target.name},
        kind=FindingKind.RESIDUAL_DRIFT,
        at=at,
        since=drifted.since,
        score=max(drifted.times, 1.0),
        p_value=drifted.p_value,
        value=drifted.seen,
        expected=drifted.usual,
        lower=drifted.lower,
        upper=drifted.upper,
        reason=f"what {model} foretells of {signal} of {policy.target.name} is off: {drifted.why}",
        alarm=drifted.since == at,
        evidence={"times": drifted.times},
    )
