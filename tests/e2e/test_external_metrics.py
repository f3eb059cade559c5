"""Those who keep their autoscaler: a stock HPA and KEDA's own client read our forecast on a real control plane."""

from __future__ import annotations

import base64
import json
import math
import ssl
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiops.core.decide.quantities import quantity
from tests.e2e.emulated import hpa
from tests.e2e.keda import KedaClient
from tests.e2e.processes import eventually
from tests.e2e.rig import Daemon, Rig, scaling_policy
from tests.integration.prometheus_server import free_port, running_prometheus

API = "/apis/external.metrics.k8s.io/v1beta1"
APISERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io"
SERVICE = "aiops-external-metrics"
QUIET_RPS, BUSY_RPS, PER_REPLICA = 100.0, 400.0, 50.0
SEASON_S, RISE_S, BUSY_S = 3600.0, 420.0, 1500.0
LEVELS = (1.0, 0.7, 1.2, 0.8, 1.3, 0.9, 1.1, 0.75, 1.25, 0.85, 1.15, 1.0, 0.9)
"""How busy each of the last hours was: a model that follows the level beats last hour's values."""

CHOSEN = {"policy": "checkout", "signal": "demand", "quantile": "0.5", "horizon": "15m"}


def past(namespace: str, now: float) -> Iterator[str]:
    """Yield twelve hours of demand that rises each hour at the minute which lies seven minutes ahead of now."""
    yield "# TYPE demand gauge\n"
    begin = now - 12 * SEASON_S
    for step in range(int((now - begin) / 15.0)):
        at = begin + 15.0 * step
        busy = (at - now - RISE_S) % SEASON_S < BUSY_S
        level = LEVELS[math.floor((now - at) / SEASON_S)]
        yield f'demand{{ns="{namespace}"}} {(BUSY_RPS if busy else QUIET_RPS) * level:.1f} {at:.3f}\n'
    yield "# EOF\n"


@pytest.fixture
def foreseen(rig: Rig, tmp_path: Path) -> Iterator[Rig]:
    """A rig whose Prometheus remembers a demand that will rise in seven minutes; now it is low."""
    folder = tmp_path / "history"
    folder.mkdir()
    with running_prometheus(folder, rig.gauges.address, past(rig.namespace, time.time())) as url:
        rig.prometheus = url
        rig.demand(QUIET_RPS)
        yield rig


@pytest.fixture
def aggregated(foreseen: Rig) -> Iterator[dict[str, Any]]:
    """The settings of a daemon that serves the external metrics API, whose port is behind the aggregation layer."""
    plane, port = foreseen.plane, free_port()
    served = plane.authority.issue(SERVICE, names=(f"{SERVICE}.kube-system.svc",))
    plane.apply(*registration(port, plane.ca.read_bytes()))
    yield {
        "enabled": True,
        "port": port,
        "cert_file": str(served.cert),
        "key_file": str(served.key),
        "client_ca_file": str(plane.ca),
        "allowed_names": ["front-proxy"],
    }
    plane.delete(APISERVICE)
    plane.delete(f"/api/v1/namespaces/kube-system/services/{SERVICE}")


def registration(port: int, ca: bytes) -> list[dict[str, Any]]:
    group, version = API.removeprefix("/apis/").split("/")
    place = {"name": SERVICE, "namespace": "kube-system"}
    ports = [{"port": port, "protocol": "TCP"}]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": place,
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": ports},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {**place, "port": port},
                "caBundle": base64.b64encode(ca).decode(),
            },
        },
    ]


def keda(rig: Rig) -> tuple[dict[str, Any], KedaClient]:
    """Return the settings of an external scaler that asks for certificates, and KEDA's client with one."""
    port, authority = free_port(), rig.plane.authority
    served = authority.issue("aiops-keda")
    settings = {
        "enabled": True,
        "port": port,
        "cert_file": str(served.cert),
        "key_file": str(served.key),
        "client_ca_file": str(rig.plane.ca),
        "push_every": "1s",
    }
    client = KedaClient(
        address=f"localhost:{port}",
        namespace=rig.namespace,
        metadata={"policy": "checkout", "quantile": "0.5", "horizon": "15m", "targetValue": "50"},
        ca=rig.plane.ca,
        pair=authority.issue("keda-operator"),
    )
    return settings, client


