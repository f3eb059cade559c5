"""A daemon with the permissions that `aiops rbac` prints remedies a bad release and lost nodes on a real API server.

The Deployment controller, the node controller and budgets are Kubernetes' own; pods and nodes are KWOK's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiops.core.model import Plan, PlanStatus
from tests.e2e.audit import AuditEvent, AuditLog
from tests.e2e.cluster import ControlPlane, fake_node
from tests.e2e.conftest import deployment
from tests.e2e.grants import denied
from tests.e2e.rig import USER, Rig
from tests.loopback import pager

POOL = "remedied"


def policy(namespace: str, **spec: Any) -> dict[str, Any]:
    """Return a RemediationPolicy: quick to act, for a test."""
    made = {"mode": "enforce", "forAtLeast": "3s", "backoff": {"first": "5s"}, **spec}
    metadata = {"name": "checkout", "namespace": namespace}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "RemediationPolicy", "metadata": metadata, "spec": made}


def bad_release(namespace: str, **more: Any) -> dict[str, Any]:
    """Return a policy that rolls a stuck rollout back."""
    stuck = {
        "target": {"kind": "Deployment", "name": "checkout"},
        "when": [{"condition": "StuckRollout"}],
        "ladder": [{"do": "rollback", "within": "60s"}, {"do": "restart", "within": "60s"}],
    }
    return policy(namespace, **{**stuck, **more})


def nodes(namespace: str, **more: Any) -> dict[str, Any]:
    """Return a policy that drains nodes of the pool whose kernel is stuck."""
    lost = {
        "nodes": {
            "selector": {"matchLabels": {"pool": POOL}},
            "minHealthy": "51%",
            "stormExitDelay": "5s",
            "healthyDelay": "5s",
        },
        "when": [{"condition": "NodeCondition", "type": "KernelDeadlock"}, {"condition": "NodeNotReady"}],
        "ladder": [{"do": "drain", "within": "30s"}],
    }
    return policy(namespace, **{**lost, **more})


def plans(rig: Rig) -> tuple[Plan, ...]:
    """Return the plans, newest first."""
    if not (rig.folder / "aiops.db").exists():
        return ()
    with rig.store() as store:
        return store.plans.every()


def reasons(rig: Rig) -> set[str]:
    return {one["reason"] for one in rig.decisions(policy=f"RemediationPolicy/{rig.namespace}/checkout")}


@pytest.fixture
def pool(plane: ControlPlane) -> Iterator[list[str]]:
    """Three nodes of a pool that opted in."""
    names = [f"{POOL}-{number}" for number in range(3)]
    for name in names:
        made = fake_node(name, "zone-x")
        made["metadata"]["labels"] |= {"pool": POOL, "policy.aiops/managed": "true"}
        plane.apply(made)
    plane.eventually(lambda: all(_ready(plane, name) for name in names), "the pool to be ready")
    yield names
    for name in names:
        plane.delete(f"/api/v1/nodes/{name}", wait=True)


def _ready(plane: ControlPlane, name: str) -> bool:
    """Return whether a node is ready, and was for long enough that nothing keeps pods away from it any more."""
    found = plane.api("GET", f"/api/v1/nodes/{name}")
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in found["status"].get("conditions", ()))
    return ready and not found["spec"].get("taints")


def deadlock(plane: ControlPlane, name: str, status: str) -> None:
    """Say of a node what node-problem-detector would."""
    said = {"type": "KernelDeadlock", "status": status, "reason": "Test", "message": "e2e"}
    plane.api(
        "PATCH",
        f"/api/v1/nodes/{name}/status",
        {"status": {"conditions": [said]}},
        "application/strategic-merge-patch+json",
    )


def unschedulable(plane: ControlPlane, name: str) -> bool:
    return bool(plane.api("GET", f"/api/v1/nodes/{name}")["spec"].get("unschedulable"))


def release(rig: Rig, path: str) -> None:
    """Release what never becomes ready."""
    template = {"metadata": {"annotations": {"e2e.aiops/never-ready": "true", "release": "2"}}}
    rig.plane.patch(path, {"spec": {"template": template}})


def whole(rig: Rig, path: str) -> Callable[[], bool]:
    def looked() -> bool:
        one = rig.plane.api("GET", path)
        status = one.get("status", {})
        counts = {status.get(name) for name in ("updatedReplicas", "replicas", "availableReplicas")}
        return counts == {one["spec"]["replicas"]} and status["observedGeneration"] == one["metadata"]["generation"]

    return looked


def annotations(rig: Rig, path: str) -> dict[str, str]:
    return dict(rig.plane.api("GET", path)["spec"]["template"]["metadata"]["annotations"])


@pytest.mark.timeout(300)
def test_a_release_that_makes_no_progress_is_rolled_back_though_the_daemon_dies_on_the_way_s6_s10(
    rig: Rig, deploy: Callable[..., str]
):
    path = deploy(replicas=2, progressDeadlineSeconds=5)
    rig.policy(bad_release(rig.namespace))
    first = rig.daemon()
    rig.until(whole(rig, path), "the first release")
    rig.until(lambda: rig.decisions(verdict="steady"), "the daemon to know that it is well")
    release(rig, path)
    rig.until(lambda: any(one.status is PlanStatus.RUNNING for one in plans(rig)), "a plan", 60.0)
    first.process.kill9()
    rig.daemon("b")
    rig.until(lambda: "e2e.aiops/never-ready" not in annotations(rig, path), "the rollback", 60.0)
    rig.until(whole(rig, path), "the rollout of what was before")
    rig.until(lambda: {one.status for one in plans(rig)} == {PlanStatus.DONE}, "the plan to end", 60.0)
    assert [[step.name for step in one.steps] for one in plans(rig)] == [["rollback"]]
    # the second release was the second revision, and there was one rollback
    assert rig.plane.api("GET", path)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert denied(rig.audit()) == []


@pytest.mark.timeout(300)
def test_in_mode_approve_the_rollback_waits_for_a_person_s6(rig: Rig, deploy: Callable[..., str]):
    path = deploy(replicas=2, progressDeadlineSeconds=5)
    rig.policy(bad_release(rig.namespace, mode="approve"))
    daemon = rig.daemon()
    rig.until(whole(rig, path), "the first release")
    release(rig, path)
    rig.until(lambda: any(one.status is PlanStatus.PROPOSED for one in plans(rig)), "a proposal", 60.0)
    time.sleep(3.0)
    assert rig.writes() == []
    [proposed] = plans(rig)
    config = next(rig.folder.glob("a-*.yaml"))
    rig.aiops("--config", str(config), "approvals", "approve", proposed.id, "--reason", "e2e")
    rig.until(lambda: "e2e.aiops/never-ready" not in annotations(rig, path), "the rollback", 60.0)
    assert daemon.process.poll() is None


def gathered(namespace: str, node: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return three replicas that lie on one node while it takes pods, and a budget that lets one go at a time."""
    item = deployment(namespace, "checkout", 3, "3s")
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    preferred = [{"weight": 100, "preference": term}]
    item["spec"]["template"]["spec"]["affinity"] = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "checkout", "namespace": namespace},
        "spec": {"minAvailable": 2, "selector": item["spec"]["selector"]},
    }
    return item, budget


