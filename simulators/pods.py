"""The pods of one service: they take time to start, some are slower than others, and new ones are cold."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aiops.core.model import Instant
from aiops.core.model import Startup as Started
from simulators.nodes import NodePool

STARTUPS_KEPT = 20
COLD_FOR = 2.0
"""After this many times `WarmUp.over_s` a pod counts as warm: a 400th of what it lacked is still missing."""

_Z95 = 1.6448536269514722
_DRAWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """Times from a pod's creation (on its node) to Ready: lognormal with this median and 95th percentile."""

    median_s: float
    p95_s: float

    def draw(self, dice: np.random.Generator, count: int) -> list[float]:
        """Return some times in seconds."""
        sigma = math.log(self.p95_s / self.median_s) / _Z95
        drawn: list[float] = (self.median_s * np.exp(sigma * dice.standard_normal(count))).tolist()
        return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """A pod with cold caches takes `factor` times as long for a request; 95 % of the excess is gone after `over_s`."""

    factor: float = 1.0
    over_s: float = 180.0

    def slowness(self, age_s: float) -> float:
        """Return how many times as long a request takes, so many seconds after the pod became ready."""
        return 1.0 + (self.factor - 1.0) * math.exp(-3.0 * max(0.0, age_s) / self.over_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slower:
    """A share of pods lands on slower machines and carries `capacity_ratio` of what the others carry."""

    share_ratio: float = 0.0
    capacity_ratio: float = 1.0


class Pod(NamedTuple):
    """One pod that has a place. speed_ratio: of a standard pod's. node: where in the pool, 0 without one.

    number: tells it from all others of its service. waited_s: for its place.
    """

    ready_at: Instant
    created_at: Instant
    speed_ratio: float = 1.0
    node: int = 0
    number: int = 0
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is true of all pods of a service: how they start, warm up and differ."""

    startup: Startup
    warm_up: WarmUp | None = None
    slower: Slower | None = None


class Pods:
    """The pods of one service. They are billed from creation and serve once they are ready.

    Where a `pool` is given they wait for room on a node first. `starting` leave before those that serve, and of these
    the youngest go first. resized: the delta of each change of their number.
    """

    def __init__(self, fleet: Fleet, dice: np.random.Generator, count: int, pool: NodePool | None = None) -> None:
        self._fleet = fleet
        self._dice = dice
        self._pool = pool
        self._drawn: list[float] = []
        self._classes: list[float] = []
        self._starting: list[Pod] = []
        self.pending = 0
        self.resized: list[int] = []
        self.startups = deque((_started(-number, self._draw()) for number in range(count)), STARTUPS_KEPT)
        self._made = 0
        if pool is not None:
            pool.host(self)
        self._ready = [
            Pod(-math.inf, -math.inf, self._speed(), self._first_home(), self._number()) for _ in range(count)
        ]
        self.ready = count
        self._speeds = sum(pod.speed_ratio for pod in self._ready)
        self.version = 1

    @property
    def count(self) -> int:
        """Return how many pods exist, ready or not."""
        return self.ready + len(self._starting) + self.pending

    @property
    def next_ready(self) -> Instant:
        """Return when the next pod becomes ready, infinite if none is starting."""
        return self._starting[0].ready_at if self._starting else math.inf

    def power(self, at: Instant) -> float:
        """Return how many warm standard pods the ready ones are worth."""
        lacking, warm_up = 0.0, self._fleet.warm_up
        if warm_up is not None:
            for pod in reversed(self._ready):
                age_s = at - pod.ready_at
                if age_s > COLD_FOR * warm_up.over_s:
                    break
                lacking += pod.speed_ratio * (1.0 - 1.0 / warm_up.slowness(age_s))
        return self._speeds - lacking

    def cold(self, at: Instant) -> bool:
        """Return whether any ready pod is still warming up."""
        warm_up = self._fleet.warm_up
        return warm_up is not None and bool(self._ready) and at - self._ready[-1].ready_at < COLD_FOR * warm_up.over_s

    def resize(self, count: int, now: Instant) -> None:
        """Create or delete pods so that there are `count`; those that have not started yet go first."""
        self.version += 1
        if count != self.count:
            self.resized.append(count - self.count)
        for _ in range(count - self.count):
            self._create(now)
        if self._pool is not None and self.pending:
            self._pool.ask(now)
        self._delete(self.count - count, now)

    def lose(self, count: int, now: Instant) -> None:
        """Lose ready pods of every age, and start new ones in their place."""
        lost = min(count, self.ready)
        whole, changes = self.count, len(self.resized)
        for number in reversed(range(lost)):
            self._retire(self._ready.pop(number * self.ready // lost), now)
        self.ready -= lost
        self.resize(whole, now)
        del self.resized[changes:]

    @property
    def placed_pods(self) -> tuple[tuple[Pod, bool], ...]:
        """Return the pods that have a place, and whether each is ready."""
        return (*((pod, True) for pod in self._ready), *((pod, False) for pod in self._starting))

    def evict(self, number: int, now: Instant) -> bool:
        """Lose one pod, and start a new one in its place; return whether there was such a pod."""
        return self._replace([pod for pod, _ in self.placed_pods if pod.number == number], now)

    def reclaimed(self, node: int, now: Instant) -> None:
        """Lose every pod of a node that is gone, and start new ones in their place."""
        self._replace([pod for pod, _ in self.placed_pods if pod.node == node], now)

    def _replace(self, lost: list[Pod], now: Instant) -> bool:
        whole, changes = self.count, len(self.resized)
        for pod in lost:
            if pod in self._starting:
                self._starting.remove(pod)
                self._leave(pod, now)
            else:
                self._ready.remove(pod)
                self.ready -= 1
                self._retire(pod, now)
        heapq.heapify(self._starting)
        if lost:
            self.resize(whole, now)
            del self.resized[changes:]
        return bool(lost)

    def settle(self, now: Instant) -> None:
        """Let everything become ready whose time has come; at the end of time, warm as well."""
        if self._pool is not None and self.pending:
            self._pool.settle(now)
        while self._starting and self._starting[0].ready_at <= now:
            pod = heapq.heappop(self._starting)
            self.startups.append(_started(pod.number, pod.ready_at - pod.created_at, pod.ready_at, pod.waited_s))
            self._ready.append(pod if now < math.inf else pod._replace(ready_at=-math.inf))
            self._speeds += pod.speed_ratio
            self.ready += 1
            self.version += 1

    def placed(self, created_at: Instant, node: int, at: Instant) -> None:
        """Take a place on a node: called by the pool, oldest pod first."""
        self.pending -= 1
        self._start(created_at, node, at)

    def _create(self, now: Instant) -> None:
        node = 0 if self._pool is None else self._pool.room(now)
        if node is None and self._pool is not None:
            self._pool.wait(self, now)
            self.pending += 1
        else:
            self._start(now, node or 0, now)

    def _start(self, created_at: Instant, node: int, at: Instant) -> None:
        ready_at = at + self._draw()
        heapq.heappush(self._starting, Pod(ready_at, created_at, self._speed(), node, self._number(), at - created_at))
        self.version += 1

    def _delete(self, count: int, now: Instant) -> None:
        waiting = min(max(count, 0), self.pending)
        if self._pool is not None and waiting:
            self._pool.forget(self, waiting)
            self.pending -= waiting
            count -= waiting
        for _ in range(min(count, len(self._starting))):
            pod = max(self._starting)
            self._starting.remove(pod)
            self._leave(pod, now)
            count -= 1
        heapq.heapify(self._starting)
        for _ in range(min(count, self.ready)):
            self._retire(self._ready.pop(), now)
            self.ready -= 1

    def _retire(self, pod: Pod, now: Instant) -> None:
        self._speeds -= pod.speed_ratio
        self._leave(pod, now)

    def _leave(self, pod: Pod, now: Instant) -> None:
        if self._pool is not None:
            self._pool.leave(pod.node, now)

    def _number(self) -> int:
        self._made += 1
        return self._made

    def _first_home(self) -> int:
        return 0 if self._pool is None else self._pool.first_home()

    def _speed(self) -> float:
        """Return the next pod's speed: another stream than the start-ups', so that these do not depend on it."""
        slower = self._fleet.slower
        if slower is None:
            return 1.0
        if not self._classes:
            drawn = self._dice.spawn(1)[0].random(_DRAWS)
            self._classes = np.where(drawn < slower.share_ratio, slower.capacity_ratio, 1.0).tolist()
        return self._classes.pop()

    def _draw(self) -> float:
        if not self._drawn:
            self._drawn = self._fleet.startup.draw(self._dice, _DRAWS)
            self._drawn.reverse()
        return self._drawn.pop()


def _started(number: int, total_s: float, ready_at: Instant = -math.inf, waited_s: float = 0.0) -> Started:
    """Return what the API would tell of a pod that has become ready."""
    return Started(pod=str(number), ready_at=ready_at, total_s=round(total_s, 3), pending_s=round(waited_s, 3))
