"""A daemon with the permissions that `aiops rbac` prints empties nodes on a real API server, beside the real scheduler.

Scheduler, ReplicaSets, budgets and evictions are Kubernetes' own; pods and nodes are KWOK's. Who deletes an emptied
node is the test, as a cluster autoscaler would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiops.core.model import Plan, PlanStatus
from tests.e2e.cluster import ControlPlane, fake_node
from tests.e2e.grants import denied
from tests.e2e.rig import Rig

POOL = "packed"


def policy(namespace: str, **more: Any) -> dict[str, Any]:
    """Return a CostPolicy that packs the pool: quick to act, for a test."""
    pack = {
        "nodes": {"selector": {"matchLabels": {"pool": POOL}}},
        "calmFor": "3s",
        "watchFor": "3s",
        "readyWithin": "60s",
        "maxNotReady": "50%",
        "deletedBy": "ClusterAutoscaler",
        **more,
    }
    metadata = {"name": "pack", "namespace": namespace}
    spec = {"mode": "enforce", "pack": pack}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "CostPolicy", "metadata": metadata, "spec": spec}


@pytest.fixture
def pool(plane: ControlPlane) -> Iterator[list[str]]:
    """Three nodes of a pool that opted in, of 64 cores each; pods that do not ask for the pool stay off."""
    names = [f"{POOL}-{number}" for number in range(3)]
    for name in names:
        made = fake_node(name, "zone-p")
        made["metadata"]["labels"] |= {"pool": POOL, "policy.aiops/managed": "true"}
        made["spec"] = {"taints": [{"key": "pool", "value": POOL, "effect": "NoSchedule"}]}
        plane.apply(made)
    plane.eventually(lambda: all(_ready(plane, name) for name in names), "the pool to be ready")
    yield names
    for name in names:
        plane.delete(f"/api/v1/nodes/{name}", wait=True)


def _ready(plane: ControlPlane, name: str) -> bool:
    """Return whether the scheduler may use a node: it says Ready, and is no longer tainted for not having been."""
    found = plane.api("GET", f"/api/v1/nodes/{name}")
    if [one["key"] for one in found["spec"].get("taints", ())] != ["pool"]:
        return False
    return any(one["type"] == "Ready" and one["status"] == "True" for one in found["status"].get("conditions", ()))


def template(**spec: Any) -> dict[str, Any]:
    """Return a pod template of the pool: ten cores each."""
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "10", "memory": "1Gi"}}}
    tolerates = [{"key": "pool", "operator": "Exists"}]
    return {
        "metadata": {"labels": {"app": "checkout"}, "annotations": {"e2e.aiops/ready-after": "1s"}},
        "spec": {
            "containers": [container],
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"pool": POOL},
            "tolerations": tolerates,
            **spec,
        },
    }


def spread(**more: Any) -> dict[str, Any]:
    """Return topology spread over hosts that must hold."""
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "checkout"}},
                **more,
            }
        ]
    }


def plans(rig: Rig) -> tuple[Plan, ...]:
    """Return the plans, newest first."""
    if not (rig.folder / "aiops.db").exists():
        return ()
    with rig.store() as store:
        return store.plans.every()


def where(rig: Rig) -> list[str]:
    """Return the nodes of the namespace's pods, '' for one that waits."""
    items = rig.plane.api("GET", f"/api/v1/namespaces/{rig.namespace}/pods")["items"]
    alive = [one for one in items if not one["metadata"].get("deletionTimestamp")]
    return sorted(one["spec"].get("nodeName", "") for one in alive)


def cordoned(rig: Rig, names: list[str]) -> list[str]:
    """Return those of the nodes that take no pods."""
    found = [name for name in names if rig.plane.api("GET", f"/api/v1/nodes/{name}")["spec"].get("unschedulable")]
    return sorted(found)


def whole(rig: Rig, path: str) -> Callable[[], bool]:
    """Return whether a Deployment has all of its pods, ready."""

    def looked() -> bool:
        one = rig.plane.api("GET", path)
        return bool(one.get("status", {}).get("availableReplicas") == one["spec"]["replicas"])

    return looked


