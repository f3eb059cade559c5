"""Tests that were read and checked, ready to be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiops.core.policies import ScalingPolicy, Tested
from aiops.errors import Problem
from aiops.policy.document import Path, Place
from aiops.policy.testing.notation import Entry
from aiops.policy.testing.spec import TestSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test. ticks: how many decisions are made. forecast: None is the policy's own, () is none.

    template: of which the policy is what is made for the test's target, None for a policy of its own.
    places: line and column of each field, by its path inside the test.
    """

    file: str
    spec: TestSpec
    policy: Tested
    start: datetime
    step_s: float
    ticks: int
    series: Mapping[str, tuple[Entry, ...]]
    presence: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    ready: tuple[Entry, ...] = ()
    desired: tuple[Entry, ...] = (0.0,)
    forecast: tuple[Entry, ...] | None = None
    history: tuple[Entry, ...] = ()
    template: ScalingPolicy | None = None
    places: Mapping[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Return line and column of a field of the test, or of the test."""
        return self.places.get(path, self.places.get((), (1, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file holds. policies: that it loads, tested or not; policies_broken: they cannot be used."""

    cases: tuple[Case, ...] = ()
    policies: tuple[Tested, ...] = ()
    problems: tuple[Problem, ...] = ()
    policies_broken: bool = False
