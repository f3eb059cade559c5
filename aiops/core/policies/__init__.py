"""Policies as the core sees them: compiled, frozen, checked. `aiops.policy` makes them from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aiops.core.model import PolicyKey, TargetRef
from aiops.core.policies.asked import NoTraffic, Reaction, SignalQuery, SignalSpec, WatchQuery
from aiops.core.policies.budget import BudgetScope, CostBudget, Priority, Whose
from aiops.core.policies.plans import PlanPolicy
from aiops.core.policies.scaling import (
    Backlog,
    Bounds,
    BoundsWindow,
    CalendarFreeze,
    Fallback,
    ForecastSpec,
    Guardrail,
    Lever,
    Limits,
    Objective,
    ObjectivePrice,
    RatePolicy,
    RateUnit,
    ScalingPolicy,
    ScalingRules,
    Select,
    Slo,
    Then,
    Upstream,
    Verification,
)
from aiops.core.policies.watch import Beside, Bound, Distribution, NewLevel, Rollouts, Side, WatchPolicy

__all__ = [
    "AnyPolicy",
    "Backlog",
    "Beside",
    "Bound",
    "Bounds",
    "BoundsWindow",
    "BudgetScope",
    "CalendarFreeze",
    "CostBudget",
    "Distribution",
    "Fallback",
    "ForecastSpec",
    "Guardrail",
    "Lever",
    "Limits",
    "NewLevel",
    "NoTraffic",
    "Objective",
    "ObjectivePrice",
    "PlanPolicy",
    "PolicySet",
    "Priority",
    "RatePolicy",
    "RateUnit",
    "Reaction",
    "Rollouts",
    "ScalingPolicy",
    "ScalingRules",
    "Select",
    "Side",
    "SignalQuery",
    "SignalSpec",
    "Slo",
    "Tested",
    "Then",
    "Upstream",
    "Verification",
    "WatchPolicy",
    "WatchQuery",
    "Whose",
]

Tested: TypeAlias = ScalingPolicy | WatchPolicy | PlanPolicy
"""What a unit test of policies can drive."""

AnyPolicy: TypeAlias = ScalingPolicy | WatchPolicy | PlanPolicy | CostBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """Every policy in force, loaded all or nothing. digest: of all of them.

    templates: scaling policies with a selection; what is made of them for their members stands in `scaling`.
    """

    digest: str
    scaling: tuple[ScalingPolicy, ...] = ()
    watches: tuple[WatchPolicy, ...] = ()
    plans: tuple[PlanPolicy, ...] = ()
    templates: tuple[ScalingPolicy, ...] = ()
    budgets: tuple[CostBudget, ...] = ()
    step_s: float = 15.0
    labels: Mapping[PolicyKey, Mapping[str, str]] = field(default_factory=dict)

    @property
    def asking(self) -> tuple[ScalingPolicy | PlanPolicy, ...]:
        """Return the policies that have signals of their own."""
        return (*self.scaling, *self.plans)

    @property
    def waited_for(self) -> tuple[TargetRef, ...]:
        """Return the workloads whose rollouts WatchPolicies wait for, besides the targets of other policies."""
        asks = (one.rollouts.of for one in self.watches if one.rollouts is not None)
        return tuple(dict.fromkeys(ref for refs in asks for ref in refs))

    @property
    def tested(self) -> tuple[Tested, ...]:
        """Return the policies that unit tests can drive."""
        return (*self.scaling, *self.templates, *self.watches, *self.plans)

    @property
    def every(self) -> tuple[AnyPolicy, ...]:
        """Return the policies of every kind."""
        return (*self.scaling, *self.templates, *self.watches, *self.plans, *self.budgets)
