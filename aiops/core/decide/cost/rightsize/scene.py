"""What one instant shows of containers that are sized: workloads and pods, what they request, what killed them.

Whatever is missing in an object, or of another shape, reads as nothing: what an API server shows is somebody else's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from aiops.core.decide.cost.pack.amounts import Unreadable, thousandths
from aiops.core.decide.cost.rightsize.uses import Seen
from aiops.core.model import F64, Instant, Looked, SeenObject, Table
from aiops.core.objects.bodies import at, instant, listed, name_of, number, strings
from aiops.core.objects.budgets import selects
from aiops.core.planning.cost_rightsize import CPU, MEMORY, RightsizePolicy, around
from aiops.core.planning.saving import NotKnown

OOM_KILLED = "OOMKilled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a workload, as its template has it. requests, limits: quantities by resource."""

    key: str
    workload: SeenObject
    name: str
    requests: Mapping[str, str]
    limits: Mapping[str, str]

    def amount(self, part: str, resource: str) -> float:
        """Return cores or bytes, NaN where nothing is said or it cannot be read."""
        text = (self.requests if part == "requests" else self.limits).get(resource, "")
        # what has a limit and no request requests its limit
        if not text and part == "requests":
            text = self.limits.get(resource, "")
        return amount(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """containers: of every workload that is sized. pods: by the key of their workload, those that are not going away.

    unseen: why pods cannot be seen, '' when they can.
    """

    containers: tuple[Container, ...]
    pods: Mapping[str, tuple[SeenObject, ...]] = field(default_factory=dict)
    unseen: str = ""

    @property
    def rows(self) -> dict[str, int]:
        """Return the row of each container."""
        return {one.key: row for row, one in enumerate(self.containers)}

    @property
    def workloads(self) -> dict[str, SeenObject]:
        """Return the workloads that have containers, by key."""
        return {one.workload.ref.key: one.workload for one in self.containers}

    def of(self, workload: SeenObject) -> tuple[SeenObject, ...]:
        """Return the pods of a workload."""
        return self.pods.get(workload.ref.key, ())

    def each_pod(self) -> Iterator[tuple[int, Container, SeenObject]]:
        """Yield each pod of each container, with the container's row."""
        for row, one in enumerate(self.containers):
            for pod in self.of(one.workload):
                yield row, one, pod


@lru_cache(maxsize=4096)
def amount(text: str) -> float:
    """Return a quantity as a number, NaN for none."""
    try:
        return thousandths(text) / 1000.0 if text else math.nan
    except Unreadable:
        return math.nan


def scene(policy: RightsizePolicy, looked: Looked) -> Scene | NotKnown:
    """Return what is seen, or why it is not known which workloads there are."""
    workloads = () if policy.targets is None else policy.targets.found(looked)
    if workloads and not isinstance(workloads[0], SeenObject):
        return workloads
    seen = [one for one in workloads if isinstance(one, SeenObject)]
    selection = around(policy).pods
    every = looked.selections.get(selection.key)
    unseen = "" if every is not None else looked.errors.get(selection.key, (None, "not seen yet"))[1]
    containers = [one for workload in seen for one in _containers(workload, policy.exclude)]
    labelled = _Labelled.of(every or ())
    return Scene(
        containers=tuple(containers),
        pods={one.ref.key: tuple(labelled.of_workload(one)) for one in seen},
        unseen=unseen,
    )


def _containers(workload: SeenObject, exclude: frozenset[str]) -> Iterator[Container]:
    for one in listed(at(workload.body, "spec", "template", "spec", "containers")):
        name = name_of(one)
        if name and name not in exclude:
            yield Container(
                key=f"{workload.ref.kind}/{workload.ref.name}/{name}",
                workload=workload,
                name=name,
                requests=strings(at(one, "resources", "requests")),
                limits=strings(at(one, "resources", "limits")),
            )


_Read: TypeAlias = tuple[SeenObject, Mapping[str, str]]
"""A pod and its labels."""


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The pods that are not going away: all of them, and by each of their labels; each is read once."""

    every: tuple[_Read, ...]
    by_label: Mapping[tuple[str, str], list[_Read]]

    @staticmethod
    def of(every: Iterable[SeenObject]) -> _Labelled:
        """Return the pods in the order of names."""
        alive = (one for one in every if not at(one.body, "metadata", "deletionTimestamp"))
        names = sorted(alive, key=lambda pod: pod.ref.name)
        read = tuple((one, strings(at(one.body, "metadata", "labels"))) for one in names)
        by_label: dict[tuple[str, str], list[_Read]] = {}
        for one in read:
            for pair in one[1].items():
                by_label.setdefault(pair, []).append(one)
        return _Labelled(read, by_label)

    def of_workload(self, workload: SeenObject) -> Iterator[SeenObject]:
        """Yield the pods that a workload's selector selects, in the order of names."""
        selector = at(workload.body, "spec", "selector")
        if not isinstance(selector, Mapping) or not selector:
            return
        exact = strings(selector.get("matchLabels"))
        # all of its labels are asked for, so that those with the rarest of them are all that there may be
        rarest = min((self.by_label.get(pair, []) for pair in exact.items()), key=len, default=self.every)
        for one, labels in rarest:
            if selects(selector, labels):
                yield one


# -- what was used -------------------------------------------------------------------------------------


def seen_uses(found: Scene, tables: Mapping[str, Table], now: Instant) -> Seen:
    """Return the samples of the pods that are there; NaN where a table has none."""
    cores, size = _by_pod(tables.get(CPU)), _by_pod(tables.get(MEMORY))
    rows, values = [], []
    for row, one, pod in found.each_pod():
        key = (pod.ref.name, one.name)
        if key in cores or key in size:
            rows.append(row)
            values.append((cores.get(key, math.nan), size.get(key, math.nan)))
    pairs = np.array(values, np.float64).reshape(-1, 2)
    sane = np.where((pairs >= 0.0) & np.isfinite(pairs), pairs, np.nan)
    return Seen(at=now, rows=np.array(rows, np.intp), cores=sane[:, 0], bytes=sane[:, 1])


def shares(found: Scene, table: Table | None) -> F64:
    """Return float64[n]: the greatest share of throttled periods over a container's pods, NaN where none is known."""
    by_pod, made = _by_pod(table), np.full(len(found.containers), np.nan)
    for row, one, pod in found.each_pod():
        share = by_pod.get((pod.ref.name, one.name), math.nan)
        if math.isfinite(share):
            made[row] = np.fmax(made[row], share)
    return made


def _by_pod(table: Table | None) -> dict[tuple[str, str], float]:
    if table is None:
        return {}
    return {(row[0], row[1]): value for row, value in zip(table.rows, table.values, strict=True) if len(row) == 2}


# -- what went wrong -----------------------------------------------------------------------------------


def kills(found: Scene) -> F64:
    """Return float64[n]: when each container was last killed for memory, -inf for never."""
    made = np.full(len(found.containers), -np.inf)
    for row, one, pod in found.each_pod():
        for when in _killed_at(pod, one.name):
            made[row] = max(made[row], when)
    return made


def _killed_at(pod: SeenObject, container: str) -> Iterator[Instant]:
    for one in listed(at(pod.body, "status", "containerStatuses")):
        if name_of(one) != container:
            continue
        for state in ("lastState", "state"):
            ended = at(one, state, "terminated")
            when = instant(str(at(ended, "finishedAt") or ""))
            if at(ended, "reason") == OOM_KILLED and when is not None:
                yield when


def failing(pods: Iterable[SeenObject], since: Instant) -> str:
    """Return what went wrong with pods after an instant, '' for nothing: a kill, a crash, a bad end."""
    for pod in pods:
        for one in listed(at(pod.body, "status", "containerStatuses")):
            waiting = at(one, "state", "waiting", "reason")
            if waiting == "CrashLoopBackOff":
                return f"{name_of(one)} of {pod.ref.name} crashes on and on"
            for state in ("lastState", "state"):
                ended = at(one, state, "terminated")
                when = instant(str(at(ended, "finishedAt") or ""))
                if when is None or when <= since:
                    continue
                if at(ended, "reason") == OOM_KILLED:
                    return f"{name_of(one)} of {pod.ref.name} was killed for memory"
                if number(at(ended, "exitCode"), 0):
                    return f"{name_of(one)} of {pod.ref.name} ended with {at(ended, 'exitCode')}"
    return ""
