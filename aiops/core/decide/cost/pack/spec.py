"""`pack` of a CostPolicy as people write it."""

from __future__ import annotations

from pydantic import Field, model_validator

from aiops.core.decide.quantities import Duration, Level, Ratio, Whole
from aiops.core.decide.scaling.target_spec import SelectorSpec
from aiops.core.decide.spec import Spec, in_schema
from aiops.core.planning.cost_pack import Deleter


class PoolSpec(Spec):
    """Which nodes may be emptied; pods may go to any node that takes them."""

    cluster: str = Field("default", description="a cluster's name in the settings")
    selector: SelectorSpec | None = Field(None, description="labels of the nodes; none: every node")
    min_nodes: Whole = Field(1, ge=0, description="so many of them are left, whatever else would fit")


class WithinSpec(Spec):
    """What must hold before, and all the while; otherwise the node takes pods again."""

    signal: str = Field(description="the signal")
    at_most: Level | None = Field(None, description="so much at most")
    at_least: Level | None = Field(None, description="so much at least")

    @model_validator(mode="after")
    @in_schema({"anyOf": [{"required": ["atMost"]}, {"required": ["atLeast"]}]})
    def says_something(self) -> WithinSpec:
        """Refuse what everything meets, and what nothing can."""
        if self.at_most is None and self.at_least is None:
            raise ValueError("slo needs atMost or atLeast")
        if self.at_most is not None and self.at_least is not None and self.at_most < self.at_least:
            raise ValueError("atMost is less than atLeast")
        return self


class PackSpec(Spec):
    """Empty the least useful node by cordon and drain, once a simulated schedule has room for its pods elsewhere."""

    nodes: PoolSpec = Field(PoolSpec(), description="which nodes may be emptied")
    below: Ratio = Field(0.5, gt=0, lt=1, description="only nodes of which no more than this share is requested")
    headroom: Ratio = Field(0.1, lt=1, description="so much of cores and memory stays free on the nodes that are left")
    survive_node_loss: bool = Field(True, description="the pods of the fullest node left must find room on the others")
    move_local_data: bool = Field(False, description="move pods whose emptyDir, hostPath or ephemeral volumes are lost")
    max_not_ready: Ratio = Field(0.0, lt=1, description="nothing is emptied while more nodes than this are not ready")
    calm_for: Duration = Field(300.0, description="how long no pod must have waited for a node")
    nodes_per_hour: Whole = Field(1, ge=1, le=60, description="emptied in any hour")
    at_once: Whole = Field(1, ge=1, le=20, description="emptied and not gone yet; the first is the canary")
    ready_within: Duration = Field(600.0, gt=0, le=86400, description="so soon its pods are ready elsewhere")
    watch_for: Duration = Field(120.0, ge=0, le=86400, description="so long they must stay so, and slo must hold")
    slo: tuple[WithinSpec, ...] = Field((), max_length=10, description="what must hold before and all the while")
    deleted_by: Deleter = Field(
        Deleter.PERSON, description="who deletes emptied nodes; those that Karpenter made are always Karpenter's"
    )
    gone_within: Duration | None = Field(
        None, gt=0, le=604800, description="or it takes pods again; none: 1h, and 24h where a person deletes it"
    )
    back_off: Duration = Field(21600.0, ge=0, description="how long a node of which it failed is left alone")
