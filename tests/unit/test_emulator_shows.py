"""The workload emulator without a cluster: what it shows, what is wrong with it, and what it is told."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import pytest

from aiops.errors import NotFound
from simulators.emulator import apiservice_objects, page, server_names
from simulators.emulator.control import Control
from simulators.emulator.faults import Surface
from simulators.emulator.fleet import Fleet
from tests.unit.living import BASE, CHECKOUT, START, Living, ask, config, pod, route

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
