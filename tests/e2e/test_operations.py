"""Each operation of plans against a real API server: it is taken, seen, and taken back (S5, S6, S7).

Each is done by an account that may do what `aiops rbac` grants for it, and nothing else (S10).
"""

from __future__ import annotations

from typing import Any

from aiops.core.model import (
    Cordon,
    DeletePod,
    Drain,
    Errand,
    Reason,
    RestartWorkload,
    RollBack,
    RunJob,
    ScaleTo,
    SetResources,
    ShiftTraffic,
    StepStatus,
    SuspendCronJob,
    TrafficLever,
)
from aiops.core.plans.operations import Origin, verbs
from aiops.core.plans.operations.workloads import revisions
from tests.e2e import gateway
from tests.e2e.cluster import fake_node
from tests.e2e.hands import (
    NOW,
    PLAN,
    Hands,
    budget,
    hands,
    pods,
    rolled_out,
)

__all__ = ["hands"]


def test_weights_of_a_route_are_set_and_taken_back_s8(hands: Hands):
    gateway.install(hands.plane)
    hands.plane.apply(gateway.http_route(hands.namespace, "storefront", {"west": 1, "north": 0}))
    route = hands.ref("HTTPRoute", "storefront", "gateway.networking.k8s.io/v1")
    before = hands.spec(route)
    undo = hands.do(ShiftTraffic(lever=TrafficLever.HTTP_ROUTE, object=route, weights=(("west", 30), ("north", 70))))
    assert [one["weight"] for one in hands.spec(route)["rules"][0]["backendRefs"]] == [30, 70]
    for back in undo:
        hands.do(back)
    assert hands.spec(route) == before


def test_a_selector_a_canary_and_told_weights_are_set_and_taken_back_s8(hands: Hands):
    plane, where = hands.plane, {"name": "storefront", "namespace": hands.namespace}
    port = {"port": 80, "targetPort": 8080}
    selector = {"app": "storefront", "backend": "west"}
    plane.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": where, "spec": {"selector": selector, "ports": [port]}}
    )
    canary = {"nginx.ingress.kubernetes.io/canary": "true", "nginx.ingress.kubernetes.io/canary-weight": "0"}
    backend = {"service": {"name": "north", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    plane.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {**where, "annotations": canary},
            "spec": {"rules": [{"host": "shop.example.com", "http": {"paths": [path]}}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "dns",
                "namespace": hands.namespace,
                "annotations": {"policy.aiops/weights": "west=100,north=0"},
            },
            "spec": {"type": "ExternalName", "externalName": "shop.example.com"},
        },
    )
    cases = [
        (TrafficLever.SERVICE_SELECTOR, hands.ref("Service", "storefront", "v1"), (0, 100)),
        (TrafficLever.INGRESS_CANARY, hands.ref("Ingress", "storefront", "networking.k8s.io/v1"), (75, 25)),
        (TrafficLever.WEIGHT_ANNOTATION, hands.ref("Service", "dns", "v1"), (40, 60)),
    ]
    for lever, ref, (west, north) in cases:
        before = plane.api("GET", hands.path(ref))
        undo = hands.do(ShiftTraffic(lever=lever, object=ref, weights=(("west", west), ("north", north))))
        assert plane.api("GET", hands.path(ref)) != before
        for back in undo:
            hands.do(back)
        after = plane.api("GET", hands.path(ref))
        assert after["spec"] == before["spec"]
        assert before["metadata"].get("annotations", {}).items() <= after["metadata"].get("annotations", {}).items()


def test_replicas_are_set_through_the_scale_and_where_an_hpa_steers_by_its_floor_s4(hands: Hands, deploy):
    path = deploy(replicas=2)
    rolled_out(hands, path)
    target = hands.ref("Deployment", "checkout")
    undo = hands.do(ScaleTo(target=target, replicas=3))
    assert hands.spec(target)["replicas"] == 3
    for back in undo:
        hands.do(back)
    assert hands.spec(target)["replicas"] == 2
    hpa = hands.ref("HorizontalPodAutoscaler", "checkout", "autoscaling/v2")
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}
    hands.plane.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "checkout", "namespace": hands.namespace},
            "spec": {"minReplicas": 2, "maxReplicas": 6, "scaleTargetRef": aim, "metrics": [cpu]},
        }
    )
    undo = hands.do(ScaleTo(target=target, replicas=4, only_up=True))
    assert hands.spec(hpa)["minReplicas"] == 4
    assert hands.refusal(ScaleTo(target=target, replicas=7, only_up=True)) is Reason.BOUNDS
    scaled_on = SetResources(target=target, container="main", requests={"cpu": "200m"}, limits={})
    assert hands.refusal(scaled_on) is Reason.OWNED