def pods_on(rig: Rig, node: str) -> list[str]:
    """Return the names of the namespace's pods on a node, in order."""
    found = rig.plane.api("GET", f"/api/v1/namespaces/{rig.namespace}/pods")["items"]
    return sorted(one["metadata"]["name"] for one in found if one["spec"].get("nodeName") == node)


def evictions(rig: Rig) -> list[AuditEvent]:
    """Return what the daemon asked for of the namespace's pods, in order; it is to be evictions alone."""
    found = [one for one in rig.audit() if one.resource == "pods" and one.namespace == rig.namespace and one.writes]
    assert {one.subresource for one in found} <= {"eviction"}
    return found


@pytest.mark.timeout(300)
def test_a_node_that_is_stuck_is_drained_though_the_daemon_dies_between_evictions_and_takes_pods_again_s3_s6_s10(
    rig: Rig, pool: list[str]
):
    checkout, budget = gathered(rig.namespace, pool[0])
    rig.plane.apply(checkout, budget)
    rig.policy(nodes(rig.namespace, ladder=[{"do": "drain", "within": "120s"}]))
    first = rig.daemon()
    rig.until(lambda: rig.decisions(verdict="steady"), "the daemon to know the nodes")
    rig.until(whole(rig, rig.plane.path_of(checkout)), "the pods to be ready")
    there = pods_on(rig, pool[0])
    assert len(there) == 3
    deadlock(rig.plane, pool[0], "True")
    log = AuditLog(rig.plane.audit_log, users=[USER])
    log.wait_for(lambda one: one.namespace == rig.namespace and one.subresource == "eviction" and one.accepted, 60.0)
    first.process.kill9()
    assert len([one for one in evictions(rig) if one.accepted]) == 1  # the budget has room for one
    assert unschedulable(rig.plane, pool[0])
    rig.daemon("b")
    rig.until(lambda: plans(rig)[0].status is PlanStatus.DONE, "the drain, by the successor", 90.0)
    assert [[step.name for step in one.steps] for one in plans(rig)] == [["cordon", "drain"]]
    asked = evictions(rig)
    assert sorted(one.name for one in asked if one.accepted) == there  # each once, and none of those made since
    assert {one.code for one in asked if not one.accepted} <= {429}
    assert pods_on(rig, pool[0]) == []
    assert not any(unschedulable(rig.plane, name) for name in pool[1:])
    deadlock(rig.plane, pool[0], "False")
    rig.until(lambda: not unschedulable(rig.plane, pool[0]), "the node to take pods again", 60.0)
    told = rig.plane.api("GET", "/api/v1/namespaces/default/events")["items"]
    assert [one for one in told if one["involvedObject"]["name"] == pool[0] and one["reason"] == "PlanDone"]
    assert denied(rig.audit()) == []


