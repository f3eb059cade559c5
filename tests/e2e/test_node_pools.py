"""Groups of nodes on a real API server: Cluster API's and Karpenter's kinds are served, their controllers are played.

The daemon may do what `aiops rbac` prints, and nothing else (S10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiops.app import plan_desk
from aiops.core.model import OutcomeKind, Plan, PlanStatus
from tests.e2e.audit import AuditEvent
from tests.e2e.cluster import ControlPlane
from tests.e2e.grants import denied, unused
from tests.e2e.rig import Rig, scaling_policy

CAPI, KARPENTER = "cluster.x-k8s.io", "karpenter.sh"
SIZE = f"{CAPI}/cluster-api-autoscaler-node-group-{{}}-size"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_NUMBER = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
QUANTITY = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": rf"^(\+|-)?{_NUMBER}(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{_NUMBER}))?$",
    "x-kubernetes-int-or-string": True,
}
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def definition(group: str, version: str, kind: str, scope: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a definition with a status. spec: the schema of it. more: other subresources."""
    plural = f"{kind.lower()}s"
    shape = {"type": "object", "properties": {"spec": spec, "status": ANYTHING}}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": shape},
        "subresources": {"status": {}, **more},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # what ends in k8s.io is protected, and says who allowed it
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/cluster-api/pull/1"},
        },
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served],
        },
    }


@pytest.fixture(scope="module")
def kinds(plane: ControlPlane) -> None:
    """MachineDeployments and NodePools, served."""
    replicas = {**ANYTHING, "properties": {"replicas": {"type": "integer", "format": "int32"}}}
    limits = {**ANYTHING, "properties": {"limits": {"type": "object", "additionalProperties": QUANTITY}}}
    for one in (
        definition(CAPI, "v1beta1", "MachineDeployment", "Namespaced", replicas, scale=SCALE),
        definition(KARPENTER, "v1", "NodePool", "Cluster", limits),
    ):
        plane.apply(one)
        plane.kubectl("wait", "--for=condition=Established", f"crd/{one['metadata']['name']}", "--timeout=30s")


# -- MachineDeployments ----------------------------------------------------------------------------------------------


class Machines:
    """MachineDeployments of a Cluster with a topology, and what Cluster API writes of them."""

    def __init__(self, rig: Rig) -> None:
        self._plane, self._namespace = rig.plane, rig.namespace
        self.folder = f"/apis/{CAPI}/v1beta1/namespaces/{rig.namespace}/machinedeployments"

    def apply(self, name: str, manager: str, replicas: int | None = None, **metadata: Any) -> None:
        """Apply what one manager says; replicas None: it leaves the number to others."""
        spec: dict[str, Any] = {"clusterName": "prod"} if replicas is None else {"replicas": replicas}
        where = {"name": name, "namespace": self._namespace, **metadata}
        body = {"apiVersion": f"{CAPI}/v1beta1", "kind": "MachineDeployment", "metadata": where, "spec": spec}
        self._plane.apply(body, manager=manager)

    def of_topology(self, name: str, replicas: int | None = None, **annotations: str) -> None:
        """Apply what the topology controller does: the labels, the owner, and the number if the topology says one."""
        labels = {
            f"{CAPI}/cluster-name": "prod",
            f"topology.{CAPI}/owned": "",
            f"topology.{CAPI}/deployment-name": f"md-{name}",
        }
        owner = {"apiVersion": f"{CAPI}/v1beta1", "kind": "Cluster", "name": "prod", "uid": "0000-prod"}
        more = {"annotations": annotations} if annotations else {}
        self.apply(name, "capi-topology", replicas, labels=labels, ownerReferences=[owner], **more)

    def scaled_by_autoscaler(self, name: str, replicas: int) -> None:
        """Write the number as Cluster Autoscaler does."""
        path = f"{self.folder}/{name}/scale"
        scale = self._plane.api("GET", path)
        self._plane.api("PUT", f"{path}?fieldManager=cluster-autoscaler", {**scale, "spec": {"replicas": replicas}})

    def become(self, name: str, *, ready: int | None = None, fresh: int | None = None) -> None:
        """Let machines be as the spec says, but for so many that are ready, or of the newest template."""
        one = self._plane.api("GET", f"{self.folder}/{name}")
        wanted = one["spec"]["replicas"]
        status = {
            "observedGeneration": one["metadata"]["generation"],
            "selector": f"{CAPI}/deployment-name={name}",
            "replicas": wanted,
            "readyReplicas": wanted if ready is None else ready,
            "updatedReplicas": wanted if fresh is None else fresh,
        }
        self._plane.patch(f"{self.folder}/{name}/status", {"status": status}, manager="manager")

    def replicas(self, name: str) -> int:
        return int(self._plane.api("GET", f"{self.folder}/{name}")["spec"]["replicas"])


def group_policy(namespace: str, name: str) -> dict[str, Any]:
    target = {"apiVersion": f"{CAPI}/v1beta1", "kind": "MachineDeployment", "name": name}
    return scaling_policy(namespace, name, target=target, scaleIn="allowed", verify={"within": "60s"})


