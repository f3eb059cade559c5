"""A pool of nodes that grows for pods without room and shrinks when nodes stay empty, as a cluster autoscaler does.

A node has room for a number of pods. Pods go to the fullest node that has room, so that empty nodes stay empty; where
none has, they are pending, oldest first. For them nodes are asked for at once, as many as they fill, up to the pool's
size; `provisioning` includes the time that an autoscaler takes to notice. A node is billed from the moment it is asked
for until it is gone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from aiops.core.model import Instant, Machine

DAY_S = 86_400.0


class Delay(Protocol):
    """Times that something takes."""

    def draw(self, dice: np.random.Generator, count: int) -> list[float]:
        """Return some times in seconds."""
        ...


class Tenant(Protocol):
    """A service's pods."""

    def reclaimed(self, node: int, now: Instant) -> None:
        """Lose every pod of a node that is gone, and start new ones in their place."""
        ...

    def placed(self, created_at: Instant, node: int, at: Instant) -> None:
        """Take the place on a node that the pod made at `created_at` gets at `at`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """How a provider takes nodes back: in waves, `waves_per_hour` of them, each of which takes a node by chance.

    together_ratio: that chance. So reclaims are correlated: a node is reclaimed waves_per_hour * together_ratio times
    an hour, and others with it.
    """

    waves_per_hour: float
    together_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotStorm:
    """A share of a pool's nodes is reclaimed at once, and no node is to be had until `end`."""

    start: Instant
    end: Instant
    share_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolSpec:
    """What a pool is. empty_for_s: how long a node stays without pods before it is given back, down to `least`.

    first: nodes that are there when the run begins. spread: pods go to the emptiest node, as kube-scheduler scores by
    default, in place of the fullest. price: factor on `usd_per_hour` by the second of the day (UTC), as (second,
    factor), each until the next. spot: None on demand. zones: in which its nodes lie, by turns.
    """

    name: str
    pods_per_node: int
    most: int
    least: int
    provisioning: Delay
    usd_per_hour: float
    empty_for_s: float
    first: int = 0
    spread: bool = False
    price: tuple[tuple[float, float], ...] = ()
    spot: Spot | None = None
    storms: tuple[SpotStorm, ...] = ()
    zones: int = 1

    def zone_of(self, node: int) -> str:
        """Return in which zone a node lies, by its number."""
        return "abcdefghijklmnopqrstuvwxyz"[node % self.zones]

    def usd_at(self, at: Instant) -> float:
        """Return what a node costs an hour at an instant."""
        factor, second = 1.0, at % DAY_S
        if self.price:
            factor = next((one for since, one in reversed(self.price) if since <= second), self.price[-1][1])
        return self.usd_per_hour * factor


@dataclass(slots=True)
class Node:
    """One node. ready_at: when pods can be placed. empty_since: infinite while it has pods.

    cordoned: it takes no pods; notes: its annotations. version: moves with every write.
    """

    created_at: Instant
    ready_at: Instant
    empty_since: Instant
    pods: int = 0
    cordoned: bool = False
    notes: dict[str, str] = field(default_factory=dict)
    version: int = 1


