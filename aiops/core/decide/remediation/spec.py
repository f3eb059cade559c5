"""`RemediationPolicy` as people write it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from aiops.core.decide.quantities import Duration, Level, Quantity, Ratio, Whole, WholeOrNone, duration_or
from aiops.core.decide.remediation.belonging import as_schema, refused
from aiops.core.decide.remediation.rung_spec import RungSpec
from aiops.core.decide.scaling.spec import FreezeSpec, SignalSpec
from aiops.core.decide.scaling.target_spec import SelectorSpec
from aiops.core.decide.spec import Spec, in_schema
from aiops.core.model import Mode

# -- what it is for ----------------------------------------------------------------------------------


class TargetSpec(Spec):
    """The workload that is remedied, always in the policy's own namespace (S3)."""

    api_version: str = Field("apps/v1", description="group and version of the object")
    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "CronJob"] = Field("Deployment", description="its kind")
    name: str = Field(min_length=1, description="the object's name")
    namespace: str | None = Field(None, description="the policy's own namespace, and no other")
    cluster: str = Field("default", description="a cluster's name in the settings")


def count_or_share(value: object) -> object:
    """Return a count, or a share such as `51%` as it is; raise ValueError."""
    if isinstance(value, str) and re.fullmatch(r"(100|[0-9]{1,2})%", value):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count of nodes and no share such as 51%")
    return value


CountOrShare = Annotated[
    int | str,
    BeforeValidator(count_or_share),
    WithJsonSchema(
        {"type": ["string", "integer"], "pattern": "^(100|[0-9]{1,2})%$", "minimum": 0, "examples": ["51%"]}
    ),
]


DurationOrManual = Annotated[float | Literal["manual"], *duration_or("manual", examples=["5m", "manual"])]


class NodesSpec(Spec):
    """Nodes that are remedied, each for itself, as medik8s' NodeHealthCheck does."""

    cluster: str = Field("default", description="a cluster's name in the settings")
    selector: SelectorSpec | None = Field(None, description="labels of the nodes; none: every node")
    min_healthy: CountOrShare = Field("51%", description="nothing is done while fewer nodes than this are well")
    storm_exit_delay: Duration = Field(
        300.0, description="after too many were sick: how long enough must be well before anything is done"
    )
    healthy_delay: DurationOrManual = Field(
        300.0, description="how long a node must be well before it takes pods again; manual: a person uncordons it"
    )


# -- what trouble is ---------------------------------------------------------------------------------


class FindingSpec(Spec):
    """An anomaly that is open."""

    kind: str | None = Field(None, description="point, level-shift, trend, absence, ...; none: any")
    watch: str | None = Field(None, description="a WatchPolicy of the namespace; none: any")
    labels: dict[str, str] = Field({}, description="labels that it has")


class IncidentSpec(Spec):
    """Findings that belong together."""

    kind: str | None = Field(None, description="of its worst finding; none: any")
    labels: dict[str, str] = Field({}, description="labels that it has")


class ConditionName(StrEnum):
    """What is looked for in the cluster, or foreseen."""

    CRASH_LOOP = "CrashLoop"
    STUCK_ROLLOUT = "StuckRollout"
    NODE_NOT_READY = "NodeNotReady"
    NODE_CONDITION = "NodeCondition"
    ROLLOUT_REGRESSION = "RolloutRegression"
    MEMORY_LEAK = "MemoryLeak"
    DISK_FULL = "DiskFull"
    CERTIFICATE_EXPIRY = "CertificateExpiry"


FORESEEN = (ConditionName.MEMORY_LEAK, ConditionName.DISK_FULL, ConditionName.CERTIFICATE_EXPIRY)

_GOES_WITH = {
    "pods": (ConditionName.CRASH_LOOP,),
    "restarts": (ConditionName.CRASH_LOOP,),
    "type": (ConditionName.NODE_CONDITION,),
    "status": (ConditionName.NODE_CONDITION,),
    "signal": FORESEEN,
    "limit": (ConditionName.MEMORY_LEAK, ConditionName.DISK_FULL),
    "bad": (ConditionName.ROLLOUT_REGRESSION,),
    "total": (ConditionName.ROLLOUT_REGRESSION,),
    "worse_by": (ConditionName.ROLLOUT_REGRESSION,),
    "alpha": (ConditionName.ROLLOUT_REGRESSION,),
    "within": (*FORESEEN, ConditionName.ROLLOUT_REGRESSION),
}
"""Which conditions a field belongs to."""

_NEEDED = ("type", "signal", "limit", "bad", "total")

_SAYS = ("alert", "finding", "incident", "condition", "cel")


