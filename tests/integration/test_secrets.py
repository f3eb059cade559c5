"""A secret that the daemon was given is seen by the server it is for, and by nobody else (S10)."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
import yaml

from aiops.app.redaction import RENEWED_S, RedactingFormatter, Redaction, secrets_of
from aiops.app.settings import Settings
from tests.loopback import serving

CANARY = "canary-4f2a9c81d7e6"


def canary(word: str) -> str:
    return f"{CANARY}-{word}"


class Echo(BaseHTTPRequestHandler):
    """Refuses everything, and quotes in its refusal what it was sent: the worst that a proxy in between could do."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        sent = {**dict(self.headers), "path": self.path}
        Echo.seen.append(json.dumps(sent))
        body = json.dumps({"status": "error", "errorType": "unavailable", "error": json.dumps(sent)}).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return int(one.getsockname()[1])


def configuration(folder: Path, url: str, port: int) -> Path:
    """Write settings with a canary wherever a secret may stand."""
    policies, webhook = folder / "policies", folder / "webhook"
    policies.mkdir()
    webhook.write_text(canary("webhook"))
    (policies / "checkout.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "policy.aiops/v1alpha1",
                "kind": "ScalingPolicy",
                "metadata": {"name": "checkout", "namespace": "shop"},
                "spec": {
                    "mode": "dry-run",
                    "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
                    "signals": {"demand": {"query": "sum(rate(http_requests_total[1m]))", "unit": "req/s"}},
                    "objective": {"demand": "demand", "perReplica": 50},
                    "bounds": {"minReplicas": 1, "maxReplicas": 4},
                },
            }
        )
    )
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "a", "cluster": {"server": url}}],
                "users": [{"name": "a", "user": {"token": canary("file")}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "current-context": "a",
            }
        )
    )
    file = folder / "aiops.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "policies": [str(policies)],
                "step": "1s",
                "prometheus": {
                    "url": url,
                    "bearer_token": canary("token"),
                    "headers": {"X-Tenant": canary("header")},
                    "retries": 0,
                    "jitter": "0s",
                },
                "clusters": {"default": {"kubeconfig": str(kubeconfig)}},
                "store": {"url": f"sqlite:///{folder / 'aiops.db'}"},
                "models": {"checkpoint": str(folder / "models.npz")},
                "telemetry": {"port": free_port()},
                "web": {"port": port, "token": canary("web")},
                "alertmanager": {
                    "urls": [url],
                    "username": "aiops",
                    "password": canary("alertmanager"),
                    "webhook": {"token_file": str(webhook)},
                },
                "log": {"format": "json", "level": "debug"},
            }
        )
    )
    return file


PATHS = [
    "status", "decisions", "actions", "effects", "findings", "incidents", "alerts", "pauses", "approvals",
    "promotions", "plans", "policies", "audit", "tokens", "session", "costs", "why?target=shop/checkout",
    "openapi.json",
]  # fmt: skip


@pytest.mark.slow
def test_no_secret_is_in_a_log_an_answer_an_explanation_a_page_or_the_store_s10(tmp_path):
    port = free_port()
    auth = {"Authorization": f"Bearer {canary('web')}"}
    with serving(Echo) as url:
        file = configuration(tmp_path, url, port)
        command = [sys.executable, "-m", "aiops", "run", "--config", str(file)]
        log = tmp_path / "log"
        with log.open("wb") as out:
            daemon = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, "AIOPS_WEB__HOST": "127.0.0.1"}
            )
        told: dict[str, str] = {}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=auth, timeout=10) as client:
                _turned(client, daemon)
                for path in PATHS:
                    told[path] = client.get(f"/api/v1/{path}").text
                for row in json.loads(told["decisions"])[:5]:
                    told[row["id"]] = client.get(f"/api/v1/decisions/{row['id']}").text
                for page in ("/", "/policies", "/decisions", "/login"):
                    told[page] = client.get(page).text
                told["wrong"] = client.get("/api/v1/status", headers={"Authorization": f"Bearer {CANARY}-wrong"}).text
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)
    sent = "".join(Echo.seen)
    assert canary("token") in sent, "the canary was never sent: this test would prove nothing"
    assert canary("header") in sent
    assert "403" in told["status"], "the refusal is told, without what it quotes"
    told["log"] = log.read_text()
    told["store"] = "".join(one.read_bytes().decode("latin-1") for one in tmp_path.glob("aiops.db*"))
    assert {where: CANARY in text for where, text in told.items() if CANARY in text} == {}


