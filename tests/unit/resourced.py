"""Resources in memory beside a folder of files, and the source over both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from aiops.app.policies import FolderPolicySource, MergedPolicySource, Merging, Watching
from aiops.app.resources import checked
from aiops.core.model import Reason
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.ports import PolicyResource, ResourcesReading
from tests.e2e.rig import scaling_policy

KEY = "ScalingPolicy/shop/checkout"
BROKEN = {"signals": {"demand": {"query": "sum(demand"}}}
"""What the loader alone refuses: the API server reads no PromQL."""


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


class FakeResources:
    """ports.PolicyResources in memory."""

    def __init__(self) -> None:
        self.found: dict[str, PolicyResource] = {}
        self.unknown: Mapping[str, tuple[Reason, str]] = {}
        self.stale: Mapping[str, tuple[Reason, str]] = {}
        self.told: list[tuple[str, Mapping[str, Any]]] = []

    def read(self) -> ResourcesReading:
        known = {key: one for key, one in self.found.items() if one.kind not in self.unknown}
        return ResourcesReading(found=known, unknown=self.unknown, stale=self.stale)

    def tell(self, resource: PolicyResource, status: Mapping[str, Any]) -> bool:
        self.told.append((resource.key, status))
        return resource.key in self.found

    def put(self, document: Mapping[str, Any], **more: Any) -> PolicyResource:
        """Apply a document, as the API server counts generations."""
        metadata = document["metadata"]
        key = f"{document['kind']}/{metadata['namespace']}/{metadata['name']}"
        before = self.found.get(key)
        made = PolicyResource(
            kind=document["kind"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=f"uid of {key}",
            generation=1 if before is None else before.generation + 1,
            labels=metadata.get("labels", {}),
            spec=document["spec"],
            status={} if before is None else before.status,
        )
        self.found[key] = replace(made, **more)
        return self.found[key]


class World:
    """A folder of files, resources, and the source over both."""

    def __init__(self, folder: Path, **merging: Any) -> None:
        self.folder, self.resources, self.clock = folder, FakeResources(), Hand()
        self.adopted: list[PolicySet] = []
        self.merging = {"adopted": self.adopted.append, "elapsed_s": self.clock, **merging}

    def file(self, *documents: Mapping[str, Any]) -> None:
        (self.folder / "policies.yaml").write_text(yaml.safe_dump_all([dict(one) for one in documents]))

    def start(self) -> MergedPolicySource:
        files = FolderPolicySource([self.folder], 15.0, Watching(optional=True, elapsed_s=self.clock))
        self.source = MergedPolicySource(files, self.resources, Merging(**self.merging))
        return self.source

    def reload(self) -> None:
        self.source.reload(force=True)

    @property
    def keys(self) -> list[str]:
        return [policy.key for policy in self.source.current().every]

    @property
    def most(self) -> dict[str, int]:
        """Return the greatest number of replicas of each policy in force, by which tests tell versions apart."""
        return {policy.key: policy.bounds.max_replicas for policy in self.source.current().scaling}


def bounded(most: int, name: str = "checkout", namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return scaling_policy(namespace, name, bounds={"minReplicas": 1, "maxReplicas": most}, **more)


def stood(most: int = 6) -> dict[str, ScalingPolicy]:
    (policy,) = checked(FakeResources().put(bounded(most)), 15.0).scaling
    return {policy.key: policy}
