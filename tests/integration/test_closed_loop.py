"""The whole loop over real HTTP: a real Prometheus scrapes the simulated service, the loop reads it and moves it."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.adapters.store import Asked, Store
from aiops.app.replay import Agreement, code_version, platform_version, replay
from aiops.core.bank import Bank
from aiops.core.model import SignalState
from aiops.loop import ControlLoop, DryRunCluster, Ports, Setup, backfill
from aiops.policy import parse
from simulators.chance import Chance
from simulators.exporter import Exporter, past
from simulators.faults import Troubles
from simulators.load import Burst, Noise, ShapedLoad
from simulators.ports import (
    FixedPolicies,
    NoTelemetry,
    SimCluster,
    SimControls,
    SimLease,
    SimPrices,
    StillClock,
)
from simulators.service import ServiceSpec, Startup
from simulators.world import Service, World
from tests.integration.prometheus_server import running_prometheus

POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  signals:
    demand: {query: 'sum(rate(http_requests_total{service="checkout"}[5s]))', unit: req/s, maxAge: 5s}
    latency:
      query: >-
        histogram_quantile(0.95,
          sum by (le) (rate(http_request_duration_seconds_bucket{service="checkout"}[5s])))
      unit: s
      maxAge: 5s
  objective: {demand: demand, perReplica: 50, slo: {signal: latency, atMost: 250ms}}
  forecast: {history: 6h, season: 1h}
  bounds: {minReplicas: 2, maxReplicas: 40}
---
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: requests, namespace: shop}
spec: {query: 'sum by (service) (rate(http_requests_total[5s]))', identity: [service], history: 1h}
"""
QUIET_S = 24.0
SPEC = ServiceSpec(
    name="checkout",
    namespace="shop",
    capacity_rps=60.0,
    service_s=0.05,
    timeout_s=2.0,
    slo_s=0.25,
    error_ratio=0.0,
    replicas=4,
    startup=Startup(median_s=1.5, p95_s=2.0),
    usd_per_hour=0.04,
)


class Rig:
    """A world on the wall clock, scraped by a Prometheus, with a loop that reads it."""

    def __init__(self, world: World, exporter: Exporter, url: str, store: Store) -> None:
        self.world, self.exporter, self.store = world, exporter, store
        self.policies = parse(POLICY, "test", 2.0)
        store.journal.note_policies(self.policies)
        self.source = PrometheusSource(PrometheusOptions(url=url, timeout_s=5.0))
        self.bank = Bank(self.policies)
        cluster = SimCluster(world)
        ports = Ports(
            policies=FixedPolicies(self.policies),
            source=self.source,
            cluster=cluster,
            dry=DryRunCluster(cluster),
            journal=store.journal,
            lease=SimLease(),
            controls=SimControls(),
            prices=SimPrices(world),
            telemetry=NoTelemetry(),
            clock=StillClock(),
        )
        self.loop = ControlLoop(ports, self.bank, Setup(code=code_version(), platform=platform_version()))

    def live(self, seconds: float, *, turning: bool = True) -> None:
        """Let the world follow the wall clock, and turn the loop every two seconds."""
        end, next_turn = time.time() + seconds, time.time() + 2.0
        while time.time() < end:
            while self.world.now + self.world.step_s <= time.time():
                self.world.advance(self.world.now + self.world.step_s)
                self.exporter.note()
            if turning and time.time() >= next_turn:
                next_turn += 2.0
                self.loop.run_once(time.time())
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_decisions_change_the_replicas_which_change_the_metrics(tmp_path: Path):
    start = time.time()
    chance = Chance(7)
    noise = Noise(chance=chance, name="checkout", fast_ratio=0.02)
    burst = Burst(start=start + QUIET_S, factor=3.0, rise_s=1.0, hold_s=600.0, fall_s=1.0)
    load = ShapedLoad(base=150.0, noise=noise, bursts=(burst,))
    world = World([Service(SPEC, load, (), chance)], start, 0.25)
    exporter = Exporter(world)
    exporter.note()
    exporter.start()
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    with running_prometheus(tmp_path, exporter.address, past(world, 6 * 3600.0, 15.0)) as url:
        rig = Rig(world, exporter, url, store)
        # the demand of [5s] cannot be seen in samples 15 s apart: learn it over a minute, as its history was kept
        learnt = parse(POLICY.replace("[5s]", "[1m]"), "history", 2.0)
        missed = backfill(rig.bank, learnt, rig.source, (start - 6 * 3600.0, start - 60.0), nullcontext())
        assert missed == []
        assert rig.bank.peak_demand("ScalingPolicy/shop/checkout") == pytest.approx(150.0, rel=0.2)
        rig.live(8.0, turning=False)  # the counters catch up with the time that Prometheus took to start
        rig.live(start + QUIET_S - time.time())
        assert world.services["shop/checkout"].sim.pods.count in (4, 5)
        rig.live(24.0)
        decisions = store.reader.decisions(Asked(limit=100))
        pods = world.services["shop/checkout"].sim.pods
        assert 9 <= pods.count <= 16
        assert pods.ready >= 9
        newest = rig.loop.last.decisions[0]
        assert all(signal.state is SignalState.VALUE for signal in newest.signals)
        # what waited while the pods started is served now, on top of the 450 that are offered
        assert 380.0 < newest.signals[0].value < 700.0
        allowed = [row for row in decisions if row["verdict"] == "allow"]
        assert allowed
        # what was decided on real answers can be made again, byte for byte
        stored = store.reader.decision(allowed[0]["id"])
        document = store.reader.policy_document(stored.decision.policy_digest)
        made_again = replay(stored.decision, store.reader.inputs(stored.decision.id), document)
        assert made_again.agreement is Agreement.IDENTICAL
    exporter.stop()
    # Prometheus is gone: the loop holds, says why, and scales nothing in
    sentence = rig.loop.run_once(time.time())
    assert "hold" in sentence
    assert rig.loop.last.actions == ()
    rig.source.close()
    store.close()


def test_the_past_is_a_text_that_prometheus_understands():
    chance = Chance(1)
    load = ShapedLoad(base=10.0, noise=Noise(chance=chance, name="x"))
    world = World([Service(SPEC, load, (), chance)], 1000.0, 15.0)
    lines = list(past(world, 60.0, 15.0))
    assert lines[0].startswith("# TYPE http_requests counter")
    assert lines[-1] == "# EOF\n"
    assert len(lines) == 6
    assert Troubles((), "checkout").turn(0.0) == 0
