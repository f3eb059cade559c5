"""A Deployment and its pods, second by second, as its controller and the kubelets move them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiops.core.ids import digest
from simulators.pods import Startup

REPLICAS, SURGE, UNAVAILABLE = 6, 2, 1
"""25 % of six, as Kubernetes rounds: up for what may be more, down for what may be missing."""

DEADLINE_S = 120.0
"""`progressDeadlineSeconds`."""

BACK_OFF_S, MOST_BACK_OFF_S = 10.0, 300.0
LIMIT_RATIO_MIB = 1000.0
STARTUP = Startup(median_s=20.0, p95_s=30.0)
CRASHES_AFTER_S = (15.0, 60.0)
"""For how long a container of a release that crashes runs."""

APP = {"app": "checkout"}


@dataclass(frozen=True, slots=True)
class Image:
    """What a release is like. fails: the share of its requests. crashes, stuck: its containers end, or never serve."""

    fails: float = 0.0
    crashes: bool = False
    stuck: bool = False


@dataclass(slots=True)
class Pod:
    """A pod. ready_s: since when it serves, infinite while it does not and does not start.

    started_s: of its container. ended_s: when a container last ended; back_s: when it is started again.
    """

    name: str
    number: int
    revision: str
    image: str
    node: str
    ready_s: float
    started_s: float
    wedged: float = 0.0
    restarts: int = 0
    ended_s: float = -math.inf
    back_s: float = -math.inf
    ends_s: float = math.inf


@dataclass(slots=True)
class Revision:
    """A ReplicaSet: number: of the revision."""

    hash: str
    number: int
    template: dict[str, Any]


@dataclass
class Rollout:
    """The Deployment. places: nodes that take pods. grows: the memory of a pod. generation moves with the template.

    whole: the rollout of the newest revision has come to its end.
    """

    dice: np.random.Generator
    places: Callable[[], list[str]]
    grows: Callable[[Pod], float]
    template: dict[str, Any] = field(default_factory=dict)
    revisions: list[Revision] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    images: dict[str, Image] = field(default_factory=lambda: {"v1": Image(), "v0": Image()})
    generation: int = 0
    progress_s: float = 0.0
    whole: bool = False
    made: int = 0

    def __post_init__(self) -> None:
        # an earlier release is remembered, as it is anywhere: not every trouble is the release's
        for image in ("v0", "v1"):
            spec = {"containers": [{"name": "main", "image": image}]}
            self._adopt({"metadata": {"labels": dict(APP), "annotations": {}}, "spec": spec}, 0.0)
        for _ in range(REPLICAS):
            self._create(0.0)

    @property
    def current(self) -> Revision:
        """Return the newest revision."""
        return max(self.revisions, key=lambda one: one.number)

    def image(self, pod: Pod) -> Image:
        """Return what a pod's release is like."""
        return self.images[pod.image]

    # -- what is written ---------------------------------------------------------------------------------

    def release(self, kind: str, share: float, now: float) -> None:
        """Let somebody roll out a release."""
        name = f"v{len(self.images)}"
        fails = share if kind == "release-fails" else 0.0
        self.images[name] = Image(fails, crashes=kind == "release-crashes", stuck=kind == "release-stuck")
        template = copy.deepcopy(self.template)
        template["spec"]["containers"][0]["image"] = name
        self.roll(template, now)

    def roll(self, template: dict[str, Any], now: float) -> None:
        """Take a pod template, of a known revision or of a new one."""
        if template != self.template:
            self._adopt(template, now)

    def _adopt(self, template: dict[str, Any], now: float) -> None:
        self.template, self.generation, self.progress_s = copy.deepcopy(template), self.generation + 1, now
        self.whole = False
        number = 1 + max((one.number for one in self.revisions), default=0)
        known = next((one for one in self.revisions if one.template == template), None)
        if known is not None:
            known.number = number
        else:
            self.revisions.append(Revision(digest(repr(template))[:10], number, copy.deepcopy(template)))

    # -- time --------------------------------------------------------------------------------------------

    def second(self, now: float, serves: Callable[[Pod], bool]) -> None:
        """Let the kubelets and the Deployment's controller do what they do in a second."""
        for pod in self.pods:
            self._live(pod, now)
        new = [pod for pod in self.pods if pod.revision == self.current.hash]
        old = [pod for pod in self.pods if pod.revision != self.current.hash]
        while len(new) < REPLICAS and len(self.pods) < REPLICAS + (SURGE if old else 0):
            new.append(self._create(now))
        available = sum(1 for pod in self.pods if serves(pod))
        for pod in sorted(old, key=lambda one: (serves(one), one.number)):
            if serves(pod) and available <= REPLICAS - UNAVAILABLE:
                break
            available -= serves(pod)
            self.pods.remove(pod)
            self.progress_s = now
        if any(pod.ready_s == now for pod in new):
            self.progress_s = now
        self.whole = self.whole or self.complete(serves)

    def stuck(self, now: float) -> bool:
        """Return whether the rollout is past its deadline without progress; one that was whole once is over."""
        return not self.whole and now - self.progress_s > DEADLINE_S

    def complete(self, serves: Callable[[Pod], bool]) -> bool:
        """Return whether all pods are of the newest revision, and serve."""
        current = self.current.hash
        return len(self.pods) == REPLICAS and all(pod.revision == current and serves(pod) for pod in self.pods)

    def _live(self, pod: Pod, now: float) -> None:
        if now == pod.back_s:
            self._start(pod, now)
        if pod.ends_s <= now or self.grows(pod) >= LIMIT_RATIO_MIB:
            self.crash(pod, now)

    def crash(self, pod: Pod, now: float) -> None:
        """Let a container end: it is started again after a back-off."""
        pause_s = min(MOST_BACK_OFF_S, BACK_OFF_S * 2.0**pod.restarts)
        pod.restarts, pod.ended_s, pod.back_s = pod.restarts + 1, now, now + pause_s
        pod.ready_s, pod.ends_s, pod.started_s, pod.wedged = math.inf, math.inf, math.inf, 0.0

    def _start(self, pod: Pod, now: float) -> None:
        image, (takes_s,) = self.images[pod.image], STARTUP.draw(self.dice, 1)
        pod.started_s = now
        pod.ready_s = math.inf if image.stuck else math.ceil(now + takes_s)
        pod.ends_s = pod.ready_s + float(self.dice.uniform(*CRASHES_AFTER_S)) if image.crashes else math.inf

    def _create(self, now: float) -> Pod:
        self.made += 1
        current, crowd = self.current, dict.fromkeys(self.places(), 0)
        for pod in self.pods:
            if pod.node in crowd:
                crowd[pod.node] += 1
        node = min(crowd, key=lambda name: (crowd[name], name)) if crowd else ""
        name, image = f"checkout-{current.hash}-{self.made}", current.template["spec"]["containers"][0]["image"]
        made = Pod(name, self.made, current.hash, image, node, math.inf, now)
        self._start(made, now)
        self.pods.append(made)
        return made

    def remove(self, pods: list[Pod]) -> None:
        """Delete pods: the controller makes others."""
        for pod in pods:
            self.pods.remove(pod)
