"""A Service of Knative is scaled by the min-scale of the revision that serves, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.kubernetes import Clusters
from aiops.adapters.kubernetes.inventory import Around, workload
from aiops.core import act
from aiops.core.guard import verdict
from aiops.core.model import Autoscaler, Hpa, LoopState, OwnerKind, Reason, SetFloor, StepStatus, TargetRef, VerdictWord
from aiops.core.pipeline.effects import reconciled, to_hand_back
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


def routed(percents, latest=None):
    """Return traffic as a status says it. latest: whether it follows the newest revision."""
    said = {} if latest is None else {"latestRevision": latest}
    return [{"revisionName": name, "percent": percent, **said} for name, percent in percents.items()]


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


# -- traffic -----------------------------------------------------------------------------------------------------

RECORD = '{"minReplicas": 0, "written": 6, "policy": "ScalingPolicy/shop/checkout", "action": "A"}'


def held(name: str, scale: int = 6):
    """Return the autoscaler of a revision on which a floor of 6 of ours stands."""
    item = autoscaler(name, scale)
    item["metadata"]["annotations"] = {"policy.aiops/restore": RECORD, MIN_SCALE: "6"}
    return item


def shown(item, *autoscalers):
    around = Around(namespace=None, pods=(), hpas=(), pdbs=(), podautoscalers=autoscalers)
    found = workload(THUMBS, item, around, NOW)
    return tuple(one.name for one in found.hpas), [one.name for one in found.beside], [one.name for one in found.left]


FORMER, NEWEST = "thumbs-00001", "thumbs-00002"


@pytest.mark.parametrize(
    ("percents", "serves", "beside", "left"),
    [
        ({NEWEST: 100}, NEWEST, [], [FORMER]),
        ({FORMER: 100}, FORMER, [], []),
        ({FORMER: 90, NEWEST: 10}, FORMER, [], []),
        ({FORMER: 10, NEWEST: 90}, NEWEST, [FORMER], []),
        ({FORMER: 1, NEWEST: 99}, NEWEST, [FORMER], []),
        ({FORMER: 50, NEWEST: 50}, FORMER, [], []),
        ({FORMER: 0, NEWEST: 100}, NEWEST, [], [FORMER]),
        ({}, NEWEST, [FORMER], []),
    ],
    ids=["moved on", "pinned", "canary", "most of it", "nearly all", "half and half", "by its tag alone", "not known"],
)
def test_what_serves_is_what_gets_the_traffic_and_what_gets_any_keeps_its_floor_s7(percents, serves, beside, left):
    item = service(NEWEST, NEWEST, traffic=routed(percents))
    for order in (1, -1):
        autoscalers = [held(FORMER), autoscaler(NEWEST, 1)][::order]
        assert shown(item, *autoscalers) == ((serves,), beside, left)


def test_shares_of_one_revision_under_several_tags_are_one_share():
    traffic = [
        {"revisionName": FORMER, "percent": 30, "tag": "a"},
        {"revisionName": FORMER, "percent": 30, "tag": "b"},
        {"revisionName": NEWEST, "percent": 40},
    ]
    assert shown(service(NEWEST, NEWEST, traffic=traffic), held(FORMER), autoscaler(NEWEST))[0] == (FORMER,)


def test_nothing_is_handed_back_before_the_ingress_has_followed_s7():
    for status, left in (("Unknown", []), ("False", []), ("True", [FORMER])):
        conditions = [{"type": "RoutesReady", "status": status}]
        item = service(NEWEST, NEWEST, conditions=conditions)
        assert shown(item, held(FORMER), autoscaler(NEWEST))[2] == left


def test_pinned_traffic_is_no_rollout_whatever_becomes_of_newer_revisions(server, clusters):
    server.put(AUTOSCALERS, autoscaler(NEWEST, 0))
    server.put(SERVICES, service(NEWEST, "thumbs-00003", traffic=routed({FORMER: 100}, latest=False)))
    found = seen(clusters, lambda one: len(one.hpas) == 1 and one.ready == 3)
    assert (found.hpas[0].name, found.rollout, found.replicas) == (FORMER, False, 3)


def test_a_revision_with_a_part_of_the_traffic_is_handed_back_when_its_policy_goes_s9(server, clusters):
    server.put(AUTOSCALERS, held(FORMER))
    server.put(AUTOSCALERS, autoscaler(NEWEST))
    server.put(SERVICES, service(NEWEST, NEWEST, traffic=routed({FORMER: 20, NEWEST: 80})))
    found = seen(clusters, lambda one: one.beside)
    shot = snapshot(workloads={THUMBS.key: replace(found, as_of=NOW + 600)}, at=NOW + 600)
    mine = PolicySet(digest="d", scaling=(steered(),))
    effects, gone = reconciled({}, shot, mine)
    (effect,) = effects.values()
    assert (effect.object.name, effect.original, effect.written, gone) == (FORMER, 0, 6, ())
    # while its policy acts it stays, and is still known
    assert reconciled(effects, shot, mine) == (effects, ())
    assert list(to_hand_back(effects, shot, mine)) == []
    assert list(to_hand_back(effects, shot, PolicySet(digest="d"))) == [effect]
    (stamp,) = act.release_stamp(effect, found, 7)
    again = act.stamped(found, stamp.step, "99")
    (step,) = act.release_steps(effect, again)
    assert (step.target.name, step.resource_version, step.body["metadata"]["annotations"][MIN_SCALE]) == (
        FORMER,
        "99",
        None,
    )


def test_a_floor_is_raised_while_traffic_is_split_and_not_lowered_s5(server, clusters):
    server.put(AUTOSCALERS, autoscaler(NEWEST, 1))
    server.put(SERVICES, service(NEWEST, NEWEST, traffic=routed({FORMER: 90, NEWEST: 10})))
    found = seen(clusters, lambda one: one.rollout)
    assert ruled(found, 6).word is VerdictWord.ALLOW
    hpas = (replace(found.hpas[0], min_replicas=6),)
    lowered = ruled(replace(found, hpas=hpas), 2, scale_in_allowed=True)
    assert lowered.binding.ruling.reason is Reason.ROLLOUT


def test_an_effect_is_known_by_the_kind_of_its_autoscaler_too_s4(clusters):
    before = seen(clusters)
    done, _ = sent(clusters, before, 6)
    effect = act.effect_of(done, before, None)
    after = seen(clusters, lambda one: one.hpas[0].min_replicas == 6)
    twin = Hpa(name="thumbs-00001", uid="h", resource_version="1", min_replicas=6, max_replicas=9, desired_replicas=6)
    beneath = replace(after, hpas=(twin, *after.hpas))
    (step,) = act.release_steps(effect, beneath)
    assert (step.target.kind, step.uid) == ("PodAutoscaler", "pa-thumbs-00001")
    (stamp,) = act.release_stamp(effect, beneath, 7)
    assert stamp.step.target.kind == "PodAutoscaler"
    assert "is gone" in act.void(effect, replace(after, hpas=(twin,)))


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
        service(traffic=routed({"thumbs-00001": 90, "thumbs-00000": 10})),
        service(traffic=[{"percent": 90}, {"percent": 10}]),
        service(traffic=[]),
        service(observedGeneration=0),
        service(conditions=[{"type": "Ready", "status": "Unknown"}, {"type": "RoutesReady", "status": "Unknown"}]),
        service("thumbs-00002", "thumbs-00002", traffic=routed({"thumbs-00001": 100}, latest=True)),
    ],
    ids=[
        "a new revision is coming",
        "traffic is split",
        "traffic to nobody knows whom",
        "traffic is not known",
        "not yet observed",
        "the ingress has not followed",
        "what follows the newest is still at the one before",
    ],
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
