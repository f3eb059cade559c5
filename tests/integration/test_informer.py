"""Informers behind a server that fails: no hammering, no old state taken for the present (S2, S10)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from aiops.adapters.kubernetes import Clusters
from aiops.core.model import Reason
from tests.builders import NOW, TARGET
from tests.e2e.proxy import CutStream, FaultProxy, Rule, Status, StreamError
from tests.integration.kubernetes_server import KubernetesServer, deployment
from tests.integration.test_kubernetes import DEPLOYMENTS, connected, eventually


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    server = KubernetesServer()
    server.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    server.put(DEPLOYMENTS, deployment())
    yield server
    server.stop()


@pytest.fixture
def proxy(server: KubernetesServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as made:
        yield made


@pytest.fixture
def clusters(proxy: FaultProxy) -> Iterator[Clusters]:
    made = Clusters({"default": connected(proxy.url)})
    made.start()
    eventually(lambda: made.inventory([TARGET], NOW).workloads)
    yield made
    made.stop(5)


FAULTS = {
    "500": Rule(Status(500), method="GET"),
    "410": Rule(Status(410), verb="watch"),
    "410 in the stream": Rule(StreamError(410), verb="watch"),
    "cut": Rule(CutStream(0), verb="watch"),
    "no JSON": Rule(Status(200, body="<html>"), verb="watch"),
    "ended at once": Rule(Status(200, body=""), verb="watch"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_watches_that_fail_again_and_again_wait_longer_each_time_s10(proxy, clusters, name):
    proxy.rules = [FAULTS[name]]
    began = time.time()
    proxy.cut_all()
    time.sleep(3.0)
    asked = [one for one in proxy.seen if one.at > began and one.path == DEPLOYMENTS and one.verb == "watch"]
    # 0.2 s, 0.4 s, 0.8 s, 1.6 s, each at least half of it; a cut watch is a first failure of its own
    assert 1 <= len(asked) <= 8


def test_what_is_not_watched_any_more_is_known_as_of_then_s2(proxy, clusters):
    assert clusters.inventory([TARGET], NOW).workloads[TARGET.key].as_of == NOW
    proxy.rules = [Rule(Status(500), method="GET")]
    proxy.cut_all()
    eventually(lambda: clusters.inventory([TARGET], NOW).workloads[TARGET.key].as_of < NOW - 0.5)
    proxy.rules = []
    eventually(lambda: clusters.inventory([TARGET], NOW).workloads[TARGET.key].as_of == NOW)


def test_a_denial_that_stays_is_a_missing_permission_and_one_that_passes_is_not_s3(proxy, clusters):
    """An API server that has just begun knows no role yet, and denies everything for a moment."""
    denial = Rule(Status(403), path=DEPLOYMENTS, method="GET", times=2)
    proxy.rules = [denial]
    proxy.cut_all()
    ends_at = time.monotonic() + 1.5
    while time.monotonic() < ends_at:
        assert not clusters.inventory([TARGET], NOW).refused
        time.sleep(0.05)
    proxy.rules = [Rule(Status(403), path=DEPLOYMENTS, method="GET")]
    proxy.cut_all()
    reason, why = eventually(lambda: clusters.inventory([TARGET], NOW).refused.get(TARGET.key))
    assert reason is Reason.NO_PERMISSION
    assert "aiops rbac POLICIES" in why
    proxy.rules = []
    eventually(lambda: clusters.inventory([TARGET], NOW).workloads)