def _turned(client: httpx.Client, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until the daemon has turned, and was refused."""
    for _ in range(240):
        assert daemon.poll() is None, "the daemon has ended"
        try:
            status = client.get("/api/v1/status").json()
        except httpx.HTTPError:
            status = {}
        if status.get("last_tick_at") or "403" in json.dumps(status.get("unready", [])) or status.get("held"):
            return
        time.sleep(0.25)
    raise AssertionError("the daemon does not turn")


# -- what is known as a secret -----------------------------------------------------------------------------------------


def test_every_secret_of_the_settings_is_known_and_nothing_else(tmp_path):
    file = tmp_path / "token"
    file.write_text("in-the-file\n")
    settings = Settings(
        prometheus={"url": "http://p", "password": "pass-word", "headers": {"X": "head-er"}, "bearer_token_file": file},
        store={"url": "postgresql://aiops:data%40base@db/aiops"},
        web={"token": "web-token", "tls": {"cert_file": tmp_path / "no.crt", "key_file": tmp_path / "no.key"}},
        alertmanager={"urls": ["http://user:in-url@a"]},
    )
    found = secrets_of(settings)
    assert found == {"pass-word", "head-er", "in-the-file", "data%40base", "data@base", "web-token", "in-url"}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghij",
        "aiops_" + "a" * 43,
        "postgresql://sam:hunter2@db",
        "eyJhbGciOi.eyJzdWIiOi.c2ln",
        "hunter22",
        "basic c2FtOmh1bnRlcjI=",
    ],
)
def test_what_looks_like_a_secret_is_one(text):
    assert "[secret]" in Redaction(["hunter22"])(text)


@pytest.mark.parametrize(
    "text", ["bearer of news", "http://a.example:80/x@y", "a short one: abc", "basic auth", "aiops_tick"]
)
def test_what_does_not_is_told(text):
    assert Redaction(["abc", "hunter22"])(text) == text


@pytest.mark.parametrize("piece", ["eyJ", "eyJaaaaa.", "://", "://a", "://a:", "://a:b", "bearer ", "aiops_"])
def test_no_text_holds_up_the_log_for_long(piece):
    text, redaction = piece * 100_000, Redaction(["hunter22"])
    began = time.process_time()
    redaction(text)
    assert time.process_time() - began < 3.0, "what is read once from each place of it takes minutes"


def test_a_secret_that_is_renewed_in_its_file_is_one_soon_and_the_former_stays_one(tmp_path):
    file = tmp_path / "token"
    file.write_text(canary("old"))
    settings = Settings.model_validate({"prometheus": {"url": "http://x", "bearer_token_file": str(file)}})
    formatter = RedactingFormatter(logging.Formatter("%(message)s"), lambda: secrets_of(settings))

    def line(at: float) -> str:
        record = logging.makeLogRecord({"msg": f"{canary('old')} and {canary('new')}"})
        record.created = at
        return formatter.format(record)

    assert line(0.0) == f"[secret] and {canary('new')}"
    file.write_text(canary("new"))
    assert line(RENEWED_S - 1) == f"[secret] and {canary('new')}"
    assert line(RENEWED_S) == "[secret] and [secret]"
    file.unlink()
    assert line(2 * RENEWED_S) == "[secret] and [secret]"
