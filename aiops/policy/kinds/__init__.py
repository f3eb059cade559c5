"""The kinds of policies. A kind is one file beside this one, and one line in `kinds`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from aiops.core.decide.spec import Spec
from aiops.policy.compile import Compiled, Envelope, Kind, Problems, canonical


@cache
def kinds() -> Mapping[str, Kind]:
    """Return the kinds by name; made at first use, since pydantic's models cost start-up time."""
    from aiops.policy.kinds import budget, cost, failover, remediation, scaling, watch

    return {
        "ScalingPolicy": scaling.KIND,
        "WatchPolicy": watch.KIND,
        "CostBudget": budget.KIND,
        "CostPolicy": cost.KIND,
        "FailoverPolicy": failover.KIND,
        "RemediationPolicy": remediation.KIND,
    }


def compiled(envelope: Envelope, spec: Spec, problems: Problems) -> Compiled | None:
    """Return the compiled policy, or None when problems with errors were noted."""
    return kinds()[envelope.kind].compile(envelope, spec, canonical(envelope, spec), problems)
