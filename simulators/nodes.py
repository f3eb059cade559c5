"""A pool of nodes that grows for pods without room and shrinks when nodes stay empty, as a cluster autoscaler does.

A node has room for a number of pods. Pods go to the fullest node that has room, so that empty nodes stay empty; where
none has, they are pending, oldest first. For them nodes are asked for at once, as many as they fill, up to the pool's
size; `provisioning` includes the time that an autoscaler takes to notice. A node is billed from the moment it is asked
for until it is gone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aiops.core.model import Instant


class Delay(Protocol):
    """Times that something takes."""

    def draw(self, dice: np.random.Generator, count: int) -> list[float]:
        """Return some times in seconds."""
        ...


class Tenant(Protocol):
    """A service's pods."""

    def placed(self, created_at: Instant, node: int, at: Instant) -> None:
        """Take the place on a node that the pod made at `created_at` gets at `at`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolSpec:
    """What a pool is. empty_for_s: how long a node stays without pods before it is given back, down to `least`."""

    name: str
    pods_per_node: int
    most: int
    least: int
    provisioning: Delay
    usd_per_hour: float
    empty_for_s: float


@dataclass(slots=True)
class Node:
    """One node. ready_at: when pods can be placed. empty_since: infinite while it has pods."""

    created_at: Instant
    ready_at: Instant
    empty_since: Instant
    pods: int = 0


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
        for _ in range(spec.least):
            self._add(-math.inf, -math.inf)

    @property
    def pending(self) -> int:
        """Return how many pods wait for room."""
        return len(self._waiting)

    def first_home(self) -> int:
        """Return a node for a pod that is there when the run begins; nodes are there for it as far as the pool goes."""
        node = self.room(-math.inf)
        if node is None:
            self._add(-math.inf, -math.inf)
            node = self.room(-math.inf)
        if node is None:
            raise ValueError(f"pool {self.spec.name} has no room for the pods that are there at first")
        return node

    def room(self, now: Instant) -> int | None:
        """Take a place on the fullest node that has room, and return which; None when none has."""
        size = self.spec.pods_per_node
        open_nodes = [(-one.pods, name) for name, one in self.nodes.items() if one.ready_at <= now and one.pods < size]
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
        for _ in range(min(wanted, self.spec.most - len(self.nodes))):
            self._add(now, now + self.spec.provisioning.draw(self._dice, 1)[0])

    def settle(self, now: Instant) -> None:
        """Place pending pods on the nodes that have become ready since the last `advance`, each at its time."""
        for at in sorted({one.ready_at for one in self.nodes.values() if self._at < one.ready_at <= now}):
            self._place(at)

    def advance(self, start: Instant, end: Instant) -> float:
        """Let time go by: place, ask, give empty nodes back; return the node seconds that are billed for it."""
        self._at = start
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
