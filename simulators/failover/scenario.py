"""Scenarios of two sites and a witness: YAML that says what goes wrong, and what would be right.

Durations are written `90s` or `2m`, shares `50%`. Where seeds differ a value is a range, `20%..80%` or `2m..3m`, from
which each seed draws. A whole scenario:

    kind: sites
    name: grey-drawn
    about: a share of what west is asked fails, for good
    right: failover                    # or: nothing, ask
    standby: 2                         # replicas of north at first; 4 carry all users
    lane: 2s                           # how often the daemons turn; 2s where nothing is said
    probes: 1                          # requests a second of each observer to each site; 10 where nothing is said
    faults:
      - {kind: grey, place: west, at: 2m..3m, share: 20%..80%}
      - {kind: cut, place: edge, other: north, at: 4m, hold: 30s..60s, again: {every: 90s, times: 3}}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from aiops.core.decide.quantities import Duration, duration_s, quantity, ratio
from aiops.core.decide.spec import Spec
from aiops.core.planning.failover import LANE_S
from simulators.failover.world import LENGTH_S, PROBES, Fault, Kind
from simulators.shelf import Shelf

FOLDER = Path(__file__).parent / "scenarios"
POLICY = Path(__file__).parent / "policies" / "storefront.yaml"
Span = tuple[float, float]
Place = Literal["edge", "west", "north"]


def _span(value: Any, read: Callable[[Any], float]) -> Span:
    if isinstance(value, tuple):
        return value
    low, dots, high = value.partition("..") if isinstance(value, str) else (value, "", "")
    found = (read(low), read(high if dots else low))
    if found[0] > found[1]:
        raise ValueError(f"{value!r} ends before it begins")
    return found


def _share_or_number(value: Any) -> float:
    return ratio(value) if isinstance(value, str) and value.strip().endswith("%") else quantity(value)


Durations = Annotated[Span, BeforeValidator(lambda value: _span(value, duration_s))]
Shares = Annotated[Span, BeforeValidator(lambda value: _span(value, _share_or_number))]


class Right(StrEnum):
    """What somebody who knew everything would do."""

    FAILOVER = "failover"
    NOTHING = "nothing"
    ASK = "ask"


class AgainSpec(Spec):
    """The fault comes again and again."""

    every: Duration = Field(gt=0)
    times: int = Field(ge=1, le=100)


class FaultSpec(Spec):
    """One thing that goes wrong. hold: none is for good. share: see `Kind`; of load and slow-start a factor."""

    kind: Kind
    place: Place = "west"
    other: Place | None = None
    at: Durations = (120.0, 180.0)
    hold: Durations | None = None
    share: Shares = (1.0, 1.0)
    again: AgainSpec | None = None

    @model_validator(mode="after")
    def _two_ends(self) -> FaultSpec:
        if (self.kind is Kind.CUT) != (self.other is not None):
            raise ValueError("a cut, and nothing else, needs its second end: other")
        return self

    def drawn(self, dice: np.random.Generator) -> list[Fault]:
        """Return the fault as one seed has it, each time that it comes."""
        first, share = float(dice.uniform(*self.at)), float(dice.uniform(*self.share))
        hold = math.inf if self.hold is None else float(dice.uniform(*self.hold))
        starts = [first + n * self.again.every for n in range(self.again.times)] if self.again else [first]
        return [
            Fault(kind=self.kind, place=self.place, other=self.other or "", at_s=at, until_s=at + hold, share=share)
            for at in starts
        ]


class SitesSpec(Spec):
    """A whole scenario, of 15 minutes. standby: replicas of north at first. lane: between turns of daemons.

    probes: requests a second of each observer to each site.
    """

    kind: Literal["sites"]
    name: str
    about: str = ""
    right: Right
    seed: int = 1
    standby: int = Field(4, ge=0, le=4)
    lane: Duration = Field(LANE_S, ge=1, le=60)
    probes: int = Field(PROBES, ge=1, le=1000)
    faults: tuple[FaultSpec, ...] = ()

    @model_validator(mode="after")
    def _in_time(self) -> SitesSpec:
        for fault in self.faults:
            if fault.at[1] >= LENGTH_S:
                raise ValueError(f"a fault at {fault.at[1]:.0f} s comes after the end, at {LENGTH_S} s")
        return self

    def drawn(self, dice: np.random.Generator) -> Sequence[Fault]:
        """Return what goes wrong under one seed."""
        return [fault for one in self.faults for fault in one.drawn(dice)]


SHELF = Shelf(name="sites", folder=FOLDER, spec=SitesSpec)
names, is_sites, load = SHELF.names, SHELF.has, SHELF.load
