"""The running pods of one workload, as the API server shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiops.core.decide.quantities import quantity


class Container(NamedTuple):
    """A container and the cores that it requests."""

    name: str
    cpu_cores: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod that runs, or is Ready, and is not terminating."""

    name: str
    namespace: str
    node: str
    labels: Mapping[str, str]
    ready: bool
    containers: tuple[Container, ...]

    @property
    def cpu_cores(self) -> float:
        """Return the cores that it requests."""
        return sum(container.cpu_cores for container in self.containers)


class PodBook:
    """Keeps count of pods. ready: those that serve; requested_cores: what these request; synced: since the first list.

    `default_cores` stands for the request of a container that has none.
    """

    def __init__(self, default_cores: float) -> None:
        self._default_cores = default_cores
        self._pods: dict[str, Pod] = {}
        self.ready = 0
        self.requested_cores = 0.0
        self.synced = False

    @property
    def pods(self) -> Iterable[Pod]:
        """Return the pods that run and are not terminating."""
        return self._pods.values()

    def replace(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Take these as all pods that there are."""
        self._pods.clear()
        self.ready, self.requested_cores = 0, 0.0
        for item in items:
            self.note("ADDED", item)
        self.synced = True

    def note(self, kind: str, item: Mapping[str, Any]) -> None:
        """Take one change."""
        before = self._pods.pop(str(item["metadata"]["name"]), None)
        self._count(before, -1)
        after = None if kind == "DELETED" else self._pod(item)
        if after is not None:
            self._pods[after.name] = after
        self._count(after, 1)

    def _count(self, pod: Pod | None, sign: int) -> None:
        if pod is not None and pod.ready:
            self.ready += sign
            self.requested_cores = max(0.0, self.requested_cores + sign * pod.cpu_cores)

    def _pod(self, item: Mapping[str, Any]) -> Pod | None:
        metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
        ready = any(
            one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or ()
        )
        if metadata.get("deletionTimestamp") or not (ready or status.get("phase") == "Running"):
            return None
        containers = spec.get("containers") or ()
        return Pod(
            name=str(metadata["name"]),
            namespace=str(metadata["namespace"]),
            node=str(spec.get("nodeName") or ""),
            labels=metadata.get("labels") or {},
            ready=ready,
            containers=tuple(Container(str(one["name"]), self._cores(one)) for one in containers),
        )

    def _cores(self, container: Mapping[str, Any]) -> float:
        requests = (container.get("resources") or {}).get("requests") or {}
        return quantity(requests["cpu"]) if "cpu" in requests else self._default_cores
