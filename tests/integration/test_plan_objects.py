"""Objects of plans on an API server: looked at in bounded time, and changed by one request that says what it means."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aiops.adapters.kubernetes import Clusters, KubernetesCluster
from aiops.adapters.kubernetes.objects import LOOK_S
from aiops.core.model import Errand, FieldOwner, OwnerKind, Reason, Selection, Step, StepStatus, TargetRef, Verb, Wanted
from tests.integration.test_kubernetes import connected
from tests.loopback import serving

NOW = 1_772_450_000.0
ERRAND = Errand(
    id="E1",
    plan_id="P1",
    step=0,
    back=False,
    policy="RemediationPolicy/shop/checkout",
    dry_run=False,
    issued_at=NOW,
    expires_at=NOW + 30,
    epoch=1,
)
CHECKOUT = TargetRef(namespace="shop", name="checkout")
NODE = TargetRef(namespace="", api_version="v1", kind="Node", name="n1")
POD = TargetRef(namespace="shop", api_version="v1", kind="Pod", name="checkout-1")
JOB = TargetRef(namespace="shop", api_version="batch/v1", kind="Job", name="aiops-1")
ROUTE = TargetRef(namespace="edge", api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", name="storefront")
PODS = Selection(cluster="default", namespace="", api_version="v1", kind="Pod", field="spec.nodeName=n1")
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/checkout"
EVICTION = "/api/v1/namespaces/shop/pods/checkout-1/eviction"
JOBS = "/apis/batch/v1/namespaces/shop/jobs"
DISCOVERY = {
    "/apis/apps/v1": [("deployments", "Deployment"), ("deployments/scale", "Scale")],
    "/apis/batch/v1": [("jobs", "Job"), ("cronjobs", "CronJob")],
    "/api/v1": [("pods", "Pod"), ("pods/eviction", "Eviction"), ("nodes", "Node")],
}


@dataclass
class Server:
    """Answers by method and path, in order, the last one again and again; `hangs` names paths without an answer."""

    answers: dict[tuple[str, str], list[tuple[int, dict[str, Any], dict[str, str]]]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)
    got: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def say(self, method: str, path: str, status: int, body: dict[str, Any], **headers: str) -> None:
        self.answers.setdefault((method, path), []).append((status, body, headers))

    def answer(self, method: str, path: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        if path in DISCOVERY:
            return 200, {"resources": [{"name": name, "kind": kind} for name, kind in DISCOVERY[path]]}, {}
        left = self.answers.get((method, path))
        if left is None:
            return 404, status(404, f"{path} not found"), {}
        return left.pop(0) if len(left) > 1 else left[0]


def status(code: int, message: str, cause: str = "") -> dict[str, Any]:
    details = {"causes": [{"reason": cause, "message": "The disruption budget checkout needs 4 healthy pods"}]}
    return {"kind": "Status", "code": code, "message": message, "details": details if cause else {}}


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def served(self) -> None:
            url = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
            query = {key: value[0] for key, value in parse_qs(url.query).items()}
            note = {"method": self.command, "path": url.path, "query": query, "body": body}
            one.got.append({**note, "headers": dict(self.headers.items())})
            if url.path in one.hangs:
                one.over.wait(20)
            code, answer, headers = one.answer(self.command, url.path)
            data = json.dumps(answer).encode()
            self.send_response(code)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = served  # noqa: N815  # names of the base class

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with serving(Handler) as one.url:
        yield one
        one.over.set()


@pytest.fixture
def cluster(server: Server) -> Iterator[KubernetesCluster]:
    made = connected(server.url)
    yield made
    made.stop(1)


# -- looking -------------------------------------------------------------------------------------------


def deployment(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u1", "resourceVersion": "7", **metadata}}


def test_an_object_is_seen_as_it_is_without_what_only_takes_room(server, cluster):
    entry = {"manager": "argocd-controller", "time": "2026-03-02T12:00:00Z", "fieldsV1": {"f:spec": {"f:template": {}}}}
    own = {"manager": "aiops", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    notes = {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    server.say("GET", DEPLOYMENT, 200, deployment(managedFields=[entry, own], annotations=notes))
    seen = cluster.look(Wanted(objects=(CHECKOUT,)), NOW).objects[CHECKOUT.key]
    assert (seen.uid, seen.resource_version, seen.as_of) == ("u1", "7", NOW)
    assert seen.body["metadata"]["annotations"] == {"a": "b"}
    assert "managedFields" not in seen.body["metadata"]
    assert seen.owners == (
        FieldOwner(field="spec.template", kind=OwnerKind.ARGO_CD, manager="argocd-controller", at=1772452800.0),
    )


def test_what_is_not_there_is_in_neither_and_what_cannot_be_read_says_why_s1(server, cluster):
    server.say("GET", "/api/v1/nodes/n1", 403, status(403, "nodes is forbidden"))
    server.say("GET", f"{JOBS}/aiops-1", 500, status(500, "etcd is ill"))
    found = cluster.look(Wanted(objects=(CHECKOUT, NODE, JOB, ROUTE)), NOW)
    assert found.objects == {}
    assert {key: reason for key, (reason, _) in found.errors.items()} == {
        NODE.key: Reason.NO_PERMISSION,
        JOB.key: Reason.CLUSTER_UNAVAILABLE,
        ROUTE.key: Reason.UNKNOWN_TARGET,
    }
    assert "aiops rbac" in found.errors[NODE.key][1]
    assert "does not serve gateway.networking.k8s.io/v1" in found.errors[ROUTE.key][1]


def test_a_selection_is_read_page_by_page_and_pods_without_what_they_are_told_s10(server, cluster):
    container = {"name": "main", "env": [{"name": "PASSWORD", "value": "x"}], "args": ["--key=x"], "image": "shop:1"}
    pods = [
        {"metadata": {"name": f"p{n}", "namespace": "shop", "uid": f"u{n}"}, "spec": {"containers": [container]}}
        for n in range(2)
    ]
    server.say("GET", "/api/v1/pods", 200, {"items": pods[:1], "metadata": {"continue": "next"}})
    server.say("GET", "/api/v1/pods", 200, {"items": pods[1:], "metadata": {}})
    found = cluster.look(Wanted(selections=(PODS,)), NOW).selections[PODS.key]
    assert [one.ref.name for one in found] == ["p0", "p1"]
    assert found[0].body["spec"]["containers"] == [{"name": "main", "image": "shop:1"}]
    asked = [one["query"] for one in server.got if one["path"] == "/api/v1/pods"]
    assert asked == [
        {"limit": "500", "fieldSelector": "spec.nodeName=n1"},
        {"limit": "500", "fieldSelector": "spec.nodeName=n1", "continue": "next"},
    ]


def test_of_a_kind_that_is_not_installed_nothing_is_selected(cluster):
    vpas = Selection(
        cluster="default", namespace="shop", api_version="autoscaling.k8s.io/v1", kind="VerticalPodAutoscaler"
    )
    found = cluster.look(Wanted(selections=(vpas,)), NOW)
    assert (found.selections, found.errors) == ({vpas.key: ()}, {})


def test_a_server_that_hangs_costs_a_look_its_time_and_no_other_cluster_anything_s2(server, cluster):
    """More objects than threads are wanted; they wait side by side, not one after another."""
    refs = [replace(CHECKOUT, name=f"d{n}") for n in range(20)]
    server.hangs |= {f"/apis/apps/v1/namespaces/shop/deployments/{ref.name}" for ref in refs}
    server.say("GET", DEPLOYMENT, 200, deployment())
    west = [replace(ref, cluster="west") for ref in refs]
    other = connected(server.url)
    both = Clusters({"default": cluster, "west": other})
    began = time.monotonic()
    found = both.look(Wanted(objects=(CHECKOUT, *west)), NOW)
    assert time.monotonic() - began < LOOK_S + 1.0
    assert CHECKOUT.key in found.objects
    assert {found.errors[ref.key][0] for ref in west} == {Reason.CLUSTER_UNAVAILABLE}
    other.stop(1)


def test_what_is_still_asked_for_is_not_asked_for_again_s10(server, cluster):
    server.hangs.add(DEPLOYMENT)
    cluster._objects.look_s = 0.2
    for _ in range(3):
        found = cluster.look(Wanted(objects=(CHECKOUT,)), NOW)
        assert found.errors[CHECKOUT.key][0] is Reason.CLUSTER_UNAVAILABLE
    assert [one["path"] for one in server.got].count(DEPLOYMENT) == 1


def test_a_cluster_that_the_settings_do_not_know_is_an_error_of_what_lies_there(cluster):
    moon = replace(CHECKOUT, cluster="moon")
    found = Clusters({"default": cluster}).look(Wanted(objects=(moon,)), NOW)
    assert "the settings know no cluster moon; they know default" in found.errors[moon.key][1]


# -- acting --------------------------------------------------------------------------------------------


def patch() -> Step:
    body = {"metadata": {"annotations": {"policy.aiops/plan": "P1"}}, "spec": {"paused": True}}
    return Step(target=CHECKOUT, subresource="", body=body, uid="u1", resource_version="7", summary="pause")


def creation() -> Step:
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "aiops-1"}}
    return Step(target=JOB, subresource="", body=body, uid="", resource_version="", summary="create", verb=Verb.CREATE)


def eviction() -> Step:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "deleteOptions": {"preconditions": {"uid": "u9"}}}
    return Step(
        target=POD, subresource="eviction", body=body, uid="u9", resource_version="", summary="evict", verb=Verb.CREATE
    )


def deletion() -> Step:
    return Step(target=JOB, subresource="", body={}, uid="u3", resource_version="", summary="delete", verb=Verb.DELETE)


def test_a_patch_carries_uid_and_version_and_says_who_sends_it_s6(server, cluster):
    server.say("PATCH", DEPLOYMENT, 200, deployment(resourceVersion="8"))
    result = cluster.perform(ERRAND, patch(), NOW)
    assert (result.status, result.action_id, result.resource_version) == (StepStatus.DONE, "E1", "8")
    sent = server.got[-1]
    assert sent["body"]["metadata"] == {
        "annotations": {"policy.aiops/plan": "P1"},
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert sent["headers"]["User-Agent"].endswith("plan/P1 errand/E1")


def test_what_has_expired_is_not_sent_s6(server, cluster):
    result = cluster.perform(ERRAND, patch(), NOW + 31)
    assert (result.status, result.reason) == (StepStatus.REFUSED, Reason.EXPIRED)
    assert [one for one in server.got if one["method"] == "PATCH"] == []


@pytest.mark.parametrize(
    ("make", "method", "path", "answer", "expected"),
    [
        (patch, "PATCH", DEPLOYMENT, (409, status(409, "modified")), (StepStatus.REFUSED, Reason.REFUSED, 409)),
        (patch, "PATCH", DEPLOYMENT, (403, status(403, "no")), (StepStatus.REFUSED, Reason.NO_PERMISSION, 403)),
        (patch, "PATCH", DEPLOYMENT, (404, status(404, "gone")), (StepStatus.REFUSED, Reason.REFUSED, 404)),
        (patch, "PATCH", DEPLOYMENT, (500, status(500, "ill")), (StepStatus.UNKNOWN, None, 500)),
        (creation, "POST", JOBS, (201, {"metadata": {}}), (StepStatus.DONE, None, 201)),
        (creation, "POST", JOBS, (409, status(409, "already exists")), (StepStatus.DONE, None, 409)),
        (creation, "POST", JOBS, (422, status(422, "bad")), (StepStatus.REFUSED, Reason.REFUSED, 422)),
        (eviction, "POST", EVICTION, (201, {"kind": "Status"}), (StepStatus.DONE, None, 201)),
        (eviction, "POST", EVICTION, (404, status(404, "gone")), (StepStatus.DONE, None, 404)),
        (
            eviction,
            "POST",
            EVICTION,
            (429, status(429, "Cannot evict pod as it would violate the pod's disruption budget.", "DisruptionBudget")),
            (StepStatus.REFUSED, Reason.DISRUPTION_BUDGET, 429),
        ),
        (
            eviction,
            "POST",
            EVICTION,
            (500, status(500, "This pod has more than one PodDisruptionBudget, which the eviction does not support.")),
            (StepStatus.REFUSED, Reason.DISRUPTION_BUDGET, 429),
        ),
        (eviction, "POST", EVICTION, (409, status(409, "uid")), (StepStatus.REFUSED, Reason.REFUSED, 409)),
        (deletion, "DELETE", f"{JOBS}/aiops-1", (200, {"metadata": {}}), (StepStatus.DONE, None, 200)),
        (deletion, "DELETE", f"{JOBS}/aiops-1", (404, status(404, "gone")), (StepStatus.DONE, None, 404)),
        (deletion, "DELETE", f"{JOBS}/aiops-1", (409, status(409, "uid")), (StepStatus.REFUSED, Reason.REFUSED, 409)),
    ],
)
def test_what_an_answer_to_a_request_means_s6(server, cluster, make, method, path, answer, expected):
    server.say(method, path, *answer)
    result = cluster.perform(ERRAND, make(), NOW)
    assert (result.status, result.reason, result.code) == expected


def test_a_deletion_names_the_object_that_it_means_and_no_successor_s6(server, cluster):
    server.say("DELETE", f"{JOBS}/aiops-1", 200, {"metadata": {}})
    cluster.perform(ERRAND, deletion(), NOW)
    assert server.got[-1]["body"] == {"preconditions": {"uid": "u3"}}


def test_a_budgets_no_holds_back_nothing_else_and_an_overloaded_server_is_left_alone_s10(server, cluster):
    full = status(429, "Cannot evict pod", "DisruptionBudget")
    server.say("POST", EVICTION, 429, full, **{"Retry-After": "10"})
    server.say("POST", EVICTION, 429, status(429, "too many requests"), **{"Retry-After": "10"})
    server.say("POST", JOBS, 201, {"metadata": {}})
    cluster.perform(ERRAND, eviction(), NOW)
    assert cluster.perform(ERRAND, creation(), NOW).status is StepStatus.DONE
    assert cluster.perform(ERRAND, eviction(), NOW).reason is Reason.REFUSED
    left = cluster.perform(ERRAND, creation(), NOW)
    assert "asked to be left alone" in left.message
