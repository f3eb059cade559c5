"""Words that every stage uses: time, modes, reasons, names of things."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiops.core.model.swift import swift

Instant: TypeAlias = float
"""Seconds since the Unix epoch, UTC."""

PolicyKey: TypeAlias = str
"""`Kind/namespace/name` of a policy."""

F64: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.floating[Any]]
Bools: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]


class Mode(StrEnum):
    """How far a policy may go; the stricter of the policy's and the global mode wins (S6)."""

    OBSERVE = "observe"
    DRY_RUN = "dry-run"
    APPROVE = "approve"
    ENFORCE = "enforce"

    @property
    def rank(self) -> int:
        """Return 0 for the strictest mode."""
        return _RANKS[self]


_RANKS = {mode: rank for rank, mode in enumerate(Mode)}


def stricter(one: Mode, other: Mode) -> Mode:
    """Return the mode that goes less far."""
    return one if one is other or _RANKS[one] <= _RANKS[other] else other


class Reason(StrEnum):
    """Why something was not done, or not done as wished; the label of metrics and of tests."""

    # inputs (S1, S2)
    ABSENT_SIGNAL = "absent_signal"
    EMPTY_SIGNAL = "empty_signal"
    NAN_SIGNAL = "nan_signal"
    STALE_SIGNAL = "stale_signal"
    PARTIAL_SIGNAL = "partial_signal"
    FAILED_SIGNAL = "failed_signal"
    CENSORED_DEMAND = "censored_demand"
    UPSTREAM_OUTAGE = "upstream_outage"
    # what may be touched, and by whom (S2, S3, S4, S6)
    NOT_LEADER = "not_leader"
    UNFENCED = "unfenced"
    STORE_UNAVAILABLE = "store_unavailable"
    CLUSTER_UNAVAILABLE = "cluster_unavailable"
    PROTECTED = "protected"
    NOT_OPTED_IN = "not_opted_in"
    UNKNOWN_TARGET = "unknown_target"
    SCALE_IN_NOT_ALLOWED = "scale_in_not_allowed"
    OWNED = "owned"
    MANUAL_OVERRIDE = "manual_override"
    SWITCHED_OFF = "switched_off"
    SCALING_INACTIVE = "scaling_inactive"
    NO_PERMISSION = "no_permission"
    # what is written in Git (S4)
    UNDECLARED = "undeclared"
    OUT_OF_RANGE = "out_of_range"
    NOT_SYNCED = "not_synced"
    PROPOSED = "proposed"
    PUSH_REFUSED = "push_refused"
    REPOSITORY_UNAVAILABLE = "repository_unavailable"
    # modes and people (S6, S9)
    MODE_OBSERVE = "mode_observe"
    DRY_RUN_SETTLED = "dry_run_settled"
    APPROVAL_NEEDED = "approval_needed"
    APPROVAL_REJECTED = "approval_rejected"
    PAUSED = "paused"
    FROZEN = "frozen"
    GUARDRAIL = "guardrail"
    GUARDRAIL_UNDECIDED = "guardrail_undecided"
    # change limits (S5)
    BOUNDS = "bounds"
    TOLERANCE = "tolerance"
    STABILISATION = "stabilisation"
    RATE = "rate"
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    COST_BUDGET = "cost_budget"
    DISRUPTION_BUDGET = "disruption_budget"
    IN_FLIGHT = "in_flight"
    KNOWN_CAUSE = "known_cause"
    ROLLOUT = "rollout"
    # plans: failover and remediation (S7, S8)
    INCONCLUSIVE = "inconclusive"
    PARTITIONED = "partitioned"
    NO_WITNESS = "no_witness"
    API_DOWN = "api_down"
    STANDBY_SICK = "standby_sick"
    STANDBY_SMALL = "standby_small"
    REPLICATION_LAG = "replication_lag"
    REGION_NOT_ALLOWED = "region_not_allowed"
    MOVED_LATELY = "moved_lately"
    NOT_WELL_LONG_ENOUGH = "not_well_long_enough"
    NOT_UNDOABLE = "not_undoable"
    STORM = "storm"
    BREAKER_OPEN = "breaker_open"
    BACK_OFF = "back_off"
    EXHAUSTED = "exhausted"
    # acting
    REFUSED = "refused"
    EXPIRED = "expired"
    BUG = "bug"


@swift
@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TargetRef:
    """A Kubernetes object that can be scaled, in one of the clusters that the daemon knows."""

    cluster: str = "default"
    namespace: str
    api_version: str = "apps/v1"
    kind: str = "Deployment"
    name: str

    @property
    def key(self) -> str:
        """Return the text under which maps and stores know this target."""
        return f"{self.cluster}/{self.namespace}/{self.api_version}/{self.kind}/{self.name}"

    def __str__(self) -> str:
        """Return what people read: `namespace/name`, the name alone of what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class OwnerKind(StrEnum):
    """Who steers a field of an object (S4)."""

    AIOPS = "aiops"
    HPA = "hpa"
    VPA = "vpa"
    KEDA = "keda"
    ARGO_CD = "argo-cd"
    FLUX = "flux"
    FLAGGER = "flagger"
    ARGO_ROLLOUTS = "argo-rollouts"
    KARPENTER = "karpenter"
    CLUSTER_AUTOSCALER = "cluster-autoscaler"
    CLUSTER_API = "cluster-api"
    CREATOR = "creator"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOwner:
    """One manager of one field, from managedFields or from an object that points at the target.

    `field` is `replicas` or `minReplicas` of a workload, a path such as `spec.rules` of what plans look at; `at` is the
    time of the manager's last write, if known.
    """

    field: str
    kind: OwnerKind
    manager: str
    at: Instant | None = None
