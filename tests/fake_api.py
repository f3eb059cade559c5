"""An API server of plain values: objects by reference, changed by the steps of plans as the real one would."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiops.core.model import Looked, Reason, SeenObject, Step, TargetRef, Verb, Wanted

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Refused(Exception):
    """The server would refuse the step."""


@dataclass(slots=True)
class FakeApi:
    """Objects by their references. unknown: keys that cannot be read."""

    objects: dict[TargetRef, dict[str, Any]] = field(default_factory=dict)
    unknown: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    version: int = 100

    def put(self, ref: TargetRef, body: dict[str, Any]) -> TargetRef:
        self.version += 1
        metadata = body.setdefault("metadata", {})
        metadata.update(name=ref.name, resourceVersion=str(self.version))
        metadata.setdefault("uid", f"uid-{ref.kind}-{ref.name}")
        if ref.namespace:
            metadata["namespace"] = ref.namespace
        self.objects[ref] = body
        return ref

    def look(self, wanted: Wanted, at: float = 0.0) -> Looked:
        seen = {ref.key: self._seen(ref, at) for ref in wanted.objects if ref in self.objects}
        selections = {}
        for one in wanted.selections:
            selections[one.key] = tuple(
                self._seen(ref, at)
                for ref, body in self.objects.items()
                if (ref.cluster, ref.api_version, ref.kind) == (one.cluster, one.api_version, one.kind)
                and one.namespace in ("", ref.namespace)
                and chosen(body, one.field)
            )
        keys = {*seen, *selections, *(ref.key for ref in wanted.objects)}
        errors = {key: why for key, why in self.unknown.items() if key in keys}
        return Looked(
            objects={key: one for key, one in seen.items() if key not in errors},
            selections={key: some for key, some in selections.items() if key not in errors},
            errors=errors,
        )

    def _seen(self, ref: TargetRef, at: float) -> SeenObject:
        body = copy.deepcopy(self.objects[ref])
        metadata = body.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        return SeenObject(
            ref=ref,
            uid=str(metadata.get("uid")),
            resource_version=str(metadata.get("resourceVersion")),
            as_of=at,
            body=body,
        )

    def apply(self, *steps: Step) -> None:
        """Do what the steps ask for, with their preconditions."""
        for step in steps:
            json.dumps(step.body)  # what cannot be sent is no request
            if step.verb is Verb.CREATE and not step.subresource:
                if step.target in self.objects:
                    raise Refused("already exists")
                self.put(step.target, copy.deepcopy(dict(step.body)))
                continue
            body = self.objects.get(step.target)
            if body is None or step.uid != body["metadata"]["uid"]:
                raise Refused("not found")
            if step.subresource == "eviction" or step.verb is Verb.DELETE:
                del self.objects[step.target]
                continue
            if step.resource_version != body["metadata"]["resourceVersion"]:
                raise Refused("conflict")
            before = copy.deepcopy(body)
            self.put(step.target, merged(body, step.body))
            self._settle(step.target, before)

    def _settle(self, ref: TargetRef, before: dict[str, Any]) -> None:
        """Let controllers do what they do about a new spec."""
        body = self.objects[ref]
        spec = body.get("spec") or {}
        if ref.kind == "Deployment" and spec != before.get("spec"):
            body["metadata"]["generation"] = body["metadata"].get("generation", 1) + 1
            self._roll_out(ref, body)
        if ref.kind == "HorizontalPodAutoscaler":
            aim = spec["scaleTargetRef"]
            for one, target in self.objects.items():
                if (one.kind, one.name) == (aim["kind"], aim["name"]):
                    target["spec"]["replicas"] = max(target["spec"]["replicas"], spec.get("minReplicas", 1))

    def _roll_out(self, ref: TargetRef, body: dict[str, Any]) -> None:
        replicas = body["spec"].get("replicas", 1)
        body["status"] = {
            "observedGeneration": body["metadata"]["generation"],
            **dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), replicas),
        }
        template = body["spec"].get("template")
        if template is not None:
            self.revision(ref, template)

    def revision(self, ref: TargetRef, template: dict[str, Any]) -> None:
        """Let a template be the Deployment's newest revision: the ReplicaSet of an equal one is taken again."""
        known = [one for one in self.objects if one.kind == "ReplicaSet"]
        newest = max((int(self.objects[one]["metadata"]["annotations"][REVISION]) for one in known), default=0)
        text = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        own = TargetRef(namespace=ref.namespace, kind="ReplicaSet", name=f"{ref.name}-{text}")
        labelled = copy.deepcopy(template)
        labelled.setdefault("metadata", {}).setdefault("labels", {})[HASH] = text
        owner = {"kind": "Deployment", "uid": self.objects[ref]["metadata"]["uid"], "controller": True}
        self.put(
            own,
            {
                "metadata": {
                    "labels": {HASH: text},
                    "annotations": {REVISION: str(newest + 1)},
                    "ownerReferences": [owner],
                },
                "spec": {"template": labelled},
            },
        )


def chosen(body: dict[str, Any], selector: str) -> bool:
    if not selector:
        return True
    path, _, value = selector.partition("=")
    at: Any = body
    for part in path.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    return bool(at == value)


def merged(into: Any, patch: Any) -> Any:
    """Return what a JSON merge patch makes (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    out = dict(into) if isinstance(into, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out
