"""A real daemon beside a real command line: one chain, people and a SIEM told of it, an anchor outside of the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.integration.kubernetes_server import KubernetesServer, deployment, pod
from tests.integration.prometheus_server import running_prometheus
from tests.integration.test_daemon import Demand, daemon, eventually
from tests.loopback import serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def got() -> list[tuple[str, dict[str, object]]]:
    return []


@pytest.fixture
def receiver(got) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.extend((self.path, one) for one in (said if isinstance(said, list) else [said]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with serving(Handler) as url:
        yield url


def aiops(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aiops", "--config", str(folder / "aiops.yaml"), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_a_daemon_and_a_command_line_do_is_one_chain_that_others_are_told_of(tmp_path, monkeypatch, receiver, got):
    (tmp_path / "secret").write_text("a secret of enough length")
    assert aiops(tmp_path, "audit", "key", str(tmp_path / "key.pem")).returncode == 0
    notify = {
        "channels": {"ops": {"urls": [receiver.replace("http:", "json:") + "/people"]}},
        "endpoints": {"siem": {"url": f"{receiver}/events", "secret_file": str(tmp_path / "secret")}},
        "routes": [{"name": "all", "channels": ["ops"], "kinds": ["pause"], "group_wait": "0s"}],
        "events": {"endpoint": "siem"},
    }
    audit = {"key_file": str(tmp_path / "key.pem"), "anchors_file": str(tmp_path / "anchors.jsonl")}
    monkeypatch.setenv("AIOPS_NOTIFY", json.dumps(notify))
    monkeypatch.setenv("AIOPS_AUDIT", json.dumps(audit))
    cluster = KubernetesServer()
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    cluster.put("/apis/apps/v1/namespaces/shop/deployments", deployment(replicas=4))
    for number in range(4):
        cluster.put("/api/v1/namespaces/shop/pods", pod(number))
    with (
        serving(Demand) as demand,
        running_prometheus(tmp_path, demand.removeprefix("http://")) as url,
        daemon(tmp_path, url, cluster.url),
    ):
        spec = cluster.objects["/apis/apps/v1/namespaces/shop/deployments"]["checkout"]["spec"]
        eventually(lambda: spec["replicas"] == 7, 60)
        eventually((tmp_path / "anchors.jsonl").exists, 60)
        paused = aiops(tmp_path, "stop-all", "--reason", "the shop is on fire", "--by", "ann")
        assert paused.returncode == 0, paused.stderr
        told = eventually(lambda: [said for path, said in got if path == "/people"], 60)
        eventually(lambda: {"aiops.pause", "aiops.result"} <= kinds(got), 60)
    cluster.stop()
    assert told[0]["title"] == "[aiops] everything is stopped: *"
    assert "the shop is on fire" in told[0]["message"]
    assert {"aiops.decision", "aiops.action", "aiops.result", "aiops.pause"} <= kinds(got)
    numbers = [int(said["sequence"]) for path, said in got if path == "/events"]
    assert numbers == sorted(numbers), "in order"
    found = aiops(tmp_path, "-o", "json", "audit", "verify", "--anchors", str(tmp_path / "anchors.jsonl"))
    assert found.returncode == 0, found.stdout + found.stderr
    answer = json.loads(found.stdout)
    assert (answer["whole"], answer["signed"] > 0, answer["rows"] > 1) == (True, True, True)
    listed = aiops(tmp_path, "audit", "list", "--limit", "1000").stdout
    assert "the shop is on fire" in listed
    assert "ScalingPolicy/shop/checkout" in listed
    assert f"policies of {os.uname().nodename}" in listed


def kinds(got: list[tuple[str, dict[str, object]]]) -> set[object]:
    return {said["type"] for path, said in got if path == "/events"}
