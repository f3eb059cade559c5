"""Policies of an API server over HTTP: watched, told, never taken for deleted when they cannot be read (S9, S10)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration

from aiops.adapters.kubernetes import KubernetesPolicies
from aiops.adapters.kubernetes.http import Http
from aiops.adapters.kubernetes.informer import BACKOFF_MOST_S
from aiops.adapters.kubernetes.policies import PREFIX
from aiops.app.policies import FolderPolicySource, MergedPolicySource, Merging, Watching
from aiops.core.model import Reason
from aiops.errors import ClusterUnavailable, NoPermission
from tests.e2e.rig import scaling_policy
from tests.integration.kubernetes_server import KubernetesServer
from tests.integration.test_kubernetes import eventually

SCALING, WATCHING = f"{PREFIX}/scalingpolicies", f"{PREFIX}/watchpolicies"
KEY = "ScalingPolicy/shop/checkout"


def resource(name: str = "checkout", generation: int = 1, **spec: Any) -> dict[str, Any]:
    document = scaling_policy("shop", name, **spec)
    metadata = {**document["metadata"], "uid": f"uid-{name}", "generation": generation}
    managed = [{"manager": "kubectl", "operation": "Apply"}]
    return {**document, "metadata": {**metadata, "managedFields": managed}}


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    server = KubernetesServer()
    server.put(SCALING, resource())
    yield server
    server.stop()


@pytest.fixture
def watched(server: KubernetesServer) -> Iterator[Callable[..., KubernetesPolicies]]:
    """Return what begins to watch."""
    made: list[KubernetesPolicies] = []

    def begin(*namespaces: str) -> KubernetesPolicies:
        configuration = Configuration()
        configuration.host, configuration.retries = server.url, False
        one = KubernetesPolicies(Http(ApiClient(configuration)), namespaces)
        one.start()
        made.append(one)
        return one

    yield begin
    for one in made:
        one.stop(2.0)


@pytest.fixture
def policies(watched: Callable[..., KubernetesPolicies]) -> KubernetesPolicies:
    made = watched()
    eventually(lambda: not made.read().unknown)
    return made


def test_resources_are_read_and_followed(server: KubernetesServer, policies: KubernetesPolicies):
    found = policies.read().found[KEY]
    assert (found.uid, found.generation, found.namespace, found.status) == ("uid-checkout", 1, "shop", {})
    assert found.spec == scaling_policy("shop")["spec"]
    server.put(SCALING, resource(generation=2, bounds={"maxReplicas": 9}))
    eventually(lambda: policies.read().found[KEY].generation == 2)
    server.put(SCALING, resource("cart"))
    eventually(lambda: len(policies.read().found) == 2)
    server.delete(SCALING, "cart")
    eventually(lambda: list(policies.read().found) == [KEY])


def test_what_can_be_read_is_known_once_watching_has_begun(watched: Callable[..., KubernetesPolicies]):
    reading = watched().read()
    assert (list(reading.found), reading.unknown) == ([KEY], {})


def test_before_anything_is_read_nothing_is_known(server: KubernetesServer, watched):
    server.refused_reads = {SCALING: 500, WATCHING: 500}
    reading = watched().read()
    assert reading.found == {}
    assert {reason for reason, _ in reading.unknown.values()} == {Reason.CLUSTER_UNAVAILABLE}


def test_a_kind_that_comes_back_is_read_again(server: KubernetesServer, policies: KubernetesPolicies):
    server.refused_reads = {SCALING: 404}
    server.cut()
    eventually(lambda: "ScalingPolicy" in policies.read().unknown)
    server.refused_reads = {}
    eventually(lambda: list(policies.read().found) == [KEY], BACKOFF_MOST_S + 8.0)


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (404, Reason.UNKNOWN_TARGET, "the API server serves no such kind; `aiops policy crd | kubectl apply"),
        (403, Reason.NO_PERMISSION, "is refused; `aiops rbac POLICIES` prints the roles"),
    ],
)
def test_a_kind_that_is_not_there_or_not_ours_to_read_is_not_known(server, watched, status, reason, words):
    server.refused_reads = {WATCHING: status}
    policies = watched()
    eventually(lambda: policies.read().unknown.get("WatchPolicy", (None,))[0] is reason)
    assert words in policies.read().unknown["WatchPolicy"][1]
    # the other kind does not suffer
    eventually(lambda: list(policies.read().found) == [KEY])


def test_a_kind_that_goes_away_is_not_known_and_never_empty_s9(server: KubernetesServer, policies: KubernetesPolicies):
    seen: list[int] = []
    server.refused_reads = {SCALING: 404}
    server.objects[SCALING].clear()
    server.cut()

    def gone() -> bool:
        reading = policies.read()
        seen.append(len(reading.found) if "ScalingPolicy" not in reading.unknown else -1)
        return "ScalingPolicy" in reading.unknown

    eventually(gone)
    # as long as it was known it was there
    assert set(seen) == {1, -1} or set(seen) == {-1}


def test_a_right_that_is_taken_away_leaves_what_was_known_and_says_so_s10(server, policies):
    server.refused_reads = {SCALING: 403}
    server.cut()
    eventually(lambda: policies.read().stale.get("ScalingPolicy", (None,))[0] is Reason.NO_PERMISSION)
    assert list(policies.read().found) == [KEY]


def test_only_the_namespaces_that_are_named_are_read(server: KubernetesServer, watched):
    server.put(f"{PREFIX}/namespaces/bank/scalingpolicies", resource("vault"))
    policies = watched("bank")
    eventually(lambda: not policies.read().unknown)
    assert [one.name for one in policies.read().found.values()] == ["vault"]


def test_a_status_is_applied_to_its_own_object_alone(server: KubernetesServer, policies: KubernetesPolicies):
    found = policies.read().found[KEY]
    assert policies.tell(found, {"observedGeneration": 1})
    (request,) = server.requests
    query = "fieldManager=aiops-status&force=true"
    assert request["path"] == f"{PREFIX}/namespaces/shop/scalingpolicies/checkout/status?{query}"
    assert request["body"]["metadata"] == {"name": "checkout", "namespace": "shop", "uid": "uid-checkout"}
    assert request["agent"].endswith(" status")
    eventually(lambda: policies.read().found[KEY].status == {"observedGeneration": 1})
    # another of the same name, and none
    item = server.objects[SCALING]["checkout"]
    item["metadata"]["uid"] = "another"
    assert not policies.tell(found, {"observedGeneration": 2})
    server.delete(SCALING, "checkout")
    assert not policies.tell(found, {"observedGeneration": 2})
    assert item["status"] == {"observedGeneration": 1}


def test_a_write_that_is_refused_is_our_error_and_a_server_that_asks_is_left_alone_s10(server, policies):
    found = policies.read().found[KEY]
    server.refuse_writes = 403
    with pytest.raises(NoPermission, match="patch ScalingPolicy/status in namespace shop: the test refuses"):
        policies.tell(found, {})
    server.refuse_writes, server.retry_after = 429, "30"
    with pytest.raises(ClusterUnavailable) as caught:
        policies.tell(found, {})
    assert caught.value.retry_after_s == 30.0
    asked = len(server.requests)
    with pytest.raises(ClusterUnavailable, match="asked to be left alone"):
        policies.tell(found, {})
    assert len(server.requests) == asked


def test_watches_that_end_and_lists_anew_change_nothing_of_what_is_in_force_s9(server, policies, tmp_path: Path):
    files = FolderPolicySource([tmp_path], 15.0, Watching(optional=True))
    adopted: list[object] = []
    source = MergedPolicySource(files, policies, Merging(adopted=adopted.append))
    assert [policy.key for policy in source.current().every] == [KEY]
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        server.cut()
        server.expire()
        source.reload()
        assert [policy.key for policy in source.current().every] == [KEY]
        time.sleep(0.02)  # the watch is another thread's
    assert len(adopted) == 1