def observing(rig: Rig, **changes: Any) -> dict[str, Any]:
    """Return a policy that foresees, and does nothing else."""
    forecast = {"history": "12h", "season": "1h", "model": "seasonal-naive"}
    return scaling_policy(rig.namespace, mode="observe", forecast=forecast, **changes)


def external_hpa(namespace: str) -> dict[str, Any]:
    made = hpa(namespace, 50)
    metric = {"name": "aiops_forecast_peak", "selector": {"matchLabels": CHOSEN}}
    target = {"type": "AverageValue", "averageValue": f"{PER_REPLICA:g}"}
    made["spec"]["metrics"] = [{"type": "External", "external": {"metric": metric, "target": target}}]
    return made


def told(rig: Rig, selector: dict[str, str] | None = None, metric: str = "aiops_forecast_peak") -> dict[str, Any]:
    """Return what the API server answers for our metric; errors are answers, too."""
    chosen = ",".join(f"{key}={value}" for key, value in (CHOSEN if selector is None else selector).items())
    query = urllib.parse.urlencode({"labelSelector": chosen})
    try:
        return rig.plane.api("GET", f"{API}/namespaces/{rig.namespace}/{metric}?{query}")
    except urllib.error.HTTPError as err:
        with err:
            said = err.read().decode()
        # while nobody serves it, the API server says so in plain text
        return dict(json.loads(said)) if said.startswith("{") else {"code": err.code, "message": said}


def condition(rig: Rig, kind: str) -> dict[str, Any]:
    path = f"/apis/autoscaling/v2/namespaces/{rig.namespace}/horizontalpodautoscalers/checkout"
    found = rig.plane.api("GET", path).get("status", {}).get("conditions") or []
    return next((dict(one) for one in found if one["type"] == kind), {})


@pytest.mark.timeout(420)
def test_a_stock_hpa_scales_ahead_of_demand_and_holds_when_the_forecast_is_gone_s1(foreseen: Rig, aggregated, deploy):
    rig, plane = foreseen, foreseen.plane
    path = deploy(replicas=2)
    rig.policy(observing(rig))
    settings, client = keda(rig)
    export = {"max_age": "2m", "external_metrics": aggregated, "keda": settings}
    daemon = rig.daemon(export=export)
    rig.until(lambda: told(rig).get("items"), "a forecast through the API server", 60.0)
    plane.apply(external_hpa(rig.namespace))

    scales_ahead(rig, path)
    agree(rig, client, daemon)
    rig.demand(None)
    holds(rig, path)
    assert client.ask("metrics")[0]["end"] == client.ask("active")[0]["end"] == "Unavailable"
    assert "aiops_forecast{" not in daemon.metrics()
    assert rig.writes() == []


def scales_ahead(rig: Rig, path: str) -> None:
    """See the HPA go by what will be: 100 req/s now need 2 replicas, and 400 within a quarter of an hour need more."""
    (item,) = told(rig)["items"]
    expected = float(quantity(item["value"]))
    assert expected > 0.9 * BUSY_RPS
    assert item["metricLabels"] == CHOSEN
    wanted, begun = math.ceil(expected / PER_REPLICA), time.monotonic()
    rig.until(lambda: abs(rig.replicas(path) - wanted) <= 1, f"{wanted} replicas for {expected:.0f} req/s", 90.0)
    replicas, took_s = rig.replicas(path), time.monotonic() - begun
    print(f"{QUIET_RPS:.0f} req/s now, {expected:.0f} foreseen: {replicas} replicas after {took_s:.0f} s")
    assert replicas * PER_REPLICA > 3 * QUIET_RPS
    assert condition(rig, "ScalingActive")["reason"] == "ValidMetricFound"


def agree(rig: Rig, client: KedaClient, daemon: Daemon) -> None:
    """See that the API server, KEDA's own client and a scrape are told the same, and a double choice is refused."""
    assert client.ask("spec") == [{"metric": "aiops_forecast_peak", "target": 50}]
    (value,) = client.ask("metrics")
    assert value["value"] == pytest.approx(float(quantity(told(rig)["items"][0]["value"])), rel=0.2)
    assert client.ask("active") == [{"active": True}]
    assert client.ask("active", activationValue="100000") == [{"active": False}]
    assert client.ask("metric-spec-stream")[0]["end"] == "Unimplemented"
    place = f'horizon="15m",policy="ScalingPolicy/{rig.namespace}/checkout",quantile="0.5",signal="demand"'
    assert f"aiops_forecast{{{place}}}" in daemon.metrics()
    ambiguous = told(rig, {"policy": "checkout", "horizon": "15m"})
    assert (ambiguous["code"], ambiguous["reason"]) == (400, "BadRequest")
    assert "name one quantile" in ambiguous["message"]


