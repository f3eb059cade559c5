"""The Kubernetes adapter against an API server that speaks the real shapes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from kubernetes.client import ApiClient, Configuration

from aiops.adapters.kubernetes import Clusters, KubernetesCluster
from aiops.adapters.kubernetes.http import Http
from aiops.core import act
from aiops.core.guard import verdict
from aiops.core.model import Mode, OwnerKind, Reason, SetFloor, StepStatus, TargetRef
from aiops.core.policies import Lever
from aiops.loop import DryRunCluster
from tests.builders import NOW, TARGET, context, policy, proposal, rules, snapshot
from tests.integration.kubernetes_server import KubernetesServer, deployment, pod

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
PODS = "/api/v1/namespaces/shop/pods"
HPAS = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
PDBS = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
ISSUE = act.Issue(tick_id="T", decision_id="D", at=NOW, tick_s=15.0, epoch=3, mode=Mode.ENFORCE)


def connected(url: str) -> KubernetesCluster:
    configuration = Configuration(host=url)
    configuration.retries = False
    return KubernetesCluster("default", Http(ApiClient(configuration)))


@pytest.fixture
def server():
    server = KubernetesServer()
    server.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    server.put(DEPLOYMENTS, deployment())
    for number in range(4):
        server.put(PODS, pod(number, ready=number < 3))
    yield server
    server.stop()


@pytest.fixture
def clusters(server):
    clusters = Clusters({"default": connected(server.url)})
    clusters.start()
    yield clusters
    clusters.stop(5)


def eventually(look: Callable[[], object], within_s: float = 8.0) -> object:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


def shown(clusters, ref=TARGET):
    return eventually(lambda: clusters.inventory([ref], NOW).workloads.get(ref.key))


def hpa(**spec):
    return {
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "h1"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
            "minReplicas": 2,
            "maxReplicas": 20,
            **spec,
        },
        "status": {"desiredReplicas": 4, "conditions": [{"type": "ScalingActive", "status": "True"}]},
    }


def change(workload, after, **policy_changes):
    chosen = policy(**policy_changes)
    shot = snapshot(workloads={TARGET.key: workload})
    wish = proposal(workload.replicas, after)
    if chosen.lever is Lever.HPA_FLOOR:
        wish = proposal(change=SetFloor(hpa="checkout", before=2, after=after))
    found = verdict(wish, context(policy=chosen, snapshot=shot))
    return act.action(chosen, found, workload, ISSUE)


def test_a_workload_is_read_with_its_pods_owners_and_limits(server, clusters):
    server.put(HPAS, hpa())
    server.put(
        PDBS,
        {
            "metadata": {"name": "one", "namespace": "shop"},
            "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "checkout"}}},
            "status": {"expectedPods": 4},
        },
    )
    found = eventually(lambda: (w := shown(clusters)).hpas and w.pdb_min_available and w)
    assert (found.replicas, found.ready, found.opted_in, found.rollout) == (4, 3, True, False)
    (startups,) = clusters.inventory([TARGET], NOW).startups.values()
    assert [(one.total_s, one.pending_s, one.pull_s, one.ready_s) for one in startups] == [(40.0, 1.0, 29.0, 10.0)] * 3
    assert found.pdb_min_available == 2
    assert (found.hpas[0].min_replicas, found.hpas[0].scaling_active) == (2, True)


def test_a_change_is_seen_through_the_watch(server, clusters):
    shown(clusters)
    server.put(DEPLOYMENTS, deployment(replicas=9))
    assert eventually(lambda: shown(clusters).replicas == 9)


def test_a_watch_that_is_too_old_is_listed_again(server, clusters):
    shown(clusters)
    for _ in range(6):
        server.expire()
    server.put(DEPLOYMENTS, deployment(replicas=7))
    assert eventually(lambda: shown(clusters).replicas == 7)


def test_a_scale_goes_through_the_subresource_with_its_preconditions_and_its_id_s6(server, clusters):
    before = shown(clusters)
    action = change(before, 6)
    result = clusters.send(action, action.steps[0], NOW)
    assert result.status is StepStatus.DONE
    (asked,) = server.requests
    assert asked["path"] == f"{DEPLOYMENTS}/checkout/scale?fieldManager=aiops"
    assert asked["body"] == {
        "metadata": {"uid": "u1", "resourceVersion": before.resource_version},
        "spec": {"replicas": 6},
    }
    assert asked["agent"].endswith(f"action/{action.id}")
    assert eventually(lambda: shown(clusters).replicas == 6)
    # the same step again meets an object that has moved on
    assert clusters.send(action, action.steps[0], NOW).status is StepStatus.REFUSED


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (403, StepStatus.REFUSED, Reason.NO_PERMISSION),
        (409, StepStatus.REFUSED, Reason.REFUSED),
        (422, StepStatus.REFUSED, Reason.REFUSED),
        (429, StepStatus.REFUSED, Reason.REFUSED),
        (500, StepStatus.UNKNOWN, None),
        (504, StepStatus.UNKNOWN, None),
    ],
)
def test_a_write_that_is_not_accepted_is_refused_or_unknown_and_never_sent_twice_s6(
    server, clusters, status, outcome, reason
):
    action = change(shown(clusters), 6)
    server.refuse_writes = status
    result = clusters.send(action, action.steps[0], NOW)
    assert (result.status, result.reason, result.code) == (outcome, reason, status)
    assert len(server.requests) == 1
    if status == 403:
        assert "patch Deployment/scale in namespace shop" in result.message


def test_an_expired_action_and_a_dry_run_send_nothing_s6(server, clusters):
    action = change(shown(clusters), 6)
    late = clusters.send(action, action.steps[0], NOW + 1000)
    dry = DryRunCluster(clusters).send(action, action.steps[0], NOW)
    assert (late.reason, dry.status) == (Reason.EXPIRED, StepStatus.DRY_RUN)
    assert server.requests == []


def test_a_floor_is_moved_with_its_restore_record_on_the_object_s4_s9(server, clusters):
    server.put(HPAS, hpa())
    before = eventually(lambda: (w := shown(clusters)).hpas and w)
    action = change(before, 6, lever=Lever.HPA_FLOOR, up=rules(rates=()))
    assert clusters.send(action, action.steps[0], NOW).status is StepStatus.DONE
    after = eventually(lambda: (w := shown(clusters)).hpas[0].min_replicas == 6 and w)
    effect = act.effect_of(action, after, None)
    assert (effect.original, effect.written) == (2, 6)
    (back,) = act.release_steps(effect, after)
    assert back.body["spec"] == {"minReplicas": 2}


def test_an_event_tells_what_was_done(server, clusters):
    clusters.announce(TARGET, "Scaled", "scale out 4 -> 6", "A1", NOW)
    eventually(lambda: server.requests)
    event = server.requests[0]["body"]
    assert (event["reason"], event["involvedObject"]["name"]) == ("Scaled", "checkout")
    assert "A1" in event["message"]


def test_a_cluster_that_does_not_answer_leaves_the_others_alone(server):
    both = Clusters({"default": connected(server.url), "eu": connected("http://127.0.0.1:9")})
    both.start()
    away = TargetRef(cluster="eu", namespace="shop", name="checkout")
    found = eventually(lambda: (i := both.inventory([TARGET, away], NOW)).workloads and i)
    assert TARGET.key in found.workloads
    assert found.refused[away.key][0] is Reason.CLUSTER_UNAVAILABLE
    assert TARGET.key not in found.refused
    assert "unknown" in both.inventory([TargetRef(cluster="unknown", namespace="x", name="y")], NOW).errors
    both.stop(5)


def test_any_kind_with_a_scale_subresource_is_read_and_written_through_it(server, clusters):
    ref = TargetRef(namespace="shop", api_version="example.com/v1", kind="Widget", name="checkout")
    widget = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "w1"}, "spec": {"size": 5}}
    server.put("/apis/example.com/v1/namespaces/shop/widgets", widget)
    found = shown(clusters, ref)
    assert (found.replicas, found.ready, found.scalable) == (5, 3, True)
    missing = TargetRef(namespace="shop", api_version="example.com/v1", kind="Gadget", name="x")
    assert clusters.inventory([missing], NOW).workloads == {}


@pytest.mark.parametrize(
    ("manager", "subresource", "kind"),
    [
        ("kube-controller-manager", "scale", OwnerKind.HPA),
        ("argocd-application-controller", None, OwnerKind.ARGO_CD),
        ("kustomize-controller", None, OwnerKind.FLUX),
        ("kubectl-client-side-apply", None, OwnerKind.CREATOR),
        ("aiops", "scale", OwnerKind.AIOPS),
        ("somebody", None, OwnerKind.OTHER),
    ],
)
def test_the_managers_of_the_field_are_recognised_s4(server, clusters, manager, subresource, kind):
    entry = {
        "manager": manager,
        "subresource": subresource,
        "time": "2026-03-02T12:00:00Z",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    server.put(DEPLOYMENTS, deployment(managedFields=[entry]))
    found = eventually(lambda: (w := shown(clusters)).owners and w)
    assert (found.owners[0].kind, found.owners[0].at) == (kind, 1772452800.0)


def test_a_kind_that_the_server_does_not_serve_is_no_missing_target(server, clusters):
    odd = TargetRef(namespace="shop", api_version="apps/v9", name="checkout")
    reason, why = eventually(lambda: clusters.inventory([odd], NOW).refused.get(odd.key))
    assert (reason, why) == (Reason.UNKNOWN_TARGET, "the API server has no kind Deployment in apps/v9")


def test_a_server_that_asks_to_be_left_alone_is_left_alone(server, clusters):
    action = change(shown(clusters), 6)
    server.refuse_writes, server.retry_after = 429, "30"
    first = clusters.send(action, action.steps[0], NOW)
    server.refuse_writes = 0
    again = clusters.send(action, action.steps[0], NOW)
    assert (first.status, first.code) == (StepStatus.REFUSED, 429)
    assert (again.status, again.code) == (StepStatus.REFUSED, 0)
    assert "left alone" in again.message
