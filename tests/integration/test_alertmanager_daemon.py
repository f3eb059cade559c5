"""A daemon between Debian's Prometheus and Alertmanager: silences and alerts hold it, and it tells of an incident."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiops.adapters.alertmanager import OWN
from tests.integration.alertmanager_server import running_alertmanager
from tests.integration.kubernetes_server import KubernetesServer, deployment, pod
from tests.integration.prometheus_server import free_port, running_prometheus
from tests.integration.test_daemon import eventually, kubeconfig
from tests.loopback import page

ROOT = Path(__file__).parents[2]
POLICIES = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop, labels: {team: payments}}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  signals: {demand: {query: 'sum(shop_demand)', unit: req/s}}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 20}
  behavior: {scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 1}]}}
  guardrails: [{when: 'alerts.exists(a, a.name == "Migration" && a.labels.service == "checkout")', then: hold-scale-in}]
---
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: latency, namespace: shop}
spec: {query: shop_latency, identity: [service], history: 3h}
"""


class Shop:
    """What the exporter says, until it is told otherwise."""

    def __init__(self) -> None:
        self.demand, self.latency, self.dice = 330.0, 0.1, random.Random(1)
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = shop.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def text(self) -> str:
        each = (f'shop_latency{{service="{name}"}} {self.noisy()}\n' for name in ("checkout", "cart"))
        return f"shop_demand {self.demand}\n" + "".join(each)

    def noisy(self) -> float:
        return self.latency * self.dice.uniform(0.95, 1.05)

    def past(self) -> Iterator[str]:
        now = time.time() // 60 * 60
        yield "# TYPE shop_latency gauge\n"
        for name in ("checkout", "cart"):
            for minute in range(170, 6, -1):
                yield f'shop_latency{{service="{name}",instance="i",job="shop"}} {self.noisy()} {now - 60 * minute}\n'
        yield "# EOF\n"


@contextmanager
def daemon(folder: Path, prometheus: str, kubernetes: str, web: int) -> Iterator[tuple[int, Path]]:
    """Run a daemon; its Alertmanager is told later, by the port that it is to listen on."""
    (folder / "policies.yaml").write_text(POLICIES)
    (folder / "token").write_text("tells-alerts-only")
    telemetry, alertmanager = free_port(), free_port()
    settings = {
        "mode": "enforce",
        "promotion": "file",
        "policies": [str(folder / "policies.yaml")],
        "step": "1s",
        "prometheus": {"url": prometheus, "jitter": "0s", "timeout": "2s", "retries": 0},
        "clusters": {"default": {"kubeconfig": str(kubeconfig(kubernetes, folder / "kubeconfig"))}},
        "store": {"url": f"sqlite:///{folder / 'aiops.db'}"},
        "lease": {"enabled": False},
        "models": {"checkpoint": str(folder / "models.npz")},
        "telemetry": {"port": telemetry},
        "web": {"port": web},
        "alertmanager": {
            "urls": [f"http://127.0.0.1:{alertmanager}"],
            "webhook": {"token_file": str(folder / "token")},
            "silences": {"every": "1s", "max_age": "10s"},
            "incidents": {"refresh": "1s"},
        },
    }
    (folder / "aiops.yaml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "aiops", "run", "--config", str(folder / "aiops.yaml")]
    log = (folder / "daemon.log").open("w+")
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stderr=log, text=True)
    try:
        yield telemetry, alertmanager
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


def a_cluster() -> KubernetesServer:
    cluster = KubernetesServer()
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    cluster.put("/apis/apps/v1/namespaces/shop/deployments", deployment(replicas=4))
    for number in range(4):
        cluster.put("/api/v1/namespaces/shop/pods", pod(number))
    return cluster


class Daemon:
    """A daemon as its API shows it, and its Alertmanager."""

    def __init__(self, web: int, alertmanager: int) -> None:
        self.api, self.alertmanager = f"http://127.0.0.1:{web}/api/v1", f"http://127.0.0.1:{alertmanager}"

    def ask(self, path: str, **params: str) -> Any:
        return httpx.get(f"{self.api}/{path}", params=params).json()

    def newest(self) -> dict[str, Any]:
        return dict(self.ask("decisions?limit=1")[0])

    def held_by(self, reason: str) -> dict[str, Any] | None:
        row = self.newest()
        return row if row["reason"] == reason else None

    def silence(self, *words: str) -> str:
        command = ["amtool", f"--alertmanager.url={self.alertmanager}", "silence", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def alert(self, lasts: timedelta) -> None:
        now = datetime.now(UTC)
        labels = {"alertname": "Migration", "service": "checkout"}
        alert = {"labels": labels, "startsAt": BEGAN.isoformat(), "endsAt": (now + lasts).isoformat()}
        assert httpx.post(f"{self.alertmanager}/api/v2/alerts", json=[alert]).status_code == 200

    def own_alerts(self) -> list[dict[str, Any]]:
        found = httpx.get(f"{self.alertmanager}/api/v2/alerts").json()
        return [one for one in found if OWN in one["labels"]]


BEGAN = datetime.now(UTC)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_silence_and_an_alert_hold_and_an_incident_is_told(tmp_path):
    shop, cluster, web = Shop(), a_cluster(), free_port()
    spec = cluster.objects["/apis/apps/v1/namespaces/shop/deployments"]["checkout"]["spec"]
    target = f"127.0.0.1:{shop.server.server_address[1]}"
    with (
        running_prometheus(tmp_path, target, shop.past()) as url,
        daemon(tmp_path, url, cluster.url, web) as (telemetry, port),
    ):
        asked = Daemon(web, port)
        # reactive need goes out although no Alertmanager has answered yet; what is not needed now waits for its word
        eventually(lambda: spec["replicas"] == 7)
        shop.demand = 150.0
        assert "silences are not known" in eventually(lambda: asked.held_by("frozen"))["story"]
        with running_alertmanager(tmp_path, f"{asked.api}/alerts", tmp_path / "token", port):
            made = asked.silence("add", "--author=ann", "--comment=migration", "team=payments")
            eventually(lambda: "by ann: migration" in asked.ask("status")["sentence"])
            asked.alert(timedelta(minutes=5))
            eventually(lambda: asked.held_by("guardrail"))
            asked.silence("expire", made)
            time.sleep(2)  # two looks at the silences: the alert alone holds now
            assert spec["replicas"] == 7
            asked.alert(timedelta(0))
            eventually(lambda: spec["replicas"] < 7)
            # an anomaly of what was learnt from history becomes an incident, and an alert
            eventually(lambda: 'anomaly_score{for="shop/latency"' in page(telemetry, "/metrics")[1])
            shop.latency = 3.0
            (told,) = eventually(asked.own_alerts)
            (incident,) = asked.ask("incidents")
            assert (incident["id"], incident["state"]) == (told["labels"][OWN], "open")
            assert {one["name"] for one in incident["suspects"]} == {"shop/checkout", "shop/cart"}
            why = asked.ask("explain", series="service=cart")
            assert why["flagged"], why["text"]
            names = [one["name"] for one in asked.ask("alerts")["alerts"]]
            assert names == ["Migration"], "what we said ourselves does not come back"
