"""Scenarios of a remediation: YAML that says what goes wrong, and what would be right.

Durations are written `90s` or `2m`, shares `50%`; a range, `20%..80%`, is drawn anew for each seed. A whole scenario:

    kind: remediation
    name: release-fails
    about: a release fails a part of its requests
    right: rollback                    # or: restart, drain, nothing, ask
    lasts: 30m
    faults:
      - {kind: release-fails, at: 5m..8m, share: 10%..40%}
      - {kind: upstream, at: 10m, hold: 5m, share: 20%}
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from aiops.core.decide.quantities import Duration
from aiops.core.decide.spec import Spec
from simulators.failover.scenario import Durations, Shares
from simulators.remediation.world import Fault, Kind
from simulators.shelf import Shelf

FOLDER = Path(__file__).parent / "scenarios"
POLICIES = Path(__file__).parent / "policies"


class Right(StrEnum):
    """What somebody who knew everything would do."""

    ROLLBACK = "rollback"
    RESTART = "restart"
    DRAIN = "drain"
    NOTHING = "nothing"
    ASK = "ask"


class FaultSpec(Spec):
    """One thing that goes wrong. hold: none is until somebody does something. share: see `Kind`, of load a factor."""

    kind: Kind
    at: Durations = (300.0, 480.0)
    hold: Durations | None = None
    share: Shares = (1.0, 1.0)
    count: int = Field(1, ge=1, le=6)

    def drawn(self, dice: np.random.Generator) -> Fault:
        """Return the fault as one seed has it."""
        at, share = float(dice.uniform(*self.at)), float(dice.uniform(*self.share))
        hold = math.inf if self.hold is None else float(dice.uniform(*self.hold))
        return Fault(kind=self.kind, at_s=math.floor(at), until_s=at + hold, share=share, count=self.count)


class RemediationScenario(Spec):
    """A whole scenario."""

    kind: Literal["remediation"]
    name: str
    about: str = ""
    right: Right
    seed: int = 1
    lasts: Duration = Field(1800.0, ge=600, le=14_400)
    faults: tuple[FaultSpec, ...] = ()

    @model_validator(mode="after")
    def _in_time(self) -> RemediationScenario:
        for fault in self.faults:
            if fault.at[1] >= self.lasts:
                raise ValueError(f"a fault at {fault.at[1]:.0f} s comes after the end, at {self.lasts:.0f} s")
        return self

    def drawn(self, dice: np.random.Generator) -> Sequence[Fault]:
        """Return what goes wrong under one seed."""
        return [one.drawn(dice) for one in self.faults]


SHELF = Shelf(name="remediation", folder=FOLDER, spec=RemediationScenario)
names, is_remediation, load = SHELF.names, SHELF.has, SHELF.load