def told(rig: Rig, name: str, reason: str) -> str:
    """Return the newest decision of a policy that has a reason, as it is told."""
    asked = {"policy": f"ScalingPolicy/{rig.namespace}/{name}", "reason": reason}
    row = rig.until(lambda: next(iter(rig.decisions(**asked)), None), f"{name} to be held by {reason}")
    return str(row["story"])


@pytest.mark.timeout(300)
def test_nodes_of_a_group_follow_demand_in_its_range_and_a_number_of_anothers_is_left_alone_s3_s4_s10(
    rig: Rig, kinds: None
):
    machines = Machines(rig)
    machines.apply("workers", "manager", 4)
    machines.of_topology("workers", None, **{SIZE.format("min"): "3", SIZE.format("max"): "10"})
    machines.of_topology("pinned", 4)
    machines.apply("elastic", "manager", 2)
    machines.of_topology("elastic")
    machines.scaled_by_autoscaler("elastic", 4)
    for name in ("workers", "pinned", "elastic"):
        machines.become(name)
    rig.demand(390.0)
    rig.policy(*(group_policy(rig.namespace, name) for name in ("workers", "pinned", "elastic")), grant=False)
    printed = rig.grant()
    daemon = rig.daemon()
    # more nodes: it has taken effect when they are Ready, and not before
    rig.until(lambda: machines.replicas("workers") == 8, "8 nodes", 120)
    machines.become("workers", ready=4)
    assert [one["outcome"] for one in rig.actions()] == [None]
    machines.become("workers")
    rig.until(
        lambda: [one["outcome"] for one in rig.actions()] == [OutcomeKind.TOOK_EFFECT.value],
        "the action to take effect",
    )
    # the range that Cluster Autoscaler would keep to
    rig.demand(5000.0)
    rig.until(lambda: machines.replicas("workers") == 10, "10 nodes")
    assert "10" in told(rig, "workers", "out_of_range")
    # while machines are replaced none is taken away
    machines.become("workers", fresh=2)
    rig.demand(10.0)
    told(rig, "workers", "rollout")
    assert machines.replicas("workers") == 10
    machines.become("workers")
    rig.until(lambda: machines.replicas("workers") == 3, "3 nodes", 60)
    # whose number it is, and where it is changed
    place = "spec.topology.workers.machineDeployments, md-pinned, of Cluster prod"
    assert f"cluster-api (capi-topology: {place}) owns replicas" in told(rig, "pinned", "owned")
    assert "cluster-autoscaler (cluster-autoscaler) owns replicas" in told(rig, "elastic", "owned")
    assert {(one.verb, one.resource, one.subresource, one.name) for one in rig.writes()} == {
        ("patch", "machinedeployments", "scale", "workers")
    }
    # a topology that says no number any more leaves it to others, also to us
    rig.demand(300.0)
    machines.apply("pinned", "manager", 4)
    machines.of_topology("pinned")
    rig.until(lambda: machines.replicas("pinned") == 6, "6 nodes")
    assert machines.replicas("elastic") == 4
    rig.check()
    daemon.process.term()
    assert denied(rig.audit()) == []
    assert unused(printed, rig.audit()) == [f"{rig.namespace} patch {CAPI}/machinedeployments/scale elastic"]


# -- NodePools -------------------------------------------------------------------------------------------------------

BEFORE: dict[str, dict[str, str | int]] = {
    "higher": {"cpu": 100, "memory": "1Ti"},
    "edited": {"cpu": "100", "memory": "400Gi"},
    "private": {"cpu": "100"},
    "git": {"cpu": "100"},
}
MARKS: dict[str, dict[str, dict[str, str]]] = {
    "private": {"labels": {}},
    "git": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:karpenter.sh/NodePool:/git"}},
}
RUNG = {"do": "raise-node-limits", "limits": {"cpu": "150", "memory": "600Gi"}, "within": "120s"}


