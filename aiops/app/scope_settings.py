"""Settings of what may be touched, and of how much at once."""

from __future__ import annotations

from pydantic import Field

from aiops.app.section import Section
from aiops.core.decide.quantities import Duration


class ScopeSettings(Section):
    """What may be touched (S3)."""

    namespaces: tuple[str, ...] = ()
    protected_namespaces: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    protected_targets: tuple[str, ...] = ()


class LimitSettings(Section):
    """What remediations and savings of all policies may do: plans and pods in any hour, nodes and ready pods at once.

    min_healthy_percent: of the workloads that are remedied; fewer are well, and nothing is remedied until that has been
    over for storm_exit_delay.
    """

    plans_per_hour: int = Field(20, ge=1, le=1000)
    pods_per_hour: int = Field(200, ge=1, le=100_000)
    nodes_percent: float = Field(10.0, gt=0, le=100)
    capacity_percent: float = Field(50.0, gt=0, le=100)
    min_healthy_percent: float = Field(51.0, ge=0, le=100)
    storm_exit_delay: Duration = 300.0
