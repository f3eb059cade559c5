"""What a guard sees: the wish as it stands, and the world around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from aiops.core.model import (
    FLOOR,
    REPLICAS,
    Allowance,
    Declared,
    Effect,
    Hpa,
    Instant,
    Mode,
    Plan,
    Proposal,
    Ruling,
    Signal,
    Snapshot,
    TargetState,
    Workload,
)
from aiops.core.model.swift import swift
from aiops.core.policies import Lever, ScalingPolicy
from aiops.core.protocols import Env


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class GuardContext:
    """Everything that a guard may look at. workload: None when the target is not known.

    mode: the stricter of the policy's mode and the global ceiling (S6). allowances: what each budget leaves to the
    policy. plans: those at work on the target.
    """

    now: Instant
    tick_s: float
    policy: ScalingPolicy
    mode: Mode
    snapshot: Snapshot
    workload: Workload | None
    state: TargetState
    signals: Mapping[str, Signal]
    env: Env
    effects: Mapping[str, Effect] = field(default_factory=dict)
    allowances: tuple[Allowance, ...] = ()
    plans: tuple[Plan, ...] = ()

    @property
    def declared(self) -> Declared | None:
        """Return what a file in Git says of the field that the policy moves, None where it does not stand there."""
        if self.workload is None or not self.workload.declared or self.policy.lever is Lever.KNATIVE_MIN_SCALE:
            return None
        return self.workload.declaration(FLOOR if self.policy.lever.is_floor else REPLICAS)

    @property
    def hpa(self) -> Hpa | None:
        """Return the one HPA that points at the target, or None when there is none or more than one."""
        hpas = self.workload.hpas if self.workload is not None else ()
        return hpas[0] if len(hpas) == 1 else None


class Wish:
    """A proposal on its way through the chain: `after` is what the guards before have left of it.

    before: the level now. delta: how many more (or, negative, fewer) are wanted now. Every guard asks for these, so
    they are counted once, when the wish is made; nothing of it changes afterwards.
    """

    __slots__ = ("after", "before", "delta", "proposal")

    def __init__(self, proposal: Proposal, after: int) -> None:
        self.proposal: Final = proposal
        self.after: Final = after
        self.before: Final = proposal.change.before
        self.delta: Final = after - self.before

    def firm(self, floor: int) -> int:
        """Return the level that no forecast is needed for: the reactive need, and the floor of the bounds (S5)."""
        return max(self.proposal.need.reactive or 0, floor, self.before)


Guard: TypeAlias = Callable[[Wish, GuardContext], Ruling | None]
"""Returns its ruling, or None when it has nothing to say about this wish."""


def until_or_none(at: Instant) -> Instant | None:
    """Return an end that is known, or None for one that never comes by itself."""
    return at if math.isfinite(at) else None
