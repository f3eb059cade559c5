"""The workload emulator on a real control plane: a stock HPA scales on it, and an HTTPRoute splits its load."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e import gateway
from tests.e2e.cluster import ControlPlane
from tests.e2e.emulated import CAPACITY_RPS, Emulated, hpa
from tests.integration.prometheus_server import running_prometheus


@pytest.mark.timeout(300)
def test_a_stock_hpa_follows_the_load(emulated: Emulated, aggregated, deploy, plane: ControlPlane):
    deployment = deploy(replicas=3)
    emulated.start("checkout")
    aggregated(emulated)
    emulated.until_ready(3)
    emulated.load(75.0)
    plane.apply(hpa(emulated.namespace, 50))
    path = f"/apis/autoscaling/v2/namespaces/{emulated.namespace}/horizontalpodautoscalers/checkout"

    def seen() -> int:
        metrics = plane.api("GET", path).get("status", {}).get("currentMetrics") or [{}]
        return int(metrics[0].get("resource", {}).get("current", {}).get("averageUtilization") or 0)

    def settled(least: int) -> bool:
        """The HPA rounds each pod's cores up to thousandths and tolerates a tenth, so it may keep one pod more."""
        replicas = int(plane.api("GET", deployment)["spec"]["replicas"])
        return replicas in (least, least + 1) and emulated.value("emulator_ready_pods") == replicas

    def use(rps: float) -> float:
        return 100.0 * rps / CAPACITY_RPS / emulated.value("emulator_ready_pods")

    emulated.until(lambda: seen() == 50, "the HPA to see 50 % in 3 pods")
    assert emulated.value("emulator_ready_pods") == 3.0
    for rps, least in ((200.0, 8), (50.0, 2)):
        begun = time.monotonic()
        emulated.load(rps)
        emulated.until(lambda least=least: settled(least), f"{least} pods for {rps} req/s", 90.0)
        emulated.until(lambda rps=rps: seen() == pytest.approx(use(rps), abs=1.1), "the HPA to see that")
        ready = emulated.value("emulator_ready_pods")
        print(f"{rps:.0f} req/s: {ready:.0f} pods at {seen()} % after {time.monotonic() - begun:.0f} s")
    # only whom the authority vouches for is answered
    trust = ssl.create_default_context(cafile=str(plane.ca))
    with pytest.raises(httpx.HTTPError), httpx.Client(verify=trust, trust_env=False) as stranger:
        stranger.get(f"https://{emulated.client.addresses.kubernetes_metrics}/apis")
    # and what people look at it with
    lines = plane.kubectl("top", "pods", "-n", emulated.namespace, "--no-headers").splitlines()
    cores = [int(line.split()[1].removesuffix("m")) for line in lines]
    assert sum(cores) == pytest.approx(100, abs=3)  # 50 of the 50 req/s that one pod serves on its 100m
    assert plane.kubectl("top", "nodes", "--no-headers")


def test_a_route_splits_the_load_by_its_weights_as_they_change(emulated: Emulated, deploy, plane: ControlPlane):
    gateway.install(plane)
    for service in ("stable", "canary"):
        deploy(name=service, replicas=2)
    route = {"namespace": emulated.namespace, "name": "front"}
    emulated.start("stable", "canary", group={**route, "route": route, "load": 80})

    def offered(service: str) -> float:
        return emulated.value("emulator_offered_requests_per_second", service=service)

    def split(stable: float, canary: float) -> bool:
        return [offered("stable"), offered("canary")] == pytest.approx([stable, canary])

    for service in ("stable", "canary"):
        emulated.until_ready(2, service)
    assert emulated.value("emulator_route_found") == 0.0
    assert split(0.0, 0.0)
    plane.apply(gateway.http_route(emulated.namespace, "front", {"stable": 95, "canary": 5}))
    emulated.until(lambda: split(76.0, 4.0), "95 to 5")
    assert emulated.value("emulator_route_found") == 1.0
    plane.apply(gateway.http_route(emulated.namespace, "front", {"stable": 1, "canary": 1}))
    emulated.until(lambda: split(40.0, 40.0), "half and half")
    before = emulated.value("emulator_route_requests_total", code="500")
    plane.apply(gateway.http_route(emulated.namespace, "front", {"stable": 0, "canary": 0}))
    emulated.until(lambda: emulated.value("emulator_route_requests_total", code="500") > before, "errors")
    assert split(0.0, 0.0)
    plane.delete(f"/apis/gateway.networking.k8s.io/v1/namespaces/{emulated.namespace}/httproutes/front")
    emulated.until(lambda: emulated.value("emulator_route_found") == 0.0, "the route to be gone")


def test_prometheus_sees_what_the_pods_would_show(emulated: Emulated, deploy, tmp_path: Path, plane: ControlPlane):
    path = deploy(replicas=2)
    emulated.start("checkout")
    emulated.until_ready(2)
    emulated.load(60.0)
    with running_prometheus(tmp_path, emulated.client.addresses.metrics) as url:

        def asked(query: str) -> float:
            found = httpx.get(f"{url}/api/v1/query", params={"query": query}, trust_env=False).json()["data"]["result"]
            return float(found[0]["value"][1]) if found else -1.0

        rate = 'sum(rate(http_requests_total{code="200"}[5s]))'
        emulated.until(lambda: asked(rate) == pytest.approx(60.0, rel=0.1), "60 req/s")
        emulated.load(150.0)  # 50 more than two pods can serve
        failing = 'sum(rate(http_requests_total{code="500"}[5s]))'
        emulated.until(lambda: asked(failing) == pytest.approx(50.0, rel=0.15), "50 failures a second")
        slow = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5s])))"
        assert asked(slow) > 1.0
        plane.patch(path, {"spec": {"replicas": 6}})
        emulated.until(lambda: asked(failing) < 1.0, "no failures with six pods")
        emulated.until(lambda: 0.0 < asked(slow) < 0.5, "answers in time")
        emulated.client.fault(emulated.namespace, "checkout", "absent")
        emulated.until(lambda: asked("http_requests_total") == -1.0, "no series")


def test_a_restart_of_the_api_server_is_told_and_survived(emulated: Emulated, deploy, plane: ControlPlane):
    path = deploy(replicas=3)
    emulated.start("checkout")
    emulated.until_ready(3)
    emulated.load(60.0)
    plane.down("kube-apiserver")
    try:
        emulated.until(lambda: emulated.value("emulator_api_up") == 0.0, "the emulator to say so")
        served = emulated.value("http_requests_total", code="200")
        emulated.until(lambda: emulated.value("http_requests_total", code="200") > served + 60.0, "service to go on")
        assert emulated.value("emulator_ready_pods") == 3.0
    finally:
        plane.up("kube-apiserver")
        plane.wait_for_api()
    emulated.until(lambda: emulated.value("emulator_api_up") == 1.0, "the API to be up")
    plane.patch(path, {"spec": {"replicas": 5}})
    emulated.until_ready(5)
