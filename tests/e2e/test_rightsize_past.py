"""A policy that is new reads what a real Prometheus has of its containers, also of pods that are gone, and proposes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.core.planning.cost_rightsize import DAY_S
from aiops.loop.pasts import UsePasts
from tests.integration.prometheus_server import free_port, running_prometheus
from tests.unit.rightsized import MIB, World, a_policy
from tests.unit.test_rightsize_past import looks

CORES, BYTES = 0.2, 300.0 * MIB
STEP_S = 120.0
PODS = ("checkout-6d4cf56db6-x2x9b", "checkout-6d4cf56db6-x2x9c", "checkout-5c7d8b9f4x-bcdfg")


def metrics(now: float) -> Iterator[str]:
    """Yield two days of cAdvisor's metrics: the last of the pods ended a day ago."""
    times = [now - 2 * DAY_S + STEP_S * number for number in range(int(2 * DAY_S / STEP_S))]
    for name, kind in (("container_cpu_usage_seconds", "counter"), ("container_memory_working_set_bytes", "gauge")):
        yield f"# TYPE {name} {kind}\n"
        for pod in PODS:
            for at in times:
                if pod == PODS[-1] and at > now - DAY_S:
                    continue
                labels = f'namespace="shop",pod="{pod}",container="app"'
                suffix, value = ("_total", CORES * (at - times[0])) if kind == "counter" else ("", BYTES)
                yield f"{name}{suffix}{{{labels}}} {value:.3f} {at:.0f}\n"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("past")
    with running_prometheus(folder, f"127.0.0.1:{free_port()}", metrics(time.time())) as made:
        yield made


def world(now: float) -> World:
    made = World(policy=a_policy(("mode: enforce", "mode: observe")), now=now)
    made.cores, made.size = (lambda _pod, _at: CORES), (lambda _pod, _at: BYTES)
    return made


def test_what_prometheus_has_of_pods_that_are_gone_is_known_at_the_second_look(url: str) -> None:
    one, pasts = world(time.time()), UsePasts()
    source = PrometheusSource(PrometheusOptions(url=url, jitter_s=0.0))
    try:
        for _ in range(2):
            looks(one, pasts, source)
    finally:
        source.close()
    assert one.decision is not None
    assert one.decision.judgement is not None
    first, *lines = one.decision.judgement.evidence
    assert first == "what 1 of 1 containers used before the first look was read: 2.0 d are known"
    use = one.memory.uses["Deployment/checkout/app"]
    assert 570 < use.samples < 580
    assert {round(size) for _, size in use.peaks} == {round(BYTES)}
    cpu, memory = (next(line for line in lines if f"/app {name} " in line) for name in ("cpu", "memory"))
    assert "cpu 4 -> " in cpu
    assert "memory 4Gi -> " in memory
    assert "estimate 345Mi" in memory


def test_a_prometheus_that_is_away_is_said_and_leaves_what_is_seen() -> None:
    one, pasts = world(time.time()), UsePasts()
    source = PrometheusSource(PrometheusOptions(url=f"http://127.0.0.1:{free_port()}", retries=0, timeout_s=1.0))
    try:
        for _ in range(2):
            looks(one, pasts, source)
    finally:
        source.close()
    assert one.decision is not None
    assert one.decision.judgement is not None
    said = one.decision.judgement.evidence[0]
    assert said.startswith("what 1 of 1 containers used before the first look is not known: ")
    assert one.memory.uses["Deployment/checkout/app"].samples == 2
