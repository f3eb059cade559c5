"""What a policy of plans is judged from, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from aiops.core.model import (
    Finding,
    Fleet,
    Incident,
    Instant,
    Judgement,
    Order,
    Plan,
    PolicyKey,
    Scaling,
    Signal,
    Snapshot,
)
from aiops.core.model.swift import swift
from aiops.core.protocols import Env

M = TypeVar("M")
"""What the policy remembers: GroupState, LadderState or a SavingState."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One instant as a policy of plans sees it.

    signals: the policy's own, by name, as read at this instant. env: what its conditions see. plans: all that stand or
    ended lately, of every policy. scalings: what
    ScalingPolicies do, or did a moment ago. orders: people's words to this policy that nobody has followed yet.
    unseen: WatchPolicies of which not everything is known, and why: neither their findings nor that there is none.
    fleet: how everything is that is remedied.
    """

    now: Instant
    tick_s: float
    snapshot: Snapshot
    signals: Mapping[str, Signal]
    env: Env = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    unseen: Mapping[PolicyKey, str] = field(default_factory=dict)
    plans: tuple[Plan, ...] = ()
    scalings: tuple[Scaling, ...] = ()
    orders: tuple[Order, ...] = ()
    fleet: Fleet = field(default_factory=Fleet)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Generic[M]):
    """What came of it: what is remembered, what is said, and the plans that the policy wants, each for a subject.

    A wanted plan is `proposed`; whether it begins, waits for a person or is only told is decided by its guards and by
    the policy's mode. back: plans of its own that it wants taken back now, by id, and why. over: plans that wait for a
    person though what they ask about is over, likewise: they end, and what they did stands. followed: ids of the orders
    that were followed or refused.
    """

    memory: M
    judgement: Judgement
    plans: tuple[Plan, ...] = ()
    back: tuple[tuple[str, str], ...] = ()
    over: tuple[tuple[str, str], ...] = ()
    followed: tuple[str, ...] = field(default=())

    @property
    def plan(self) -> Plan | None:
        """Return the first plan that is wanted: the one of policies that want one at a time."""
        return self.plans[0] if self.plans else None
