"""Changes to the same sizes, one after the other: how much of what is saved each of them brought.

Of A -> B -> C on one resource the counterfactual of no action is A. The first brought A - B and the second B - C, so
that the sum over the actions is what there is against no action, nothing twice and nothing lost. A change counts as
long as what it set is there, or what a later one changed is what it set: what somebody else wrote over it, and what was
taken back, brings nothing from then on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiops.core.model import (
    Plan,
    PlanStep,
    ResizePods,
    SeenObject,
    SetResources,
    Snapshot,
    Stage,
    TargetRef,
    UnitPrices,
)
from aiops.core.money.spend import Layer, nano
from aiops.core.objects.bodies import at, listed, name_of, strings

GIB = 2.0**30
_SUFFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)([numkMGT]|[KMGT]i)?")
CPU, MEMORY = "cpu", "memory"
MOST_GONE = 12
"""So many changes are told apart whose plans are forgotten; of more the two oldest become one."""

ALIKE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One change of one request: place is `CONTAINER` of the template, or `POD/CONTAINER`; cores, or GiB."""

    place: str
    resource: str
    before: float
    after: float

    @property
    def key(self) -> tuple[str, str]:
        """Return what it changed."""
        return self.place, self.resource

    @property
    def of_pod(self) -> bool:
        """Return whether it changed one pod, and not what all are made from."""
        return "/" in self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What one change brought: cores and GiB less, of every replica, and of single pods together."""

    cores: float = 0.0
    gib: float = 0.0
    pod_cores: float = 0.0
    pod_gib: float = 0.0
    pods: frozenset[str] = frozenset()


def amount(text: str) -> float:
    """Return the number of a Kubernetes quantity, 0 for none that can be read.

    >>> amount("250m"), amount("2Gi"), amount("nonsense")
    (0.25, 2147483648.0, 0.0)
    """
    match = _QUANTITY.fullmatch(text.strip())
    return 0.0 if match is None else float(match[1]) * _SUFFIXES[match[2] or ""]


def links_of(steps: Iterable[PlanStep]) -> tuple[Link, ...]:
    """Return what steps changed, in their order: those of the template where there are some, else those of pods."""
    every = [link for step in steps for link in _links(step)]
    template = tuple(one for one in every if not one.of_pod)
    return template or tuple(every)


def _links(step: PlanStep) -> Iterable[Link]:
    made = step.operation
    for before in step.undo:
        match made, before:
            case SetResources(), SetResources():
                yield from _changes(made.container, before.requests, made.requests)
            case ResizePods(), ResizePods():
                for pod in before.pods:
                    yield from _changes(f"{pod}/{made.container}", before.requests, made.requests)
            case _:
                pass


def _changes(place: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Link]:
    for resource, unit in ((CPU, 1.0), (MEMORY, GIB)):
        if resource in after:
            was, now = amount(before.get(resource, "")) / unit, amount(after[resource]) / unit
            yield Link(place=place, resource=resource, before=was, after=now)


def under_way(plans: Iterable[Plan], target: str) -> tuple[Link, ...]:
    """Return what steps change that are sent and neither done nor taken back: it counts for nobody yet."""
    settled = (Stage.DONE, Stage.SKIPPED, Stage.UNDONE)
    steps = (one for plan in plans for one in plan.steps if one.sent and one.stage not in settled)
    mine = [one for one in steps if isinstance(one.operation, SetResources | ResizePods)]
    return tuple(link for one in mine if _target(one).key == target for link in _links(one))


def _target(step: PlanStep) -> TargetRef:
    assert isinstance(step.operation, SetResources | ResizePods)  # noqa: S101 - chosen by it
    return step.operation.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What there is now. requests: by place and resource; template, pods: whether they are seen at all."""

    requests: Mapping[tuple[str, str], float]
    template: bool
    pods: bool

    def of(self, link: Link) -> float | None:
        """Return what a request is now, None where that is not known; a pod that is gone requests nothing."""
        if not (self.pods if link.of_pod else self.template):
            return None
        return self.requests.get(link.key, -1.0 if link.of_pod else 0.0)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one turn shows. every: by key, all that was looked at; pods: by cluster and namespace, then by name."""

    every: Mapping[str, SeenObject]
    pods: Mapping[tuple[str, str], Mapping[str, SeenObject]]

    @staticmethod
    def of(snapshot: Snapshot) -> Sight:
        """Return what a snapshot shows."""
        looked = snapshot.looked
        some = [one for found in looked.selections.values() for one in found]
        pods: dict[tuple[str, str], dict[str, SeenObject]] = {}
        for one in some:
            if one.ref.kind == "Pod":
                pods.setdefault((one.ref.cluster, one.ref.namespace), {})[one.ref.name] = one
        every = {one.ref.key: one for one in some if one.ref.kind != "Pod"}
        return Sight({**every, **looked.objects}, pods)

    def now(self, target: str, links: Iterable[Link]) -> Now:
        """Return what a workload's template requests, and those of its pods that links are about. target: its key."""
        requests: dict[tuple[str, str], float] = {}
        seen = self.every.get(target)
        if seen is not None:
            requests.update(_requests("", at(seen.body, "spec", "template", "spec", "containers")))
        cluster, namespace = target.split("/", 2)[:2]
        pods = self.pods.get((cluster, namespace), {})
        for name in {one.place.partition("/")[0] for one in links if one.of_pod}:
            if name in pods:
                requests.update(_requests(f"{name}/", at(pods[name].body, "spec", "containers")))
        return Now(requests=requests, template=seen is not None, pods=bool(pods))


