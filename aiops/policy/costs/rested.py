"""What `sleep` and `idle` share, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.core.decide.cost.sleep.spec import Budgets, RestSpec
from aiops.core.decide.cost.targets_spec import WorkloadKind
from aiops.policy.costs import Asked
from aiops.policy.document import Path

RESTING = (WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET, WorkloadKind.CRON_JOB)


def rested(asked: Asked, spec: RestSpec, action: str) -> Mapping[str, Any]:
    """Return the fields that every policy of rest has, after noting what its targets cannot do."""
    target, problems = asked.spec.target, asked.problems
    if target is None:
        problems.add(("spec", action), f"{action} needs a target", hint="target: {name: web}", code="no-target")
        return {}
    for number, kind in enumerate(target.kinds):
        path: Path = ("spec", "target", "kinds", number)
        if kind not in RESTING:
            known = ", ".join(RESTING)
            problems.add(path, f"a {kind} cannot rest", hint=f"one of {known}", code="bad-target")
        if kind is WorkloadKind.STATEFUL_SET and spec.scale_in != "allowed":
            message = "StatefulSets are scaled in only where the policy says so"
            problems.add(path, message, hint=f"{action}: scaleIn: allowed", code="scale-in")
    return {
        "to": spec.to,
        "override_s": spec.manual_override,
        "budgets_bind": spec.disruption_budgets is Budgets.RESPECT,
    }
