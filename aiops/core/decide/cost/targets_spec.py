"""Which workloads a cost policy is for, as people write it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from aiops.core.decide.quantities import WholeOrNone
from aiops.core.decide.scaling.target_spec import MOST_TARGETS, SelectorSpec
from aiops.core.decide.spec import Spec, in_cel


class WorkloadKind(StrEnum):
    """What a cost policy can be for."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    CRON_JOB = "CronJob"
    JOB = "Job"


class TargetsSpec(Spec):
    """One workload by its name, or those of some kinds; always in the policy's own namespace (S3)."""

    kinds: tuple[WorkloadKind, ...] = Field(
        (WorkloadKind.DEPLOYMENT,), min_length=1, max_length=5, description="kinds of workloads"
    )
    name: str | None = Field(None, min_length=1, description="the workload's name")
    selector: SelectorSpec | None = Field(None, description="in place of a name: labels of the workloads")
    every: bool = Field(False, description="in place of a name: every workload of the namespace")
    exclude: tuple[str, ...] = Field((), max_length=MOST_TARGETS, description="names of workloads that are left alone")
    max_targets: WholeOrNone = Field(
        None, ge=1, le=MOST_TARGETS, description="without a name: more matches than this hold all of it"
    )
    namespace: str | None = Field(None, description="the policy's own namespace, and no other")
    cluster: str = Field("default", description="a cluster's name in the settings")

    @model_validator(mode="after")
    @in_cel(
        "[has(self.name), has(self.selector), has(self.every) && self.every].filter(x, x).size() == 1",
        "a target has a name, a selector, or every: true",
    )
    @in_cel(
        "has(self.name) != has(self.maxTargets)",
        "without a name there is maxTargets: more matches than that hold all of it; with a name there is none",
    )
    def one_way_to_say_which(self) -> TargetsSpec:
        """Refuse to say no target, to say it twice, and what may match any number (S3)."""
        if sum((self.name is not None, self.selector is not None, self.every)) != 1:
            raise ValueError("a target has a name, a selector, or every: true")
        if (self.name is None) != (self.max_targets is not None):
            raise ValueError(
                "without a name there is maxTargets: more matches than that hold all of it; with a name there is none"
            )
        return self
