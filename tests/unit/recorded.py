"""Worlds whose truth is known, recorded."""

from __future__ import annotations

import numpy as np

from aiops.core.model import F64
from aiops.core.policies import ScalingPolicy
from aiops.policy import parse
from simulators.autoscalers import AUTOSCALERS, Sample
from simulators.backtest.recording import Recording, gridded
from simulators.service import ServiceSim, ServiceSpec, Startup

POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: dry-run
  target: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  lever: replicas
  signals:
    demand: {query: 'sum(rate(http_requests_total{service="checkout"}[1m]))', unit: req/s}
    use: {query: 'avg(rate(cpu_seconds_total{service="checkout"}[1m]))', unit: ratio}
    latency:
      query: 'histogram_quantile(0.95, sum by (le) (rate(seconds_bucket{service="checkout"}[1m])))'
      unit: s
      whenNoTraffic: meets-slo
  objective: {demand: demand, perReplica: 50, utilisation: use, slo: {signal: latency, atMost: 400ms, target: 99.5%}}
  forecast: {history: 14d, quantile: 0.95, leadTime: 60s}
  bounds: {minReplicas: 2, maxReplicas: 60}
"""
STEP_S = 15.0
START = 1_700_000_010.0
CAPACITY_RPS, SERVICE_S, ON_TOP_S, LEAD_S = 70.0, 0.06, 0.02, 50.0


def policy(text: str = POLICY) -> ScalingPolicy:
    return parse(text, "test").scaling[0]


def wave(hours: float, seed: int = 1) -> F64:
    """Return a load that goes up and down every six hours."""
    steps = int(hours * 3600 / STEP_S)
    dice = np.random.default_rng(seed)
    return 500 + 350 * np.sin(np.arange(steps) * STEP_S / 21_600 * 2 * np.pi) + 15 * dice.standard_normal(steps)


def lived(load: F64, hpa_target: float = 0.8, seed: int = 1) -> Recording:
    """Return the recording of a service that an HPA scales, with 3 % of noise on its latency."""
    spec = ServiceSpec(
        name="checkout",
        namespace="shop",
        capacity_rps=CAPACITY_RPS,
        service_s=SERVICE_S,
        timeout_s=10.0,
        slo_s=0.4,
        error_ratio=0.0,
        replicas=10,
        startup=Startup(median_s=LEAD_S, p95_s=LEAD_S + 0.1),
        usd_per_hour=0.0,
    )
    dice = np.random.default_rng(seed)
    sim, hpa = ServiceSim(spec, dice), AUTOSCALERS["hpa"](hpa_target)
    hpa.fit(load, STEP_S, LEAD_S, 0.4)
    rows = []
    for number, rate in enumerate(load.tolist()):
        at = START + number * STEP_S
        served = sim.advance(at - STEP_S, STEP_S, rate)
        use = served.utilisation_ratio
        sample = Sample(at, rate, use, served.p95_s, 1.0, served.failed, served.queue, served.ready)
        wanted = min(max(hpa.decide(sample, sim.pods.ready, sim.pods.count), 2), 60)
        if wanted != sim.pods.count:
            sim.pods.resize(wanted, at)
        rows.append((served.p95_s + ON_TOP_S, use, sim.pods.count, served.ready))
    latency, use_ratio, wanted_count, ready = np.array(rows).T
    columns = {
        "demand": load,
        "latency": latency * np.exp(0.03 * dice.standard_normal(len(load))),
        "use": use_ratio,
        "wanted": wanted_count,
        "ready": ready,
        "replicas": wanted_count,
    }
    return gridded("made", START + STEP_S * np.arange(len(load)), columns, {})


def without(recording: Recording, *names: str) -> Recording:
    columns = {name: values for name, values in recording.columns.items() if name not in names}
    return gridded(recording.origin, recording.times, columns, {})


def changed(recording: Recording, **columns: F64) -> Recording:
    return gridded(recording.origin, recording.times, {**recording.columns, **columns}, {})