def _requests(prefix: str, containers: object) -> Iterable[tuple[tuple[str, str], float]]:
    for one in listed(containers):
        asked = strings(at(one, "resources", "requests"))
        for resource, unit in ((CPU, 1.0), (MEMORY, GIB)):
            yield (f"{prefix}{name_of(one)}", resource), amount(asked.get(resource, "")) / unit


def brought(chain: Sequence[tuple[str, Sequence[Link]]], now: Now) -> dict[str, Brought]:
    """Return what each of a chain of changes brought, by the name of who made it; '' names what is under way.

    chain: oldest first. Nothing of those that do not count.
    """
    values: dict[tuple[str, str], float] = {}
    found: dict[str, Brought] = {}
    for name, links in reversed(chain):
        holding = []
        for link in reversed(links):
            value = values[link.key] if link.key in values else now.of(link)
            if value is None or math.isclose(value, link.after, rel_tol=ALIKE, abs_tol=1e-12):
                values[link.key] = link.before
                holding.append(link)
        if name and holding:
            found[name] = _summed(holding)
    return found


def _summed(links: Sequence[Link]) -> Brought:
    def less(resource: str, *, of_pod: bool) -> float:
        mine = (one for one in links if one.resource == resource and one.of_pod is of_pod)
        return math.fsum(one.before - one.after for one in mine)

    return Brought(
        cores=less(CPU, of_pod=False),
        gib=less(MEMORY, of_pod=False),
        pod_cores=less(CPU, of_pod=True),
        pod_gib=less(MEMORY, of_pod=True),
        pods=frozenset(one.place.partition("/")[0] for one in links if one.of_pod),
    )


def folded(first: Sequence[Link], second: Sequence[Link]) -> tuple[Link, ...]:
    """Return two changes that follow each other as one."""
    made = {one.key: one for one in first}
    for one in second:
        known = made.get(one.key)
        before = one.before if known is None else known.before
        made[one.key] = Link(place=one.place, resource=one.resource, before=before, after=one.after)
    return tuple(made.values())


# -- in money ------------------------------------------------------------------------------------------


def layers(chain: Mapping[str, Brought], units: UnitPrices | None, replicas: int) -> tuple[Layer, ...]:
    """Return what each change takes off the price of a replica now; what is not priced takes nothing off.

    What single pods have less is spread over all replicas: those that come later are made from the template.
    """
    if units is None:
        return ()
    whole = max(1, replicas, len(frozenset().union(*(one.pods for one in chain.values()))))
    made = []
    for name, one in chain.items():
        each = nano(one.cores * units.core_usd + one.gib * units.gib_usd)
        pods = nano(one.pod_cores * units.core_usd + one.pod_gib * units.gib_usd)
        made.append(Layer(entry=name, extra=each + pods // whole))
    return tuple(reversed(made))