def test_resources_are_set_as_amounts_and_taken_back(hands: Hands, deploy):
    path = deploy(replicas=2)
    rolled_out(hands, path)
    target = hands.ref("Deployment", "checkout")
    before = hands.spec(target)["template"]
    undo = hands.do(SetResources(target=target, container="main", requests={"cpu": "0.2"}, limits={"memory": "128Mi"}))
    [main] = hands.spec(target)["template"]["spec"]["containers"]
    assert main["resources"] == {"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    for back in undo:
        hands.do(back)
    assert hands.spec(target)["template"] == before


def test_a_bad_release_is_rolled_back_as_kubectl_does_and_forth_again_s7(hands: Hands, deploy):
    path = deploy(replicas=2)
    rolled_out(hands, path)
    target = hands.ref("Deployment", "checkout")
    good = hands.spec(target)["template"]
    bad = {"name": "main", "image": "bad", "workingDir": "/bad", "env": [{"name": "A", "value": "b"}]}
    hands.plane.patch(
        path, {"spec": {"template": {"metadata": {"annotations": {"release": "2"}}, "spec": {"containers": [bad]}}}}
    )
    worse = hands.spec(target)["template"]
    probe = RollBack(target=target, template_hash="?")

    def known() -> list[str]:
        looked = hands.look(probe)
        found = revisions(looked, looked.objects[target.key])
        return [one.body["metadata"]["labels"]["pod-template-hash"] for one in found]

    hands.until(lambda: len(known()) == 2, "the new revision")
    assert hands.refusal(probe) is Reason.UNKNOWN_TARGET
    undo = hands.do(RollBack(target=target, template_hash=known()[1]))
    assert hands.spec(target)["template"] == good
    assert len(hands.plane.api("GET", f"/apis/apps/v1/namespaces/{hands.namespace}/replicasets")["items"]) == 2
    for back in undo:
        hands.do(back)
    assert hands.spec(target)["template"] == worse


def test_a_restart_makes_every_pod_anew_and_waits_for_room_in_a_budget_s5(hands: Hands, deploy):
    path = deploy(replicas=3, strategy={"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    rolled_out(hands, path)
    target = hands.ref("Deployment", "checkout")
    budget(hands, 0)
    restart = RestartWorkload(target=target, mark="one")
    assert hands.refusal(restart) is Reason.DISRUPTION_BUDGET
    budget(hands, 1)
    before = {one["metadata"]["uid"] for one in pods(hands)}
    hands.do(restart)
    after = {one["metadata"]["uid"] for one in pods(hands)}
    assert len(after) == 3
    assert not before & after


def test_a_node_is_cordoned_and_drained_as_a_budget_allows_and_taken_back_s3_s5(hands: Hands, deploy):
    name = f"drained-{hands.namespace}"
    hands.plane.apply(fake_node(name, zone="zone-d"))
    node = hands.ref("Node", name, "v1")
    try:
        hands.until(lambda: any(one.get("status") == "True" for one in conditions(hands, name)), "the node")
        path = deploy(replicas=3)
        hands.plane.patch(path, {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": name}}}}})
        rolled_out(hands, path)
        hands.until(lambda: len(pods(hands)) == 3, "the pods before to go")
        budget(hands, 0)
        drain = Drain(node=node, grace_s=1)
        assert hands.refusal(drain) is Reason.REFUSED
        [uncordon] = hands.do(Cordon(node=node))
        before = {one["metadata"]["uid"] for one in pods(hands)}
        blocked = hands.send(drain)
        assert {(one.status, one.reason, one.code) for one in blocked} == {
            (StepStatus.REFUSED, Reason.DISRUPTION_BUDGET, 429)
        }
        assert len(blocked) == 3
        assert {one["metadata"]["uid"] for one in pods(hands)} == before
        budget(hands, 1)
        assert sorted(one.status for one in hands.send(drain)) == [
            StepStatus.DONE,
            StepStatus.REFUSED,
            StepStatus.REFUSED,
        ]
        budget_gone(hands)
        hands.until(lambda: hands.send(drain) == [] and hands.reached(drain) is True, "the node to be empty")
        hands.do(uncordon)
        rolled_out(hands, path)
        assert not {one["metadata"]["uid"] for one in pods(hands)} & before
    finally:
        hands.plane.delete(f"/api/v1/nodes/{name}", wait=False)


def budget_gone(hands: Hands) -> None:
    hands.plane.delete(f"/apis/policy/v1/namespaces/{hands.namespace}/poddisruptionbudgets/checkout")


def conditions(hands: Hands, node: str) -> list[dict[str, Any]]:
    found = hands.plane.find(f"/api/v1/nodes/{node}") or {}
    return [one for one in found.get("status", {}).get("conditions", ()) if one["type"] == "Ready"]


def test_one_pod_is_evicted_and_no_successor_s6(hands: Hands, deploy):
    rolled_out(hands, deploy(replicas=2))
    first = pods(hands)[0]["metadata"]
    pod = hands.ref("Pod", first["name"], "v1")
    assert hands.send(DeletePod(pod=pod, uid="another")) == []
    hands.do(DeletePod(pod=pod, uid=first["uid"]))
    assert first["uid"] not in {one["metadata"]["uid"] for one in pods(hands)}


def test_a_job_is_made_once_of_an_allowed_cronjob_and_seen_to_its_end_s3_s6(hands: Hands):
    container = {"name": "main", "image": "none", "env": [{"name": "NODE", "value": ""}]}
    pod = {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 1}
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "repair", "namespace": hands.namespace},
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": True,
            "jobTemplate": {"spec": {"ttlSecondsAfterFinished": 0, "backoffLimit": 0, "template": {"spec": pod}}},
        },
    }
    hands.plane.apply(cron)
    template = hands.ref("CronJob", "repair", "batch/v1")
    run = RunJob(template=template, name="aiops-e2e", arguments=(("NODE", "n1 $(HOME)"),))
    assert hands.refusal(run) is Reason.NOT_OPTED_IN
    hands.plane.patch(hands.path(template), {"metadata": {"labels": {"policy.aiops/runbook": "true"}}})
    [made] = hands.send(run)
    assert (made.status, made.code) == (StepStatus.DONE, 201)
    assert hands.send(run) == []
    job = hands.ref("Job", "aiops-e2e", "batch/v1")
    spec = hands.spec(job)
    assert spec["template"]["spec"]["containers"][0]["env"] == [{"name": "NODE", "value": "n1 $$(HOME)"}]
    assert spec["ttlSecondsAfterFinished"] == 86_400
    hands.until(lambda: pods(hands), "the Job's pod")
    for one in pods(hands):
        hands.plane.api(
            "PATCH",
            f"/api/v1/namespaces/{hands.namespace}/pods/{one['metadata']['name']}/status",
            {"status": {"phase": "Succeeded"}},
            "application/merge-patch+json",
        )
    hands.until(lambda: hands.reached(run) is True, "the Job to be complete")


def test_a_second_creation_under_the_same_name_counts_as_done_s6(hands: Hands):
    """The answer to the first was lost, and the look came before it: nothing is done twice."""
    container = {"name": "main", "image": "none"}
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    hands.plane.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "repair", "namespace": hands.namespace, "labels": {"policy.aiops/runbook": "true"}},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": template},
        }
    )
    run = RunJob(template=hands.ref("CronJob", "repair", "batch/v1"), name="aiops-e2e")
    before = hands.look(run)
    hands.send(run)
    origin = Origin(plan_id=PLAN, policy="p", key=PLAN, epoch=1, now=NOW)
    errand = Errand(
        id=PLAN,
        plan_id=PLAN,
        step=0,
        back=False,
        policy="p",
        dry_run=False,
        issued_at=NOW,
        expires_at=NOW + 30,
        epoch=1,
    )
    [step] = verbs(run).requests(run, before, origin).steps
    again = hands.clusters.perform(errand, step, NOW)
    assert (again.status, again.code) == (StepStatus.DONE, 409)
    assert len(hands.plane.api("GET", f"/apis/batch/v1/namespaces/{hands.namespace}/jobs")["items"]) == 1


