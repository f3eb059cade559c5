"""The cluster of a test of plans: the objects that it gives, changed as an API server and its controllers would."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import (
    Action,
    Errand,
    Instant,
    Looked,
    Reason,
    SeenObject,
    Selection,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Verb,
    Wanted,
    Workload,
)
from aiops.core.objects.bodies import at as lies_at
from aiops.core.objects.bodies import number, strings
from aiops.core.planning.saving import API_VERSIONS
from aiops.core.policies import PlanPolicy
from aiops.core.versions import template_key
from aiops.policy.testing import Case
from aiops.policy.testing.objects import ObjectSpec
from aiops.policy.testing.surroundings import FaultKind
from aiops.ports import Inventory
from simulators.policy_tests.faults import Faults
from simulators.policy_tests.nodes import GivenNodes
from simulators.policy_tests.spans import Spans

DEFAULT_LEAD_S = 60.0
_VERSIONS = {
    **API_VERSIONS,
    "ReplicaSet": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "VerticalPodAutoscaler": "autoscaling.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
}
_NOWHERE = ("Node", "Namespace", "PersistentVolume")
_WORKLOADS = ("Deployment", "StatefulSet")
_OPT_IN = {"policy.aiops/managed": "true"}


class Objects:
    """ports.Cluster over the objects of a test: merge patches with preconditions, and replicas that become ready."""

    def __init__(self, case: Case, policy: PlanPolicy, faults: Faults) -> None:
        self._case, self._faults = case, faults
        self._namespace = template_key(policy.key).split("/", 2)[1]
        self._cluster = policy.target.cluster
        self._nodes = GivenNodes(case, policy.target.cluster)
        self._spans = Spans(case.spec.objects, case.start)
        self._lead_s = DEFAULT_LEAD_S if case.spec.given.lead_time is None else case.spec.given.lead_time
        self._bodies: dict[str, dict[str, Any]] = {}
        self._refs: dict[str, TargetRef] = {}
        self._given: dict[str, ObjectSpec] = {}
        self._changed: dict[str, tuple[Instant, int]] = {}
        self._version = 100
        self._known(self._cluster, self._namespace, case.start.timestamp())

    @property
    def _opted(self) -> bool:
        return self._case.spec.inventory.opted_in

    # -- what is there ---------------------------------------------------------------------------------

    def turn(self, now: Instant) -> None:
        """Let given objects come and go, and pods become ready."""
        given = {self._ref(one).key: one for _, _, one in self._spans.active(now)}
        for key, one in given.items():
            if self._given.get(key) is not one:
                self._put(one, now)
        for key in [key for key in self._given if key not in given and self._given[key].kind != "Namespace"]:
            for store in (self._bodies, self._refs, self._given, self._changed):
                store.pop(key, None)
        for key, body in self._bodies.items():
            if self._refs[key].kind in _WORKLOADS:
                status = self._status(key, now)
                if status != body["status"]:
                    self._bodies[key] = {**body, "status": status}

    def bodies(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Return every object by its kind and name, as it is now."""
        # a body is never changed, another one takes its place: so what is not changed is the same for all of a run
        return {(self._refs[key].kind, self._refs[key].name): body for key, body in self._bodies.items()}

    def _known(self, cluster: str, namespace: str, now: Instant) -> None:
        """Let the namespace of an object be there, opted in or not."""
        one = ObjectSpec(kind="Namespace", name=namespace, cluster=cluster, labels=_OPT_IN if self._opted else {})
        if self._ref(one).key not in self._bodies:
            self._put(one, now)

    def _ref(self, one: ObjectSpec) -> TargetRef:
        namespace = one.namespace if one.namespace is not None else "" if one.kind in _NOWHERE else self._namespace
        version = one.api_version or _VERSIONS.get(one.kind, "v1")
        return TargetRef(
            cluster=one.cluster or self._cluster, namespace=namespace, api_version=version, kind=one.kind, name=one.name
        )

    def _put(self, one: ObjectSpec, now: Instant) -> None:
        ref = self._ref(one)
        made = datetime.fromtimestamp(self._case.start.timestamp() - 86_400.0, UTC).isoformat()
        metadata = {
            "name": one.name,
            "uid": f"uid-{one.kind}-{one.name}",
            "creationTimestamp": made,
            "generation": 1,
            "labels": dict(one.labels),
            "annotations": dict(one.annotations),
        }
        body: dict[str, Any] = {"metadata": metadata, "spec": {}}
        if one.kind in _WORKLOADS:
            labels = {"app": one.name}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main"}]}}
            count = 1 if one.replicas is None else one.replicas
            body["spec"] = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
            self._changed[ref.key] = (-math.inf, count)
        self._bodies[ref.key] = _merged(body, one.body)
        self._refs[ref.key], self._given[ref.key] = ref, one
        self._stamp(ref.key)
        if ref.namespace:
            self._known(ref.cluster, ref.namespace, now)
        if one.kind in _WORKLOADS:
            self._bodies[ref.key] = {**self._bodies[ref.key], "status": self._status(ref.key, now)}

    def _stamp(self, key: str) -> None:
        self._version += 1
        self._bodies[key] = _merged(self._bodies[key], {"metadata": {"resourceVersion": str(self._version)}})

    def _status(self, key: str, now: Instant) -> dict[str, Any]:
        body, one = self._bodies[key], self._given[key]
        count = number(lies_at(body, "spec", "replicas"), 1) or 0
        since, before = self._changed[key]
        ready = count if now - since >= self._lead_s else min(count, before)
        if one.ready is not None:
            ready = min(count, one.ready)
        counts = {"replicas": count, "updatedReplicas": count, "availableReplicas": ready, "readyReplicas": ready}
        return {"observedGeneration": lies_at(body, "metadata", "generation"), **counts}

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return the objects that are asked for, and nothing else; nothing is known while the cluster is down."""
        if self._faults.any(FaultKind.CLUSTER, at):
            why = (Reason.CLUSTER_UNAVAILABLE, "the cluster does not answer (a fault of the test)")
            keys = (*(one.key for one in wanted.objects), *(one.key for one in wanted.selections))
            return Looked(errors=dict.fromkeys(keys, why))
        found = {ref.key: self._seen(ref.key, at) for ref in wanted.objects if ref.key in self._bodies}
        selections = {
            one.key: tuple(self._seen(key, at) for key in sorted(self._bodies) if self._fits(one, key))
            for one in wanted.selections
        }
        return Looked(objects=found, selections=selections)

    def _seen(self, key: str, now: Instant) -> SeenObject:
        body = self._bodies[key]
        metadata = body["metadata"]
        return SeenObject(
            ref=self._refs[key],
            uid=str(metadata["uid"]),
            resource_version=str(metadata["resourceVersion"]),
            as_of=now,
            body=body,
        )

    def _fits(self, one: Selection, key: str) -> bool:
        ref, body = self._refs[key], self._bodies[key]
        if (ref.cluster, ref.api_version, ref.kind) != (one.cluster, one.api_version, one.kind):
            return False
        labels = strings(lies_at(body, "metadata", "labels"))
        alike = all(labels.get(name) == value for name, value in one.labels.items())
        path, _, value = one.field.partition("=")
        there = not path or str(lies_at(body, *path.split("."))) == value
        return alike and there and one.namespace in ("", ref.namespace)

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return the workloads that policies of plans count on."""
        found = {}
        for ref in targets:
            body = self._bodies.get(ref.key)
            if body is not None:
                seen = self._seen(ref.key, at)
                found[ref.key] = Workload(
                    ref=ref,
                    uid=seen.uid,
                    resource_version=seen.resource_version,
                    as_of=at,
                    replicas=body["spec"].get("replicas", 1),
                    ready=body.get("status", {}).get("readyReplicas", 0),
                    opted_in=self._opted,
                )
        return Inventory(workloads=found, machines=self._nodes.at(at))

    # -- what is changed -------------------------------------------------------------------------------

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Apply one request, or refuse it as the API would."""
        code, message = self._applied(step, at)
        status = StepStatus.DONE if code < 300 else StepStatus.REFUSED
        reason = None if code < 300 else Reason.UNKNOWN_TARGET if code == 404 else Reason.REFUSED
        return StepResult(action_id=errand.id, status=status, at=at, code=code, reason=reason, message=message)

    def _applied(self, step: Step, now: Instant) -> tuple[int, str]:
        refused = self._faults.first(FaultKind.WRITE_REFUSED, now)
        if refused is not None:
            return refused.code or 409, "refused (a fault of the test)"
        key = step.target.key
        if key not in self._bodies:
            return 404, f"{step.target.kind} {step.target} not found"
        body = self._bodies[key]
        if step.verb is Verb.DELETE or step.subresource == "eviction":
            del self._bodies[key], self._refs[key]
            return 200, ""
        metadata = body["metadata"]
        if (step.uid, step.resource_version) != (metadata["uid"], metadata["resourceVersion"]):
            return 409, "the object has been modified; read it again"
        before = number(lies_at(body, "status", "readyReplicas"), 0) or 0
        count = lies_at(body, "spec", "replicas")
        self._bodies[key] = _merged(body, step.body)
        if lies_at(self._bodies[key], "spec", "replicas") != count:
            self._changed[key] = (now, before)
        if "spec" in step.body:
            generation = lies_at(self._bodies[key], "metadata", "generation") or 1
            self._bodies[key] = _merged(self._bodies[key], {"metadata": {"generation": generation + 1}})
        self._stamp(key)
        return 200, ""

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Refuse what no policy of plans sends."""
        return StepResult(action_id=action.id, status=StepStatus.REFUSED, at=at, code=404, reason=Reason.REFUSED)

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Say that it is done: a test has one leader."""
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=stamp.step.resource_version)

    def announce(
        self,
        target: TargetRef,
        reason: str,
        message: str,
        action_id: str,
        at: Instant,
    ) -> None:
        """Keep no Events."""


def _merged(body: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with a merge patch (RFC 7396) applied."""
    made = copy.deepcopy(dict(body))
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            below = made.get(name)
            made[name] = _merged(below if isinstance(below, Mapping) else {}, value)
        else:
            made[name] = copy.deepcopy(value)
    return made
