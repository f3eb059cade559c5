"""What is to be priced: nodes by their labels and capacity, pods by what they request and where they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiops.core.decide.quantities import quantity
from aiops.core.model import Machine, PodShare
from aiops.core.objects.pools import POOLS
from aiops.core.objects.spot import SPOT, TYPES, ZONES, is_spot

Item = Mapping[str, Any]

GIB = 2.0**30
_GPUS = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")

PRICED = ("cpu", "memory", *_GPUS)
"""The resources that have a price."""

NODE_LABELS = (*TYPES, *ZONES, *SPOT, *POOLS)
"""The labels of a node that are read: its price depends on them, and its pool."""


def machine(cluster: str, node: Item) -> Machine:
    """Return a node as its price depends on it, and as conditions see it."""
    metadata, status = node.get("metadata") or {}, node.get("status") or {}
    labels, capacity = metadata.get("labels") or {}, status.get("capacity") or {}
    room = status.get("allocatable") or {}
    return Machine(
        cluster=cluster,
        node=str(metadata.get("name", "")),
        instance_type=_first(labels, TYPES),
        zone=_first(labels, ZONES),
        spot=is_spot(labels),
        cores=_amount(capacity, "cpu") or 0.0,
        memory_gib=(_amount(capacity, "memory") or 0.0) / GIB,
        gpus=sum(_amount(capacity, name) or 0.0 for name in _GPUS),
        pool=_first(labels, POOLS),
        ready=node_ready(node),
        schedulable=not (node.get("spec") or {}).get("unschedulable"),
        allocatable_cores=_amount(room, "cpu") or 0.0,
        allocatable_gib=(_amount(room, "memory") or 0.0) / GIB,
        allocatable_gpus=sum(_amount(room, name) or 0.0 for name in _GPUS),
    )


def node_ready(node: Item) -> bool:
    """Return whether a node says that it is ready."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


class Machines:
    """The nodes of one cluster, each read again only when it has changed."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._known: dict[str, tuple[str, Machine]] = {}

    def of(self, nodes: Sequence[Item]) -> dict[str, Machine]:
        """Return them by `Machine.key`."""
        found: dict[str, tuple[str, Machine]] = {}
        for node in nodes:
            metadata = node.get("metadata") or {}
            name, version = str(metadata.get("name", "")), str(metadata.get("resourceVersion", ""))
            known = self._known.get(name)
            stands = known is not None and version != "" and known[0] == version
            found[name] = known if known is not None and stands else (version, machine(self._cluster, node))
        self._known = found
        return {one.key: one for _, one in found.values()}


def shares(pods: Sequence[Item], template: Item) -> tuple[PodShare, ...]:
    """Return what each pod that is not ending requests; where there is none, what one of the template would."""
    alive = [pod for pod in pods if not (pod.get("metadata") or {}).get("deletionTimestamp") and not _over(pod)]
    if alive:
        return tuple(_share(str((pod.get("metadata") or {}).get("name", "")), pod.get("spec") or {}) for pod in alive)
    spec = template.get("spec") or {}
    return (_share("(none runs)", spec),) if spec.get("containers") else ()


def _over(pod: Item) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _share(name: str, spec: Item) -> PodShare:
    """Return a pod's effective requests, as the scheduler reckons: containers and sidecars, or an init container alone.

    Overhead of the runtime class comes on top, and requests of the pod itself stand for those of its containers.
    """
    wanted = {resource: _effective(spec, resource) for resource in PRICED}
    memory = wanted["memory"]
    return PodShare(
        pod=name,
        node=str(spec.get("nodeName") or ""),
        cores=wanted["cpu"],
        memory_gib=None if memory is None else memory / GIB,
        gpus=sum(wanted[name] or 0.0 for name in _GPUS),
    )


def _effective(spec: Item, resource: str) -> float | None:
    own = _amount((spec.get("resources") or {}).get("requests") or {}, resource)
    if own is None:
        sidecars, highest, known = 0.0, 0.0, False
        for one in spec.get("initContainers") or ():
            asked = _request(one, resource)
            known |= asked is not None
            if one.get("restartPolicy") == "Always":
                sidecars += asked or 0.0
                highest = max(highest, sidecars)
            else:
                highest = max(highest, sidecars + (asked or 0.0))
        every = [_request(one, resource) for one in spec.get("containers") or ()]
        if not known and all(one is None for one in every):
            return None
        own = max(sidecars + sum(one or 0.0 for one in every), highest)
    return own + (_amount(spec.get("overhead") or {}, resource) or 0.0)


def _request(container: Item, resource: str) -> float | None:
    resources = container.get("resources") or {}
    asked = _amount(resources.get("requests") or {}, resource)
    return _amount(resources.get("limits") or {}, resource) if asked is None else asked


def _amount(amounts: Item, resource: str) -> float | None:
    try:
        return quantity(amounts[resource])
    except (KeyError, ValueError, TypeError):
        return None


def _first(labels: Item, names: Sequence[str]) -> str:
    return next((str(labels[name]) for name in names if labels.get(name)), "")
