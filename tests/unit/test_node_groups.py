"""MachineDeployments of Cluster API as targets: what counts as ready, who owns them, and in which range they stay."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.adapters.kubernetes.inventory import Around, workload
from aiops.adapters.kubernetes.rbac import rbac
from aiops.core.guard import verdict
from aiops.core.model import NodeGroup, Reason, TargetRef, VerdictWord
from aiops.core.policies import PolicySet
from tests.builders import NOW, context, policy, proposal, snapshot
from tests.unit.rulings import bound

REF = TargetRef(namespace="fleet", api_version="cluster.x-k8s.io/v1beta1", kind="MachineDeployment", name="workers")
SIZE = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-{}-size"


def machines(managers: tuple[str, ...] = ("kubectl",), annotations: dict[str, str] | None = None, **status: Any) -> Any:
    fields = {"f:spec": {"f:replicas": {}}}
    return {
        "metadata": {
            "name": "workers",
            "namespace": "fleet",
            "uid": "m1",
            "labels": {"cluster.x-k8s.io/cluster-name": "prod", "topology.cluster.x-k8s.io/deployment-name": "md-0"},
            "annotations": annotations or {},
            "managedFields": [{"manager": one, "operation": "Apply", "fieldsV1": fields} for one in managers],
        },
        "spec": {"clusterName": "prod", "replicas": 4, "selector": {"matchLabels": {"pool": "workers"}}},
        "status": {"replicas": 4, "readyReplicas": 3, **status},
    }


def seen(item: Any) -> Any:
    namespace = {"metadata": {"labels": {"policy.aiops/managed": "true"}}}
    scale = {"spec": {"replicas": 4}, "status": {"selector": "pool=workers"}}
    return workload(REF, item, Around(namespace=namespace, pods=(), hpas=(), pdbs=(), scale=scale), NOW)


def ruled(item: Any, before: int, after: int, **changes: Any) -> Any:
    shot = snapshot(workloads={REF.key: seen(item)})
    mine = policy(target=REF, **changes)
    ctx = context(snapshot=shot, policy=mine, workload=shot.workloads[REF.key])
    return verdict(proposal(before, after), ctx)


def test_its_replicas_are_nodes_and_count_as_ready_by_its_own_status():
    found = seen(machines(annotations={SIZE.format("min"): "2", SIZE.format("max"): "6"}))
    assert (found.replicas, found.ready, found.rollout, found.opted_in) == (4, 3, False, True)
    assert found.nodes == NodeGroup(least=2, most=6)


@pytest.mark.parametrize("status", [{"updatedReplicas": 1}, {"upToDateReplicas": 1}])
def test_machines_that_are_being_replaced_are_a_rollout(status):
    assert seen(machines(**status)).rollout


@pytest.mark.parametrize("text", ["", "-1", "many", "1e3", "99999999"])
def test_annotations_that_say_no_number_say_nothing(text):
    assert seen(machines(annotations={SIZE.format("max"): text})).nodes == NodeGroup()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (5, (VerdictWord.ALLOW, None, 5)),
        (9, (VerdictWord.ALLOW, Reason.OUT_OF_RANGE, 6)),
        (1, (VerdictWord.ALLOW, Reason.OUT_OF_RANGE, 3)),
    ],
)
def test_it_stays_in_the_range_that_cluster_autoscaler_keeps_to(after, expected):
    item = machines(annotations={SIZE.format("min"): "3", SIZE.format("max"): "6"})
    assert bound(ruled(item, 4, after, scale_in_allowed=True)) == expected


def test_nodes_are_taken_away_only_where_the_policy_says_so_s3():
    assert bound(ruled(machines(), 4, 3)) == (VerdictWord.DENY, Reason.SCALE_IN_NOT_ALLOWED, 4)


def test_what_a_topology_says_is_left_to_it_and_the_place_is_named_s4():
    said = ruled(machines(managers=("capi-topology",)), 4, 6)
    assert bound(said) == (VerdictWord.DENY, Reason.OWNED, 4)
    assert said.binding.ruling.detail == (
        "cluster-api (capi-topology: spec.topology.workers.machineDeployments, md-0, of Cluster prod) owns replicas"
    )


def test_a_topology_that_leaves_the_number_open_leaves_it_to_us():
    assert bound(ruled(machines(managers=("manager",)), 4, 6)) == (VerdictWord.ALLOW, None, 6)


def test_a_group_that_cluster_autoscaler_has_moved_is_its_own_s4():
    assert bound(ruled(machines(managers=("cluster-autoscaler",)), 4, 6)) == (VerdictWord.DENY, Reason.OWNED, 4)


def test_it_needs_its_scale_subresource_and_no_more_s10():
    made = rbac(PolicySet(digest="p", scaling=(policy(target=REF),)))
    rules = [one for role in made if role["metadata"].get("namespace") == "fleet" for one in role.get("rules", ())]
    mine = [(one["resources"], one["verbs"]) for one in rules if one["apiGroups"] == ["cluster.x-k8s.io"]]
    assert mine == [
        (["machinedeployments"], ["list", "watch"]),
        (["machinedeployments/scale"], ["get"]),
        (["machinedeployments/scale"], ["patch"]),
    ]
