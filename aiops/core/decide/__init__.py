"""Stage decide: what policies want. Each kind of policy carries its spec and has its line in `POLICY_KINDS`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from aiops.core.decide.spec import Spec


@cache
def policy_kinds() -> Mapping[str, type[Spec]]:
    """Return the kinds of policies by name; made at first use, since pydantic's models cost start-up time."""
    from aiops.core.decide.budget.spec import BudgetSpec
    from aiops.core.decide.failover.spec import FailoverSpec
    from aiops.core.decide.remediation.spec import RemediationSpec
    from aiops.core.decide.scaling.spec import ScalingSpec
    from aiops.core.decide.watch.spec import WatchSpec

    return {
        "ScalingPolicy": ScalingSpec,
        "WatchPolicy": WatchSpec,
        "CostBudget": BudgetSpec,
        "FailoverPolicy": FailoverSpec,
        "RemediationPolicy": RemediationSpec,
    }
