"""The registry of planners: which function judges which kind of policy, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.core.decide.failover import judge as failover
from aiops.core.decide.remediation import judge as remediation
from aiops.core.model import GroupState, LadderState
from aiops.core.planning import Judged, Situation
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.planning.remediation import RemediationPolicy
from aiops.core.policies import PlanPolicy


@dataclass(frozen=True, slots=True)
class Planner:
    """judged: (policy, situation, memory) -> Judged; pure. fresh: the memory to begin with, whose class is its kind."""

    judged: Callable[[Any, Situation, Any], Judged[Any]]
    fresh: GroupState | LadderState


def _planners() -> Mapping[type[PlanPolicy], Planner]:
    return {
        FailoverPolicy: Planner(failover.judged, GroupState()),
        RemediationPolicy: Planner(remediation.judged, LadderState()),
    }


PLANNERS: Mapping[type[PlanPolicy], Planner] = _planners()