@pytest.mark.timeout(300)
def test_a_storm_touches_no_node_and_what_a_person_cordoned_stays_so_s3_s5(rig: Rig, pool: list[str]):
    rig.policy(nodes(rig.namespace))
    rig.daemon()
    rig.until(lambda: rig.decisions(verdict="steady"), "the daemon to know the nodes")
    for name in pool[:2]:
        deadlock(rig.plane, name, "True")
    rig.until(lambda: "storm" in reasons(rig), "the storm", 60.0)
    time.sleep(4.0)
    assert not any(unschedulable(rig.plane, name) for name in pool)
    for name in pool[:2]:
        deadlock(rig.plane, name, "False")
    rig.plane.patch(f"/api/v1/nodes/{pool[2]}", {"spec": {"unschedulable": True}})
    deadlock(rig.plane, pool[2], "True")
    rig.until(lambda: "manual_override" in reasons(rig), "the person's cordon to be respected", 60.0)
    deadlock(rig.plane, pool[2], "False")
    time.sleep(10.0)
    assert unschedulable(rig.plane, pool[2])
    assert plans(rig) == ()


def silent(plane: ControlPlane, name: str, *, yes: bool = True) -> None:
    """Let a node's kubelet be heard of no more, or again."""
    plane.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": {"e2e.aiops/silent": "yes" if yes else None}}})


@pytest.mark.timeout(300)
def test_a_node_that_is_lost_is_drained_though_the_daemon_dies_on_the_way_and_takes_pods_again_s6(
    rig: Rig, pool: list[str]
):
    rig.policy(nodes(rig.namespace))
    first = rig.daemon()
    rig.until(lambda: rig.decisions(verdict="steady"), "the daemon to know the nodes")
    silent(rig.plane, pool[0])
    rig.until(lambda: not _ready(rig.plane, pool[0]), "Kubernetes to miss the node", 60.0)
    rig.until(lambda: any(one.status is PlanStatus.RUNNING for one in plans(rig)), "a plan", 60.0)
    first.process.kill9()
    rig.daemon("b")
    rig.until(lambda: unschedulable(rig.plane, pool[0]), "the node to be cordoned", 60.0)
    rig.until(lambda: {one.status for one in plans(rig)} == {PlanStatus.DONE}, "the drain", 60.0)
    assert not any(unschedulable(rig.plane, name) for name in pool[1:])
    silent(rig.plane, pool[0], yes=False)
    rig.until(lambda: not unschedulable(rig.plane, pool[0]), "the node to take pods again", 90.0)
    assert denied(rig.audit()) == []


@pytest.mark.timeout(300)
def test_a_zone_that_is_lost_empties_no_node_and_people_are_told_though_the_daemon_dies_in_it_s5(
    rig: Rig, pool: list[str]
):
    rig.policy(nodes(rig.namespace))
    with pager() as (url, told):
        channel = {"notify": {"channels": {"oncall": {"urls": [url]}}}}
        first = rig.daemon(**channel)
        rig.until(lambda: rig.decisions(verdict="steady"), "the daemon to know the nodes")
        for name in pool:
            silent(rig.plane, name)
        rig.until(lambda: "storm" in reasons(rig), "the storm", 60.0)
        first.process.kill9()
        rig.daemon("b", **channel)
        rig.until(lambda: "checkout asks: storm" in told, "people to be told", 60.0)
        time.sleep(5.0)
        for name in pool:
            silent(rig.plane, name, yes=False)
        rig.until(lambda: all(_ready(rig.plane, name) for name in pool), "the zone to be back", 60.0)
    assert not any(unschedulable(rig.plane, name) for name in pool)
    assert not [one for one in plans(rig) if one.status is PlanStatus.DONE]