class WhenSpec(Spec):
    """One kind of trouble; any of several is enough."""

    alert: str | None = Field(None, min_length=1, description="the name of an alert that fires")
    labels: dict[str, str] = Field({}, description="with alert: labels that it has")
    node_label: str = Field("node", min_length=1, description="over nodes: the label that names the node")
    finding: FindingSpec | None = Field(None, description="an anomaly that is open")
    incident: IncidentSpec | None = Field(None, description="an incident that is open")
    condition: ConditionName | None = Field(None, description="what is seen in the cluster, or foreseen")
    pods: WholeOrNone = Field(None, ge=1, description="of CrashLoop: so many pods at least; none: 1")
    restarts: WholeOrNone = Field(None, ge=1, description="of CrashLoop: restarts of a container; none: 3")
    type: str | None = Field(None, min_length=1, description="of NodeCondition: DiskPressure, KernelDeadlock, ...")
    status: Literal["True", "False", "Unknown"] | None = Field(None, description="of NodeCondition; none: True")
    signal: str | None = Field(None, description="of what is foreseen: the signal, for certificates the time left")
    limit: Level | None = Field(None, description="of MemoryLeak and DiskFull: where the signal must not arrive")
    within: Duration | None = Field(None, gt=0, description="of what is foreseen: so soon; of rollouts: so long after")
    bad: str | None = Field(None, description="of RolloutRegression: failed or slow requests per second of $(revision)")
    total: str | None = Field(None, description="of RolloutRegression: all requests per second of $(revision)")
    worse_by: Quantity | None = Field(None, ge=1, description="of RolloutRegression: this many times as bad; none: 1")
    alpha: Ratio | None = Field(None, gt=0, le=0.2, description="of RolloutRegression: false alarms; none: 1%")
    cel: str | None = Field(None, min_length=1, description="CEL over signals, findings, incidents, alerts")

    @model_validator(mode="after")
    @in_schema({"oneOf": [{"required": [name]} for name in _SAYS]})
    def one_kind_of_trouble(self) -> WhenSpec:
        """Refuse a trigger that says nothing, and one that says two things."""
        if sum(getattr(self, name) is not None for name in _SAYS) != 1:
            raise ValueError(f"a trigger is one of {', '.join(_SAYS[:-1])} and {_SAYS[-1]}")
        return self

    @model_validator(mode="after")
    @in_schema({"anyOf": [{"required": ["alert"]}, {"not": {"required": ["labels"]}}]})
    def labels_are_those_of_an_alert(self) -> WhenSpec:
        """Refuse labels of nothing: findings and incidents have their own."""
        if self.labels and self.alert is None:
            raise ValueError("labels stand beside alert, or inside finding and incident")
        return self

    @model_validator(mode="after")
    @in_schema(as_schema("condition", _GOES_WITH, _NEEDED))
    def fields_go_with_the_condition(self) -> WhenSpec:
        """Refuse what belongs to another condition, and a condition without what it needs."""
        wrong = refused(self, "condition", _GOES_WITH, _NEEDED)
        if wrong:
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    @in_schema(
        {
            "anyOf": [
                {
                    "not": {
                        "required": ["condition"],
                        "properties": {"condition": {"enum": [one.value for one in FORESEEN]}},
                    }
                },
                {"required": ["within"]},
            ]
        }
    )
    def what_is_foreseen_has_a_time(self) -> WhenSpec:
        """Refuse to foresee at no time."""
        if self.condition in FORESEEN and self.within is None:
            raise ValueError(f"{self.condition} needs within")
        return self


# -- whether it helped, and when it is enough ---------------------------------------------------------


class VerifySpec(Spec):
    """What a remedy must better, and by when."""

    signal: str = Field(description="the signal that must come back")
    at_most: Level | None = Field(None, description="so much at most")
    at_least: Level | None = Field(None, description="so much at least")
    within: Duration = Field(300.0, gt=0, le=86400, description="so long after the last step")
    load: str | None = Field(None, description="a signal of the load: a worse signal under more of it is no harm")

    @model_validator(mode="after")
    @in_schema({"anyOf": [{"required": ["atMost"]}, {"required": ["atLeast"]}]})
    def aims_at_something(self) -> VerifySpec:
        """Refuse a goal that everything meets, and one that nothing can."""
        if self.at_most is None and self.at_least is None:
            raise ValueError("verify needs atMost or atLeast")
        if self.at_most is not None and self.at_least is not None and self.at_most < self.at_least:
            raise ValueError("atMost is less than atLeast")
        return self


class BackOffSpec(Spec):
    """How long nothing is tried when trouble comes back; from rung to rung there is no pause but `within`."""

    first: Duration = Field(300.0, ge=0, description="after the first try")
    factor: float = Field(2.0, ge=1, le=10, description="it grows by with each further one")
    most: Duration = Field(3600.0, ge=0, description="and never is longer")


class BreakerSpec(Spec):
    """When to stop trying."""

    after: Whole = Field(
        3, ge=1, le=100, description="so often the ladder was begun within `for`, and trouble came back"
    )
    for_: Duration = Field(3600.0, gt=0, alias="for", description="how long nothing is tried, and people are told")


class RemediationSpec(Spec):
    """The spec of a RemediationPolicy."""

    mode: Mode = Field(Mode.DRY_RUN, description="how far it may go; the settings' mode is another ceiling")
    target: TargetSpec | None = Field(None, description="the workload that is remedied")
    nodes: NodesSpec | None = Field(None, description="in place of a target: nodes, each for itself")
    signals: dict[str, SignalSpec] = Field({}, description="numbers by name, which the rest refers to")
    when: tuple[WhenSpec, ...] = Field(min_length=1, max_length=20, description="what trouble is: any of these")
    for_at_least: Duration = Field(60.0, description="how long trouble must have been seen without a break")
    ladder: tuple[RungSpec, ...] = Field(min_length=1, max_length=10, description="what is done, one after another")
    verify: VerifySpec | None = Field(None, description="what a remedy must better")
    backoff: BackOffSpec = Field(BackOffSpec(), description="pauses between tries")
    breaker: BreakerSpec = Field(BreakerSpec(), description="when to stop trying")
    approvers: Whole = Field(1, ge=1, le=5, description="how many people must say yes, where they are asked")
    ask_for: Duration = Field(3600.0, ge=60, description="how long a proposal waits for people")
    freezes: tuple[FreezeSpec, ...] = Field((), description="change freezes; those of PolicyDefaults are added")

    @model_validator(mode="after")
    @in_schema({"oneOf": [{"required": ["target"]}, {"required": ["nodes"]}]})
    def for_something(self) -> RemediationSpec:
        """Refuse a policy for nothing, and one for two things."""
        if (self.target is None) == (self.nodes is None):
            raise ValueError("a remediation is for a target, or for nodes")
        return self
