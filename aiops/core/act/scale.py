"""`Scale`: replicas through the scale subresource, of any kind that has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.act import inscribe
from aiops.core.model import REPLICAS, STAMP_MANAGER, Change, Step, Workload
from aiops.core.model.swift import making

_step = making(Step)


@dataclass(frozen=True, slots=True)
class _Scale:
    def steps(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return one patch of `/scale`; it drops annotations, so the origin travels in the request's headers (S6).

        Where the replicas stand in Git it is one commit.
        """
        declared = workload.declaration(REPLICAS)
        if declared is not None:
            return inscribe.steps(workload.ref, declared, change.after, origin)
        return (_patch(workload, change.before, change.after),)

    def undo(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return what takes the change back."""
        declared = workload.declaration(REPLICAS)
        if declared is not None:
            return inscribe.back(workload.ref, declared, change.after, origin)
        return (_patch(workload, change.after, change.before),)

    def level(self, change: Change, workload: Workload) -> int | None:
        """Return `spec.replicas`."""
        del change
        return workload.replicas


VERBS = _Scale()


def _patch(workload: Workload, before: int, after: int) -> Step:
    ref = workload.ref
    return _step(
        target=ref,
        subresource="scale",
        body={"spec": {"replicas": after}},
        uid=workload.uid,
        resource_version=workload.resource_version,
        summary=f"{ref.kind} {ref}: replicas {before} -> {after}",
    )


def stamp(workload: Workload, epoch: int) -> Step:
    """Return the apply of what `/scale` says already, by a field manager that carries the epoch.

    It moves nothing and needs no right but that to scale; the object's resourceVersion changes with its managedFields.
    """
    ref = workload.ref
    metadata = {"name": ref.name, "namespace": ref.namespace}
    return Step(
        target=ref,
        subresource="scale",
        body={
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": metadata,
            "spec": {"replicas": workload.replicas},
        },
        uid=workload.uid,
        resource_version=workload.resource_version,
        summary=f"{ref.kind} {ref}: epoch {epoch}",
        apply_as=f"{STAMP_MANAGER}{epoch}",
    )
