"""The workload emulator without a cluster: loads, counts, routes, what is shown, and what is wrong with it."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiops.errors import InvalidInput, NotFound
from simulators.emulator import EmulatorConfig, apiservice_objects, page, read, server_names
from simulators.emulator.control import Control
from simulators.emulator.faults import FAULT, Surface
from simulators.emulator.fleet import Fleet
from simulators.emulator.kubeconfig import access
from simulators.emulator.loads import Origin, load_of
from simulators.emulator.pods import PodBook
from simulators.emulator.resource import ResourceMetrics
from simulators.emulator.routes import RouteBook
from simulators.emulator.selectors import Selector

START = 1_780_000_000.0
CHECKOUT = {
    "namespace": "shop",
    "service": "checkout",
    "selector": "app=checkout",
    "capacity": 50,
    "serviceTime": "50ms",
    "timeout": "2s",
}
BASE = "/apis/metrics.k8s.io/v1beta1"


def config(**changes: Any) -> EmulatorConfig:
    made = {"kubernetes": {"kubeconfig": "k"}, "workloads": [{**CHECKOUT, "load": 100}]}
    return EmulatorConfig.model_validate({**made, **changes})


def pod(number: int, *, ready: bool = True, cpu: str | None = "200m", **metadata: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return {
        "metadata": {"name": f"p{number}", "namespace": "shop", "labels": {"app": "checkout"}, **metadata},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "resources": resources}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def route(*weights: tuple[str, int | None]) -> dict[str, Any]:
    refs = [{"name": name, **({} if weight is None else {"weight": weight})} for name, weight in weights]
    return {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"rules": [{"backendRefs": refs}, {}]}}


class Living:
    """A fleet whose clock the test moves."""

    def __init__(self, made: EmulatorConfig, pods: int = 4, folder: Path = Path()) -> None:
        self.fleet = Fleet(made, folder, START)
        self.now = START
        self.pods(pods)

    def pods(self, count: int, key: str = "shop/checkout") -> None:
        self.fleet.workloads[key].book.replace([pod(number) for number in range(count)])

    def live(self, seconds: float, step_s: float = 0.5) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += step_s
            self.fleet.step(self.now)

    def samples(self, name: str, **labels: str) -> list[float]:
        found = []
        for family in text_string_to_metric_families(page.text(self.fleet, True)):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    found.append(sample.value)
        return found

    def value(self, name: str, **labels: str) -> float:
        (only,) = self.samples(name, **labels)
        return only

    def fault(self, said: Any) -> None:
        self.fleet.set_fault("shop/checkout", None if said is None else FAULT.validate_python(said))

    def ask(self, path: str) -> Any:
        return ask(ResourceMetrics(self.fleet).application(), "GET", path)[1]


def ask(application: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async def once() -> tuple[int, Any]:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://e") as client:
            answer = await client.request(method, path, content=None if body is None else orjson.dumps(body))
            is_json = "json" in answer.headers.get("content-type", "")
            return answer.status_code, answer.json() if is_json else answer.text

    return asyncio.run(once())


# -- the configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workloads: [{namespace: shop, service: a, selector: x, load: -1}]", "workloads[0].load.constant.rps"),
        ("workloads: [{namespace: shop, service: a, selector: 'a b'}]", "workloads[0].selector"),
        ("workloads: [{namespace: shop, service: a, selector: x, capacity: 0}]", "workloads[0].capacity"),
        ("workloads: [{namespace: shop, service: a, selector: x, load: {kind: ramp, from: 1}}]", "load.ramp.to"),
        ("workloads: []", "no workloads"),
        ("step: 2s", "step: Input should be less than or equal to 1"),
        ("kubernets: {}", "kubernets: Extra inputs"),
    ],
)
def test_a_wrong_configuration_names_its_field(tmp_path: Path, text: str, said: str):
    path = tmp_path / "emulator.yaml"
    path.write_text(f"kubernetes: {{kubeconfig: k}}\n{text}\n")
    with pytest.raises(InvalidInput) as caught:
        read(path)
    assert said in str(caught.value)
    assert f"{path}:" in str(caught.value)


def test_two_of_one_name_are_refused():
    with pytest.raises(ValueError, match="shop/checkout is there twice"):
        config(workloads=[CHECKOUT, CHECKOUT])


def test_a_kubeconfig_is_read_as_kubectl_would(tmp_path: Path):
    path = tmp_path / "config"
    path.write_bytes(orjson.dumps(kubeconfig({"token": "abc"})))
    found = access(path)
    assert (found.url, found.tls, found.headers) == ("http://127.0.0.1:1", None, {"Authorization": "Bearer abc"})
    with pytest.raises(InvalidInput, match="no context 'other'"):
        access(path, "other")
    path.write_bytes(orjson.dumps(kubeconfig({}, **{"insecure-skip-tls-verify": True})))
    with pytest.raises(InvalidInput, match="insecure-skip-tls-verify"):
        access(path)
    path.write_bytes(orjson.dumps(kubeconfig({"exec": {}})))
    with pytest.raises(InvalidInput, match="exec is not supported"):
        access(path)
    path.write_bytes(orjson.dumps(kubeconfig({}, **{"server": "https://h", "certificate-authority": "none.crt"})))
    with pytest.raises(InvalidInput, match=r"none\.crt: No such file"):
        access(path)


def kubeconfig(user: Mapping[str, Any], **cluster: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


# -- loads ---------------------------------------------------------------------------------------------------


def rates(load: Any, *seconds: float, folder: Path = Path()) -> list[float]:
    spec = config(workloads=[{**CHECKOUT, "load": load}]).workloads[0].load
    origin = Origin(key="shop/checkout", start=START, folder=folder, seed=1)
    return [float(one) for one in load_of(spec, origin).rates(START + np.array(seconds))]


def test_a_constant_load_is_constant():
    assert rates(40, 0.0, 1e6) == [40.0, 40.0]


def test_a_ramp_waits_then_rises_then_stays():
    ramp = {"kind": "ramp", "from": 10, "to": 30, "after": "10s", "over": "20s"}
    assert rates(ramp, 0.0, 10.0, 20.0, 30.0, 99.0) == [10.0, 10.0, 20.0, 30.0, 30.0]


def test_a_trace_runs_from_the_start_as_fast_as_is_said(tmp_path: Path):
    (tmp_path / "t.csv").write_text("seconds,rps\n0,10\n60,20\n120,10\n")
    trace = {"kind": "trace", "file": "t.csv", "speedup": 10, "scale": 2}
    assert rates(trace, 0.0, 3.0, 6.0, 15.0, folder=tmp_path) == [20.0, 30.0, 40.0, 30.0]
    once = {**trace, "repeat": False}
    assert rates(once, 3.0, 12.0, 15.0, folder=tmp_path) == [30.0, 20.0, 20.0]


def test_a_shaped_load_is_a_scenarios_load_with_its_time_sped_up():
    burst = {"at": "100s", "factor": 3, "hold": "100s"}
    shaped = {"kind": "shaped", "base": 10, "bursts": [burst]}
    assert rates(shaped, 50.0, 150.0, 250.0) == [10.0, 30.0, 10.0]
    assert rates({**shaped, "speedup": 10}, 5.0, 15.0, 25.0) == [10.0, 30.0, 10.0]


# -- what the cluster shows ----------------------------------------------------------------------------------


def test_only_ready_pods_that_are_not_terminating_count():
    book = PodBook(0.1)
    assert not book.synced
    book.replace([pod(1), pod(2, ready=False), pod(3, deletionTimestamp="2026-01-01T00:00:00Z"), pod(4, cpu=None)])
    assert (book.synced, book.ready) == (True, 2)
    assert book.requested_cores == pytest.approx(0.3)
    book.note("MODIFIED", pod(2))
    book.note("MODIFIED", pod(2))
    book.note("MODIFIED", pod(1, deletionTimestamp="2026-01-01T00:00:00Z"))
    book.note("DELETED", pod(1))
    book.note("ADDED", pod(5, ready=False))
    assert book.ready == 2
    assert sorted(one.name for one in book.pods) == ["p2", "p4", "p5"]
    book.replace([pod(9)])
    assert (book.ready, book.requested_cores) == (1, pytest.approx(0.2))


def test_weights_of_the_first_rule_split_and_an_unsaid_one_is_1():
    book = RouteBook()
    assert (book.weights, book.shares()) == (None, {})
    book.replace([route(("a", 3), ("b", None))])
    assert book.shares() == {"shop/a": 0.75, "shop/b": 0.25}
    book.note("MODIFIED", route(("a", 0), ("b", 0)))
    assert book.weights == {"shop/a": 0, "shop/b": 0}
    assert book.shares() == {}
    book.note("DELETED", route(("a", 1)))
    assert book.weights is None


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("", {}, True),
        ("a=1", {"a": "1"}, True),
        ("a==1,b!=2", {"a": "1"}, True),
        ("a=1,b!=2", {"a": "1", "b": "2"}, False),
        ("a in (1, 2),!b", {"a": "2"}, True),
        ("a notin (1,2)", {"a": "1"}, False),
        ("example.com/a", {"example.com/a": ""}, True),
    ],
)
def test_label_selectors_mean_what_kubectl_says(text: str, labels: dict[str, str], holds: bool):
    assert Selector.parse(text).holds(labels) is holds


# -- what is shown ---------------------------------------------------------------------------------------------


def test_nothing_is_shown_before_the_pods_are_known():
    fleet = Fleet(config(), Path(), START)
    fleet.step(START + 1.0)
    assert page.text(fleet, False) == "# TYPE emulator_api_up gauge\nemulator_api_up 0\n"


def test_half_the_load_uses_half_of_the_request():
    living = Living(config())
    living.live(20.0)
    assert living.value("http_requests_total", code="200") == pytest.approx(2000.0)
    assert living.value("http_requests_total", code="500") == 0.0
    assert living.value("emulator_offered_requests_per_second") == 100.0
    assert living.value("emulator_ready_pods") == 4.0
    assert living.value("emulator_cpu_utilisation_ratio") == pytest.approx(0.5)
    assert living.value("emulator_cpu_cores") == pytest.approx(0.4)
    assert living.value("container_cpu_usage_seconds_total") == pytest.approx(0.4 * 20.0)
    living.pods(8)
    living.live(0.5)
    assert living.value("emulator_cpu_utilisation_ratio") == pytest.approx(0.25)


def test_an_overload_waits_then_fails_and_more_pods_end_it():
    living = Living(config(), pods=1)
    living.live(30.0)
    failed = living.value("http_requests_total", code="500")
    assert failed == pytest.approx(1400.0)  # 100 come, 50 are served, 2 s of them wait
    assert living.value("emulator_queued_requests") == pytest.approx(100.0)
    assert living.value("emulator_cpu_utilisation_ratio") == 1.0
    served = living.value("http_requests_total", code="200")
    assert served + failed + living.value("emulator_queued_requests") == pytest.approx(3000.0)
    living.pods(6)
    living.live(10.0)
    assert living.value("http_requests_total", code="500") == failed
    assert living.value("emulator_queued_requests") == 0.0


def test_the_histogram_counts_every_request_once():
    living = Living(config())
    living.live(10.0)
    buckets = living.samples("http_request_duration_seconds_bucket")
    assert buckets == sorted(buckets)
    assert buckets[-1] == living.value("http_request_duration_seconds_count") == pytest.approx(1000.0)
    mean_s = living.value("http_request_duration_seconds_sum") / buckets[-1]
    assert 0.045 < mean_s < 0.08


def test_no_pods_serve_nothing():
    living = Living(config(), pods=0)
    living.live(10.0)
    assert living.value("http_requests_total", code="500") == pytest.approx(1000.0)
    assert living.value("emulator_cpu_cores") == 0.0


def test_a_load_that_is_set_stays_until_it_is_given_back():
    living = Living(config())
    living.fleet.set_load("shop/checkout", 10.0)
    living.live(1.0)
    assert living.value("emulator_offered_requests_per_second") == 10.0
    living.fleet.set_load("shop/checkout", None)
    living.live(1.0)
    assert living.value("emulator_offered_requests_per_second") == 100.0
    with pytest.raises(NotFound, match="no shop/x among shop/checkout"):
        living.fleet.set_load("shop/x", 1.0)


# -- what is wrong with it -----------------------------------------------------------------------------------


def test_nan_is_seen_everywhere_and_service_goes_on():
    living = Living(config())
    living.live(10.0)
    living.fault("nan")
    assert all(math.isnan(value) for value in living.samples("http_requests_total"))
    assert all(math.isnan(value) for value in living.samples("http_request_duration_seconds_bucket"))
    living.live(10.0)
    living.fault(None)
    assert living.value("http_requests_total", code="200") == pytest.approx(2000.0)


def test_frozen_counters_stop_and_later_show_what_was_missed():
    living = Living(config())
    living.live(10.0)
    living.fault("frozen")
    living.live(10.0)
    assert living.value("http_requests_total", code="200") == pytest.approx(1000.0)
    living.fault(None)
    assert living.value("http_requests_total", code="200") == pytest.approx(2000.0)


def test_an_absent_workload_has_no_series():
    living = Living(config())
    living.live(1.0)
    living.fault("absent")
    assert living.samples("http_requests_total") == []
    assert len(living.ask(f"{BASE}/pods")["items"]) == 4  # only /metrics is without it
    living.fault({"kind": "absent", "on": ["kubernetes-metrics"]})
    assert living.ask(f"{BASE}/pods")["items"] == []


def test_a_lag_shows_what_was_and_nothing_before_there_was_anything():
    living = Living(config())
    living.live(2.0)
    living.fault({"kind": "lag", "seconds": "10s"})
    assert living.samples("http_requests_total") == []
    living.live(18.0)
    assert living.value("http_requests_total", code="200") == pytest.approx(1000.0, abs=100.0)


def test_wrong_figures_are_multiplied_and_counters_never_jump():
    living = Living(config())
    living.live(10.0)
    living.fault({"kind": "wrong", "factor": 3})
    assert living.value("http_requests_total", code="200") == pytest.approx(1000.0)
    living.live(10.0)
    assert living.value("http_requests_total", code="200") == pytest.approx(4000.0)
    assert living.value("emulator_offered_requests_per_second") == 300.0
    assert living.value("emulator_ready_pods") == 4.0
    living.fault(None)
    living.live(10.0)
    assert living.value("http_requests_total", code="200") == pytest.approx(5000.0)


# -- routes ----------------------------------------------------------------------------------------------------

GROUP = {"namespace": "shop", "name": "front", "route": {"namespace": "shop", "name": "front"}, "load": 100}
PAIR = [{**CHECKOUT, "service": "stable"}, {**CHECKOUT, "service": "canary"}]


class Routed(Living):
    """Two services behind one route."""

    def __init__(self, *weights: tuple[str, int | None]) -> None:
        self.fleet = Fleet(config(workloads=PAIR, groups=[GROUP]), Path(), START)
        self.now = START
        for key in ("shop/stable", "shop/canary"):
            self.pods(4, key)
        self.fleet.groups["shop/front"].book.replace([route(*weights)] if weights else [])
        self.live(10.0)


def test_a_routes_weights_split_the_load():
    living = Routed(("stable", 90), ("canary", 10))
    assert living.value("http_requests_total", service="stable", code="200") == pytest.approx(900.0)
    assert living.value("http_requests_total", service="canary", code="200") == pytest.approx(100.0)
    assert living.value("emulator_route_found", route="front") == 1.0
    assert living.value("emulator_route_requests_total", code="200") == pytest.approx(1000.0)
    assert living.value("emulator_offered_requests_per_second", service="front") == 100.0


def test_without_the_route_the_load_reaches_nobody():
    living = Routed()
    assert living.value("emulator_route_found", route="front") == 0.0
    assert living.value("emulator_route_requests_total", code="404") == pytest.approx(1000.0)
    assert living.samples("http_requests_total", code="200") == [0.0, 0.0]


def test_weights_that_sum_to_zero_serve_nothing_and_unknown_backends_neither():
    living = Routed(("stable", 0), ("canary", 0))
    assert living.value("emulator_route_requests_total", code="500") == pytest.approx(1000.0)
    living = Routed(("stable", 1), ("elsewhere", 1))
    assert living.value("emulator_route_requests_total", code="500") == pytest.approx(500.0)
    assert living.value("http_requests_total", service="stable", code="200") == pytest.approx(500.0)


# -- metrics.k8s.io ----------------------------------------------------------------------------------------------


def test_pod_metrics_follow_the_load_of_the_ready_pods():
    living = Living(config())
    living.fleet.workloads["shop/checkout"].book.note("ADDED", pod(9, ready=False))
    living.live(20.0)
    found = living.ask(f"{BASE}/namespaces/shop/pods?labelSelector=app%3Dcheckout")
    use = {item["metadata"]["name"]: item["containers"][0]["usage"] for item in found["items"]}
    assert found["kind"] == "PodMetricsList"
    assert use == {
        **{f"p{number}": {"cpu": "100000000n", "memory": "65536Ki"} for number in range(4)},
        "p9": {"cpu": "0n", "memory": "65536Ki"},
    }
    assert found["items"][0]["window"] == "10s"
    assert found["items"][0]["timestamp"] == "2026-05-28T20:27:00Z"
    assert living.ask(f"{BASE}/namespaces/other/pods")["items"] == []
    assert living.ask(f"{BASE}/namespaces/shop/pods?labelSelector=app%3Dother")["items"] == []
    assert living.ask(f"{BASE}/namespaces/shop/pods/p1")["containers"][0]["name"] == "main"
    assert living.ask(f"{BASE}/namespaces/shop/pods/none")["code"] == 404
    (node,) = living.ask(f"{BASE}/nodes")["items"]
    assert (node["metadata"]["name"], node["usage"]["cpu"]) == ("node-1", "400000000n")


def test_discovery_is_what_the_aggregation_layer_asks_for():
    living = Living(config())
    assert living.ask("/apis")["groups"][0]["name"] == "metrics.k8s.io"
    assert living.ask("/apis/metrics.k8s.io")["preferredVersion"]["version"] == "v1beta1"
    assert [one["name"] for one in living.ask(BASE)["resources"]] == ["nodes", "pods"]
    assert living.ask("/readyz") == "ok"
    assert living.ask("/openapi/v3") == {"paths": {}}
    assert living.ask("/apis/other")["code"] == 404


def test_the_objects_put_it_behind_the_aggregation_layer():
    service, api_service = apiservice_objects(8443, "PEM", "monitoring")
    assert service["spec"]["externalName"] == "localhost"
    assert api_service["metadata"]["name"] == "v1beta1.metrics.k8s.io"
    assert api_service["spec"]["service"] == {"name": "emulated-metrics", "namespace": "monitoring", "port": 8443}
    assert base64.b64decode(api_service["spec"]["caBundle"]) == b"PEM"
    assert server_names("monitoring") == ("emulated-metrics.monitoring.svc", "localhost")


# -- what it is told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/load/shop/checkout", 250, 200),
        ("DELETE", "/load/shop/checkout", None, 200),
        ("PUT", "/load/shop/checkout", "many", 400),
        ("PUT", "/load/shop/checkout", -1, 400),
        ("PUT", "/load/shop/other", 1, 404),
        ("PUT", "/fault/shop/checkout", "nan", 200),
        ("PUT", "/fault/shop/checkout", {"kind": "lag", "seconds": 30}, 200),
        ("PUT", "/fault/shop/checkout", {"kind": "lag"}, 400),
        ("PUT", "/fault/shop/other", "absent", 404),
        ("DELETE", "/fault/shop/checkout", None, 200),
        ("GET", "/readyz", None, 200),
    ],
)
def test_the_control_endpoint_answers(method: str, path: str, body: Any, status: int):
    assert ask(Control(Living(config()).fleet).application(), method, path, body)[0] == status


def test_what_was_set_is_seen():
    living = Living(config())
    application = Control(living.fleet).application()
    ask(application, "PUT", "/load/shop/checkout", 250)
    ask(application, "PUT", "/fault/shop/checkout", {"kind": "wrong", "factor": 2, "on": ["kubernetes-metrics"]})
    living.live(1.0)
    state = ask(application, "GET", "/state")[1]["workloads"]["shop/checkout"]
    assert state["offeredRequestsPerSecond"] == 250.0
    assert state["faults"] == {"kubernetes-metrics": "wrong"}
    assert living.fleet.workloads["shop/checkout"].shown(Surface.KUBERNETES).use_ratio == 2.0
    assert living.fleet.workloads["shop/checkout"].shown(Surface.METRICS).use_ratio == 1.0
