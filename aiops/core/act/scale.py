"""`Scale`: replicas through the scale subresource, of any kind that has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.model import Change, Step, Workload


@dataclass(frozen=True, slots=True)
class _Scale:
    def steps(self, change: Change, workload: Workload, origin: Mapping[str, str]) -> tuple[Step, ...]:
        """Return one patch of `/scale`; it drops annotations, so the origin travels in the request's headers (S6)."""
        del origin
        ref = workload.ref
        return (
            Step(
                target=ref,
                subresource="scale",
                body={"spec": {"replicas": change.after}},
                uid=workload.uid,
                resource_version=workload.resource_version,
                summary=f"{ref.kind} {ref}: replicas {change.before} -> {change.after}",
            ),
        )

    def level(self, change: Change, workload: Workload) -> int | None:
        """Return `spec.replicas`."""
        del change
        return workload.replicas


VERBS = _Scale()