def test_a_cronjob_is_suspended_and_runs_again_and_one_that_a_person_suspended_is_left_alone_s4(hands: Hands):
    container = {"name": "main", "image": "none"}
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
    metadata = {"name": "repair", "namespace": hands.namespace}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": template}
    hands.plane.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec})
    target = hands.ref("CronJob", "repair", "batch/v1")
    [back] = hands.do(SuspendCronJob(target=target))
    assert hands.spec(target)["suspend"] is True
    hands.do(back)
    assert hands.spec(target)["suspend"] is False
    hands.plane.patch(hands.path(target), {"spec": {"suspend": True}})
    assert hands.refusal(SuspendCronJob(target=target, suspend=False)) is Reason.OWNED


def test_a_write_of_what_was_seen_before_another_is_refused_s6(hands: Hands, deploy):
    path = deploy(replicas=1)
    rolled_out(hands, path)
    scale = ScaleTo(target=hands.ref("Deployment", "checkout"), replicas=2)
    before = hands.look(scale)
    hands.plane.patch(path, {"metadata": {"labels": {"somebody": "else"}}})
    origin = Origin(plan_id=PLAN, policy="p", key=PLAN, epoch=1, now=NOW)
    [step] = verbs(scale).requests(scale, before, origin).steps
    errand = Errand(
        id=PLAN,
        plan_id=PLAN,
        step=0,
        back=False,
        policy="p",
        dry_run=False,
        issued_at=NOW,
        expires_at=NOW + 30,
        epoch=1,
    )
    result = hands.clusters.perform(errand, step, NOW)
    assert (result.status, result.code) == (StepStatus.REFUSED, 409)
    assert hands.spec(scale.target)["replicas"] == 1