def holds(rig: Rig, path: str) -> None:
    """See the number go after demand has gone, and the HPA say so and change nothing."""
    gone = rig.until(lambda: (s := told(rig)).get("code") == 503 and s, "the forecast to be held back", 200.0)
    assert "at most 120 s are served" in gone["message"]

    def refused() -> dict[str, Any] | None:
        found = condition(rig, "ScalingActive")
        return found if found.get("status") == "False" else None

    said = rig.until(refused, "the HPA to say so", 30.0)
    assert said["reason"] == "FailedGetExternalMetric"
    assert "at most 120 s are served" in said["message"]
    before, syncs = rig.replicas(path), 3
    time.sleep(syncs * rig.plane.timings.hpa_sync_s)
    assert rig.replicas(path) == before


@pytest.mark.timeout(240)
def test_kedas_client_listens_until_the_daemon_stops_and_strangers_hear_nothing_s10(foreseen: Rig, deploy, tmp_path):
    rig = foreseen
    deploy(replicas=2)
    rig.policy(observing(rig))
    settings, client = keda(rig)
    daemon = rig.daemon(export={"keda": settings})
    rig.until(lambda: client.ask("active") == [{"active": True}], "KEDA's client to be told", 60.0)
    listening = client.stream(tmp_path / "keda.log")
    eventually(lambda: len(listening.log_lines()) >= 3, 20.0, "three messages of the stream", listening)
    stranger = replace(client, pair=None)
    assert stranger.ask("active")[0]["end"] == "Unavailable"
    assert client.ask("active", policy="cart")[0]["end"] == "NotFound"
    assert client.ask("active", horizon="7m")[0]["end"] == "InvalidArgument"
    begun = time.monotonic()
    assert daemon.process.term() == 0
    stopped_s = time.monotonic() - begun
    assert listening.popen.wait(10) == 0
    *told_before, last = listening.log_lines()
    assert last == {"end": "EOF"}
    assert {str(one) for one in told_before} == {str({"active": True})}
    stages = {line["stage"]: line["in_time"] for line in daemon.events("stage_stopped")}
    assert stages["page"] is True
    print(f"{len(told_before)} messages, then the end, {stopped_s:.1f} s after SIGTERM")


def test_a_floor_is_not_moved_under_an_hpa_that_reads_our_metric_s4(rig: Rig, deploy):
    deploy(replicas=3)
    rig.plane.apply(external_hpa(rig.namespace))
    rig.demand(900.0)
    rig.policy(scaling_policy(rig.namespace, lever="hpa-floor"))
    rig.daemon()
    decided = rig.until(lambda: rig.decisions(verdict="deny"), "a decision to leave it alone", 60.0)
    assert decided[0]["reason"] == "owned"
    assert "reads our own metric" in decided[0]["story"]
    assert rig.writes("horizontalpodautoscalers") == []


@pytest.mark.timeout(240)
def test_only_the_api_server_is_answered_s10(foreseen: Rig, aggregated, deploy):
    rig, plane = foreseen, foreseen.plane
    deploy(replicas=2)
    rig.policy(observing(rig))
    rig.daemon(export={"external_metrics": aggregated})
    rig.until(lambda: told(rig).get("items"), "a forecast through the API server", 60.0)
    trust = ssl.create_default_context(cafile=str(plane.ca))
    url = f"https://127.0.0.1:{aggregated['port']}{API}"
    with pytest.raises(httpx.HTTPError), httpx.Client(verify=trust, trust_env=False) as nobody:
        nobody.get(url)
    person = plane.user("somebody")
    trust.load_cert_chain(person.cert, person.key)
    with httpx.Client(verify=trust, trust_env=False) as somebody:
        assert somebody.get(url).status_code == 403
    # through the API server, who may read it is what its RBAC says
    config = plane.kubeconfig("somebody")
    raw = f"{API}/namespaces/{rig.namespace}/aiops_forecast_peak"
    with pytest.raises(AssertionError, match="is forbidden"):
        plane.kubectl("get", "--raw", raw, kubeconfig=config)
