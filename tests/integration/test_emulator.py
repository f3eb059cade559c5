"""The workload emulator against an API server over HTTP: what it asks, what it makes of trouble, and its process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulators.emulator import EmulatorConfig
from simulators.emulator.emulator import Emulator
from tests.integration.kubernetes_server import KubernetesServer, pod

PODS = "/api/v1/namespaces/shop/pods"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes"
ROOT = Path(__file__).parents[2]


class Server(KubernetesServer):
    """Pages of two, deletes, and kinds that are not there."""

    def __init__(self) -> None:
        self.lists: list[dict[str, str]] = []
        self.missing: set[str] = set()
        self.refuse_reads = 0
        super().__init__()

    def get(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.lists.append({"path": path, **query})
        if self.refuse_reads:
            return self.refuse_reads, {"message": "the test refuses"}
        if path in self.missing:
            return 404, {"message": "no such kind"}
        status, whole = super().get(path, query)
        first = int(query.get("continue", "0"))
        more = len(whole["items"]) > first + 2
        whole["metadata"]["continue"] = str(first + 2) if more else ""
        return status, {**whole, "items": whole["items"][first : first + 2]}

    def remove(self, collection: str, name: str) -> None:
        item = self.objects[collection][name]
        self.put(collection, item, "DELETED")
        del self.objects[collection][name]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def kubeconfig(folder: Path, url: str) -> Path:
    path = folder / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
    return path


def config(**changes: Any) -> dict[str, Any]:
    workload = {"namespace": "shop", "service": "checkout", "selector": "app=checkout", "load": 100}
    return {"kubernetes": {"kubeconfig": "kubeconfig"}, "step": "100ms", "workloads": [workload], **changes}


def until(look: Callable[[], Any], within_s: float = 10.0) -> Any:
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found or time.monotonic() > deadline:
            assert found, "waited in vain"
            return found
        time.sleep(0.02)


class Running:
    def __init__(self, folder: Path, url: str, **changes: Any) -> None:
        kubeconfig(folder, url)
        self.emulator = Emulator(EmulatorConfig.model_validate(config(**changes)), folder=folder)
        self.addresses = self.emulator.start()

    def page(self) -> str:
        return httpx.get(f"http://{self.addresses.metrics}/metrics").text

    def ready_is(self, count: int) -> bool:
        return f'emulator_ready_pods{{namespace="shop",service="checkout"}} {count}.0\n' in self.page()


@pytest.fixture
def run(tmp_path: Path, server: Server) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def start(**changes: Any) -> Running:
        made.append(Running(tmp_path, server.url, **changes))
        return made[-1]

    yield start
    for one in made:
        assert one.emulator.stop()


def test_pods_are_counted_page_by_page_and_then_event_by_event(server: Server, run):
    for number in range(5):
        server.put(PODS, pod(number))
    running = run()
    until(lambda: running.ready_is(5))
    assert "emulator_api_up 1" in running.page()
    lists = [one for one in server.lists if one["path"] == PODS]
    assert [one.get("continue", "") for one in lists] == ["", "2", "4"]
    assert {one["labelSelector"] for one in lists} == {"app=checkout"}
    server.put(PODS, pod(5, ready=False))
    server.put(PODS, pod(6), "ADDED")
    until(lambda: running.ready_is(6))
    server.remove(PODS, "checkout-abc-0")
    leaving = pod(1)
    leaving["metadata"]["deletionTimestamp"] = "2026-03-02T12:10:00Z"
    server.put(PODS, leaving)
    until(lambda: running.ready_is(4))
    assert len([one for one in server.lists if one["path"] == PODS]) == 3  # the watch alone said so


def test_a_version_that_is_too_old_is_listed_anew(server: Server, run):
    server.put(PODS, pod(0))
    running = run()
    until(lambda: running.ready_is(1))
    before = len(server.lists)
    server.expire()
    until(lambda: len(server.lists) > before)
    server.put(PODS, pod(1))
    until(lambda: running.ready_is(2))


def test_what_was_counted_stays_while_the_api_is_away(server: Server, run):
    server.put(PODS, pod(0))
    server.put(PODS, pod(1))
    running = run()
    until(lambda: running.ready_is(2))
    server.refuse_reads = 503
    server.expire()
    until(lambda: "emulator_api_up 0" in running.page())
    assert running.ready_is(2)
    served = running.emulator.fleet.workloads["shop/checkout"].last.counters.served
    until(lambda: running.emulator.fleet.workloads["shop/checkout"].last.counters.served > served)
    server.refuse_reads = 0
    until(lambda: "emulator_api_up 1" in running.page())


def test_a_route_kind_that_is_not_there_is_a_route_that_is_not_found(server: Server, run):
    server.missing.add(ROUTES)
    group = {"namespace": "shop", "name": "front", "route": {"namespace": "shop", "name": "front"}, "load": 10}
    running = run(groups=[group])
    found = 'emulator_route_found{namespace="shop",route="front"}'
    until(lambda: f"{found} 0.0" in running.page())
    assert running.emulator.api_up
    server.missing.clear()
    refs = [{"name": "checkout", "weight": 1}]
    server.put(ROUTES, {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"rules": [{"backendRefs": refs}]}})
    until(lambda: f"{found} 1.0" in running.page())
    assert {one["fieldSelector"] for one in server.lists if one["path"] == ROUTES} == {"metadata.name=front"}


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_where_it_listens_and_stops_at_once(tmp_path: Path, server: Server, which: signal.Signals):
    kubeconfig(tmp_path, server.url)
    path = tmp_path / "emulator.json"
    path.write_text(json.dumps(config()))
    command = [sys.executable, "-m", "simulators.emulator", "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            assert sorted(said) == ["control", "kubernetes_metrics", "metrics"]
            until(lambda: httpx.get(f"http://{said['control']}/readyz").status_code == 200)
            begun = time.monotonic()
            process.send_signal(which)
            assert process.wait(5) == 0
            assert time.monotonic() - begun < 2.0
        finally:
            process.kill()


def test_a_wrong_file_ends_the_process_with_1_and_the_field(tmp_path: Path):
    path = tmp_path / "emulator.yaml"
    path.write_text("kubernetes: {kubeconfig: k}\nworkloads: [{namespace: shop}]\n")
    command = [sys.executable, "-m", "simulators.emulator", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, text=True)
    assert done.returncode == 1
    assert f"{path}:2:13: workloads[0].service: Field required" in done.stderr
