"""A rung of a RemediationPolicy's ladder as people write it: one thing that is done, with what belongs to it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from aiops.core.decide.quantities import Duration, WholeOrNone
from aiops.core.decide.remediation.belonging import as_schema, refused
from aiops.core.decide.spec import Spec, in_schema


class Do(StrEnum):
    """What a rung does."""

    RESTART = "restart"
    MOVE = "move"
    ROLL_BACK = "rollback"
    DELETE_POD = "delete-pod"
    CORDON = "cordon"
    DRAIN = "drain"
    JOB = "job"
    SUSPEND = "suspend"
    WEBHOOK = "webhook"
    PAGE = "page"
    SET_RESOURCES = "set-resources"
    RAISE_NODE_LIMITS = "raise-node-limits"


OVER_NODES = (Do.MOVE, Do.CORDON, Do.DRAIN, Do.RAISE_NODE_LIMITS, Do.JOB, Do.WEBHOOK, Do.PAGE)
"""What can be done about a node; about a workload everything but cordon and drain, whose node is not known."""

OVER_TARGET = tuple(one for one in Do if one not in (Do.CORDON, Do.DRAIN))

_GOES_WITH = {
    "most": (Do.DELETE_POD,),
    "grace_period": (Do.MOVE, Do.DRAIN),
    "container": (Do.SET_RESOURCES,),
    "requests": (Do.SET_RESOURCES,),
    "limits": (Do.SET_RESOURCES, Do.RAISE_NODE_LIMITS),
    "node_pool": (Do.RAISE_NODE_LIMITS,),
    "template": (Do.JOB,),
    "arguments": (Do.JOB,),
    "cron_job": (Do.SUSPEND,),
    "endpoint": (Do.WEBHOOK,),
    "fields": (Do.WEBHOOK,),
    "channel": (Do.PAGE,),
    "text": (Do.PAGE,),
}

_NEEDED = ("container", "template", "endpoint", "node_pool")


class RungSpec(Spec):
    """One rung: what is done, and how long it may take until the trouble is gone."""

    do: Do = Field(description="what is done")
    within: Duration = Field(300.0, gt=0, le=86400, description="how long until the trouble must be gone")
    asks: bool = Field(False, description="a person must say yes, in mode enforce, too")
    most: WholeOrNone = Field(None, ge=1, le=20, description="of delete-pod: so many sick pods; none: 1")
    grace_period: Duration | None = Field(None, description="of move and drain: of the pods; none: their own")
    container: str | None = Field(None, min_length=1, description="of set-resources: which container")
    requests: dict[str, str] = Field({}, description="of set-resources: cpu, memory")
    limits: dict[str, str] = Field({}, description="of set-resources and raise-node-limits: cpu, memory")
    node_pool: str | None = Field(
        None, min_length=1, description="of raise-node-limits: Karpenter's NodePool, which is to hold at least limits"
    )
    template: str | None = Field(None, min_length=1, description="of job: the CronJob whose template is run")
    arguments: dict[str, str] = Field({}, description="of job: environment variables; $(target.name) and such")
    cron_job: str | None = Field(None, min_length=1, description="of suspend: which CronJob; none: the target")
    endpoint: str | None = Field(None, min_length=1, description="of webhook: a name in the settings")
    fields: dict[str, str] = Field({}, description="of webhook: what is posted; $(target.name) and such")
    channel: str = Field("", description="of page: a name in the settings; none: every channel")
    text: str = Field("", max_length=2000, description="of page: what is said; $(target.name) and such")

    @model_validator(mode="after")
    @in_schema(as_schema("do", _GOES_WITH, _NEEDED))
    def fields_go_with_what_is_done(self) -> RungSpec:
        """Refuse what belongs to another thing, and a thing without what it needs."""
        wrong = refused(self, "do", _GOES_WITH, _NEEDED)
        if wrong:
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    @in_schema(
        {
            "anyOf": [
                {"properties": {"do": {"not": {"enum": ["set-resources", "raise-node-limits"]}}}},
                {"properties": {"do": {"not": {"enum": ["raise-node-limits"]}}}, "required": ["requests"]},
                {"required": ["limits"]},
            ]
        }
    )
    def sets_something(self) -> RungSpec:
        """Refuse to set nothing."""
        if self.do is Do.SET_RESOURCES and not (self.requests or self.limits):
            raise ValueError("set-resources needs requests or limits")
        if self.do is Do.RAISE_NODE_LIMITS and not self.limits:
            raise ValueError("raise-node-limits needs limits")
        return self
