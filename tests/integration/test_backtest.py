"""History in a real Prometheus: recorded to a file and backtested from it, it says what a direct backtest says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiops.app.cli import app
from aiops.app.output import SESSION, Format
from tests.integration.prometheus_server import free_port, running_prometheus
from tests.unit.recorded import lived, wave

POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  target: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  lever: replicas
  signals:
    demand: {query: 'shop_demand', unit: req/s}
    latency: {query: 'shop_p95_seconds', unit: s}
  objective: {demand: demand, perReplica: 50, slo: {signal: latency, atMost: 400ms}}
  bounds: {minReplicas: 2, maxReplicas: 60}
"""
NAMES = {
    "shop_demand": ("demand", ""),
    "shop_p95_seconds": ("latency", ""),
    "kube_deployment_status_replicas": ("replicas", '{namespace="shop",deployment="checkout"}'),
    "kube_deployment_status_replicas_ready": ("ready", '{namespace="shop",deployment="checkout"}'),
    "kube_deployment_spec_replicas": ("wanted", '{namespace="shop",deployment="checkout"}'),
}


def past(end: float) -> Iterator[str]:
    """Yield six hours of OpenMetrics up to `end`, with a hole of half an hour in the demand."""
    one = lived(wave(6.0))
    times = end + (one.times - one.times[-1])
    for name, (column, labels) in NAMES.items():
        yield f"# TYPE {name} gauge\n"
        for number, (at, value) in enumerate(zip(times, one.columns[column], strict=True)):
            if not (name == "shop_demand" and 1100 <= number < 1220):
                yield f"{name}{labels} {value} {at:.0f}\n"
    yield "# EOF\n"


def asked(*words: str) -> tuple[int, str]:
    try:
        done = CliRunner().invoke(app, ["-o", "json", *words], catch_exceptions=True)
    finally:
        SESSION.format = Format.TEXT
    return done.exit_code, done.output


@pytest.mark.timeout(180)
def test_a_recorded_backtest_says_what_a_direct_one_says(tmp_path: Path) -> None:
    end = (time.time() - 3600.0) // 15.0 * 15.0
    (tmp_path / "policy.yaml").write_text(POLICY)
    policy, file = str(tmp_path / "policy.yaml"), str(tmp_path / "history.parquet")
    with running_prometheus(tmp_path, f"127.0.0.1:{free_port()}", past(end)) as url:
        span = ("--prometheus", url, "--from", str(end - 6 * 3600.0 + 15.0), "--to", str(end))
        code, said = asked("record", policy, *span, "-o", file)
        assert code == 0, said
        recorded = json.loads(said)
        assert recorded["without_data"] == {}
        assert recorded["steps"] == 6 * 240
        code, direct = asked("backtest", policy, *span)
        assert code == 0, direct
    code, from_file = asked("backtest", policy, "--data", file)
    assert code == 0, from_file
    assert json.loads(direct)["results"] == json.loads(from_file)["results"]
    result = json.loads(from_file)["results"][0]
    assert {one["name"] for one in result["contenders"]} == {"policy", "recorded", "hpa", "keda", "static-peak"}
    assert result["calibration"]["basis"] == "latency"
    assert 90 <= result["unknown_steps"] <= 120  # Prometheus answers the last sample for five minutes
