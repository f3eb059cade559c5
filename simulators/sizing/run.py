"""A fleet under somebody's sizes: nodes that are packed by requests, throttling, kills for memory, and what it costs.

Pods are packed anew every night, first fit by size, as a cluster's autoscaler and a descheduler do in the course of a
day; so requests that are too small harm: where the pods of a node want more cores than it has, each is given by its
request's weight, and where they use more memory than it has, the one that is most above its request is killed, as a
kubelet does. A limit of CPU throttles, a limit of memory kills. What is killed starts again, with its peaks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from aiops.core.model import F64, Bools, Rows
from simulators.sizing.fleet import DAY_STEPS, STEP_S, Fleet

NODE_CORES, NODE_BYTES = 16.0, 64.0 * 2**30
WARM_DAYS = 14
NODE_USD_PER_HOUR = 0.68
CORE_USD_PER_HOUR, GIB_USD_PER_HOUR = 0.0236, 0.0047
"""The node's price parted between its cores and its memory, about five to one for a core against a GiB."""

SIZED_EVERY = 12
"""Sizes are decided upon once an hour."""

START_STEPS = 2
SHORT_RATIO = 0.01
"""A pod that got this much less than it wanted was short."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sizes:
    """Of c containers, float64[c] each; NaN is no limit."""

    request_cores: F64
    request_bytes: F64
    limit_cores: F64
    limit_bytes: F64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """What anybody can see of five minutes, for each pod. rows: its container. alive: whether there is one."""

    step: int
    at: float
    rows: Rows
    alive: Bools
    cores: F64
    bytes: F64
    killed: Bools
    throttled: F64


class Sizer(Protocol):
    """Who sizes."""

    name: str

    def see(self, shown: Shown, sizes: Sizes) -> None:
        """Take in five minutes."""
        ...

    def decide(self, sizes: Sizes, at: float) -> Sizes:
        """Return the sizes from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One fleet under one sizer, after the first `warm` days.

    slack_*: 1 - used / requested, where used is what each pod used in the busiest hour of each day: the mean of the
    cores in it, and the peak of memory; idle_*: the same with the mean of all hours in its place. slack, idle: of both,
    weighed by price. kills: all of them; node_kills: because a node had no more memory. short_ratio: of the cores that
    were wanted, those that were not given (short_cores: how many, on average); throttled_ratio: those that a limit
    took. short_time_ratio: of pods' time, how much went by short. changes: of a container's sizes. nodes: on average.
    usd: for a month.
    """

    slack_cpu: float
    slack_memory: float
    slack: float
    idle_cpu: float
    idle_memory: float
    idle: float
    kills: int
    node_kills: int
    short_ratio: float
    short_cores: float
    throttled_ratio: float
    short_time_ratio: float
    changes: float
    nodes: float
    usd_requested: float
    usd_nodes: float


@dataclass(slots=True)
class _Counted:
    requested: F64 = field(default_factory=lambda: np.zeros(2))
    touched: F64 = field(default_factory=lambda: np.zeros(2))
    used: F64 = field(default_factory=lambda: np.zeros(2))
    kills: int = 0
    node_kills: int = 0
    wanted: float = 0.0
    missed: float = 0.0
    cut: float = 0.0
    short: int = 0
    pod_steps: int = 0
    turns: int = 0
    node_steps: int = 0
    changes: int = 0


def score(fleet: Fleet, sizer: Sizer, *, warm_days: int = WARM_DAYS) -> Score:
    """Return how a fleet fares under a sizer, from the first day after `warm_days`."""
    world = _World(fleet, sizer)
    counted, first = _Counted(), warm_days * DAY_STEPS
    for step in range(fleet.steps):
        world.turn(step, counted if step >= first else None)
    return _scored(counted, len(fleet.kinds))


class _World:
    def __init__(self, fleet: Fleet, sizer: Sizer) -> None:
        self._fleet = fleet
        self._sizer = sizer
        self._sizes = Sizes(
            request_cores=fleet.request_cores.copy(),
            request_bytes=fleet.request_bytes.copy(),
            limit_cores=fleet.limit_cores.copy(),
            limit_bytes=fleet.limit_bytes.copy(),
        )
        self._started = np.full(len(fleet.of), -DAY_STEPS)
        self._node: Rows = np.zeros(len(fleet.of), np.intp)
        self._nodes = 0
        self._day: list[tuple[F64, F64, Bools]] = []

    def turn(self, step: int, counted: _Counted | None) -> None:
        fleet, sizes = self._fleet, self._sizes
        if step % DAY_STEPS == 0:
            self._pack()
        self._started[fleet.releases[step]] = step
        age = step - self._started
        alive = fleet.alive[step]
        wanted = fleet.cores[step] * np.where(age < START_STEPS, fleet.start_ratio, 1.0)
        size = np.where(alive, fleet.bytes[step] + fleet.leak * age, 0.0)
        given, throttled = self._given(wanted)
        killed, by_node = self._killed(size)
        self._started[killed] = step + 1
        seen_bytes = np.minimum(size, np.where(np.isnan(sizes.limit_bytes), np.inf, sizes.limit_bytes)[fleet.of])
        shown = Shown(
            step=step,
            at=step * STEP_S,
            rows=fleet.of,
            alive=alive,
            cores=given,
            bytes=seen_bytes,
            killed=killed,
            throttled=throttled,
        )
        self._sizer.see(shown, sizes)
        if counted is not None:
            self._count(counted, wanted, shown)
            counted.kills += int(killed.sum())
            counted.node_kills += by_node
        if step % SIZED_EVERY == SIZED_EVERY - 1:
            self._resize(step, counted)

    def _given(self, wanted: F64) -> tuple[F64, F64]:
        """Return the cores that each pod gets, and the share of what it wanted that its limit took."""
        sizes, of = self._sizes, self._fleet.of
        limit = np.where(np.isnan(sizes.limit_cores), np.inf, sizes.limit_cores)[of]
        asked = np.minimum(wanted, limit)
        throttled = 1.0 - np.divide(asked, wanted, out=np.ones_like(asked), where=wanted > 0)
        weight = np.maximum(sizes.request_cores[of], 0.002)
        total = np.bincount(self._node, asked, self._nodes)
        if not (total > NODE_CORES).any():
            return asked, throttled
        left = np.full(self._nodes, NODE_CORES)
        given = np.zeros_like(asked)
        for _ in range(4):  # shares by weight, what one leaves goes to the others
            hungry = asked - given > 1e-9
            weights = np.bincount(self._node, weight * hungry, self._nodes)
            share = left[self._node] * np.divide(
                weight * hungry, weights[self._node], out=np.zeros_like(weight), where=weights[self._node] > 0
            )
            more = np.minimum(asked - given, share)
            given += more
            left = np.maximum(left - np.bincount(self._node, more, self._nodes), 0.0)
        return given, throttled

    def _killed(self, size: F64) -> tuple[Bools, int]:
        """Return who is killed for memory, and how many of them because their node had no more."""
        sizes, of = self._sizes, self._fleet.of
        limit = np.where(np.isnan(sizes.limit_bytes), np.inf, sizes.limit_bytes)[of]
        killed = size > limit
        total = np.bincount(self._node, np.where(killed, 0.0, size), self._nodes)
        by_node = 0
        for node in np.flatnonzero(total > NODE_BYTES):
            here = np.flatnonzero((self._node == node) & ~killed)
            above = here[np.argsort(sizes.request_bytes[of[here]] - size[here])]
            for pod in above:
                if total[node] <= NODE_BYTES:
                    break
                killed[pod] = True
                total[node] -= size[pod]
                by_node += 1
        return killed, by_node

    def _pack(self) -> None:
        """Place every pod: first fit, the greatest share of a node first."""
        cores = np.minimum(self._sizes.request_cores[self._fleet.of], NODE_CORES)
        size = np.minimum(self._sizes.request_bytes[self._fleet.of], NODE_BYTES)
        free: list[list[float]] = []
        for pod in np.argsort(-np.maximum(cores / NODE_CORES, size / NODE_BYTES), kind="stable"):
            fits = (one for one, room in enumerate(free) if room[0] >= cores[pod] and room[1] >= size[pod])
            number = next(fits, len(free))
            if number == len(free):
                free.append([NODE_CORES, NODE_BYTES])
            room = free[number]
            room[0] -= cores[pod]
            room[1] -= size[pod]
            self._node[pod] = number
        self._nodes = len(free)

    def _resize(self, step: int, counted: _Counted | None) -> None:
        before = self._sizes
        after = self._sizer.decide(before, (step + 1) * STEP_S)
        changed = (after.request_cores != before.request_cores) | (after.request_bytes != before.request_bytes)
        if counted is not None:
            counted.changes += int(changed.sum())
        self._sizes = after

    def _count(self, counted: _Counted, wanted: F64, shown: Shown) -> None:
        missed = wanted - shown.cores
        counted.wanted += float(wanted.sum())
        counted.missed += float(missed.sum())
        counted.cut += float((wanted * shown.throttled).sum())
        counted.short += int((missed > SHORT_RATIO * wanted).sum())
        counted.pod_steps += int(shown.alive.sum())
        counted.node_steps += self._nodes
        counted.turns += 1
        rows = self._fleet.of[shown.alive]
        asked = np.array([self._sizes.request_cores[rows].sum(), self._sizes.request_bytes[rows].sum()])
        counted.requested += asked
        counted.used += (shown.cores.sum(), shown.bytes.sum())
        self._day.append((shown.cores, shown.bytes, shown.alive))
        if len(self._day) == DAY_STEPS:
            counted.touched += self._busiest()
            self._day.clear()

    def _busiest(self) -> F64:
        """Return what the pods used in the busiest hour of the day, for as long as they were there."""
        cores, size = np.stack([one[0] for one in self._day]), np.stack([one[1] for one in self._day])
        there = np.stack([one[2] for one in self._day]).sum(axis=0)
        hours = cores.reshape(DAY_STEPS // SIZED_EVERY, SIZED_EVERY, -1).mean(axis=1).max(axis=0)
        return np.array([(hours * there).sum(), (size.max(axis=0) * there).sum()])


def _scored(counted: _Counted, containers: int) -> Score:
    slack, idle = 1.0 - counted.touched / counted.requested, 1.0 - counted.used / counted.requested
    money = counted.requested * (CORE_USD_PER_HOUR, GIB_USD_PER_HOUR / 2**30)
    month_h, nodes = 730.0, counted.node_steps / counted.turns
    return Score(
        slack_cpu=float(slack[0]),
        slack_memory=float(slack[1]),
        slack=float((slack * money).sum() / money.sum()),
        idle_cpu=float(idle[0]),
        idle_memory=float(idle[1]),
        idle=float((idle * money).sum() / money.sum()),
        kills=counted.kills,
        node_kills=counted.node_kills,
        short_ratio=counted.missed / counted.wanted,
        short_cores=counted.missed / counted.turns,
        throttled_ratio=counted.cut / counted.wanted,
        short_time_ratio=counted.short / counted.pod_steps,
        changes=counted.changes / containers,
        nodes=nodes,
        usd_requested=float(money.sum() / counted.turns * month_h),
        usd_nodes=nodes * NODE_USD_PER_HOUR * month_h,
    )
