"""A cluster of objects for tests of plans: it answers merge patches, creations and evictions as an API server would."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.core.model import (
    Errand,
    Leadership,
    Looked,
    Plan,
    PlanKind,
    PlanStep,
    Scope,
    SeenObject,
    ShiftTraffic,
    Snapshot,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    TrafficLever,
    Verb,
    Wanted,
)

NOW = 1_700_000_000.0
TICK_S = 5.0
GROUP = "FailoverPolicy/shop/storefront"
ROUTE = TargetRef(
    cluster="edge",
    namespace="edge",
    api_version="gateway.networking.k8s.io/v1",
    kind="HTTPRoute",
    name="storefront",
)
NAMESPACE = TargetRef(cluster="edge", namespace="", api_version="v1", kind="Namespace", name="edge")


def route(west: int = 100, north: int = 0) -> dict[str, Any]:
    """Return an HTTPRoute with two backends."""
    refs = [{"name": "west", "port": 80, "weight": west}, {"name": "north", "port": 80, "weight": north}]
    return {"metadata": {"name": "storefront"}, "spec": {"rules": [{"backendRefs": refs}]}}


def shift(west: int, north: int) -> ShiftTraffic:
    """Return the shift to these weights."""
    return ShiftTraffic(lever=TrafficLever.HTTP_ROUTE, object=ROUTE, weights=(("west", west), ("north", north)))


def plan(*steps: PlanStep, **more: Any) -> Plan:
    """Return a proposed plan of the group."""
    made: dict[str, Any] = {
        "id": "01PLAN",
        "kind": PlanKind.FAILOVER,
        "policy": GROUP,
        "subject": GROUP,
        "reason": "users of west fail",
        "created_at": NOW,
        "by": GROUP,
        "steps": steps or (PlanStep(name="all north", operation=shift(0, 100)),),
    }
    return Plan(**{**made, **more})


@dataclass
class ObjectCluster:
    """Objects by key, with versions. answers: statuses to give in place of what would be true, by turn."""

    objects: dict[str, tuple[TargetRef, dict[str, Any], int]] = field(default_factory=dict)
    answers: list[StepResult | None] = field(default_factory=list)
    sent: list[Step] = field(default_factory=list)
    down: bool = False

    def put(self, ref: TargetRef, body: Mapping[str, Any]) -> None:
        """Write an object, as somebody else would."""
        version = self.objects[ref.key][2] + 1 if ref.key in self.objects else 1
        self.objects[ref.key] = (ref, copy.deepcopy(dict(body)), version)

    def body(self, ref: TargetRef) -> dict[str, Any]:
        """Return what is there now."""
        return self.objects[ref.key][1]

    def look(self, wanted: Wanted | None, at: float) -> Looked:
        """Return what is there; everything that can be asked for is shown."""
        del wanted
        seen = {
            key: SeenObject(
                ref=ref, uid=f"uid-{ref.name}", resource_version=str(version), as_of=at, body=copy.deepcopy(body)
            )
            for key, (ref, body, version) in self.objects.items()
        }
        return Looked(objects=seen)

    def perform(self, errand: Errand, step: Step, at: float) -> StepResult:
        """Answer one request."""
        forced = self.answers.pop(0) if self.answers else None
        if forced is not None and forced.status is not StepStatus.UNKNOWN:
            return forced
        self.sent.append(step)
        result = self._done(errand, step, at)
        return result if forced is None else forced

    def _done(self, errand: Errand, step: Step, at: float) -> StepResult:
        refused = StepResult(action_id=errand.id, status=StepStatus.REFUSED, at=at, code=409, message="conflict")
        known = self.objects.get(step.target.key)
        if step.verb is Verb.CREATE and not step.subresource:
            self.put(step.target, step.body)
            return StepResult(action_id=errand.id, status=StepStatus.DONE, at=at)
        if known is None or (step.resource_version and step.resource_version != str(known[2])):
            return refused
        if step.verb is Verb.CREATE:
            del self.objects[step.target.key]
            return StepResult(action_id=errand.id, status=StepStatus.DONE, at=at)
        self.put(step.target, merged(known[1], step.body))
        return StepResult(action_id=errand.id, status=StepStatus.DONE, at=at)


def merged(now: Any, patch: Any) -> Any:
    """Return what a merge patch makes of a value (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(now) if isinstance(now, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def snapshot(looked: Looked, at: float = NOW, **more: Any) -> Snapshot:
    """Return a snapshot of a leader with what was looked at."""
    made: dict[str, Any] = {
        "at": at,
        "answers": {},
        "workloads": {},
        "leadership": Leadership(leader=True, epoch=1),
        "scope": Scope(namespaces=frozenset({"edge", "shop"})),
        "looked": looked,
    }
    return Snapshot(**{**made, **more})
