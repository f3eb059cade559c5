"""Hands that do the operations of plans on a real API server, with the rights of these and no others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from aiops.adapters.kubernetes import Clusters, KubernetesOptions
from aiops.adapters.kubernetes.plan_rights import PlanRights
from aiops.core.ids import ulid
from aiops.core.model import (
    Errand,
    Looked,
    Operation,
    Reason,
    StepResult,
    StepStatus,
    TargetRef,
)
from aiops.core.plans.operations import Origin, verbs
from tests.e2e.cluster import ControlPlane

NOW = 1_772_450_000.0


PLAN = ulid(NOW, "e2e", "operations")


@dataclass(slots=True)
class Hands:
    """Does operations as plans do: looks, makes requests of what is seen, sends them, and looks again."""

    plane: ControlPlane
    clusters: Clusters
    namespace: str
    results: list[StepResult] = field(default_factory=list)
    rights: PlanRights = field(default_factory=lambda: PlanRights(None))
    granted: list[Any] = field(default_factory=list)

    def ref(self, kind: str, name: str, api_version: str = "apps/v1") -> TargetRef:
        namespace = "" if kind == "Node" else self.namespace
        return TargetRef(namespace=namespace, api_version=api_version, kind=kind, name=name)

    def look(self, operation: Operation) -> Looked:
        """Look with the permissions of what was done so far and of this, and of nothing else."""
        self.rights.allow(operation, acts=True)
        roles = [_role(self.namespace, where, rules) for where, rules in self.rights.rules.items()]
        if roles != self.granted:
            self.granted = json.loads(json.dumps(roles))
            self.plane.apply(*(one for pair in roles for one in pair))
            self.until(lambda: not self.clusters.look(verbs(operation).wanted(operation), NOW).errors, "the roles")
        found = self.clusters.look(verbs(operation).wanted(operation), NOW)
        assert found.errors == {}
        return found

    def refusal(self, operation: Operation) -> Reason | None:
        said = verbs(operation).refusal(operation, self.look(operation))
        return None if said is None else said[0]

    def reached(self, operation: Operation) -> bool | None:
        return verbs(operation).reached(operation, self.look(operation))

    def send(self, operation: Operation) -> list[StepResult]:
        """Send what is to be sent now, once."""
        does, looked = verbs(operation), self.look(operation)
        assert does.refusal(operation, looked) is None
        origin = Origin(plan_id=PLAN, policy="RemediationPolicy/e2e/e2e", key=PLAN, epoch=1, now=NOW)
        errand = Errand(
            id=PLAN,
            plan_id=PLAN,
            step=0,
            back=False,
            policy=origin.policy,
            dry_run=False,
            issued_at=NOW,
            expires_at=NOW + 30,
            epoch=1,
        )
        results = [self.clusters.perform(errand, step, NOW) for step in does.requests(operation, looked, origin).steps]
        self.results += results
        return results

    def do(self, operation: Operation) -> tuple[Operation, ...]:
        """Do an operation until it is seen, and return what takes it back."""
        undo = verbs(operation).undo(operation, self.look(operation))
        self.until(lambda: self.taken(operation), "the requests to be taken")
        self.until(lambda: self.reached(operation) is True, verbs(operation).says(operation))
        assert self.send(operation) == []
        return undo or ()

    def taken(self, operation: Operation) -> bool:
        """Send once, and return whether it was taken: what a controller wrote since the look is looked at anew."""
        results = self.send(operation)
        assert all(one.status is StepStatus.DONE or one.code == 409 for one in results), results
        return all(one.status is StepStatus.DONE for one in results)

    def until(self, look: Callable[[], Any], what: str) -> Any:
        return self.plane.eventually(look, what)

    def spec(self, ref: TargetRef) -> dict[str, Any]:
        return dict(self.plane.api("GET", self.path(ref))["spec"])

    def path(self, ref: TargetRef) -> str:
        return self.plane.path_of(
            {
                "apiVersion": ref.api_version,
                "kind": ref.kind,
                "metadata": {"name": ref.name, "namespace": ref.namespace},
            }
        )


@pytest.fixture
def hands(plane: ControlPlane, namespace: str) -> Iterator[Hands]:
    plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hands", "namespace": namespace}})
    config = plane.kubeconfig(f"hands-{namespace}", token=plane.token(namespace, "hands"))
    clusters = Clusters.connect({"default": KubernetesOptions(kubeconfig=config)})
    yield Hands(plane, clusters, namespace)
    clusters.stop(5)
    for kind in ("clusterroles", "clusterrolebindings"):
        plane.delete(f"/apis/rbac.authorization.k8s.io/v1/{kind}/hands-{namespace}", wait=False)


def _role(account: str, namespace: str, rules: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a role of the hands of a test, and what gives it to them."""
    kind, api = ("Role", "ClusterRole")[not namespace], "rbac.authorization.k8s.io"
    metadata = {"name": f"hands-{account}"} | ({"namespace": namespace} if namespace else {})
    head = {"apiVersion": f"{api}/v1", "metadata": metadata}
    given = {"apiGroup": api, "kind": kind, "name": metadata["name"]}
    to = {"kind": "ServiceAccount", "name": "hands", "namespace": account}
    return {**head, "kind": kind, "rules": rules}, {
        **head,
        "kind": f"{kind}Binding",
        "roleRef": given,
        "subjects": [to],
    }


def pods(hands: Hands) -> list[dict[str, Any]]:
    items = hands.plane.api("GET", f"/api/v1/namespaces/{hands.namespace}/pods")["items"]
    return [one for one in items if "deletionTimestamp" not in one["metadata"]]


def rolled_out(hands: Hands, path: str) -> None:
    """Wait until a Deployment is as its spec says."""

    def whole() -> bool:
        one = hands.plane.api("GET", path)
        status = one.get("status", {})
        counts = {status.get(name) for name in ("updatedReplicas", "replicas", "availableReplicas")}
        return counts == {one["spec"]["replicas"]} and status["observedGeneration"] == one["metadata"]["generation"]

    hands.until(whole, "the rollout")


def budget(hands: Hands, most: int) -> None:
    """Let so many pods of checkout be disrupted, and return when that was counted."""
    path = f"/apis/policy/v1/namespaces/{hands.namespace}/poddisruptionbudgets/checkout"
    hands.plane.apply(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "checkout", "namespace": hands.namespace},
            "spec": {"maxUnavailable": most, "selector": {"matchLabels": {"app": "checkout"}}},
        }
    )

    def counted() -> bool:
        one = hands.plane.api("GET", path)
        status = one.get("status", {})
        return (
            status.get("observedGeneration") == one["metadata"]["generation"] and status["disruptionsAllowed"] == most
        )

    hands.until(counted, "the budget to be counted")
