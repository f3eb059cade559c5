"""The registry of planners: which function judges which kind of policy, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiops.core.decide.cost.defer import judge as defer
from aiops.core.decide.cost.idle import judge as idle
from aiops.core.decide.cost.pack import judge as pack
from aiops.core.decide.cost.rightsize import judge as rightsize
from aiops.core.decide.cost.sleep import judge as sleep
from aiops.core.decide.cost.spot import judge as spot
from aiops.core.decide.failover import judge as failover
from aiops.core.decide.remediation import judge as remediation
from aiops.core.model import (
    DeferState,
    GroupState,
    IdleState,
    Inputs,
    LadderState,
    PackState,
    RightsizeState,
    SavingState,
    SleepState,
    SpotState,
)
from aiops.core.planning import Judged, Situation
from aiops.core.planning.cost_defer import DeferPolicy
from aiops.core.planning.cost_pack import PackPolicy
from aiops.core.planning.cost_rightsize import RightsizePolicy
from aiops.core.planning.cost_sleep import IdlePolicy, SleepPolicy
from aiops.core.planning.cost_spot import SpotPolicy
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.planning.remediation import RemediationPolicy
from aiops.core.policies import PlanPolicy

Memory: TypeAlias = GroupState | LadderState | SavingState
"""What a policy of plans remembers."""


@dataclass(frozen=True, slots=True)
class Planner:
    """judged: (policy, situation, memory) -> Judged; pure. fresh: the memory to begin with, whose class is its kind."""

    judged: Callable[[Any, Situation, Any], Judged[Any]]
    fresh: Memory

    def memory(self, inputs: Inputs) -> Memory:
        """Return what a policy remembers by its inputs; at first, and after it became of another kind, nothing."""
        known = (inputs.group, inputs.ladder, inputs.saving)
        return next((one for one in known if isinstance(one, type(self.fresh))), self.fresh)


def _planners() -> Mapping[type[PlanPolicy], Planner]:
    return {
        FailoverPolicy: Planner(failover.judged, GroupState()),
        RemediationPolicy: Planner(remediation.judged, LadderState()),
        SleepPolicy: Planner(sleep.judged, SleepState()),
        IdlePolicy: Planner(idle.judged, IdleState()),
        DeferPolicy: Planner(defer.judged, DeferState()),
        RightsizePolicy: Planner(rightsize.judged, RightsizeState()),
        PackPolicy: Planner(pack.judged, PackState()),
        SpotPolicy: Planner(spot.judged, SpotState()),
    }


PLANNERS: Mapping[type[PlanPolicy], Planner] = _planners()
