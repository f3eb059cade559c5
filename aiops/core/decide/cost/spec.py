"""`CostPolicy` as people write it: which workloads, and one action over them."""

from __future__ import annotations

from pydantic import Field

from aiops.core.decide.cost.targets_spec import TargetsSpec
from aiops.core.decide.quantities import Duration, Whole
from aiops.core.decide.scaling.spec import FreezeSpec, SignalSpec
from aiops.core.decide.spec import Spec
from aiops.core.model import Mode


class CostSpec(Spec):
    """The spec of a CostPolicy: exactly one action."""

    mode: Mode = Field(Mode.DRY_RUN, description="how far it may go; the settings' mode is another ceiling")
    target: TargetsSpec | None = Field(None, description="the workloads that it is for")
    signals: dict[str, SignalSpec] = Field({}, description="numbers by name, which the rest refers to")
    approvers: Whole = Field(1, ge=1, le=5, description="how many people must say yes, where they are asked")
    ask_for: Duration = Field(3600.0, ge=60, description="how long a proposal waits for people")
    freezes: tuple[FreezeSpec, ...] = Field((), description="change freezes; those of PolicyDefaults are added")
