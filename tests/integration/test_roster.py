"""Which objects there are, for selectors: what cannot be read is never an empty list (S9)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from kubernetes.client import ApiClient, Configuration

from aiops.adapters.kubernetes import Clusters, KubernetesCluster
from aiops.adapters.kubernetes.http import Http
from aiops.core.model import TargetRef
from aiops.errors import ClusterUnavailable
from tests.builders import NOW
from tests.integration.kubernetes_server import KubernetesServer

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
KIND = TargetRef(namespace="shop", name="*")


def connected(url: str) -> KubernetesCluster:
    configuration = Configuration(host=url)
    configuration.retries = False
    return KubernetesCluster("default", Http(ApiClient(configuration)))


def named(name: str, **labels: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": labels}, "spec": {}}


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    made = KubernetesServer()
    made.put(DEPLOYMENTS, named("cart", tier="web"))
    yield made
    made.stop()


@pytest.fixture
def clusters(server: KubernetesServer) -> Iterator[Clusters]:
    made = Clusters({"default": connected(server.url)})
    made.start()
    yield made
    made.stop(5)


def eventually(look: Callable[[], object], within_s: float = 8.0) -> object:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


def test_the_first_look_waits_for_the_list_and_later_ones_follow_the_watch(server, clusters):
    assert clusters.listed(KIND, NOW) == {"cart": {"tier": "web"}}
    server.put(DEPLOYMENTS, named("checkout"))
    assert eventually(lambda: (found := clusters.listed(KIND, NOW)) and len(found) == 2 and found) == {
        "cart": {"tier": "web"},
        "checkout": {},
    }
    server.put(DEPLOYMENTS, named("cart", tier="batch"))
    eventually(lambda: clusters.listed(KIND, NOW)["cart"] == {"tier": "batch"})


def test_a_namespace_without_any_is_an_empty_list(server, clusters):
    assert clusters.listed(TargetRef(namespace="empty", name="*"), NOW) == {}


def test_a_server_that_does_not_answer_is_an_error_and_no_empty_list_s9():
    away = Clusters({"default": connected("http://127.0.0.1:9")})
    with pytest.raises(ClusterUnavailable):
        away.listed(KIND, NOW)
    away.stop(5)


def test_a_kind_or_a_cluster_that_is_not_known_is_an_error(server, clusters):
    with pytest.raises(ClusterUnavailable, match="the API server has no kind Deployment in apps/v9"):
        clusters.listed(TargetRef(namespace="shop", api_version="apps/v9", name="*"), NOW)
    with pytest.raises(ClusterUnavailable, match="the settings know no cluster eu; they know default"):
        clusters.listed(TargetRef(cluster="eu", namespace="shop", name="*"), NOW)
