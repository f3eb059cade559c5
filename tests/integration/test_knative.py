"""A Service of Knative is scaled by the min-scale of the revision that serves, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.kubernetes import Clusters
from aiops.core import act
from aiops.core.guard import verdict
from aiops.core.model import Autoscaler, LoopState, OwnerKind, Reason, SetFloor, StepStatus, TargetRef, VerdictWord
from aiops.core.pipeline.effects import to_hand_back
from aiops.core.policies import Lever, PolicySet, RatePolicy, RateUnit
from tests.builders import NOW, TARGET, context, policy, proposal, rules, snapshot
from tests.integration.kubernetes_server import KubernetesServer, pod
from tests.integration.test_kubernetes import ISSUE, PODS, connected, eventually

SERVICES = "/apis/serving.knative.dev/v1/namespaces/shop/services"
AUTOSCALERS = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/shop/podautoscalers"
THUMBS = TargetRef(namespace="shop", api_version="serving.knative.dev/v1", kind="Service", name="thumbs")
MIN_SCALE = "autoscaling.knative.dev/min-scale"


def service(ready: str = "thumbs-00001", created: str = "thumbs-00001", **status):
    return {
        "metadata": {"name": "thumbs", "namespace": "shop", "uid": "k1", "generation": 1},
        "status": {
            "observedGeneration": 1,
            "latestReadyRevisionName": ready,
            "latestCreatedRevisionName": created,
            "traffic": [{"revisionName": ready, "percent": 100}],
            **status,
        },
    }


def autoscaler(name: str = "thumbs-00001", scale: int = 3, **annotations: str):
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"pa-{name}",
            "labels": {"serving.knative.dev/service": "thumbs"},
            "annotations": {key.replace("_", "-"): value for key, value in annotations.items()},
        },
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-deployment"}},
        "status": {"desiredScale": scale, "actualScale": scale},
    }


def owned(item, manager: str):
    fields = {"f:metadata": {"f:annotations": {f"f:{MIN_SCALE}": {}}}}
    item["metadata"]["managedFields"] = [{"manager": manager, "operation": "Update", "fieldsV1": fields}]
    return item


def of_revision(item, revision: str = "thumbs-00001"):
    item["metadata"]["labels"] = {"serving.knative.dev/revision": revision}
    item["metadata"]["ownerReferences"] = [
        {"controller": True, "kind": "ReplicaSet", "name": f"{revision}-deployment-abc"}
    ]
    return item


@pytest.fixture
def server():
    server = KubernetesServer()
    server.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    server.put(SERVICES, service())
    server.put(AUTOSCALERS, autoscaler())
    for number in range(3):
        server.put(PODS, of_revision(pod(number, ready=True)))
    server.put(PODS, of_revision(pod(7, ready=True), "thumbs-00000"))
    yield server
    server.stop()


@pytest.fixture
def clusters(server):
    clusters = Clusters({"default": connected(server.url)})
    clusters.start()
    yield clusters
    clusters.stop(5)


def seen(clusters, that=lambda workload: True):
    def look():
        one = clusters.inventory([THUMBS], NOW).workloads.get(THUMBS.key)
        return one if one is not None and that(one) else None

    return eventually(look)


def steered(**changes):
    up = replace(rules(), rates=(RatePolicy(unit=RateUnit.PODS, value=10, period_s=15.0),))
    return policy(**{"target": THUMBS, "lever": Lever.KNATIVE_MIN_SCALE, "up": up, **changes})


def ruled(workload, after: int, **changes):
    before = workload.hpas[0].min_replicas if workload.hpas else 0
    shot = snapshot(workloads={THUMBS.key: workload})
    wish = proposal(before, after, target=THUMBS, change=SetFloor(hpa="thumbs-00001", before=before, after=after))
    return verdict(wish, context(snapshot=shot, workload=workload, policy=steered(**changes)))


def sent(clusters, workload, after: int):
    done = act.action(steered(), ruled(workload, after), workload, ISSUE)
    return done, clusters.send(done, done.steps[0], NOW)


def test_the_pods_of_the_revision_that_serves_are_counted(clusters):
    found = seen(clusters)
    assert (found.replicas, found.ready, found.rollout, found.scalable) == (3, 3, False, True)
    assert [(one.kind, one.name, one.min_replicas) for one in found.hpas] == [(Autoscaler.KNATIVE, "thumbs-00001", 0)]


def test_the_floor_is_written_on_the_autoscaler_and_no_revision_is_made(server, clusters):
    _, result = sent(clusters, seen(clusters), 6)
    assert result.status is StepStatus.DONE
    (patch,) = [one for one in server.requests if one["method"] == "PATCH"]
    assert patch["path"].startswith(f"{AUTOSCALERS}/thumbs-00001")
    assert patch["body"]["metadata"]["annotations"][MIN_SCALE] == "6"
    assert "spec" not in patch["body"]
    assert seen(clusters, lambda one: one.hpas[0].min_replicas == 6).hpas[0].annotations


def test_what_was_written_is_given_back_as_it_was(server, clusters):
    before = seen(clusters)
    done, _ = sent(clusters, before, 6)
    effect = act.effect_of(done, before, None)
    after = seen(clusters, lambda one: one.hpas[0].min_replicas == 6)
    (step,) = act.release_steps(effect, after)
    assert step.body["metadata"]["annotations"][MIN_SCALE] is None
    assert act.void(effect, after) == ""


def test_a_new_revision_leaves_the_floor_of_the_former_one_to_be_handed_back(server, clusters):
    before = seen(clusters)
    done, _ = sent(clusters, before, 6)
    effect = act.effect_of(done, before, None)
    server.put(AUTOSCALERS, autoscaler("thumbs-00002"))
    server.put(SERVICES, service("thumbs-00002", "thumbs-00002"))
    found = seen(clusters, lambda one: one.hpas[0].name == "thumbs-00002" and one.left)
    assert [one.name for one in found.left] == ["thumbs-00001"]
    shot = snapshot(workloads={THUMBS.key: found})
    key = act.effect_key(effect)
    state = LoopState(effects={key: effect})
    mine = PolicySet(digest="d", scaling=(steered(),))
    assert list(to_hand_back(state.effects, shot, mine)) == [effect]
    (step,) = act.release_steps(effect, found)
    assert (step.target.name, step.target.kind) == ("thumbs-00001", "PodAutoscaler")


def test_a_floor_on_the_revision_that_serves_is_not_handed_back(clusters):
    before = seen(clusters)
    done, _ = sent(clusters, before, 6)
    effect = act.effect_of(done, before, None)
    after = seen(clusters, lambda one: one.hpas[0].min_replicas == 6)
    shot = snapshot(workloads={THUMBS.key: after})
    assert not list(to_hand_back({act.effect_key(effect): effect}, shot, PolicySet(digest="d", scaling=(steered(),))))


@pytest.mark.parametrize(
    "item",
    [
        service(created="thumbs-00002"),
        service(traffic=[{"percent": 90}, {"percent": 10}]),
        service(observedGeneration=0),
    ],
    ids=["a new revision is coming", "traffic is split", "not yet observed"],
)
def test_what_is_on_its_way_reads_as_a_rollout(server, clusters, item):
    server.put(SERVICES, item)
    assert seen(clusters, lambda one: one.rollout).hpas


def test_nothing_is_moved_while_no_revision_is_ready(server, clusters):
    server.put(SERVICES, service("", "thumbs-00001"))
    found = seen(clusters, lambda one: not one.hpas)
    binding = ruled(found, 6).binding
    assert (binding.ruling.reason, "no revision is ready" in binding.ruling.detail) == (Reason.UNKNOWN_TARGET, True)


def test_scaled_to_zero_by_knative_is_not_switched_off(server, clusters):
    server.put(AUTOSCALERS, autoscaler(scale=0))
    found = seen(clusters, lambda one: one.replicas == 0)
    assert ruled(found, 4).word is VerdictWord.ALLOW


def test_knatives_own_controller_is_nobody_who_steers_and_a_person_is(server, clusters):
    server.put(AUTOSCALERS, owned(autoscaler(**{MIN_SCALE: "2"}), "controller"))
    assert seen(clusters, lambda one: one.hpas[0].min_replicas == 2).hpas[0].owners == ()
    server.put(AUTOSCALERS, owned(autoscaler(**{MIN_SCALE: "4"}), "kubectl-annotate"))
    (owner,) = seen(clusters, lambda one: one.hpas[0].min_replicas == 4).hpas[0].owners
    assert (owner.kind, owner.field) == (OwnerKind.CREATOR, "minReplicas")


def test_the_replicas_of_a_knative_service_are_its_autoscalers(clusters):
    binding = ruled(seen(clusters), 6, lever=Lever.REPLICAS).binding
    assert "use lever: knative-min-scale" in binding.ruling.detail


def test_a_service_of_kubernetes_is_none_of_knatives():
    from aiops.adapters.kubernetes import knative

    assert not knative.serves(replace(THUMBS, api_version="v1"))
    assert not knative.serves(TARGET)
