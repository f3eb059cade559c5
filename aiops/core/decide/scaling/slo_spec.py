"""What a ScalingPolicy promises to users."""

from __future__ import annotations

from pydantic import Field

from aiops.core.decide.quantities import Level, Ratio
from aiops.core.decide.spec import Spec


class SloSpec(Spec):
    """What users are promised."""

    signal: str = Field(description="the signal of which something is promised")
    at_most: Level = Field(description="in the signal's base unit: 250ms, 0.25, 1%")
    target: Ratio = Field(0.995, description="share of the time in which it must hold")
