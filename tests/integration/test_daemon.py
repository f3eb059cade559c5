"""The daemon as a process: Prometheus and Kubernetes over HTTP, reload, unreachable sources, a staged stop."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aiops.adapters.store import Asked, Store
from aiops.app.policies import FolderPolicySource, Watching
from tests.integration.kubernetes_server import KubernetesServer, deployment, pod
from tests.integration.prometheus_server import free_port, running_prometheus
from tests.loopback import page

ROOT = Path(__file__).parents[2]
POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  signals: {demand: {query: 'sum(shop_demand)', unit: req/s}}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 20}
"""


class Demand(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"shop_demand 330\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def kubeconfig(url: str, path: Path) -> Path:
    made = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(made))
    return path


@contextmanager
def daemon(folder: Path, prometheus: str, kubernetes: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    (policies / "checkout.yaml").write_text(POLICY)
    telemetry = free_port()
    settings = {
        "mode": "enforce",
        "promotion": "file",
        "policies": [str(policies)],
        "step": "1s",
        "prometheus": {"url": prometheus, "jitter": "0s", "timeout": "2s", "retries": 0},
        "clusters": {"default": {"kubeconfig": str(kubeconfig(kubernetes, folder / "kubeconfig"))}},
        "store": {"url": f"sqlite:///{folder / 'aiops.db'}"},
        "lease": {"enabled": False},
        "models": {"checkpoint": str(folder / "models.npz")},
        "telemetry": {"port": telemetry},
        "web": {"enabled": False},
    }
    (folder / "aiops.yaml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "aiops", "run", "--config", str(folder / "aiops.yaml")]
    log = (folder / "daemon.log").open("w+")
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stderr=log, text=True)
    try:
        yield process, telemetry
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        log.close()


def eventually(look, within_s: float = 50.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come about in time")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_daemon_scales_a_deployment_by_a_query_reloads_and_stops_in_stages(tmp_path):
    exporter = ThreadingHTTPServer(("127.0.0.1", 0), Demand)
    threading.Thread(target=exporter.serve_forever, daemon=True).start()
    cluster = KubernetesServer()
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    cluster.put("/apis/apps/v1/namespaces/shop/deployments", deployment(replicas=4))
    for number in range(4):
        cluster.put("/api/v1/namespaces/shop/pods", pod(number))
    target = f"127.0.0.1:{exporter.server_address[1]}"
    with (
        running_prometheus(tmp_path, target) as url,
        daemon(tmp_path, url, cluster.url) as (process, telemetry),
    ):
        spec = cluster.objects["/apis/apps/v1/namespaces/shop/deployments"]["checkout"]["spec"]
        eventually(lambda: spec["replicas"] == 7)
        assert eventually(lambda: page(telemetry, "/readyz") == (200, "ok\n"))
        assert page(telemetry, "/healthz") == (200, "ok\n")
        assert 'aiops_actions_total{dry_run="false"' in page(telemetry, "/metrics")[1]
        log = (tmp_path / "daemon.log").read_text
        # a broken edit keeps the last good set, a whole one is taken; SIGHUP asks for it at once
        (tmp_path / "policies" / "checkout.yaml").write_text(POLICY.replace("bounds", "bonds"))
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "did you mean 'bounds'?" in log())
        (tmp_path / "policies" / "checkout.yaml").write_text(POLICY.replace("perReplica: 50", "perReplica: 30"))
        eventually(lambda: spec["replicas"] == 11)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        stages = [json.loads(line)["stage"] for line in log().splitlines() if '"stage_stopped"' in line]
        assert stages == ["ticks", "models", "books", "page", "adapters", "store"]
    reader = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}").reader
    changes = [(row["before"], row["after"]) for row in reader.decisions(Asked(verdict="allow"))]
    assert (4, 7) in changes
    assert any(after == 11 for _, after in changes)
    cluster.stop()
    exporter.shutdown()
    exporter.server_close()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_with_nothing_to_reach_the_daemon_runs_holds_and_says_so(tmp_path):
    with daemon(tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9") as (process, telemetry):
        log = (tmp_path / "daemon.log").read_text
        eventually(lambda: "cluster default:" in log())
        assert process.poll() is None
        status, why = eventually(lambda: (p := page(telemetry, "/readyz"))[0] and p)
        assert (status, "cluster default" in why, "cannot be reached" in why) == (503, True, True)


def test_a_set_is_swapped_whole_or_not_at_all(tmp_path):
    file = tmp_path / "checkout.yaml"
    file.write_text(POLICY)
    adopted = []
    source = FolderPolicySource([tmp_path], 15.0, Watching(adopted=adopted.append))
    first = source.current()
    file.write_text(POLICY.replace("maxReplicas: 20", "maxReplicas: 1"))
    assert not source.reload()
    assert source.current() is first
    assert "greater than maxReplicas" in str(source.problems[0])
    file.write_text(POLICY.replace("maxReplicas: 20", "maxReplicas: 30"))
    assert source.reload()
    assert source.current().scaling[0].bounds.max_replicas == 30
    assert len(adopted) == 2
    assert not source.reload()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(["openssl", *words.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")
def test_mutual_tls_shows_our_certificate_and_checks_theirs(tmp_path):
    import ssl

    from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
    from aiops.errors import SourceUnavailable
    from tests.integration.test_prometheus_answers import NOW, SIGNAL

    their_key, their_cert = certificate(tmp_path, "server")
    our_key, our_cert = certificate(tmp_path, "client")

    class Handler(Demand):
        def do_POST(self) -> None:
            body = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(their_cert, their_key)
    context.load_verify_locations(our_cert)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_address[1]}"
    ours = {"cert_file": our_cert, "key_file": our_key}
    for more, well in (({"ca_file": their_cert, **ours}, True), ({"ca_file": their_cert}, False), (ours, False)):
        source = PrometheusSource(PrometheusOptions(url=url, retries=0, timeout_s=3.0, **more))
        if well:
            assert "P" in source.read((SIGNAL,), (), NOW).answers
        else:
            with pytest.raises(SourceUnavailable):
                source.read((SIGNAL,), (), NOW)
        source.close()
    server.shutdown()
    server.server_close()