@pytest.mark.timeout(400)
def test_a_node_is_emptied_though_the_daemon_dies_and_its_plan_ends_when_it_is_gone_s6_s10(
    rig: Rig, pool: list[str], deploy: Callable[..., str]
) -> None:
    path = deploy(replicas=3, template=template())
    rig.until(whole(rig, path), "the pods", 60.0)
    assert where(rig) == pool
    rig.policy(policy(rig.namespace))
    first = rig.daemon()
    rig.until(lambda: len(cordoned(rig, pool)) == 1, "a node to be cordoned", 90.0)
    first.process.kill9()
    rig.daemon("b")
    (gone,) = cordoned(rig, pool)
    rig.until(lambda: gone not in where(rig) and whole(rig, path)(), "its pods to run elsewhere", 90.0)
    rig.until(lambda: plans(rig)[0].current == 2, "the plan to wait for its removal", 90.0)
    assert plans(rig)[0].status is PlanStatus.RUNNING
    rig.plane.delete(f"/api/v1/nodes/{gone}", wait=True)
    rig.until(lambda: plans(rig)[0].status is PlanStatus.DONE, "the plan to end", 90.0)
    assert len(plans(rig)) == 1
    assert len(where(rig)) == 3
    assert "" not in where(rig)
    assert denied(rig.audit()) == []


@pytest.mark.timeout(400)
def test_the_simulation_says_what_the_scheduler_does_about_topology_spread(
    rig: Rig, pool: list[str], deploy: Callable[..., str]
) -> None:
    path = deploy(replicas=3, template=template(**spread()))
    rig.until(whole(rig, path), "the pods", 60.0)
    rig.policy(policy(rig.namespace))
    rig.daemon()
    rig.until(lambda: rig.decisions(verdict="steady"), "the daemon to see that no node can be emptied", 90.0)
    assert cordoned(rig, pool) == []
    assert "topology spread" in rig.decisions(verdict="steady")[0]["story"]
    # the scheduler agrees: a cordoned node is still a place, and another pod beside one of the others is one too many
    rig.plane.patch(f"/api/v1/nodes/{pool[0]}", {"spec": {"unschedulable": True}})
    rig.plane.kubectl("delete", "pod", "-n", rig.namespace, f"--field-selector=spec.nodeName={pool[0]}")
    rig.until(lambda: where(rig) == ["", pool[1], pool[2]], "the pod that finds no room", 60.0)
    rig.plane.patch(f"/api/v1/nodes/{pool[0]}", {"spec": {"unschedulable": None}})
    rig.until(whole(rig, path), "the pod to find its room again", 60.0)


@pytest.mark.timeout(400)
def test_where_spread_leaves_cordoned_nodes_out_the_node_is_emptied_and_taken_back_when_nobody_deletes_it(
    rig: Rig, pool: list[str], deploy: Callable[..., str]
) -> None:
    path = deploy(replicas=3, template=template(**spread(nodeTaintsPolicy="Honor")))
    rig.until(whole(rig, path), "the pods", 60.0)
    rig.policy(policy(rig.namespace, goneWithin="5s", surviveNodeLoss=False))
    rig.daemon()
    rig.until(
        lambda: any(one.status is PlanStatus.ROLLED_BACK for one in plans(rig)), "the plan to be taken back", 120.0
    )
    assert [step.name for step in plans(rig)[-1].steps] == ["cordon", "drain", "gone"]
    assert cordoned(rig, pool) == []
    rig.until(whole(rig, path), "the pods", 60.0)
    assert len(set(where(rig))) == 2  # evicted pods stay where they went
    assert denied(rig.audit()) == []


@pytest.mark.timeout(400)
def test_a_budget_without_room_keeps_a_node_until_it_has_some_s5(
    rig: Rig, pool: list[str], deploy: Callable[..., str]
) -> None:
    path = deploy(replicas=3, template=template())
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "checkout", "namespace": rig.namespace},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "checkout"}}},
    }
    rig.plane.apply(budget)
    rig.until(whole(rig, path), "the pods", 60.0)
    rig.policy(policy(rig.namespace))
    rig.daemon()
    rig.until(lambda: rig.decisions(verdict="steady"), "the daemon to see that no node can be emptied", 90.0)
    assert "allows none of its pods to go now" in rig.decisions(verdict="steady")[0]["story"]
    rig.plane.patch(
        f"/apis/policy/v1/namespaces/{rig.namespace}/poddisruptionbudgets/checkout", {"spec": {"minAvailable": 2}}
    )
    rig.until(lambda: len(cordoned(rig, pool)) == 1, "a node to be cordoned", 90.0)
    (name,) = cordoned(rig, pool)
    rig.until(lambda: name not in where(rig) and whole(rig, path)(), "its pods to run elsewhere", 90.0)
