"""What an object that runs pods would cost by its template, whether any of its pods are there now or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.core.model import PodShare, SeenObject
from aiops.core.money.chains import GIB, amount
from aiops.core.objects.bodies import at, listed, number

GPU = "nvidia.com/gpu"
RUNNING = ("Deployment", "StatefulSet")
"""Kinds whose replicas run all the time, so that they cost something all the time."""


def replicas(seen: SeenObject) -> int:
    """Return how many replicas an object asks for; one where it does not say, as Kubernetes has it."""
    return max(0, number(at(seen.body, "spec", "replicas"), 1) or 0)


def share(seen: SeenObject) -> PodShare:
    """Return what one pod of an object's template takes: the sum of its containers' requests.

    Sidecars among the init containers (`restartPolicy: Always`) count, too. A limit without a request is one, as the
    API server has it; where no container says anything of a resource, that is not known.
    """
    template = at(seen.body, "spec", "template", "spec")
    sidecars = [one for one in listed(at(template, "initContainers")) if one.get("restartPolicy") == "Always"]
    containers = [*listed(at(template, "containers")), *sidecars]
    cores, memory = _sum(containers, "cpu"), _sum(containers, "memory")
    return PodShare(
        pod=seen.ref.name,
        cores=cores,
        memory_gib=None if memory is None else memory / GIB,
        gpus=_sum(containers, GPU) or 0.0,
    )


def _sum(containers: list[Mapping[str, Any]], resource: str) -> float | None:
    said = []
    for one in containers:
        value = at(one, "resources", "requests", resource)
        value = at(one, "resources", "limits", resource) if value is None else value
        if value is not None:
            said.append(amount(str(value)))
    return sum(said) if said else None