class NodePool:
    """The nodes of one pool and the pods that wait for one; node_s: node seconds billed since the run began."""

    def __init__(self, spec: NodePoolSpec, dice: np.random.Generator) -> None:
        self.spec = spec
        self.nodes: dict[int, Node] = {}
        self.node_s = 0.0
        self._dice = dice
        self._made = 0
        self._at = -math.inf
        self._waiting: deque[tuple[Tenant, Instant]] = deque()
        self._tenants: list[Tenant] = []
        self.reclaimed = 0
        self._dry_until = -math.inf
        self._storms = sorted(spec.storms, key=lambda one: one.start)
        for _ in range(max(spec.least, spec.first)):
            self._add(-math.inf, -math.inf)

    @property
    def pending(self) -> int:
        """Return how many pods wait for room."""
        return len(self._waiting)

    def host(self, pods: Tenant) -> None:
        """Know a service whose pods live here."""
        self._tenants.append(pods)

    def first_home(self) -> int:
        """Return a node for a pod that is there when the run begins; nodes are there for it as far as the pool goes."""
        node = self.room(-math.inf)
        if node is None:
            self._add(-math.inf, -math.inf)
            node = self.room(-math.inf)
        if node is None:
            raise ValueError(f"pool {self.spec.name} has no room for the pods that are there at first")
        return node

    def machines(self, at: Instant) -> list[Machine]:
        """Return the nodes as conditions and prices see them; a pod asks for one core."""
        room, spot = float(self.spec.pods_per_node), self.spec.spot is not None
        return [
            Machine(
                cluster="default",
                node=f"{self.spec.name}-{name}",
                zone=self.spec.zone_of(name),
                spot=spot,
                cores=room,
                pool=self.spec.name,
                ready=node.ready_at <= at,
                schedulable=not node.cordoned,
                allocatable_cores=room,
            )
            for name, node in self.nodes.items()
        ]

    def room(self, now: Instant) -> int | None:
        """Take a place on the fullest node that has room, or the emptiest, and return which; None when none has."""
        size, sign = self.spec.pods_per_node, 1 if self.spec.spread else -1
        open_nodes = [
            (sign * one.pods, name)
            for name, one in self.nodes.items()
            if one.ready_at <= now and one.pods < size and not one.cordoned
        ]
        if not open_nodes:
            return None
        _, name = min(open_nodes)
        self.nodes[name].pods += 1
        self.nodes[name].empty_since = math.inf
        return name

    def leave(self, name: int, now: Instant) -> None:
        """Give a place back."""
        node = self.nodes[name]
        node.pods -= 1
        if node.pods == 0:
            node.empty_since = now

    def wait(self, pods: Tenant, created_at: Instant) -> None:
        """Let a pod wait for room."""
        self._waiting.append((pods, created_at))

    def forget(self, pods: Tenant, count: int) -> None:
        """Let the youngest of a service's pods wait no longer."""
        kept: deque[tuple[Tenant, Instant]] = deque()
        while self._waiting:
            one = self._waiting.pop()
            if one[0] is pods and count > 0:
                count -= 1
            else:
                kept.appendleft(one)
        self._waiting = kept

    def ask(self, now: Instant) -> None:
        """Ask for as many nodes as the pending pods fill, beyond those that are on their way."""
        size = self.spec.pods_per_node
        coming = sum(size for one in self.nodes.values() if one.ready_at > now)
        wanted = math.ceil((len(self._waiting) - coming) / size)
        if now < self._dry_until:
            return
        for _ in range(min(wanted, self.spec.most - len(self.nodes))):
            self._add(now, now + self.spec.provisioning.draw(self._dice, 1)[0])

    def settle(self, now: Instant) -> None:
        """Place pending pods on the nodes that have become ready since the last `advance`, each at its time."""
        for at in sorted({one.ready_at for one in self.nodes.values() if self._at < one.ready_at <= now}):
            self._place(at)

    def advance(self, start: Instant, end: Instant) -> float:
        """Let time go by: place, ask, give empty nodes back; return the node seconds that are billed for it."""
        self._at = start
        self._take_back(start, end)
        if self._waiting:
            self._place(start)
            self.settle(end)
            self.ask(start)
        gone = self._given_back(end)
        billed = sum(max(0.0, min(end, at) - max(start, self.nodes[name].created_at)) for name, at in gone.items())
        for name in gone:
            del self.nodes[name]
        billed += sum(end - max(start, one.created_at) for one in self.nodes.values())
        self.node_s += billed
        return billed

    def _take_back(self, start: Instant, end: Instant) -> None:
        """Let the provider take nodes back: by waves, and by the storms that begin now."""
        spot = self.spec.spot
        begun = [one for one in self._storms if one.start < end]
        self._dry_until = max([self._dry_until, *(one.end for one in begun)])
        chances = [one.share_ratio for one in begun]
        self._storms = [one for one in self._storms if one.start >= end]
        if spot is not None:
            waves = int(self._dice.poisson(spot.waves_per_hour * (end - start) / 3600.0))
            chances += [spot.together_ratio] * waves
        for chance in chances:
            hit = [name for name in self.nodes if self._dice.random() < chance]
            for name in hit:
                self._lose(name, start)

    def _lose(self, name: int, now: Instant) -> None:
        self.reclaimed += 1
        self.nodes[name].cordoned = True
        for pods in self._tenants:
            pods.reclaimed(name, now)
        del self.nodes[name]

    def _place(self, at: Instant) -> None:
        while self._waiting:
            node = self.room(at)
            if node is None:
                return
            pods, created_at = self._waiting.popleft()
            pods.placed(created_at, node, max(at, created_at))

    def _given_back(self, end: Instant) -> dict[int, Instant]:
        """Return the nodes that have been empty for long enough by `end`, with when; the longest empty go first."""
        spare = len(self.nodes) - self.spec.least
        empty = sorted((one.empty_since, name) for name, one in self.nodes.items() if one.pods == 0)
        due = [(since + self.spec.empty_for_s, name) for since, name in empty]
        return {name: at for at, name in due[: max(0, spare)] if at <= end}

    def _add(self, created_at: Instant, ready_at: Instant) -> None:
        if len(self.nodes) >= self.spec.most:
            return
        self._made += 1
        self.nodes[self._made] = Node(created_at=created_at, ready_at=ready_at, empty_since=ready_at)
