"""A policy that is being written: its fields in their order, with comments where people must look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from aiops.policy.compile import API_VERSION

SCHEMA_FILE = "policy.v1alpha1.json"
WIDTH = 100

Data = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Draft:
    """One policy. about: lines above it. comments: by field of the spec, the lines above it."""

    kind: str
    name: str
    namespace: str
    spec: Data
    about: tuple[str, ...] = ()
    comments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def data(self) -> Data:
        """Return the policy as plain data."""
        metadata = {"name": self.name, "namespace": self.namespace}
        return {"apiVersion": API_VERSION, "kind": self.kind, "metadata": metadata, "spec": self.spec}

    def text(self, schema: str = SCHEMA_FILE) -> str:
        """Return the policy as YAML. schema: where editors find the JSON Schema of the language."""
        lines = [f"# yaml-language-server: $schema={schema}", *(f"# {line}" for line in self.about)]
        lines += [f"apiVersion: {API_VERSION}", f"kind: {self.kind}"]
        lines += [f"metadata: {_flow({'name': self.name, 'namespace': self.namespace})}", "spec:"]
        for key, value in self.spec.items():
            lines += [f"  # {line}" for line in self.comments.get(key, ())]
            lines += _field(key, value, 2)
        return "\n".join(lines) + "\n"


def _field(key: str, value: Any, indent: int) -> list[str]:
    before = " " * indent + f"{_flow(key)}: "
    flow = _flow(value)
    nested = isinstance(value, dict) and any(isinstance(one, dict) for one in value.values())
    if not isinstance(value, dict | list) or not value or (not nested and len(before) + len(flow) <= WIDTH):
        return [before + flow]
    if isinstance(value, dict):
        inner = [line for name, one in value.items() for line in _field(name, one, indent + 2)]
        return [before.rstrip(), *inner]
    return [before.rstrip(), *(" " * (indent + 2) + f"- {_flow(one)}" for one in value)]


def _flow(value: Any) -> str:
    """Return a value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n...\n").strip()
