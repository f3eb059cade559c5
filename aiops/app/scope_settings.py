"""Settings of what may be touched, and of how much at once."""

from __future__ import annotations

from pydantic import Field

from aiops.app.section import Section


class ScopeSettings(Section):
    """What may be touched (S3)."""

    namespaces: tuple[str, ...] = ()
    protected_namespaces: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease")
    protected_targets: tuple[str, ...] = ()


class LimitSettings(Section):
    """What remediations and savings of all policies may do: plans and evicted pods in any hour, nodes at once."""

    plans_per_hour: int = Field(20, ge=1, le=1000)
    pods_per_hour: int = Field(20, ge=1, le=1000)
    nodes_percent: float = Field(10.0, gt=0, le=100)
