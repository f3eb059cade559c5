"""Which metrics source is asked where a policy names none: that of its target's cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiops.core.policies import PolicySet, ScalingPolicy


def sourced(policies: PolicySet, sources: Mapping[str, str]) -> PolicySet:
    """Return the policies with the source of each signal that names none. sources: by cluster."""
    return replace(
        policies,
        scaling=tuple(_of(policy, sources) for policy in policies.scaling),
        templates=tuple(_of(policy, sources) for policy in policies.templates),
    )


def _of(policy: ScalingPolicy, sources: Mapping[str, str]) -> ScalingPolicy:
    source = sources.get(policy.target.cluster, "")
    if not source:
        return policy
    signals = {
        name: spec if spec.query.source else replace(spec, query=replace(spec.query, source=source))
        for name, spec in policy.signals.items()
    }
    return replace(policy, signals=signals)
