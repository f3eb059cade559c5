"""What is kept of the objects that are watched: of pods and nodes, of which there are thousands, what is read of them.

A pod with its spec, its volumes and its managed fields takes ten times as much as what is read of it. What is read anew
of pods or nodes (inventory.py, cluster.py, startups.py, stock.py) is to be kept here first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiops.adapters.kubernetes.startups import POD_CONDITIONS, READY
from aiops.adapters.kubernetes.stock import NODE_LABELS, PRICED

Object = dict[str, Any]
Keeps = Callable[[Object], Object]

_POD_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "labels",
    "ownerReferences",
    "creationTimestamp",
    "deletionTimestamp",
)


def keeps(path: str) -> Keeps:
    """Return what is kept of an object that is watched at a path of the API."""
    return {"pods": _pod, "nodes": _node}.get(path.rpartition("/")[2], _whole)


def _whole(item: Object) -> Object:
    return item


def _pod(item: Object) -> Object:
    metadata, status = item.get("metadata") or {}, item.get("status") or {}
    inits = status.get("initContainerStatuses") or ()
    return {
        "metadata": _some(metadata, _POD_METADATA),
        "spec": _requests(item.get("spec") or {}),
        "status": {
            **_some(status, ("phase",)),
            "conditions": _conditions(status, POD_CONDITIONS),
            "containerStatuses": [_began(one) for one in status.get("containerStatuses") or ()],
            **({"initContainerStatuses": [_began(one) for one in inits]} if inits else {}),
        },
    }


def _node(item: Object) -> Object:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    return {
        "metadata": {
            **_some(item.get("metadata") or {}, ("name", "uid", "resourceVersion")),
            "labels": _some((item.get("metadata") or {}).get("labels") or {}, NODE_LABELS),
        },
        "spec": _some(spec, ("unschedulable",)),
        "status": {
            "conditions": _conditions(status, (READY,)),
            **{name: _some(status.get(name) or {}, PRICED) for name in ("capacity", "allocatable")},
        },
    }


def _requests(spec: Object) -> Object:
    """Return where a pod runs, and what of it is priced."""
    kept = _some(spec, ("nodeName",))
    if overhead := _some(spec.get("overhead") or {}, PRICED):
        kept["overhead"] = overhead
    if resources := _resources(spec):
        kept["resources"] = resources
    kept["containers"] = [_container(one) for one in spec.get("containers") or ()]
    if first := [_container(one) for one in spec.get("initContainers") or ()]:
        kept["initContainers"] = first
    return kept


def _container(container: Object) -> Object:
    resources = _resources(container)
    return {**_some(container, ("restartPolicy",)), **({"resources": resources} if resources else {})}


def _resources(of: Object) -> Object:
    written = of.get("resources") or {}
    return {name: priced for name in ("requests", "limits") if (priced := _some(written.get(name) or {}, PRICED))}


def _began(container: Object) -> Object:
    """Return how often a container was restarted, and when it began."""
    state = container.get("state") or {}
    began = {name: _some(state[name], ("startedAt",)) for name in ("running", "terminated") if state.get(name)}
    return {"restartCount": container.get("restartCount") or 0, **({"state": began} if began else {})}


def _conditions(status: Object, types: tuple[str, ...]) -> list[Object]:
    return [
        _some(one, ("type", "status", "lastTransitionTime"))
        for one in status.get("conditions") or ()
        if one.get("type") in types
    ]


def _some(of: Object, names: tuple[str, ...]) -> Object:
    return {name: of[name] for name in names if name in of}
