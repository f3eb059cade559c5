"""The world of a remediation: a Deployment of six pods on nodes, its releases, its users, and Kubernetes at work.

Time goes by in seconds. Kubernetes does what it does by default: a container that ends is started again after a
back-off, a rollout surges and keeps most pods, a node that is silent for `GRACE_S` is not ready and its pods get no
more requests, and after `TOLERATION_S` more they are made anew elsewhere, unless most nodes are silent. What fails is
asked again (`simulators.retries`), so that too little room makes more requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from aiops.core.model import F64, Instant
from simulators.remediation.rollout import Pod, Rollout
from simulators.retries import Retries, RetrySpec

BACKGROUND = 0.002
"""Share of requests that fail at any time."""

FAILING = 0.05
"""Users suffer while more than this share of their requests fails."""

DEMAND_RPS, CARRIES_RPS = 120.0, 25.0
"""What users ask, and what one pod carries; what is beyond it fails, and comes again."""

GRACE_S, TOLERATION_S, MOSTLY = 50.0, 300.0, 0.55
"""A node that is silent for GRACE_S is not ready; its pods are made anew after TOLERATION_S; not while MOSTLY are."""

LIMIT_MIB, FRESH_MIB = 1000.0, 300.0
"""Memory at which a container is killed, and that of a fresh one."""

_AGAIN = RetrySpec(share_ratio=0.5, backoff_s=1.0, most=2, patience_s=math.inf)


class Kind(StrEnum):
    """What goes wrong. share: of requests that fail (release-fails, upstream, wedged: of its pods' requests).

    release-crashes, release-stuck: its pods end after a while, or never become ready. release-good: it is a release.
    wedged: `count` pods fail until they are made anew. node-lost: `count` nodes die; node-unheard: they are only not
    heard; reclaim: the provider takes them, and gives others. leak: memory grows to the limit within `share` of an
    hour; cache: it grows, and stays below. upstream: what everybody asks fails. load: so many times the users. crash:
    `count` containers end, once. cordon: a person takes a node out, and it goes away for maintenance.
    """

    RELEASE_FAILS = "release-fails"
    RELEASE_CRASHES = "release-crashes"
    RELEASE_STUCK = "release-stuck"
    RELEASE_GOOD = "release-good"
    WEDGED = "wedged"
    NODE_LOST = "node-lost"
    NODE_UNHEARD = "node-unheard"
    RECLAIM = "reclaim"
    LEAK = "leak"
    CACHE = "cache"
    UPSTREAM = "upstream"
    LOAD = "load"
    CRASH = "crash"
    CORDON = "cordon"
    METRICS_LOST = "metrics-lost"


RELEASES = (Kind.RELEASE_FAILS, Kind.RELEASE_CRASHES, Kind.RELEASE_STUCK, Kind.RELEASE_GOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """From `at_s` until `until_s`; what a release or a lost process leaves stays until somebody does something."""

    kind: Kind
    at_s: float
    until_s: float = math.inf
    share: float = 1.0
    count: int = 1

    def at(self, now: float) -> bool:
        """Return whether it is in force."""
        return self.at_s <= now < self.until_s


@dataclass(slots=True)
class Node:
    """A node. silent_s: since when its kubelet is not heard, infinite while it is. alive: whether its pods serve."""

    name: str
    alive: bool = True
    silent_s: float = math.inf
    cordoned: bool = False
    notes: dict[str, str] = field(default_factory=dict)
    version: int = 1

    def ready(self, now: float) -> bool:
        """Return whether the control plane takes it for ready."""
        return now - self.silent_s < GRACE_S


@dataclass
class World:
    """The world at one second. evicts: whether Kubernetes makes pods of nodes that are away anew elsewhere.

    acts: what was done, by second: `restart`, `rollback`, `drain` (of a node), `evict` (of a pod).
    """

    faults: Sequence[Fault]
    dice: np.random.Generator
    length_s: int
    evicts: bool = True
    now: Instant = 0.0
    nodes: dict[str, Node] = field(default_factory=lambda: {f"n{one}": Node(f"n{one}") for one in range(1, 7)})
    rollout: Rollout = field(init=False)
    acts: list[tuple[float, str]] = field(default_factory=list)
    failing: float = 0.0
    busy: float = 0.0
    lost_s: float = 0.0
    last_bad_s: float = -math.inf
    _retries: Retries = field(default_factory=lambda: Retries(_AGAIN, 1.0))
    _begun: set[int] = field(default_factory=set)
    _counted: dict[str, F64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rollout = Rollout(dice=self.dice, places=self.places, grows=self._memory)
        for pod in self.rollout.pods:
            pod.ready_s = pod.started_s = -60.0

    # -- what is so --------------------------------------------------------------------------------------

    def in_force(self, *kinds: Kind) -> Fault | None:
        """Return the first fault of these kinds that is in force."""
        return next((one for one in self.faults if one.kind in kinds and one.at(self.now)), None)

    def places(self) -> list[str]:
        """Return the nodes that take pods."""
        return [one.name for one in self.nodes.values() if one.ready(self.now) and not one.cordoned]

    def known_ready(self, pod: Pod) -> bool:
        """Return whether a pod gets requests: ready, on a node that is taken for ready."""
        node = self.nodes.get(pod.node)
        return pod.ready_s <= self.now and node is not None and node.ready(self.now)

    def _memory(self, pod: Pod) -> float:
        leak = self.in_force(Kind.LEAK, Kind.CACHE)
        if leak is None or pod.ready_s > self.now:
            return FRESH_MIB
        grown = (self.now - max(pod.started_s, leak.at_s)) / 3600.0 / leak.share
        # a cache fills, the more slowly the fuller it is
        part = grown if leak.kind is Kind.LEAK else 0.6 * (1.0 - math.exp(-3.0 * grown))
        return FRESH_MIB + (LIMIT_MIB - FRESH_MIB) * part

    def memory_mib(self) -> float:
        """Return the memory of the largest container."""
        return max((self._memory(pod) for pod in self.rollout.pods), default=FRESH_MIB)

    def _fails(self, pod: Pod) -> float:
        """Return the share of what a pod is asked that fails."""
        if not self.nodes[pod.node].alive:
            return 1.0
        upstream, release = self.in_force(Kind.UPSTREAM), self.rollout.image(pod)
        own = [BACKGROUND, release.fails, pod.wedged, 0.0 if upstream is None else upstream.share]
        return 1.0 - math.prod(1.0 - one for one in own)

    def measured(self, revision: str, window_s: int) -> tuple[float, float]:
        """Return failed requests and requests a second over the last window, of a revision or, by '', of all."""
        end, start = int(self.now), max(0, int(self.now) - window_s)
        wanted = [counts for name, counts in self._counted.items() if revision in ("", name)]
        failed, asked = np.sum([one[start:end].sum(axis=0) for one in wanted], axis=0) if wanted else (0.0, 0.0)
        return float(failed) / window_s, float(asked) / window_s

    # -- time --------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Let one second go by."""
        for number, fault in enumerate(self.faults):
            if number not in self._begun and fault.at_s <= self.now:
                self._begun.add(number)
                self._begin(fault)
        self._nodes()
        self.rollout.second(self.now, self.known_ready)
        self._serve()
        self.now += 1.0

    def _begin(self, fault: Fault) -> None:
        names = [one.name for one in self.nodes.values() if one.alive]
        match fault.kind:
            case kind if kind in RELEASES:
                self.rollout.release(kind.value, fault.share, self.now)
            case Kind.WEDGED:
                for pod in self.rollout.pods[: fault.count]:
                    pod.wedged = fault.share
            case Kind.CRASH:
                for pod in self.rollout.pods[: fault.count]:
                    self.rollout.crash(pod, self.now)
            case Kind.NODE_LOST | Kind.NODE_UNHEARD | Kind.CORDON:
                self._silence(names[: fault.count], fault.kind)
            case Kind.RECLAIM:
                for name in names[: fault.count]:
                    del self.nodes[name]
                    self.nodes[f"{name}x"] = Node(f"{name}x", silent_s=self.now - GRACE_S)
            case _:
                pass

    def _silence(self, names: Sequence[str], kind: Kind) -> None:
        for name in names:
            node = self.nodes[name]
            node.silent_s, node.alive = self.now, kind is Kind.NODE_UNHEARD
            if kind is Kind.CORDON:
                node.cordoned = True
                self.drain(name, self.now, by_us=False)

    def _nodes(self) -> None:
        silent = (Kind.NODE_LOST, Kind.NODE_UNHEARD, Kind.CORDON)
        gone = sum(one.count for one in self.faults if one.kind in silent and one.at(self.now))
        for place, node in enumerate(self.nodes.values()):
            away = place < gone
            if not away and math.isfinite(node.silent_s) and not (node.name.endswith("x") and self._young(node)):
                node.silent_s, node.alive, node.version = math.inf, True, node.version + 1
        down = [one for one in self.nodes.values() if not one.ready(self.now)]
        if not self.evicts or len(down) >= MOSTLY * len(self.nodes):
            down = []
        lost = {one.name for one in down if self.now - one.silent_s >= GRACE_S + TOLERATION_S}
        self.rollout.remove([pod for pod in self.rollout.pods if pod.node in lost or pod.node not in self.nodes])

    def _young(self, node: Node) -> bool:
        """Return whether a node that was given for one that was taken is on its way."""
        return self.now - node.silent_s < GRACE_S + 60.0

    def _serve(self) -> None:
        crowd = self.in_force(Kind.LOAD)
        first = DEMAND_RPS * (1.0 if crowd is None else crowd.share)
        tries = [first, *self._retries.take()]
        asked, pods = sum(tries), [pod for pod in self.rollout.pods if self.known_ready(pod)]
        failed = 0.0 if pods else asked
        for pod in pods:
            load = asked / len(pods)
            own, room = self._fails(pod), min(load, CARRIES_RPS)
            bad = load - room + room * own
            failed += bad
            self._count(pod.revision, bad / load, load)
        self.failing, self.busy = failed / asked, asked / (len(pods) * CARRIES_RPS) if pods else math.inf
        self._retries.again(tries, self.failing, 0.0)
        self.lost_s += max(0.0, self.failing - BACKGROUND)
        if self.failing > FAILING:
            self.last_bad_s = self.now

    def _count(self, revision: str, share: float, load: float) -> None:
        known = self._counted.setdefault(revision, np.zeros((self.length_s + 1, 2)))
        asked = float(self.dice.poisson(load))
        known[int(self.now)] += (float(self.dice.binomial(int(asked), min(1.0, share))), asked)

    # -- what is done ------------------------------------------------------------------------------------

    def patch(self, template: dict[str, Any]) -> None:
        """Take another pod template: a restart where only its annotations differ, else a rollback."""
        kind = "restart" if template["spec"] == self.rollout.template["spec"] else "rollback"
        self.acts.append((self.now, kind))
        self.rollout.roll(template, self.now)

    def evict(self, name: str) -> bool:
        """Make one pod anew elsewhere, and return whether there was such a pod."""
        found = [pod for pod in self.rollout.pods if pod.name == name]
        self.rollout.remove(found)
        if found and not self.nodes[found[0].node].cordoned:
            self.acts.append((self.now, "evict"))
        return bool(found)

    def cordon(self, name: str, *, on: bool) -> None:
        """Let a node take no pods, or take them again."""
        node = self.nodes[name]
        node.cordoned, node.version = on, node.version + 1
        if on:
            self.acts.append((self.now, "drain"))

    def drain(self, name: str, now: float, *, by_us: bool = True) -> None:
        """Make all pods of a node anew elsewhere."""
        del now
        if by_us and not self.nodes[name].cordoned:
            self.cordon(name, on=True)
        self.rollout.remove([pod for pod in self.rollout.pods if pod.node == name])
