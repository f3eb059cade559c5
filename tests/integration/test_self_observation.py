"""A daemon that runs, scraped by a real Prometheus under the alert rules that are shipped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.exposition import everything
from tests.expressions import base
from tests.integration.prometheus_server import free_port, ready
from tests.integration.test_daemon import eventually
from tests.loopback import page

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "alerts" / "aiops.rules.yaml"


@contextmanager
def daemon(folder: Path, telemetry: int) -> Iterator[None]:
    """Run a daemon over the simulated shop, twice a second a turn."""
    settings = {
        "mode": "enforce",
        "policies": [str(ROOT / "simulators" / "demo" / "policies" / "shop.yaml")],
        "simulation": {"scenario": str(ROOT / "simulators" / "demo" / "demo.yaml"), "acceleration": 30},
        "store": {"url": f"sqlite:///{folder / 'aiops.db'}"},
        "telemetry": {"port": telemetry},
        "web": {"enabled": False},
    }
    (folder / "aiops.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "aiops", "--config", str(folder / "aiops.yaml"), "run"]
    with (folder / "daemon.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, env=os.environ)
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@contextmanager
def prometheus(folder: Path, telemetry: int) -> Iterator[str]:
    """Run a Prometheus that scrapes the daemon each second and evaluates the rules as often."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "aiops", "static_configs": [{"targets": [f"127.0.0.1:{telemetry}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    binary, address = shutil.which("prometheus"), f"127.0.0.1:{free_port()}"
    assert binary is not None, "Debian's prometheus is missing: make test installs it"
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([binary, *flags, f"--web.listen-address={address}"], stdout=log, stderr=log)
        try:
            ready(f"http://{address}", process)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(15)


def asked(url: str, path: str, **fields: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(fields)}", timeout=5) as answer:
        return json.load(answer)["data"]


def groups(url: str) -> list[dict[str, Any]]:
    return [rule for group in asked(url, "rules")["groups"] for rule in group["rules"]]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_rules_are_evaluated_over_a_daemon_that_runs_and_none_fires(tmp_path):
    telemetry = free_port()
    with daemon(tmp_path, telemetry), prometheus(tmp_path, telemetry) as url:
        eventually(lambda: asked(url, "query", query="aiops_leads == 1")["result"], 60)
        eventually(lambda: asked(url, "query", query="aiops_ticks_total > 5")["result"], 60)
        eventually(lambda: all(rule["health"] == "ok" for rule in groups(url)), 30)
        rules = groups(url)
        status, text = page(telemetry, "/metrics")
        names = asked(url, "label/__name__/values")
    assert len(rules) > 20
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
    assert status == 200
    assert "process_resident_memory_bytes" in text
    own = {base(name) for name in names if name.startswith("aiops_") and not name.endswith("_created")}
    assert own <= everything().keys()
    assert len(own) > 25