class Pools:
    """NodePools: those that opted in, one that did not, and one that a tool writes from Git."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace
        for name, limits in BEFORE.items():
            metadata = {"labels": {"policy.aiops/managed": "true"}, **MARKS.get(name, {}), "name": self.name(name)}
            body = {"apiVersion": f"{KARPENTER}/v1", "kind": "NodePool", "metadata": metadata}
            plane.api("POST", self._folder, {**body, "spec": {"weight": 10, "limits": limits}})

    _folder = f"/apis/{KARPENTER}/v1/nodepools"

    def name(self, name: str) -> str:
        return f"{name}-{self._namespace}"

    def path(self, name: str) -> str:
        return f"{self._folder}/{self.name(name)}"

    def spec(self, name: str) -> dict[str, Any]:
        return dict(self._plane.api("GET", self.path(name))["spec"])

    def limits(self, name: str) -> dict[str, Any]:
        return dict(self.spec(name)["limits"])

    def write(self, name: str, **limits: str) -> None:
        """Write limits as a person does."""
        self._plane.patch(self.path(name), {"spec": {"limits": limits}}, manager="kubectl-edit")

    def gone(self) -> None:
        for name in BEFORE:
            self._plane.delete(self.path(name), wait=False)


@pytest.fixture
def pools(rig: Rig, kinds: None) -> Iterator[Pools]:
    made = Pools(rig.plane, rig.namespace)
    yield made
    made.gone()


def room(namespace: str, name: str, pool: str) -> dict[str, Any]:
    """Return a RemediationPolicy that lets a pool hold more while demand is shown."""
    spec = {
        "mode": "enforce",
        "target": {"kind": "Deployment", "name": name},
        "signals": {"waiting": {"query": f'sum(demand{{ns="{namespace}"}})', "unit": "1"}},
        "when": [{"cel": "signals.waiting > 0.0"}],
        "forAtLeast": "1s",
        "ladder": [{**RUNG, "nodePool": pool}],
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "RemediationPolicy", "metadata": metadata, "spec": spec}


def plan_of(rig: Rig, name: str) -> Plan | None:
    """Return the newest plan of a policy, None while there is none."""
    if not (rig.folder / "aiops.db").exists():
        return None
    with rig.store() as store:
        mine = [one for one in store.plans.every() if one.policy == f"RemediationPolicy/{rig.namespace}/{name}"]
    return mine[0] if mine else None


def ended(rig: Rig, name: str, status: PlanStatus) -> Plan:
    def looked() -> Plan | None:
        plan = plan_of(rig, name)
        return plan if plan is not None and plan.status is status else None

    found: Plan = rig.until(looked, f"the plan of {name} to be {status.value}", 120)
    return found


def writes(rig: Rig, pools: Pools) -> list[tuple[str, str]]:
    """Return what plans wrote of pools: verb and which one. A leader's stamps (S6) are none of it."""
    names = {pools.name(name): name for name in BEFORE}
    found: list[AuditEvent] = [one for one in rig.audit() if one.resource == "nodepools" and "plan/" in one.user_agent]
    return sorted((one.verb, names[one.name]) for one in found)


@pytest.mark.timeout(300)
def test_a_pools_limits_are_raised_once_and_given_back_but_for_what_a_person_wrote_since_s3_s4_s6_s7_s10(
    rig: Rig, pools: Pools, deploy: Callable[..., str]
):
    before = {name: pools.spec(name) for name in BEFORE}
    for name in BEFORE:
        deploy(name, replicas=1)
    rig.demand(9.0)
    rig.policy(*(room(rig.namespace, name, pools.name(name)) for name in BEFORE), grant=False)
    printed = rig.grant()
    storms = {"limits": {"min_healthy_percent": 0}}  # four of four that wait for room are sick here, and no storm
    first = rig.daemon(**storms)
    rig.until(lambda: pools.limits("higher") == {"cpu": "150", "memory": "1Ti"}, "more room in the one", 120)
    rig.until(lambda: pools.limits("edited") == {"cpu": "150", "memory": "600Gi"}, "more room in the other")
    # the trouble goes on: what is raised is not raised again
    turns = len(first.sentences())
    rig.until(lambda: len(first.sentences()) > turns + 3, "some turns")
    assert writes(rig, pools) == [("patch", "edited"), ("patch", "higher")]
    # whose a pool is
    refused = rig.decisions(policy=f"RemediationPolicy/{rig.namespace}/private", reason="not_opted_in")
    assert f"NodePool {pools.name('private')} has no label policy.aiops/managed" in refused[0]["story"]
    waits = plan_of(rig, "git")
    assert waits is not None
    assert waits.steps[0].detail == f"waits: NodePool {pools.name('git')} is Argo CD's: change it in Git"
    # the trouble is over, and the room stands, though the daemon dies
    rig.demand(0.0)
    raised = {name: ended(rig, name, PlanStatus.DONE).id for name in ("higher", "edited")}
    first.process.kill9()
    # a person changes one limit, and both are taken back
    pools.write("edited", cpu="170")
    second = rig.daemon("b", **storms)
    with rig.store() as store:
        standing = {one["object"]: one["hand_back"] for one in plan_desk.effects(store)}
        assert standing == {
            f"NodePool {pools.name(name)}": f"aiops plans rollback {plan}" for name, plan in raised.items()
        }
        plan_desk.order(store, {"kind": "rollback", "subject": raised["higher"], "by": "e2e", "reason": "a test"})
    config = str(next(rig.folder.glob("b-*.yaml")))
    rig.aiops("--config", config, "plans", "rollback", raised["edited"], "--reason", "a test")
    for name in raised:
        ended(rig, name, PlanStatus.ROLLED_BACK)
    assert pools.spec("higher") == before["higher"]
    assert pools.limits("edited") == {"cpu": "170", "memory": "400Gi"}
    for name in ("private", "git"):
        assert pools.spec(name) == before[name]
    assert writes(rig, pools) == [("patch", "edited"), ("patch", "edited"), ("patch", "higher"), ("patch", "higher")]
    second.process.term()
    assert denied(rig.audit()) == []
    idle = [one for one in unused(printed, rig.audit()) if "nodepools" in one]
    assert idle == [f"patch {KARPENTER}/nodepools {pools.name(name)}" for name in ("git", "private")]
