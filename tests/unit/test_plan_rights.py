"""What `aiops rbac` grants to policies of plans: in each cluster what is done there, and no more (S10)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from aiops.adapters.kubernetes import clusters_of, plan_roles
from aiops.adapters.kubernetes.plan_rights import PlanRights
from aiops.app.granting import named_clusters
from aiops.core.model import Mode, TargetRef
from aiops.core.policies import PolicySet, Rollouts
from aiops.policy import check
from tests.commands import aiops
from tests.unit.fleet import a_watch
from tests.unit.operated import api, operations
from tests.unit.test_rbac import WRITES, granted

SHIPPED = Path("policies/failover.yaml")


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    found = check([SHIPPED], 15.0).policies
    assert found is not None
    return found


def writes(objects: list[dict]) -> set[tuple[str, str, str, str]]:
    return {one for one in granted(objects) if one[1] in WRITES}


def test_a_failover_writes_its_route_at_the_edge_and_scales_its_standbys_where_they_are_s10(policies):
    assert clusters_of(policies.plans[0]) == {"edge", "west", "north"}
    assert writes(plan_roles(policies, cluster="edge")) == {
        ("edge", "patch", "gateway.networking.k8s.io/httproutes", "storefront"),
        ("edge", "create", "/events", ""),
    }
    for site in ("west", "north"):
        assert writes(plan_roles(policies, cluster=site)) == {
            ("shop", "patch", "apps/deployments/scale", "storefront"),
            ("shop", "patch", "autoscaling/horizontalpodautoscalers", ""),
            ("shop", "create", "/events", ""),
        }
    assert plan_roles(policies, cluster="elsewhere") == []


def test_it_may_read_what_it_looks_at_and_whether_that_is_opted_in_s3(policies):
    found = granted(plan_roles(policies, cluster="edge")) - writes(plan_roles(policies, cluster="edge"))
    assert found == {
        ("edge", "get", "gateway.networking.k8s.io/httproutes", "storefront"),
        ("", "get", "/namespaces", "edge"),
    }


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.DRY_RUN])
def test_below_approve_a_plan_is_granted_no_write_s10(policies, mode):
    quiet = replace(policies, plans=tuple(replace(one, mode=mode) for one in policies.plans))
    assert writes(plan_roles(quiet)) == writes(plan_roles(policies, ceiling=mode)) == set()
    assert granted(plan_roles(policies, ceiling=mode)) != set()


def test_a_workload_whose_rollouts_are_waited_for_may_be_looked_at_where_it_is_and_not_written_s10():
    ref = TargetRef(cluster="west", namespace="ml", api_version="apps/v1", kind="StatefulSet", name="model")
    waiting = PolicySet(digest="d", watches=(a_watch(rollouts=Rollouts(settle_s=600.0, of=(ref,))), a_watch("other")))
    found = granted(plan_roles(waiting, cluster="west"))
    assert {one for one in found if one[2] == "apps/statefulsets"} == {
        ("ml", "list", "apps/statefulsets", ""),
        ("ml", "watch", "apps/statefulsets", ""),
    }
    assert ("ml", "list", "/pods", "") in found
    assert {one for one in found if one[1] in WRITES} == set()
    assert plan_roles(waiting, cluster="edge") == []
    assert named_clusters(waiting) == ["west"]


def test_without_such_policies_nothing_is_granted_s10():
    assert plan_roles(PolicySet(digest="d")) == []


GRANTED = {
    "http-route": {("shop", "patch", "gateway.networking.k8s.io/httproutes", "storefront")},
    "service-selector": {("shop", "patch", "/services", "storefront")},
    "ingress-canary": {("shop", "patch", "networking.k8s.io/ingresses", "storefront")},
    "weight-annotation": {("shop", "patch", "/services", "storefront-dns")},
    "scale": {
        ("shop", "patch", "apps/deployments/scale", "checkout"),
        ("shop", "patch", "autoscaling/horizontalpodautoscalers", ""),
    },
    "resources": {("shop", "patch", "apps/deployments", "checkout")},
    "restart": {("shop", "patch", "apps/deployments", "checkout")},
    "roll-back": {("shop", "patch", "apps/deployments", "checkout")},
    "cordon": {("", "patch", "/nodes", "n1")},
    "drain": {("", "create", "/pods/eviction", "")},
    "delete-pod": {("shop", "create", "/pods/eviction", "")},
    "run-job": {("shop", "create", "batch/jobs", "")},
    "suspend": {("shop", "patch", "batch/cronjobs", "repair")},
    "await-removal": set(),
    "webhook": set(),
    "notify": set(),
}


@pytest.mark.parametrize("name", GRANTED)
def test_each_operation_is_granted_what_it_sends_and_nothing_else_s10(name):
    rights = PlanRights(None)
    rights.allow(operations(api())[name], acts=True)
    objects = [
        {"metadata": {"namespace": namespace} if namespace else {}, "rules": rules}
        for namespace, rules in rights.rules.items()
    ]
    assert {one for one in granted(objects) if one[1] in WRITES} == GRANTED[name]


def test_the_command_says_which_cluster_it_needs_to_know_and_prints_its_roles():
    several = aiops("rbac", str(SHIPPED), "--mode", "enforce")
    assert (several.returncode, "edge, north, west: --cluster says whose" in several.stderr) == (2, True)
    printed = aiops("rbac", str(SHIPPED), "--mode", "enforce", "--cluster", "edge")
    roles = [one for one in yaml.safe_load_all(printed.stdout) if one["kind"] == "Role"]
    assert ("edge", "aiops:plans") in {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in roles}
