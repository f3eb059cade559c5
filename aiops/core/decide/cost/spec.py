"""`CostPolicy` as people write it: which workloads, and one action over them."""

from __future__ import annotations

from pydantic import Field, model_validator

from aiops.core.decide.cost.defer.spec import DeferSpec
from aiops.core.decide.cost.idle.spec import IdleSpec
from aiops.core.decide.cost.pack.spec import PackSpec
from aiops.core.decide.cost.rightsize.spec import RightsizeSpec
from aiops.core.decide.cost.sleep.spec import SleepSpec
from aiops.core.decide.cost.spot.spec import SpotSpec
from aiops.core.decide.cost.targets_spec import TargetsSpec
from aiops.core.decide.quantities import Duration, Whole
from aiops.core.decide.scaling.spec import FreezeSpec, SignalSpec
from aiops.core.decide.spec import Spec, in_schema
from aiops.core.model import Mode

ACTIONS = ("sleep", "idle", "defer", "rightsize", "pack", "spot")
"""The fields of which a CostPolicy has exactly one."""


class CostSpec(Spec):
    """The spec of a CostPolicy: exactly one action."""

    mode: Mode = Field(Mode.DRY_RUN, description="how far it may go; the settings' mode is another ceiling")
    target: TargetsSpec | None = Field(None, description="the workloads that it is for")
    signals: dict[str, SignalSpec] = Field({}, description="numbers by name, which the rest refers to")
    approvers: Whole = Field(1, ge=1, le=5, description="how many people must say yes, where they are asked")
    ask_for: Duration = Field(3600.0, ge=60, description="how long a proposal waits for people")
    freezes: tuple[FreezeSpec, ...] = Field((), description="change freezes; those of PolicyDefaults are added")
    sleep: SleepSpec | None = Field(None, description="let workloads rest by the clock")
    idle: IdleSpec | None = Field(None, description="let workloads rest while nobody asks for anything")
    defer: DeferSpec | None = Field(None, description="begin batch work when it is cheap, in time for its deadline")
    rightsize: RightsizeSpec | None = Field(None, description="set requests and limits by what containers use")
    pack: PackSpec | None = Field(None, description="empty nodes whose pods find room elsewhere")
    spot: SpotSpec | None = Field(None, description="run part of workloads on spot nodes, as much as the risk is worth")

    @model_validator(mode="after")
    @in_schema({"oneOf": [{"required": [name]} for name in ACTIONS]})
    def one_action(self) -> CostSpec:
        """Refuse a policy that does nothing, and one that does two things."""
        if sum(getattr(self, name) is not None for name in ACTIONS) != 1:
            raise ValueError(f"a CostPolicy has exactly one of {', '.join(ACTIONS)}")
        return self
