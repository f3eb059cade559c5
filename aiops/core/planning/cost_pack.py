"""A compiled CostPolicy that packs: which nodes it may empty, how many, and what must be left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiops.core.model import Selection, Wanted
from aiops.core.planning.saving import SavingPolicy
from aiops.core.selection import LabelSelector

REPLICATED = ("ReplicaSet", "StatefulSet", "ReplicationController")
"""Controllers that say how many pods they want."""


class Deleter(StrEnum):
    """Who deletes a node that was emptied: nothing here does, and only then its hours are not paid any more."""

    CLUSTER_AUTOSCALER = "ClusterAutoscaler"
    KARPENTER = "Karpenter"
    PERSON = "Person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """A signal that must be known and lie in [at_least, at_most] all the while."""

    signal: str
    at_least: float = float("-inf")
    at_most: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Which nodes may be emptied: those with `labels`, all where None, of the cluster; at least `least` are left."""

    cluster: str
    labels: LabelSelector | None = None
    least: int = 1

    def _of(self, api_version: str, kind: str) -> Selection:
        return Selection(cluster=self.cluster, namespace="", api_version=api_version, kind=kind)

    @property
    def nodes(self) -> Selection:
        """Return every node of the cluster: pods may go to those that are not emptied, too."""
        return self._of("v1", "Node")

    @property
    def pods(self) -> Selection:
        """Return every pod of the cluster."""
        return self._of("v1", "Pod")

    @property
    def budgets(self) -> Selection:
        """Return every PodDisruptionBudget."""
        return self._of("policy/v1", "PodDisruptionBudget")

    @property
    def claims(self) -> Selection:
        """Return every claim of a volume."""
        return self._of("v1", "PersistentVolumeClaim")

    @property
    def volumes(self) -> Selection:
        """Return every volume."""
        return self._of("v1", "PersistentVolume")

    @property
    def wanted(self) -> Wanted:
        """Return what is looked at at every instant."""
        return Wanted(selections=(self.nodes, self.pods, self.budgets, self.claims, self.volumes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast. an_hour: nodes emptied in any hour; at_once: emptied and not gone yet.

    calm_s: for how long no pod must have waited and every node must have been ready. back_off_s: how long a node of
    which it did not succeed is left alone, and nothing else is tried for a sixth of that.
    """

    an_hour: int = 1
    at_once: int = 1
    calm_s: float = 300.0
    back_off_s: float = 21600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """When it has gone well: so soon every pod that was moved is ready elsewhere, and for so long; `slo` holds.

    gone_s: how long its deleter may take after that until the node takes pods again.
    """

    within_s: float = 600.0
    hold_s: float = 120.0
    gone_s: float = 3600.0
    slo: tuple[Within, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackPolicy(SavingPolicy):
    """A compiled CostPolicy that packs. below: nodes of which no more than this share is requested are emptied.

    headroom: share of cores and of memory that stays free on the pool's nodes. survives: so that one of them may be
    lost. local: whether pods are moved that leave data behind. unready: share of the cluster's nodes that may be not
    ready.
    """

    pool: Pool
    deleter: Deleter
    below: float = 0.5
    headroom: float = 0.1
    survives: bool = True
    local: bool = False
    unready: float = 0.0
    pace: Pace = Pace()
    verify: Verify = Verify()
